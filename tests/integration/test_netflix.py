"""Netflix Prize: dirt, corrections, both layouts at once, months built in any way, and no rating without its members."""

from __future__ import annotations

import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from dagster import AssetKey, ExecuteInProcessResult

from cinestream_platform.orchestration.partitions import partitions_of
from cinestream_platform.publishing import foreign_keys
from cinestream_platform.publishing import partitions as partition_publish
from cinestream_platform.publishing.keys import KeyResolver
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.netflix.sample.generator import Sample, generate
from cinestream_platform.sources.netflix.tables import FACT_RATINGS, FIRST_DAY, LAST_DAY
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support import crash
from tests.support import ledger as ledger_by_hand
from tests.support.netflix import (
    FACTS,
    Rating,
    build_months,
    facts,
    keys,
    leftovers,
    oids,
    rated,
    ratings_txt,
    raw,
    star_hashes,
    titles_csv,
)
from tests.support.platform import Platform, database, environment_of, platform_of, settled
from tests.support.publishing import publish_partition

TITLES = "netflix/movie-titles/movie_titles.csv"
ONE, TWO, THREE, FOUR = (f"netflix/ratings/combined_data_{number}.txt" for number in range(1, 5))
FILM_1 = "netflix/ratings/mv_0000001.txt"
FILES = {
    ONE: {
        1: [(7, 3, "2003-01-05"), (8, 4, "2003-02-06"), (9, 5, "2003-04-30")],
        30: [(7, 1, "2003-02-01"), (11, 2, "2003-03-31")],
    },
    TWO: {5_000: [(7, 5, "2003-01-31"), (12, 1, "2003-04-01")]},
    THREE: {10_000: [(8, 2, "2003-02-28"), (13, 3, "2003-03-01")]},
    FOUR: {17_770: [(9, 4, "2003-04-15"), (14, 4, "2003-01-01")]},  # movie_titles has no film 17,770
}
FILMS = [(1, 2003, "One, or Another"), (30, None, 'The "NULL" Year'), (5_000, 1999, "Café"), (10_000, 2001, "Plain")]
MONTHS = ("2003-01", "2003-04")
ALL = rated(*FILES.values())
STAR = [AssetKey(["netflix", name]) for name in ("dim_movie", "dim_customer", "fact_ratings", "fact_customer_months")]
CUSTOMER_MONTHS = STAR[3]


