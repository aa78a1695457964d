"""Once, accounted and idempotent: written once, kept by every source that lands as files."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from dagster import AssetKey

from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support import crash
from tests.support.chinook import customers, employees, invoices, lines, tracks
from tests.support.platform import MOVIES, Y2018, Platform, csv_bytes, database, environment_of, ratings_csv

GOOD_EVENTS = 200


@dataclass(frozen=True)
class Source:
    """A few files of a source; ``events`` is the key of the one with ``GOOD_EVENTS`` good records and ``bad`` ones.

    ``facts`` is the table with a row an event, all of 2018.
    """

    name: str
    files: Mapping[str, bytes]
    events: str
    raw_table: str
    facts: str
    bad: tuple[str, ...]

    @property
    def schema(self) -> str:
        return f"raw_{self.name}"


BAD_RATING, BAD_INVOICE = f"1,1,9.0,{Y2018}", "900,1,2018-02-30,,,,,,1.00"
SOURCES = (
    Source(
        "movielens",
        {
            "movielens/movies/movies.csv": MOVIES,
            "movielens/tags/tags.csv": csv_bytes("userId,movieId,tag,timestamp", [(1, 1, "slow", Y2018)]),
            "movielens/ratings/a.csv": ratings_csv((n, 1 + n % 4, "3.5", Y2018 + n) for n in range(1, GOOD_EVENTS + 1))
            + f"{BAD_RATING}\r\n".encode(),
        },
        "movielens/ratings/a.csv",
        "ratings",
        "fact_ratings",
        (BAD_RATING,),
    ),
    Source(
        "chinook",
        {
            "chinook/track/Track.csv": tracks(1, 2),
            "chinook/employee/employee_2017-01-01.csv": employees((1, "Manager"), (2, "Agent")),
            "chinook/customer/customer_2017-01-01.csv": customers((1, "First Street", 2), (2, "Quiet Lane", "")),
            "chinook/customer/customer_2018-05-01.csv": customers((1, "Second Street", 2), (2, "Quiet Lane", "")),
            "chinook/invoice/Invoice.csv": invoices(
                *((n, 1 + n % 3, f"2018-{1 + n % 12:02d}-01 00:00:00", "0.99") for n in range(1, GOOD_EVENTS + 1))
            )
            + f"{BAD_INVOICE}\n".encode(),
            "chinook/invoice_line/InvoiceLine.csv": lines(*((n, n, 1 + n % 3) for n in range(1, GOOD_EVENTS + 1))),
        },
        "chinook/invoice/Invoice.csv",
        "invoice",
        "fact_invoice",
        (BAD_INVOICE,),
    ),
)


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    found: Source = request.param
    return found


@pytest.fixture(scope="module")
def built(
    source: Source,
    postgres: PostgresTarget,
    calendar_template: str,
    manifest_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """All files of the source loaded and built, once; tests only add what changes nothing."""
    stores = tmp_path_factory.mktemp(source.name)
    with (
        pytest.MonkeyPatch.context() as patch,
        database(postgres, f"promises_of_{source.name}", calendar_template) as target,
    ):
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (stores / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (stores / "lake").as_uri()
        for name, value in variables.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        for key, content in source.files.items():
            platform.land(key, content)
        platform.load_and_build()
        yield platform
    get_settings.cache_clear()


def rows(platform: Platform, source: Source) -> int:
    found: int = platform.scalar(f"SELECT count(*) FROM {source.schema}.{source.raw_table}")
    return found


def facts(platform: Platform, source: Source) -> int:
    found: int = platform.scalar(f"SELECT count(*) FROM {source.name}_dw.{source.facts}")
    return found


def test_the_records_of_every_file_are_those_loaded_and_those_rejected(built: Platform, source: Source) -> None:
    ledger = built.query("SELECT key, status, rows_read, rows_loaded, rows_rejected FROM ops.landed_file")
    delivered = {key: content.count(b"\n") - 1 for key, content in source.files.items()}
    assert {key: (status, read) for key, status, read, *_ in ledger} == {
        key: ("loaded", records) for key, records in delivered.items()
    }
    assert all(read == loaded + rejected for *_, read, loaded, rejected in ledger)
    tables = {key.split("/")[1] for key in source.files}
    in_tables = {name: built.scalar(f"SELECT count(*) FROM {source.schema}.{name}") for name in tables}
    loaded_rows = {name: sum(row[3] for row in ledger if row[0].split("/")[1] == name) for name in tables}
    assert in_tables == loaded_rows
    kept = built.query("SELECT key, raw FROM ops.rejected_row JOIN ops.landed_file USING (file_id)")
    assert kept == [(source.events, text) for text in source.bad]
    assert rows(built, source) == facts(built, source) == GOOD_EVENTS


def test_the_same_file_twice_counts_once(built: Platform, source: Source) -> None:
    before = built.last_publication()
    again = source.events.replace(".csv", "_again.csv")
    built.land(again, source.files[source.events])
    assert [built.scan() for _ in range(2)] == [1, 0]
    built.load_and_build()

    assert built.status(source.events) == ["loaded"]
    assert built.ledger_row(again)["status"] == "duplicate"
    assert rows(built, source) == facts(built, source) == GOOD_EVENTS
    assert built.publications(before) == []


def test_building_everything_again_publishes_nothing(built: Platform, source: Source) -> None:
    before, hashes = built.last_publication(), built.content_hashes()
    published = built.query(
        "SELECT DISTINCT table_name FROM ops.publication WHERE schema_name = %s", (f"{source.name}_dw",)
    )
    assert source.facts in {name for (name,) in published}

    assert built.run([AssetKey([source.name, name]) for (name,) in published], ("2018", "2018")).success

    assert built.build() == []
    assert built.publications(before) == []
    assert built.content_hashes() == hashes


def test_a_load_that_is_killed_between_claim_and_commit_is_done_again_to_the_same_star(
    platform: Platform, environment: dict[str, str], built: Platform, source: Source
) -> None:
    for key, content in source.files.items():
        platform.land(key, content)

    assert (
        crash.run_in_child(environment, partial(crash.die_between_claim_and_commit, source.raw_table))
        == -signal.SIGKILL
    )
    assert rows(platform, source) == 0
    assert platform.status(source.events) == ["pending"]
    platform.load_and_build()

    assert {status for _, status in platform.files()} == {"loaded"}
    assert rows(platform, source) == facts(platform, source) == GOOD_EVENTS
    assert platform.content_hashes() == built.content_hashes()
    assert platform.query(
        "SELECT n.nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE relkind = 'r' AND nspname LIKE '%%staging'"
    ) == []  # fmt: skip
