"""What the views of schema ``platform`` tell of a loaded and built warehouse, against the ledger and the tables themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import DagsterEventType, EventRecordsFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection
from pydantic import SecretStr

from cinestream_platform.catalog import CATALOG
from cinestream_platform.ledger import check_results, quality
from cinestream_platform.ledger.check_results import Evaluation
from cinestream_platform.processes.presence import presence_of
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support import ledger as ledger_by_hand
from tests.support.dashboards import wait_until
from tests.support.platform import (
    MOVIES,
    Y2005,
    Y2018,
    Platform,
    csv_bytes,
    database_of_the_manifest,
    environment_of,
    ratings_csv,
    settled,
)

READERS = ("dashboard_reader", "data_analyst", "ml_engineer")


@pytest.fixture(scope="module")
def loaded(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One loaded and built platform for all tests here; they change nothing, or roll it back."""
    with (
        database_of_the_manifest(postgres, calendar_template, manifest_home) as target,
        settled(environment_of(target, manifest_home), tmp_path_factory.mktemp("views")),
    ):
        platform = Platform()
        platform.declare()
        platform.land("movielens/movies/movies.csv", MOVIES)
        platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]))
        platform.land("movielens/ratings/b.csv", ratings_csv([(3, 2, 4.0, Y2018), (4, 2, 9.0, Y2018)]))
        platform.land("movielens/tags/a.csv", csv_bytes("userId,movieId,tag,timestamp", [(1, 1, "fun", Y2005)]))
        platform.land("movielens/ratings/bad.csv", b"this,is,no\r\nfile,of,ratings\r\n")
        platform.load()
        platform.build(marts=True)
        yield platform


def as_reader(platform: Platform, role: str) -> Any:
    login = replace(platform.target, user=f"cinestream_{role}", password=SecretStr(f"pw-{role}"))
    return psycopg.connect(login.conninfo(), autocommit=True)


def views(platform: Platform) -> list[str]:
    return [
        name for (name,) in platform.query("SELECT viewname FROM pg_views WHERE schemaname = 'platform' ORDER BY 1")
    ]


@pytest.mark.parametrize("role", READERS)
def test_every_view_can_be_read_by_every_reader_and_nothing_behind_it(loaded: Platform, role: str) -> None:
    with as_reader(loaded, role) as conn:
        for view in views(loaded):
            conn.execute(f"SELECT * FROM platform.{view}".encode()).fetchall()
        for table in ("landed_file", "declared_table", "check_result", "run"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"SELECT * FROM ops.{table}".encode())


def test_the_catalogue_has_every_declared_table_and_every_mart_with_its_columns(loaded: Platform) -> None:
    declared = {(t.schema, t.name) for t in (*CATALOG.tables, *CATALOG.predictions)}
    tables = set(
        loaded.query("SELECT schema_name, table_name FROM platform.source_table WHERE kind NOT IN ('mart', 'view')")
    )
    shown = {(t.open_schema, t.name): t for t in CATALOG.tables if t.has_open_view}
    assert tables == declared | set(shown)
    # Checks and alerts find a table by its source and name: an open view must not be a second one.
    names = "SELECT count(*), count(DISTINCT (source, table_name)) FROM platform.source_table WHERE kind <> 'open view'"
    [(rows, different)] = loaded.query(names)
    assert rows == different == len(loaded.query("SELECT FROM ops.declared_table"))
    columns = set(
        loaded.query(
            "SELECT schema_name, table_name, column_name, is_personal FROM platform.table_column"
            " JOIN platform.source_table USING (schema_name, table_name) WHERE kind NOT IN ('mart', 'view')"
        )
    )
    assert columns == {
        *(
            (t.schema, t.name, c.name, c.is_personal)
            for t in (*CATALOG.tables, *CATALOG.predictions)
            for c in t.columns
        ),
        *((schema, name, c.name, False) for (schema, name), t in shown.items() for c in t.open_columns),
    }
    assert loaded.query("SELECT * FROM platform.source_table WHERE '' IN (description, grain, owner)") == []
    marts = loaded.query(
        "SELECT table_name FROM platform.source_table WHERE kind IN ('mart', 'view')"
        " AND (business_question IS NULL OR mart_sql IS NULL OR sample_sql IS NULL)"
    )
    assert marts == []