def land(platform: Platform) -> Platform:
    platform.land(TITLES, titles_csv(*FILMS))
    for key, films in FILES.items():
        platform.land(key, ratings_txt(films))
    return platform


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Landing zone and lake of ``built``."""
    return tmp_path_factory.mktemp("netflix")


@pytest.fixture(scope="module")
def built(postgres: PostgresTarget, calendar_template: str, manifest_home: Path, stores: Path) -> Iterator[Platform]:
    """Four files of ratings, of January to April 2003, loaded and built once; tests only read."""
    with database(postgres, "netflix_of_four_months", calendar_template) as target:
        with settled(environment_of(target, manifest_home), stores):
            platform = land(Platform())
            platform.load_and_build()
        yield platform


@pytest.fixture
def star(
    built: Platform, stores: Path, postgres: PostgresTarget, manifest_home: Path, tmp_path: Path
) -> Iterator[Platform]:
    """A copy of the same that the test may change."""
    with database(postgres, f"t{uuid.uuid4().hex[:12]}", built.target.database) as target:
        # Linked, a file keeps what the ledger knows it by; whoever overwrites it makes another.
        shutil.copytree(stores, tmp_path / "stores", copy_function=os.link)
        with settled(environment_of(target, manifest_home), tmp_path / "stores"):
            platform = Platform()
            with connect(target) as conn:
                ledger_by_hand.lie_in(conn, platform.landing.url)
            assert platform.scan() == 0
            yield platform


def changed_since(platform: Platform, before: int) -> set[tuple[str, str]]:
    return {(table, partition) for table, partition, is_changed in platform.publications(before) if is_changed}


# What is published


def test_the_star_is_what_the_files_say(built: Platform) -> None:
    assert raw(built) == facts(built) == ALL
    assert oids(built).keys() == oids(built, "fact_customer_months").keys() == {f"2003-{m:02d}" for m in range(1, 5)}
    assert built.query(
        "SELECT customer_id, total_ratings, first_rating_date::text, last_rating_date::text FROM netflix_dw.dim_customer"
        " ORDER BY 1 LIMIT 3"
    ) == [(7, 3, "2003-01-05", "2003-02-01"), (8, 2, "2003-02-06", "2003-02-28"), (9, 2, "2003-04-15", "2003-04-30")]
    assert built.query(
        "SELECT customer_id, date_key, rating_count, rating_sum, first_date_key, last_date_key"
        " FROM netflix_dw.fact_customer_months JOIN netflix_dw.dim_customer USING (customer_key)"
        " WHERE customer_id IN (7, 8) ORDER BY 1, 2"
    ) == [
        (7, 20030101, 2, 8, 20030105, 20030131),
        (7, 20030201, 1, 1, 20030201, 20030201),
        (8, 20030201, 2, 6, 20030206, 20030228),
    ]
    assert built.query("SELECT movie_id, release_year, title FROM netflix_dw.dim_movie WHERE NOT is_inferred ORDER BY 1") == FILMS  # fmt: skip
    assert leftovers(built) == []


def test_the_key_of_a_rating_says_film_and_customer(built: Platform) -> None:
    found = {key for (key,) in built.query("SELECT rating_key FROM netflix_dw.fact_ratings")}
    assert found == {film * 2**32 + customer for film, customer, *_ in ALL}


def test_there_are_partitions_from_november_1999_to_december_2005_and_no_others(built: Platform) -> None:
    for key in STAR[2:]:
        definition = built.defs.resolve_asset_graph().get(key).partitions_def
        months = definition.get_partition_keys()
        assert (len(months), months[0], months[-1]) == (74, "1999-11", "2005-12")
    assert partitions_of(FACT_RATINGS.partitioning) == definition


def test_every_partition_has_its_key_its_rules_and_validated_foreign_keys(built: Platform) -> None:
    found: dict[str, set[tuple[Any, ...]]] = {}
    for table, kind, definition, validated in built.query(
        "SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(c.oid), convalidated FROM pg_constraint c"
        " WHERE conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'netflix_dw.fact_ratings'::regclass)"
        " AND contype <> 'n'"
    ):
        found.setdefault(table, set()).add((kind, definition.partition(" REFERENCES ")[0], validated))
    expected = {
        ("p", "PRIMARY KEY (rating_key, date_key)", True),
        ("c", "CHECK (((rating >= 1) AND (rating <= 5)))", True),
        *(("f", f"FOREIGN KEY ({column})", True) for column in ("customer_key", "movie_key", "date_key")),
    }
    assert found == {f"netflix_dw.fact_ratings_2003_{month:02d}": expected for month in range(1, 5)}


def test_all_rows_of_a_partition_are_of_one_instant_which_its_content_hash_leaves_out(star: Platform) -> None:
    instants = (
        "SELECT date_key / 100, array_agg(DISTINCT created_at) FROM netflix_dw.fact_ratings GROUP BY 1 ORDER BY 1"
    )
    before, hashes = star.query(instants), star_hashes(star)
    assert [(month, len(times)) for month, times in before] == [(200300 + month, 1) for month in range(1, 5)]
    star.execute("DROP TABLE netflix_dw.fact_ratings_2003_02")

    assert star.build() != []

    after = star.query(instants)
    assert star_hashes(star) == hashes
    assert [new > old for (_, [old]), (_, [new]) in zip(before, after, strict=True)] == [False, True, False, False]


# Built in any way


def test_keys_and_content_survive_a_full_rebuild_in_one_run_and_in_a_run_a_month(star: Platform) -> None:
    members, hashes = keys(star), star_hashes(star)
    dropped = ", ".join(f"netflix_dw.{fact}_2003_0{month}" for fact in FACTS for month in range(1, 5))
    forget = "DELETE FROM ops.publication WHERE schema_name = 'netflix_dw'"
    ranges = [MONTHS], [(month, month) for month in sorted(oids(star), reverse=True)]
    for spans in ranges:
        star.execute(f"DROP TABLE {dropped}")
        star.execute(forget)
        for span in spans:
            assert star.run(STAR, span).success

        assert (keys(star), star_hashes(star), facts(star)) == (members, hashes, ALL)
        assert star.build() == []


def test_two_builds_of_overlapping_months_at_the_same_time_give_the_right_content(
    platform: Platform, environment: dict[str, str], built: Platform
) -> None:
    land(platform).load()
    children = [
        crash.start_child(environment, partial(build_months, *span))
        for span in (("2003-01", "2003-03"), ("2003-02", "2003-04"))
    ]
    for child in children:
        child.join(300)

    assert [child.exitcode for child in children] == [0, 0]
    assert facts(platform) == ALL
    assert platform.build() == []
    assert (keys(platform), star_hashes(platform)) == (keys(built), star_hashes(built))
    assert leftovers(platform) == []


# Corrections


def test_a_file_that_is_overwritten_replaces_its_own_rows_and_months_whose_content_changes(star: Platform) -> None:
    by_file = "SELECT key, _file_id, count(*) FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id GROUP BY 1, 2"
    before, rows, partitions = star.last_publication(), star.query(by_file), oids(star)
    new = {10_000: [(8, 2, "2003-02-28"), (15, 1, "2003-03-02")], 10_001: [(15, 5, "2003-04-02"), (7, 2, "2003-04-03")]}
    star.land(THREE, ratings_txt(new))
    star.load_and_build()

    kept = {row for row in rows if row[0] != THREE}
    [replaced] = set(star.query(by_file)) - kept
    assert set(star.query(by_file)) == {*kept, replaced}
    assert (replaced[0], replaced[2]) == (THREE, 4)
    assert raw(star) == facts(star) == rated(*(films for key, films in FILES.items() if key != THREE), new)
    # February was made from the old version and is made from the new one: with the same content it stays as it is.
    now = oids(star)
    assert {month for month in now if now[month] != partitions[month]} == {"2003-03", "2003-04"}
    months = {(fact, month) for fact in FACTS for month in ("2003-03", "2003-04")}
    assert changed_since(star, before) == {*months, ("dim_customer", "whole"), ("dim_movie", "whole")}
    assert star.query("SELECT is_in_source, total_ratings FROM netflix_dw.dim_customer WHERE customer_id = 13")[0][0] is False  # fmt: skip


def test_a_corrected_rating_publishes_its_month_and_nothing_else(star: Platform) -> None:
    before, partitions, months = star.last_publication(), oids(star), oids(star, "fact_customer_months")
    star.land(ONE, ratings_txt(FILES[ONE]).replace(b"8,4,2003-02-06", b"8,1,2003-02-06"))
    star.load_and_build()

    assert changed_since(star, before) == {(fact, "2003-02") for fact in FACTS}
    for old, new in ((partitions, oids(star)), (months, oids(star, "fact_customer_months"))):
        assert {month for month in new if new[month] != old[month]} == {"2003-02"}
    assert facts(star) == sorted({*ALL, (1, 8, 1, "2003-02-06")} - {(1, 8, 4, "2003-02-06")})


def test_a_film_of_both_layouts_counts_once_the_later_of_two_days_wins_and_a_retraction_gives_the_other_its_turn(
    star: Platform,
) -> None:
    first, hashes, partitions = facts(star), star_hashes(star), oids(star)
    # Customer 7 says the same as in the large file, 8 something else a month later, and 9 is missing.
    film = {1: [(7, 3, "2003-01-05"), (8, 1, "2003-03-09")]}
    star.land(FILM_1, ratings_txt(film))
    star.load_and_build()

    ledger = star.ledger_row(FILM_1)
    assert (ledger["rows_loaded"], ledger["rows_repeated"], ledger["rows_conflicting"]) == (2, 1, 1)
    together = sorted({*ALL, (1, 8, 1, "2003-03-09")} - {(1, 8, 4, "2003-02-06")})
    assert facts(star) == together
    now = oids(star)
    assert {month for month in now if now[month] != partitions[month]} == {"2003-02", "2003-03"}

    star.retract(FILM_1)
    star.load_and_build()
    assert (facts(star), star_hashes(star)) == (first, hashes)

    star.reload(FILM_1)
    star.load_and_build()
    assert facts(star) == together
    star.land(ONE, ratings_txt({30: FILES[ONE][30]}))  # the film has moved: only its own file has it
    star.load_and_build()
    assert facts(star) == rated({30: FILES[ONE][30]}, film, *(FILES[key] for key in (TWO, THREE, FOUR)))


def test_the_later_day_wins_also_when_its_file_landed_first(star: Platform) -> None:
    star.land(FILM_1, ratings_txt({1: [(9, 1, "2003-01-30")]}))  # the large file has 2003-04-30
    star.load_and_build()

    assert star.ledger_row(FILM_1)["rows_conflicting"] == 1
    assert facts(star) == ALL
    star.land(ONE, ratings_txt({30: FILES[ONE][30]}))
    star.load_and_build()
    assert (1, 9, 1, "2003-01-30") in facts(star)


def test_a_film_without_title_is_an_inferred_member_that_movie_titles_completes(star: Platform) -> None:
    film = "SELECT movie_key, title, release_year, is_inferred, is_in_source FROM netflix_dw.dim_movie WHERE movie_id = 17770"
    [(key, *rest)] = star.query(film)
    assert rest == [None, None, True, False]
    partitions, hashes = oids(star), star_hashes(star)

    star.land(TITLES, titles_csv(*FILMS, (17_770, 2003, "Alien Hunter")))
    star.load_and_build()

    assert star.query(film) == [(key, "Alien Hunter", 2003, False, True)]
    assert oids(star) == partitions
    assert {name for name, _ in star_hashes(star).items() ^ hashes.items()} == {("dim_movie", "whole")}


# No rating without its members


def april(platform: Platform, *ratings: Rating) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """These ratings as ``publish_partition`` takes them, and the keys that their dimensions had when they were joined."""
    natural = pl.DataFrame(
        [
            (int(day.replace("-", "")), customer, film, stars, film * 2**32 + customer)
            for film, customer, stars, day in ratings
        ],
        schema={
            "date_key": pl.Int32(),
            "customer_id": pl.Int32(),
            "movie_id": pl.Int32(),
            "rating": pl.Int16(),
            "rating_key": pl.Int64(),
        },
        orient="row",
    )
    resolver = KeyResolver(platform.target, "test")
    frame = resolver.resolve(FACT_RATINGS, natural).sort(FACT_RATINGS.primary_key)
    return frame, resolver.joined(FACT_RATINGS)


def publish(platform: Platform, content: tuple[pl.DataFrame, dict[str, pl.Series]]) -> None:
    frame, joined = content
    publish_partition(platform.target, FACT_RATINGS, "2003-04", frame, run_id="test", file_ids=(1,), joined=joined)


NEW = (1, 99, 5, "2003-04-07")
"""A rating of a customer whom no other rating names."""
DELETE = "DELETE FROM netflix_dw.dim_customer WHERE customer_id = 99"


def orphans(platform: Platform) -> int:
    return int(
        platform.scalar(
            "SELECT count(*) FROM netflix_dw.fact_ratings f"
            " WHERE NOT EXISTS (SELECT FROM netflix_dw.dim_customer WHERE customer_key = f.customer_key)"
            " OR NOT EXISTS (SELECT FROM conformed.dim_date WHERE date_key = f.date_key)"
        )
    )


def assert_refused(
    platform: Platform,
    content: tuple[pl.DataFrame, dict[str, pl.Series]],
    error: type[psycopg.Error] = psycopg.errors.ForeignKeyViolation,
) -> None:
    """The publish fails, and the old partition stays."""
    before, partitions, published = facts(platform), oids(platform), platform.last_publication()
    with pytest.raises(error):
        publish(platform, content)
    assert (facts(platform), oids(platform), orphans(platform)) == (before, partitions, 0)
    assert platform.publications(published) == []


def test_a_rating_of_a_customer_who_was_deleted_after_the_join_is_never_published(star: Platform) -> None:
    content = april(star, NEW)
    star.execute(DELETE)
    assert_refused(star, content)

    publish(star, april(star, NEW))  # joined again, the customer is there again
    assert NEW in facts(star)


def test_a_customer_who_is_deleted_after_the_foreign_keys_were_declared_is_noticed(
    star: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has the key yet, so that Postgres lets the customer go; the deletion is committed after a while."""
    content = april(star, NEW)
    switch_off = foreign_keys.switch_off

    def delete_meanwhile(conn: Any) -> None:
        deleter = psycopg.connect(star.target.conninfo())
        deleter.execute(DELETE.encode())
        threading.Timer(0.5, lambda: (deleter.commit(), deleter.close())).start()
        switch_off(conn)

    with monkeypatch.context() as patch:
        patch.setattr(foreign_keys, "switch_off", delete_meanwhile)
        assert_refused(star, content)


