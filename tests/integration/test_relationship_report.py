"""The relationship report, counted by Postgres: exact numbers on small tables, the publishers' truths on real ones."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.catalog import CATALOG, raw_tables_of, relations_of
from cinestream_platform.commands.explore import UnknownSourceError, print_report
from cinestream_platform.declarations.column import BOOLEAN, DATE, INTEGER, SMALLINT, TEXT, TIMESTAMP, Column
from cinestream_platform.declarations.raw_table import RawEvents, RawTable
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.profile import SourceProfile, profile_relation, profile_source, profile_table
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, csv_bytes, ratings_csv, real_data

REPORT = AssetKey(["movielens", "relationship_report"])


@pytest.fixture
def conn(platform: Platform) -> Iterator[Connection[Any]]:
    with connect(platform.target) as conn:
        yield conn


def profile_movielens(conn: Connection[Any]) -> SourceProfile:
    return profile_source(conn, "movielens", raw_tables_of("movielens"), relations_of("movielens"))


def land_small_files(platform: Platform) -> None:
    """Three films, one without a TMDB number; four ratings, one of them of a film that is not there."""
    platform.land("movielens/movies/movies.csv", MOVIES)
    links = csv_bytes("movieId,imdbId,tmdbId", [(1, "0114709", 862), (2, "0113497", ""), (3, "0114709", 7)])
    platform.land("movielens/links/links.csv", links)
    ratings = [(1, 1, "4.0", Y2005), (1, 2, "0.5", Y2018), (2, 1, "5.0", Y2018), (2, 99, "3.0", Y2018)]
    platform.land("movielens/ratings/a.csv", ratings_csv(ratings))
    platform.load()


def test_columns_keys_and_relations_are_counted_exactly(platform: Platform, conn: Connection[Any]) -> None:
    land_small_files(platform)
    profile = profile_movielens(conn)
    tables = {found.table.name: found for found in profile.tables}
    assert {name: found.rows for name, found in tables.items()} == {
        "movies": 3, "links": 3, "ratings": 4, "tags": 0, "genome_tags": 0, "genome_scores": 0,
    }  # fmt: skip
    columns = {
        (name, found.column.name): (found.nulls, found.empty, found.distinct, found.least, found.greatest)
        for name in ("links", "ratings")
        for found in tables[name].columns
    }
    assert columns == {
        ("links", "movie_id"): (0, None, 3, "1", "3"),
        ("links", "imdb_id"): (0, 0, 2, "0113497", "0114709"),
        ("links", "tmdb_id"): (1, None, 2, "7", "862"),
        ("ratings", "user_id"): (0, None, 2, "1", "2"),
        ("ratings", "movie_id"): (0, None, 3, "1", "99"),
        ("ratings", "rating"): (0, None, 4, "0.5", "5.0"),
        ("ratings", "timestamp"): (0, None, 2, "2005-03-05 05:20:00", "2018-06-26 08:00:00"),
    }
    assert tables["links"].key_candidates == [("movie_id",)]
    assert tables["ratings"].key_candidates == [("user_id", "movie_id"), ("rating",)]
    assert tables["tags"].key_candidates == []

    ratings, tags, links, *genome = profile.relations
    assert (ratings.rows, ratings.matched, ratings.orphans, ratings.nulls, ratings.orphan_keys) == (4, 3, 1, 0, ("99",))
    assert (ratings.parents, ratings.parents_with_children, ratings.childless) == (3, 2, 1)
    assert (ratings.most_children, ratings.busiest) == (2, "1")
    assert (tags.rows, tags.parents, tags.childless, tags.most_children, tags.busiest) == (0, 3, 3, 0, None)
    assert (links.matched, links.childless, links.most_children) == (3, 0, 1)
    assert [(found.rows, found.orphans) for found in genome] == [(0, 0), (0, 0)]
    assert profile.orphans == 1


def test_the_asset_carries_the_report_and_warns_of_orphans(platform: Platform) -> None:
    land_small_files(platform)
    done = platform.defs.resolve_job_def("relationship_reports").execute_in_process(instance=platform.instance)
    [made] = done.asset_materializations_for_node("movielens__relationship_report")
    report = made.metadata["report"].value
    assert "| links | 3 | movie_id |" in report
    assert "  - ratings: 3 of 4 (75.0 %) have their parent; 1 orphan (such as 99)" in report
    assert (made.metadata["raw_rows"].value, made.metadata["orphans"].value) == (10, 1)
    [check] = [found for found in done.get_asset_check_evaluations() if found.asset_key.path[0] == "movielens"]
    assert (check.check_name, check.passed, check.severity.value) == ("no_orphans", False, "WARN")
    assert [record.data for record in check.metadata["samples"].records] == [
        {"relation": "ratings.movie_id → movies.movie_id", "orphans": "1", "keys": "99"}
    ]


def test_no_file_and_no_staleness_asks_for_a_report(platform: Platform) -> None:
    graph = platform.defs.resolve_asset_graph()
    assert REPORT in graph.executable_asset_keys
    assert graph.get(REPORT).parent_keys == {AssetKey(["movielens", t.name]) for t in raw_tables_of("movielens")}
    assert REPORT not in nodes_of(graph, CATALOG)
    for job in ("movielens_load", "movielens_build"):
        assert REPORT not in platform.defs.resolve_job_def(job).asset_layer.selected_asset_keys
    [schedule] = [s for s in platform.defs.schedules if s.name.startswith("relationship_reports")]
    assert (schedule.cron_schedule, schedule.default_status.value) == ("0 4 * * *", "RUNNING")


def test_the_command_prints_the_report_and_names_known_sources(
    platform: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_report(get_settings(), "movielens")
    assert capsys.readouterr().out.startswith("No raw table of movielens has a row yet; `cinestream status`")
    land_small_files(platform)
    capsys.readouterr()
    print_report(get_settings(), "movielens")
    printed = capsys.readouterr().out
    assert "links: 3 rows" in printed
    assert "movies: 2 of 3 (66.7 %) have rows in ratings, 1 has none; at most 2" in printed
    with pytest.raises(UnknownSourceError, match="there is no source vhs; sources are movielens"):
        print_report(get_settings(), "vhs")


def create(conn: Connection[Any], name: str, columns: tuple[Column, ...], key: tuple[str, ...] = ()) -> RawTable:
    """A raw table of a shop, as a declaration and in Postgres."""
    row_key = key or (columns[0].name,)
    table = RawEvents(source="shop", name=name, description="", grain="", delivered=columns, row_key=row_key)
    conn.execute("CREATE SCHEMA IF NOT EXISTS raw_shop")
    parts = [SQL("{} {}").format(Identifier(c.name), SQL(str(c.type))) for c in table.columns]  # type: ignore[arg-type]
    conn.execute(SQL("CREATE TABLE {} ({})").format(Identifier("raw_shop", name), SQL(", ").join(parts)))
    return table


def test_empty_texts_nulls_and_personal_columns_are_counted_apart(conn: Connection[Any]) -> None:
    columns = (
        Column("address2", TEXT, "Second line.", True),
        Column("email", TEXT, "Of a person.", True, is_personal=True),
        Column("is_active", BOOLEAN, "Whether active.", True),
        Column("day", DATE, "A day.", True),
        Column('odd "name', TEXT, "A name that must be quoted.", True),
    )
    table = create(conn, "customer", columns)
    conn.execute(
        "INSERT INTO raw_shop.customer VALUES ('', 'a@b', true, '2005-01-02', 'x'), (NULL, '', NULL, NULL, NULL),"
        " (repeat('é', 500), NULL, false, 'infinity', 'x')"
    )
    found = profile_table(conn, table)
    assert [(c.nulls, c.empty, c.distinct, c.least, c.greatest) for c in found.columns] == [
        (1, 1, 2, "", "é" * 100),
        (1, 1, 2, None, None),
        (1, None, 2, None, None),
        (1, None, 2, "2005-01-02", "infinity"),
        (1, 0, 1, "x", "x"),
    ]
    assert found.key_candidates == []


def test_relations_by_several_columns_to_itself_and_of_personal_keys(conn: Connection[Any]) -> None:
    number, letter = Column("number", INTEGER, "Number.", True), Column("letter", TEXT, "Letter.", True)
    boss = Column("boss", SMALLINT, "Number of another row.", True)
    table = create(conn, "employee", (number, letter, boss))
    other = create(conn, "shift", (replace(number, is_personal=True), letter))
    # A parent's key may be repeated in raw data, and has a NULL part in the last row.
    conn.execute("INSERT INTO raw_shop.employee VALUES (1,'a',NULL), (2,'a',1), (3,'b',1), (3,'b',9), (4,NULL,2)")
    conn.execute("INSERT INTO raw_shop.shift VALUES (3,'b'), (3,'b'), (3,'a'), (4,NULL), (1,'a')")

    to_itself = profile_relation(conn, Relation(table, ("boss",), table, ("number",)))
    assert (to_itself.rows, to_itself.nulls, to_itself.orphans, to_itself.orphan_keys) == (5, 1, 1, ("9",))
    assert (to_itself.parents, to_itself.parents_with_children, to_itself.most_children) == (4, 2, 2)
    assert to_itself.busiest == "1"

    by_two = profile_relation(conn, Relation(table, ("number", "letter"), table))
    assert (by_two.rows, by_two.matched, by_two.nulls, by_two.parents, by_two.busiest) == (5, 4, 1, 3, "3, b")

    personal = profile_relation(conn, Relation(other, ("number", "letter"), table))
    assert (personal.rows, personal.matched, personal.nulls, personal.orphans) == (5, 3, 1, 1)
    assert (personal.most_children, personal.busiest, personal.orphan_keys) == (2, None, ())


def test_a_large_table_has_exact_counts_and_distinct_values_of_a_sample(conn: Connection[Any]) -> None:
    columns = (
        Column("number", INTEGER, "Number."),
        Column("parity", INTEGER, "0 or 1."),
        Column("at", TIMESTAMP, "When.", True),
    )
    table = create(conn, "event", columns, key=("number",))
    conn.execute("INSERT INTO raw_shop.event SELECT n, n % 2, NULL FROM generate_series(1, 100000) n")
    sampled = profile_table(conn, table, exact_rows=20_000)
    assert sampled.rows == 100_000
    assert sampled.is_sampled
    assert 10_000 < sampled.counted < 30_000
    assert [(c.nulls, c.least, c.greatest) for c in sampled.columns] == [
        (0, "1", "100000"),
        (0, "0", "1"),
        (100_000, None, None),
    ]
    assert [c.distinct for c in sampled.columns] == [sampled.counted, 2, 0]
    assert sampled.key_candidates == [("number",)]
    assert sampled == profile_table(conn, table, exact_rows=20_000), "the same rows are the same report"
    exact = profile_table(conn, table, exact_rows=100_000)
    assert (exact.is_sampled, exact.columns[0].distinct) == (False, 100_000)


@pytest.mark.real_data
def test_movielens_small_as_published(platform: Platform, conn: Connection[Any], movielens_small: Path) -> None:
    platform.land_folder(movielens_small)
    platform.load()
    profile = profile_movielens(conn)
    columns = {(t.table.name, c.column.name): c for t in profile.tables for c in t.columns}
    assert columns["links", "tmdb_id"].nulls == 8
    assert columns["links", "tmdb_id"].distinct == 9_742 - 8 - 1
    assert columns["movies", "title"].distinct == 9_742 - 5
    assert columns["ratings", "user_id"].distinct == 610
    assert (columns["ratings", "timestamp"].least, columns["ratings", "timestamp"].greatest) == (
        "1996-03-29 18:36:55",
        "2018-09-24 14:27:30",
    )
    assert profile.tables[2].key_candidates == [("user_id", "movie_id")]
    ratings = profile.relations[0]
    assert (ratings.matched, ratings.childless, ratings.most_children, ratings.busiest) == (100_836, 18, 329, "356")
    assert profile.orphans == 0


@pytest.mark.real_data
def test_how_many_rentals_of_the_dvd_shop_have_a_payment(conn: Connection[Any]) -> None:
    archive = real_data() / "dvdrental" / "dvdrental.tar"
    if not archive.is_file():
        pytest.skip(f"{archive} is absent")
    names = {
        "payment": ("payment_id", "customer_id", "staff_id", "rental_id", "amount", "payment_date"),
        "rental": ("rental_id", "rental_date", "inventory_id", "customer_id", "return_date", "staff_id", "last_update"),
    }
    columns = {table: tuple(Column(name, TEXT, "As it is.", True) for name in names[table]) for table in names}
    tables = {table: create(conn, table, columns[table]) for table in names}
    with tarfile.open(archive) as tar:
        for member, table in (("3075.dat", tables["payment"]), ("3077.dat", tables["rental"])):
            content = tar.extractfile(member)
            assert content is not None
            into = SQL(", ").join(map(Identifier, names[table.name]))
            statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier("raw_shop", table.name), into)
            with conn.cursor().copy(statement) as copy:
                copy.write(content.read().partition(b"\\.\n")[0])
    profile = profile_source(
        conn, "shop", list(tables.values()), [Relation(tables["payment"], ("rental_id",), tables["rental"])]
    )
    [pays] = profile.relations
    assert (pays.rows, pays.matched, pays.orphans, pays.nulls) == (14_596, 14_596, 0, 0)
    assert (pays.parents, pays.parents_with_children, pays.childless) == (16_044, 14_592, 1_452)
    assert (pays.most_children, pays.busiest) == (5, "4591")
    payment, rental = profile.tables
    assert payment.key_candidates == [("payment_id",)]
    assert rental.key_candidates == [("rental_id",)]
    assert {c.column.name: c.nulls for c in rental.columns}["return_date"] == 183