def test_rows_and_rejected_records_are_those_of_the_tables(loaded: Platform) -> None:
    found = loaded.query(
        "SELECT schema_name, table_name, rows, rejected_rows, published_at IS NOT NULL, data_as_of FROM platform.source_table"
        " WHERE source = 'movielens' AND rows > 0"
    )
    assert {name for _, name, *_ in found} >= {"ratings", "movies", "fact_ratings", "dim_movie"}
    for schema, table, rows, rejected, is_published, as_of in found:
        assert rows == loaded.scalar(f"SELECT count(*) FROM {schema}.{table}"), table
        assert is_published
        assert (rejected == (1 if table == "ratings" else 0)) if schema.startswith("raw_") else rejected is None
        assert as_of == loaded.scalar(
            "SELECT max(last_modified) FROM platform.file JOIN platform.publication_file USING (file_id)"
            " WHERE (schema_name, table_name) = (%s, %s)",
            (schema, table),
        )


def test_sample_queries_run_as_an_analyst(loaded: Platform) -> None:
    samples = loaded.query(
        "SELECT table_name, sample_sql FROM platform.source_table"
        " WHERE kind <> 'raw' AND (kind NOT IN ('mart', 'view') OR source = 'movielens')"
    )
    assert samples
    with as_reader(loaded, "data_analyst") as conn:
        for _, sample in samples:
            conn.execute(sample.encode()).fetchall()


def test_a_file_leads_to_every_partition_that_it_is_in_and_back(loaded: Platform) -> None:
    file_id = loaded.scalar("SELECT file_id FROM platform.file WHERE key = 'movielens/ratings/b.csv'")
    found = set(
        loaded.query(
            "SELECT schema_name, table_name, partition_key FROM platform.publication_file WHERE file_id = %s",
            (file_id,),
        )
    )
    expected = set(
        loaded.query(
            "SELECT schema_name, table_name, partition_key FROM ops.publication WHERE is_latest AND %s = ANY (file_ids)",
            (file_id,),
        )
    )
    assert found == expected | {("raw_movielens", "ratings", "whole")}
    assert ("movielens_dw", "fact_ratings", "2018") in found
    assert ("movielens_dw", "fact_ratings", "2005") not in found
    assert loaded.query(
        "SELECT key, rows_in_partition FROM platform.publication_file"
        " WHERE table_name = 'fact_ratings' AND partition_key = '2018' ORDER BY 1"
    ) == [("movielens/ratings/a.csv", 1), ("movielens/ratings/b.csv", 1)]


def test_the_files_behind_a_mart_are_those_of_the_tables_that_it_reads(loaded: Platform) -> None:
    read = """
        SELECT m.table_name, m.file_ids,
            (SELECT coalesce(array_agg(DISTINCT f ORDER BY f), '{}') FROM ops.publication u, unnest(u.file_ids) f
             WHERE u.publication_id = ANY (m.upstream))
        FROM ops.publication m WHERE m.is_latest AND m.schema_name = 'movielens_marts'"""
    behind = {table: (files, of_tables) for table, files, of_tables in loaded.query(read)}
    assert all(files == of_tables for files, of_tables in behind.values())
    tags = loaded.ledger_row("movielens/tags/a.csv")["file_id"]
    assert {table for table, (files, _) in behind.items() if tags in files} == {
        "mart_tag_popularity",
        "mart_user_activity",
        "mart_user_retention",
    }