def test_a_customer_whose_ratings_are_being_copied_cannot_be_deleted(
    star: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, refused = april(star, NEW), []
    copy_frames = partition_publish.copy_frames

    def delete() -> None:
        try:
            star.execute(DELETE)
        except psycopg.errors.ForeignKeyViolation as error:
            refused.append(error)

    deletion = threading.Thread(target=delete)

    def delete_meanwhile(*args: Any, **options: Any) -> None:
        deletion.start()
        deletion.join(0.3)
        assert deletion.is_alive(), "the deletion did not wait for the rows"
        copy_frames(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(partition_publish, "copy_frames", delete_meanwhile)
        publish(star, content)
    deletion.join(300)

    assert len(refused) == 1
    assert (NEW in facts(star), orphans(star)) == (True, 0)


def test_a_member_whom_no_rating_names_may_be_deleted_after_the_join(star: Platform) -> None:
    star.execute(
        "INSERT INTO netflix_dw.dim_customer (customer_key, customer_id, total_ratings, is_inferred, is_in_source)"
        " VALUES (99, 99, 0, true, false)"
    )
    content = april(star, (1, 9, 2, "2003-04-08"))
    star.execute("DELETE FROM netflix_dw.dim_customer WHERE customer_key = 99")
    publish(star, content)
    assert [row for row in facts(star) if row[3] > "2003-04"] == [(1, 9, 2, "2003-04-08")]


def test_a_rating_of_a_day_that_is_not_in_the_calendar_is_never_published(star: Platform) -> None:
    star.execute("DELETE FROM conformed.dim_date WHERE date_key = 20030407")
    assert_refused(star, april(star, (1, 9, 5, "2003-04-07")))

    publish(star, april(star, (1, 9, 5, "2003-04-08")))
    assert [row for row in facts(star) if row[3] > "2003-04"] == [(1, 9, 5, "2003-04-08")]


# A login that may not switch triggers off


@pytest.fixture
def plain_login(
    postgres: PostgresTarget, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A login that is not a superuser and has no right but to act as the warehouse's owner; the settings name it."""
    name = "plain_netflix_login"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'".encode())
        conn.execute(f"GRANT data_engineer TO {name}".encode())
    for variable, value in (("USER", name), ("PASSWORD", "plain")):
        monkeypatch.setenv(f"CINESTREAM_POSTGRES_{variable}", value)
    get_settings.cache_clear()
    yield name
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP ROLE {name}".encode())


def test_a_login_that_may_not_switch_triggers_off_publishes_the_same(
    plain_login: str, built: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Any) -> None:
        raise AssertionError("this login may not do that")

    monkeypatch.setattr(foreign_keys, "switch_off", never)
    platform = land(Platform())
    assert platform.target.user == plain_login
    platform.load_and_build()

    assert (facts(platform), keys(platform), star_hashes(platform)) == (ALL, keys(built), star_hashes(built))
    validated = (
        "SELECT conrelid::regclass::text, conname, convalidated FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid::regclass::text LIKE 'netflix_dw.fact%%' ORDER BY 1, 2"
    )
    assert platform.query(validated) == built.query(validated)

    content = april(platform, NEW)
    platform.execute(DELETE)
    assert_refused(platform, content, psycopg.errors.ForeignKeyViolation)


# Checks across tables


def check(result: ExecuteInProcessResult, asset: AssetKey, name: str) -> tuple[bool, list[dict[str, str]]]:
    """Whether a check passed, and the rows that it shows."""
    [found] = [e for e in result.get_asset_check_evaluations() if (e.asset_key, e.check_name) == (asset, name)]
    samples: Any = found.metadata.get("samples")
    return found.passed, [record.data for record in samples.records] if samples else []


def test_the_check_of_totals_finds_a_customer_whose_totals_are_not_those_of_the_facts(star: Platform) -> None:
    assert check(star.run([CUSTOMER_MONTHS], MONTHS), CUSTOMER_MONTHS, "totals_agree") == (True, [])

    star.execute("UPDATE netflix_dw.dim_customer SET total_ratings = total_ratings + 1 WHERE customer_id = 7")
    star.execute("UPDATE netflix_dw.dim_customer SET last_rating_date = '2003-03-01' WHERE customer_id = 8")

    passed, shown = check(star.run([CUSTOMER_MONTHS], MONTHS), CUSTOMER_MONTHS, "totals_agree")
    assert (passed, sorted((row["customer_id"], row["total_ratings"]) for row in shown)) == (
        False,
        [("7", "4"), ("8", "2")],
    )


def test_while_a_month_is_still_to_be_built_nothing_is_compared_and_the_last_build_compares(star: Platform) -> None:
    """Two months that are not neighbours are two runs, and the customers are new with the first of them."""
    star.land("netflix/ratings/late.txt", ratings_txt({1: [(20, 5, "2003-01-09"), (20, 4, "2003-04-09")]}))
    star.load()

    star.run(STAR, ("2003-01", "2003-01"))
    first = star.run([CUSTOMER_MONTHS], ("2003-01", "2003-01"))
    assert compared(first, "totals_agree") == (True, False, "2003-04")
    assert compared(first, "months_agree") == (True, False, "2003-04")

    last = star.run(STAR[2:], ("2003-04", "2003-04"))
    assert compared(last, "totals_agree") == (True, True, None)
    assert compared(last, "months_agree") == (True, True, None)


def compared(result: ExecuteInProcessResult, name: str) -> tuple[bool, bool, str | None]:
    """Whether a check passed, whether it compared anything, and the months that it waits for."""
    [found] = [
        e for e in result.get_asset_check_evaluations() if (e.asset_key, e.check_name) == (CUSTOMER_MONTHS, name)
    ]
    waits = found.metadata.get("still_to_be_built")
    return found.passed, found.metadata["compared"].value, waits.value if waits else None


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE netflix_dw.fact_ratings_2003_02 SET rating = 5 WHERE rating_key = 30 * 2^32::bigint + 7",
        "DELETE FROM netflix_dw.fact_ratings_2003_02 WHERE rating_key = 30 * 2^32::bigint + 7",
        "UPDATE netflix_dw.fact_ratings_2003_02 SET customer_key = 1 + customer_key WHERE rating_key = 30 * 2^32::bigint + 7",
    ],
    ids=["stars", "row", "customer"],
)
def test_the_check_of_months_finds_a_month_whose_ratings_are_not_those_that_were_summed_up(
    star: Platform, tampering: str
) -> None:
    assert check(star.run([CUSTOMER_MONTHS], MONTHS), CUSTOMER_MONTHS, "months_agree") == (True, [])

    star.execute(tampering)

    passed, shown = check(star.run([CUSTOMER_MONTHS], MONTHS), CUSTOMER_MONTHS, "months_agree")
    assert (passed, [row["month"] for row in shown]) == (False, ["200302"])


# A generated release with every kind of dirt


@dataclass(frozen=True)
class Dirty:
    platform: Platform
    sample: Sample


@pytest.fixture(scope="module")
def dirty(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dirty]:
    """20,000 ratings in four files, with dirt, loaded and built once."""
    sample = generate(tmp_path_factory.mktemp("dirty_netflix"), ratings=20_000, dirty=0.0001)
    with platform_of(
        postgres, "dirty_netflix", calendar_template, manifest_home, tmp_path_factory.mktemp("dirty_netflix_stores")
    ) as platform:
        for dataset, paths in sample.files.items():
            for path in paths:
                platform.land(f"netflix/{dataset}/{path.name}", path.read_bytes())
        platform.load_and_build()
        yield Dirty(platform, sample)


def lines_of(path: Path) -> list[bytes]:
    """Lines as a text editor shows them."""
    return [line.removesuffix(b"\r") for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")]


def is_day(text: str) -> bool:
    try:
        return FIRST_DAY <= date.fromisoformat(text) <= LAST_DAY
    except ValueError:
        return False


def second_opinion(path: Path) -> tuple[list[tuple[int, Rating]], list[int]]:
    """The good ratings of a file with their lines, and the lines of bad records; the rules written down once more."""
    good, bad, film = [], [], 0
    for number, line in enumerate(lines_of(path), start=1):
        if header := re.fullmatch(rb"([^,]*):", line):
            film = int(header[1]) if re.fullmatch(rb"\d+", header[1]) and int(header[1]) <= 17_770 else 0
            bad += [] if film else [number]
        elif line:
            record = re.fullmatch(rb"(\d+),([1-5]),(\d{4}-\d\d-\d\d)", line)
            if film and record and 0 < int(record[1]) < 2**31 and is_day(record[3].decode()):
                good.append((number, (film, int(record[1]), int(record[2]), record[3].decode())))
            else:
                bad.append(number)
    return good, bad


def test_of_a_release_with_every_kind_of_dirt_each_record_is_loaded_or_kept_with_line_and_text(dirty: Dirty) -> None:
    for dataset, paths in dirty.sample.files.items():
        ledger = dirty.platform.query(
            "SELECT count(*), min(status), max(status), sum(rows_read), sum(rows_loaded), sum(rows_rejected)"
            " FROM ops.landed_file WHERE dataset = %s",
            (dataset,),
        )
        rows, planted = dirty.sample.rows[dataset], sum(dirty.sample.planted[dataset].values())
        assert ledger == [(len(paths), "loaded", "loaded", rows, rows - planted, planted)]
        assert planted > 0
        for path in paths:
            kept = dirty.platform.query(
                "SELECT line, raw FROM ops.rejected_row JOIN ops.landed_file USING (file_id) WHERE key = %s ORDER BY 1",
                (f"netflix/{dataset}/{path.name}",),
            )
            lines, encoding = lines_of(path), "latin-1" if dataset == "movie-titles" else "utf-8"
            assert kept == [(number, lines[number - 1].decode(encoding, "backslashreplace")) for number, _ in kept]
            if dataset == "ratings":
                assert [number for number, _ in kept] == second_opinion(path)[1], path.name


def test_the_star_of_a_dirty_release_holds_each_good_rating_once_and_agrees_with_itself(dirty: Dirty) -> None:
    platform, latest = dirty.platform, {}
    files = [second_opinion(path)[0] for path in dirty.sample.files["ratings"]]
    for number, good in enumerate(files):
        for line, rating in good:
            film, customer, _, day = rating
            latest[film, customer] = max(latest.get((film, customer), ((), rating)), ((day, number, line), rating))
    assert len(latest) == 20_000
    assert facts(platform) == sorted(rating for _, rating in latest.values())
    repeats = dirty.sample.duplicates
    assert platform.query(
        "SELECT sum(rows_repeated), sum(rows_conflicting) FROM ops.landed_file WHERE dataset = 'ratings'"
    ) == [(repeats["equal"], repeats["conflicting"])]
    stars = sum(rating[2] for _, rating in latest.values())
    assert platform.query("SELECT sum(rating_count), sum(rating_sum) FROM netflix_dw.fact_customer_months") == [
        (20_000, stars)
    ]
    customers = len({customer for _, customer in latest})
    assert platform.query("SELECT count(*), sum(total_ratings) FROM netflix_dw.dim_customer") == [(customers, 20_000)]
    assert platform.query("SELECT count(*), count(title) FROM netflix_dw.dim_movie") == [(17_770, 17_770)]
    assert leftovers(platform) == []