def test_lineage_leads_from_every_table_to_where_its_data_comes_from(loaded: Platform) -> None:
    edges = loaded.query("SELECT from_kind, from_name, to_kind, to_name FROM platform.lineage_edge")
    assert ("landing folder", "movielens/ratings", "raw", "raw_movielens.ratings") in edges
    assert ("raw", "raw_movielens.ratings", "star", "movielens_dw.fact_ratings") in edges
    assert ("star", "movielens_dw.fact_ratings", "mart", "movielens_marts.mart_movie_ratings") in edges
    assert ("operational table", "dvdrental.film", "extraction", "dvdrental/film") in edges
    assert ("extraction", "dvdrental/film", "raw", "raw_dvdrental.film") in edges
    assert ("mart", "dvdrental_marts.mv_kpi_global", "export", "dvdrental_exports.export_mv_kpi_global") in edges
    made = {name: {one for _, one, _, other in edges if other == name} for _, _, _, name in edges}
    begin = {one for _, one, *_ in edges} - set(made)
    assert {kind for kind, one, *_ in edges if one in begin} == {"landing folder", "operational table"} | (
        {"star"} if "conformed.dim_date" in begin else set()
    )
    tables = loaded.query(
        "SELECT schema_name || '.' || table_name FROM platform.source_table WHERE kind <> 'prediction' AND source <> 'conformed'"
    )
    assert [name for (name,) in tables if name not in made] == []


def test_what_is_declared_is_written_once_and_again_when_it_has_changed(loaded: Platform) -> None:
    assert not loaded.declare()
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        conn.execute("UPDATE ops.declared SET fingerprint = 'other' WHERE part = 'all'")
        conn.execute("DELETE FROM ops.declared_table WHERE table_name = 'fact_ratings'")
        from cinestream_platform.marts.declared import declare

        assert declare(conn, loaded.defs.resolve_asset_graph(), CATALOG, loaded.settings)
        found = conn.execute("SELECT count(*) FROM platform.table_column WHERE table_name = 'fact_ratings'").fetchone()
        assert found
        assert found[0] > 0


def test_health_counts_what_the_ledger_holds(loaded: Platform) -> None:
    [(landed, files, waiting, parked, records, rejected, verdict, reasons)] = loaded.query(
        "SELECT files_landed, files_loaded, files_waiting, files_parked, records, rows_rejected, verdict, reasons"
        " FROM platform.source_health WHERE source = 'movielens'"
    )
    assert (landed, files, waiting, parked) == (5, 4, 0, 1)
    assert (records, rejected) == (2 + 3 + 1, 1)  # the newest delivery of each feed
    assert (verdict, reasons) == ("look", ["1 file is parked"])  # no_parked_files fails: it is not told twice
    assert loaded.query("SELECT source, verdict FROM platform.source_health WHERE source <> 'movielens'") == [
        ("chinook", "empty"),
        ("dvdrental", "empty"),
        ("netflix", "empty"),
    ]


def test_a_release_is_never_late_and_a_database_is_when_nobody_has_looked_for_longer_than_its_rhythm(
    loaded: Platform,
) -> None:
    late = "SELECT is_late, since FROM platform.source_freshness WHERE source = %s"
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        ledger_by_hand.land_ten_years_ago(conn)
        assert conn.execute(late, ("movielens",)).fetchone() == (False, None)
        assert conn.execute(late, ("dvdrental",)).fetchone() == (False, None)  # nothing was ever there
        conn.execute(
            "INSERT INTO ops.extraction (source, origin, taken_at, source_clock, run_id, is_full, fingerprint, tables_changed)"
            " VALUES ('dvdrental', '', now() - interval '14 minutes', now(), 'r', true, '', '{}')"
        )
        assert conn.execute(late, ("dvdrental",)).fetchone() == (False, None)
        conn.execute("UPDATE ops.extraction SET taken_at = now() - interval '16 minutes'")
        since = conn.execute("SELECT now() - interval '1 minute'").fetchone()
        assert since
        assert conn.execute(late, ("dvdrental",)).fetchone() == (True, since[0])
        conn.execute("INSERT INTO ops.source_look (place, looked_at, current_at) VALUES ('dvdrental', now(), now())")
        assert conn.execute(late, ("dvdrental",)).fetchone() == (False, None)  # it was looked: nothing new is there


def test_a_change_of_any_kind_changes_the_marker(loaded: Platform) -> None:
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        before = conn.execute("SELECT marker FROM platform.change").fetchone()
        assert conn.execute("SELECT marker FROM platform.change").fetchone() == before
        ledger_by_hand.let_parked_wait(conn)
        assert conn.execute("SELECT marker FROM platform.change").fetchone() != before


def test_columns_of_marts_are_traced_to_those_that_they_are_computed_from(loaded: Platform) -> None:
    edges = set(
        loaded.query(
            "SELECT from_schema, from_table, from_column FROM platform.column_lineage_edge"
            " WHERE (to_schema, to_table, to_column) = ('movielens_marts', 'mart_movie_ratings', 'title')"
        )
    )
    assert edges == {("movielens_dw", "dim_movie", "title")}
    unknown = loaded.query(
        "SELECT e.* FROM platform.column_lineage_edge e"
        " WHERE NOT EXISTS (SELECT FROM platform.table_column c WHERE (c.schema_name, c.table_name, c.column_name)"
        " = (e.from_schema, e.from_table, e.from_column))"
        " OR NOT EXISTS (SELECT FROM platform.table_column c WHERE (c.schema_name, c.table_name, c.column_name)"
        " = (e.to_schema, e.to_table, e.to_column))"
    )
    assert unknown == []


def test_every_check_that_was_evaluated_is_kept_with_its_words(loaded: Platform) -> None:
    reported = {
        (check.asset_key.path[0], check.asset_key.path[-1], check.check_name)
        for record in loaded.instance.get_event_records(
            EventRecordsFilter(DagsterEventType.ASSET_CHECK_EVALUATION), limit=10_000
        )
        if (event := record.event_log_entry.dagster_event)
        for check in [event.asset_check_evaluation_data]
    }
    kept = loaded.query(
        "SELECT source, table_name, check_name, description, passed, severity FROM platform.check_result"
        " WHERE source = 'movielens'"
    )
    assert {(source, table, name) for source, table, name, *_ in kept} == reported
    assert len(kept) > 100
    failed = [name for _, _, name, _, passed, severity in kept if not passed and severity == "error"]
    assert failed == ["no_parked_files"]
    assert [row for row in kept if not row[3]] == []


def test_every_run_is_noted_with_what_it_did_and_how_it_ended(loaded: Platform) -> None:
    found = loaded.query(
        "SELECT job, source, what, why, state FROM platform.run WHERE what <> 'conformed/dim_date'"
        " ORDER BY job = 'movielens_load' DESC, started_at"
    )
    landed = ("movielens/movies/movies.csv and 4 more", "by hand: 5 files landed")
    assert found[0] == ("movielens_load", "movielens", *landed, "failed")
    assert {state for *_, state in found[1:]} == {"succeeded"}
    assert {job for job, *_ in found[1:]} == {"movielens_build"}
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        conn.execute("UPDATE ops.run SET ended_at = NULL, state = NULL WHERE job = 'movielens_load'")
        assert conn.execute("SELECT state FROM platform.run WHERE job = 'movielens_load'").fetchone() == ("died",)


def test_a_check_has_a_row_for_each_change_of_its_outcome(loaded: Platform) -> None:
    health = "SELECT failed_checks, verdict FROM platform.source_health WHERE source = 'movielens'"

    def found(conn: Connection[Any]) -> list[tuple[Any, ...]]:
        return conn.execute(
            "SELECT passed, counts, evaluations, is_latest FROM platform.check_result"
            " WHERE check_name = 'probe' ORDER BY since"
        ).fetchall()

    def evaluate(conn: Connection[Any], rows: int, *, passed: bool) -> None:
        evaluation = Evaluation("movielens", "ratings", "probe", passed, "error", {"rows": rows})
        check_results.record(conn, f"run {rows}", [evaluation])

    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        before = conn.execute(health).fetchone()
        assert before is not None
        evaluate(conn, 1, passed=True)
        evaluate(conn, 2, passed=True)
        assert found(conn) == [(True, {"rows": 2}, 2, True)]
        evaluate(conn, 3, passed=False)
        assert found(conn) == [(True, {"rows": 2}, 2, False), (False, {"rows": 3}, 1, True)]
        assert conn.execute(health).fetchone() == (before[0] + 1, "broken")
        evaluate(conn, 4, passed=True)
        assert [is_latest for *_, is_latest in found(conn)] == [False, False, True]
        conn.execute("UPDATE ops.check_result SET evaluated_at = now() - interval '31 days'")
        assert check_results.forget(conn, timedelta(days=30)) == 2
        assert len(found(conn)) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 10, 25, 40, 100]), min_size=1, max_size=26))
def test_a_delivery_is_as_usual_in_the_view_where_it_is_for_the_checks(loaded: Platform, rejected: list[int]) -> None:
    records = 1_000
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        for place, bad in enumerate(rejected):
            ledger_by_hand.enter_delivery(conn, place, records, bad)
        row = conn.execute(
            "SELECT rejected_share, usual_share, is_as_usual FROM platform.delivery WHERE dataset = 'links'"
            " ORDER BY loaded_at DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    share, usual, is_as_usual = row
    verdict = quality.judge([bad / records for bad in rejected], 1)
    assert share == verdict.share
    assert usual == pytest.approx(verdict.usual)
    unknown = verdict.usual is None and share > quality.FLOOR
    assert is_as_usual is (None if unknown else not verdict.is_unusual)


def test_every_column_of_every_view_is_described_and_the_documentation_has_them_all(loaded: Platform) -> None:
    columns = loaded.query(
        "SELECT relname, obj_description(c.oid, 'pg_class'), attname, col_description(c.oid, attnum) FROM pg_class c"
        " JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0"
        " WHERE relnamespace = 'platform'::regnamespace AND relkind = 'v'"
    )
    assert [(view, column) for view, _, column, words in columns if not words] == []
    text = (Path(__file__).parents[2] / "docs" / "platform-views.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in text.split("### `")[1:]}
    for view, grain, column, words in columns:
        assert grain in sections[view]
        assert f"| `{column}` |" in sections[view]
        assert words in sections[view]


def test_a_process_runs_as_long_as_its_session_and_nobody_else_can_pretend(loaded: Platform) -> None:
    def running() -> set[str]:
        with as_reader(loaded, "dashboard_reader") as conn:
            found = conn.execute("SELECT service FROM platform.service WHERE is_running AND processes = 1").fetchall()
        return {service for (service,) in found}

    daemon, webserver = (presence_of(name, loaded.settings) for name in ("daemon", "webserver"))
    elsewhere = presence_of("daemon", loaded.settings.model_copy(update={"postgres_database": "another"}))
    assert running() == set()
    reader = replace(loaded.target, user="cinestream_data_analyst", password=SecretStr("pw-data_analyst"))
    with psycopg.connect(reader.conninfo(daemon)), psycopg.connect(loaded.target.conninfo(elsewhere)):
        assert running() == set(), "a reader's session, and one of another warehouse"
        with psycopg.connect(replace(loaded.target, database="postgres").conninfo(daemon)):
            with psycopg.connect(loaded.target.conninfo(webserver)):
                assert running() == {"daemon", "webserver"}
            wait_until(lambda: running() == {"daemon"})
    wait_until(lambda: running() == set())


def test_a_source_is_as_usual_only_where_that_is_known_of_every_feed(loaded: Platform) -> None:
    as_usual = "SELECT rejected_share, usual_share, is_as_usual FROM platform.source_health WHERE source = 'movielens'"
    assert loaded.query(as_usual) == [(pytest.approx(1 / 6), None, None)]
    with connect(loaded.target) as conn, conn.transaction(force_rollback=True):
        ledger_by_hand.reject_nothing(conn)
        assert conn.execute(as_usual).fetchone() == (0, None, True)
