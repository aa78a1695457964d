"""The music store end to end: versions of people from late and retracted deliveries, daily sales, corrections, bundles."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import AssetKey

from cinestream_platform.commands.files import NotLandableError, land_path, reload_key, retract_key
from cinestream_platform.declarations.star_table import WholeFact
from cinestream_platform.ledger.corrections import UnknownFileError
from cinestream_platform.ledger.deliveries import BEGINNING
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.table_checks import one_version_at_a_time, table_check_specs
from cinestream_platform.orchestration.versions import DimensionOutdatedError
from cinestream_platform.publishing.keys import KeyResolver, UnpublishedVersionError
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.chinook.feeds import FEEDS
from cinestream_platform.sources.chinook.sample.forms import write_json, write_sqlite
from cinestream_platform.sources.chinook.sample.generator import generate, good_records
from cinestream_platform.sources.chinook.tables import CUSTOMER, DIM_CUSTOMER, FACT_INVOICE
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.chinook import customers, employees, invoices, lines, tracks
from tests.support.platform import Platform, database, environment_of

DAY_1, DAY_2, DAY_3 = "2023-01-01", "2024-05-01", "2025-03-01"
STREETS = {DAY_1: "First Street", DAY_2: "Second Street", DAY_3: "Third Street"}
REPRESENTATIVES = {DAY_1: 3, DAY_2: 4, DAY_3: 4}
EMPLOYEE_KEY = "chinook/employee/employee.csv"
SALES = (
    (1, 1, "2023-06-01 12:00:00", "1.98"),
    (2, 2, "2023-06-02 12:00:00", "0.99"),
    (3, 1, "2024-04-30 23:59:59", "0.99"),
    (4, 1, "2024-05-01 00:00:00", "0.99"),
    (5, 2, "2024-12-30 12:00:00", "0.99"),
    (6, 9, "2024-12-31 12:00:00", "0.99"),  # customer 9 comes with the delivery of 2025-03-01
    (7, 1, "2025-06-01 12:00:00", "0.99"),
)
LINES = ((1, 1, 1), (2, 1, 2), *((n + 1, n, 1 + n % 2) for n in range(2, 8)))


def customer_key(day: str) -> str:
    return f"chinook/customer/customer_{day}.csv"


def delivery(day: str) -> bytes:
    """Customer 1 has moved each time, 2 never; 9 is new in the last."""
    moved = (1, STREETS[day], REPRESENTATIVES[day])
    return customers(moved, (2, "Quiet Lane", ""), *([(9, "New Road", 3)] if day == DAY_3 else []))


def land_employees(platform: Platform, day: str, title: str) -> None:
    """An undated key is a delivery of the time at which it was written."""
    platform.land(EMPLOYEE_KEY, employees((1, "Manager"), (3, "Agent"), (4, title)))
    moment = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
    os.utime(platform.landing.folder / EMPLOYEE_KEY, (moment, moment))


@dataclass(frozen=True)
class Built:
    """A built star: the database that tests copy, and its settings."""

    database: str
    settings: dict[str, str]


@pytest.fixture(scope="module")
def built(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    """All sales, two tracks, and of the people the *last* delivery of customers and the first of employees."""
    stores = tmp_path_factory.mktemp("music")
    with pytest.MonkeyPatch.context() as patch, database(postgres, "music_store", calendar_template) as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (stores / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (stores / "lake").as_uri()
        for name, value in variables.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        platform.land("chinook/track/Track.csv", tracks(1, 2))
        platform.land("chinook/invoice/Invoice.csv", invoices(*SALES))
        platform.land("chinook/invoice_line/InvoiceLine.csv", lines(*LINES))
        platform.land(customer_key(DAY_3), delivery(DAY_3))
        land_employees(platform, DAY_1, "Agent")
        platform.load_and_build()
        yield Built(target.database, variables)
    get_settings.cache_clear()


@pytest.fixture
def store(postgres: PostgresTarget, built: Built, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform on a copy of that star; what the test lands is taken away again."""
    with database(postgres, f"t{uuid.uuid4().hex[:12]}", built.database) as target:
        for name, value in {**built.settings, "CINESTREAM_POSTGRES_DATABASE": target.database}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        landed = {path: (path.read_bytes(), path.stat()) for path in platform.landing.folder.rglob("*.csv")}
        yield platform
        for path in set(platform.landing.folder.rglob("*.csv")) - landed.keys():
            path.unlink()
        for path, (content, stat) in landed.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    get_settings.cache_clear()


def versions(platform: Platform, dim: str, member: int, attribute: str) -> list[tuple[Any, ...]]:
    """(attribute, from, to) of a member's versions; days as text, the beginning and the open end as None."""
    assert platform.query(f"SELECT 1 FROM chinook_dw.{dim} WHERE valid_to = valid_from") == []
    name = dim.removeprefix("dim_")
    return platform.query(
        f"SELECT {attribute}, nullif(valid_from AT TIME ZONE 'UTC', '1900-01-01')::date::text,"
        f" (valid_to AT TIME ZONE 'UTC')::date::text FROM chinook_dw.{dim} WHERE {name}_id = %s ORDER BY valid_from",
        (member,),
    )


def keys(platform: Platform, dim: str) -> dict[tuple[int, str], int]:
    """(member, first day) to surrogate key."""
    name = dim.removeprefix("dim_")
    rows = platform.query(
        f"SELECT {name}_id, (valid_from AT TIME ZONE 'UTC')::date::text, {name}_key FROM chinook_dw.{dim}"
    )
    return {(member, day): key for member, day, key in rows}


def sold(platform: Platform, fact: str = "fact_invoice") -> dict[int, tuple[str | None, int | None, str | None]]:
    """Invoice to the address of its customer, its representative and his title."""
    rows = platform.query(
        f"SELECT DISTINCT invoice_id, c.address, employee_id, e.title FROM chinook_dw.{fact}"
        " JOIN chinook_dw.dim_customer c USING (customer_key) LEFT JOIN chinook_dw.dim_employee e USING (employee_key)"
    )
    assert len({row[0] for row in rows}) == len(rows)
    return {number: tuple(rest) for number, *rest in rows}


def assert_facts_point_at_versions_valid_then(platform: Platform) -> None:
    wrong = """
        SELECT f.invoice_id FROM chinook_dw.fact_invoice f JOIN chinook_dw.{dim} d USING ({key})
        WHERE NOT (d.valid_from <= f.invoiced_at AND f.invoiced_at < coalesce(d.valid_to, 'infinity'))
    """
    assert platform.query(wrong.format(dim="dim_customer", key="customer_key")) == []
    assert platform.query(wrong.format(dim="dim_employee", key="employee_key")) == []
    assert sold(platform, "fact_invoice_line") == sold(platform)
    for dim, member in (("dim_customer", "customer_id"), ("dim_employee", "employee_id")):
        current = f"SELECT {member} FROM chinook_dw.{dim} GROUP BY 1 HAVING count(*) FILTER (WHERE is_current) <> 1"
        assert platform.query(current) == []


def changed(platform: Platform, since: int, table: str) -> set[str]:
    """The partitions whose content a publication changed."""
    return {key for name, key, is_changed in platform.publications(since) if name == table and is_changed}


# ---- versions --------------------------------------------------------------------------------------------------------


def test_deliveries_that_come_late_and_out_of_order_give_the_versions_that_order_would_have_given(store: Platform):
    assert versions(store, "dim_customer", 1, "address") == [("Third Street", None, None)]
    first_keys = keys(store, "dim_customer")
    assert {number: who for number, (who, *_) in sold(store).items()}[1] == "Third Street"
    before = store.last_publication()

    # The second before the first, and the undated key written twice more: three deliveries under one name.
    store.land(customer_key(DAY_2), delivery(DAY_2))
    land_employees(store, "2024-09-01", "Senior Agent")
    store.load()
    store.land(customer_key(DAY_1), delivery(DAY_1))
    land_employees(store, "2025-01-01", "Head of Agents")
    store.load_and_build()

    assert versions(store, "dim_customer", 1, "address") == [
        ("First Street", None, DAY_2),
        ("Second Street", DAY_2, DAY_3),
        ("Third Street", DAY_3, None),
    ]
    assert versions(store, "dim_customer", 2, "address") == [("Quiet Lane", None, None)]
    assert versions(store, "dim_employee", 4, "title") == [
        ("Agent", None, "2024-09-01"),
        ("Senior Agent", "2024-09-01", "2025-01-01"),
        ("Head of Agents", "2025-01-01", None),
    ]
    assert store.status(EMPLOYEE_KEY) == ["loaded", "loaded", "loaded"]
    in_order = {
        1: ("First Street", 3, "Agent"),
        2: ("Quiet Lane", None, None),
        3: ("First Street", 3, "Agent"),
        4: ("Second Street", 4, "Agent"),
        5: ("Quiet Lane", None, None),
        6: ("New Road", 3, "Agent"),  # whom only the delivery after the year's end knows
        7: ("Third Street", 4, "Head of Agents"),
    }
    assert sold(store) == in_order
    assert_facts_point_at_versions_valid_then(store)
    later_keys = keys(store, "dim_customer")
    assert first_keys.items() <= later_keys.items()
    assert changed(store, before, "fact_invoice") == {"2023", "2024", "2025"}

    # Everything once more changes nothing.
    before, hashes = store.last_publication(), store.content_hashes()
    star = [
        name
        for (name,) in store.query("SELECT DISTINCT table_name FROM ops.publication WHERE schema_name = 'chinook_dw'")
    ]
    assert {"dim_customer", "dim_employee", "dim_track", "fact_invoice", "fact_invoice_line"} <= set(star)
    assert store.run([AssetKey(["chinook", name]) for name in star], ("2023", "2025")).success
    assert store.publications(before) == []
    assert store.build() == []

    # Without the delivery in the middle its version is gone, and only the year whose sales it had changes.
    store.retract(customer_key(DAY_2))
    store.load_and_build()
    assert versions(store, "dim_customer", 1, "address") == [
        ("First Street", None, DAY_3),
        ("Third Street", DAY_3, None),
    ]
    assert sold(store) == in_order | {4: ("First Street", 3, "Agent")}
    assert_facts_point_at_versions_valid_then(store)
    assert keys(store, "dim_customer") == {k: key for k, key in later_keys.items() if k != (1, DAY_2)}
    assert changed(store, before, "fact_invoice") == changed(store, before, "fact_invoice_line") == {"2024"}

    # It comes back with a correction: the same versions again.
    store.land(customer_key(DAY_2), delivery(DAY_2))
    store.load_and_build()
    assert sold(store) == in_order
    assert store.content_hashes()["dim_customer", "whole"] == hashes["dim_customer", "whole"]


def test_the_whole_dimension_can_be_retracted_and_no_fact_is_lost(store: Platform):
    store.land(customer_key(DAY_1), delivery(DAY_1))
    store.load_and_build()
    assert len(versions(store, "dim_customer", 1, "address")) == 2
    rows = store.scalar("SELECT count(*) FROM chinook_dw.fact_invoice")

    store.retract(customer_key(DAY_1))
    store.retract(customer_key(DAY_3))
    store.load_and_build()

    assert versions(store, "dim_customer", 1, "address") == [("First Street", None, None)]
    assert store.query("SELECT count(*), bool_or(is_in_source) FROM chinook_dw.dim_customer") == [(3, False)]
    assert store.scalar("SELECT count(*) FROM chinook_dw.fact_invoice") == rows
    assert_facts_point_at_versions_valid_then(store)


FACTS = [AssetKey(["chinook", name]) for name in ("fact_invoice", "fact_invoice_line")]


def test_a_build_that_was_asked_for_before_a_delivery_came_points_at_versions_that_are_published(store: Platform):
    before = keys(store, "dim_customer"), keys(store, "dim_employee"), sold(store)
    store.land(customer_key(DAY_2), delivery(DAY_2))
    land_employees(store, "2024-09-01", "Senior Agent")
    store.load()

    checked = store.run(FACTS, ("2023", "2025"))

    assert (keys(store, "dim_customer"), keys(store, "dim_employee"), sold(store)) == before
    assert_facts_point_at_versions_valid_then(store)
    of_versions = [c for c in checked.get_asset_check_evaluations() if c.check_name == "one_version_at_a_time"]
    assert len(of_versions) == len(FACTS)
    assert all(check.passed for check in of_versions)

    # What it left out is seen to be missing.
    store.load_and_build()
    assert len(versions(store, "dim_customer", 1, "address")) == 2
    assert {number: title for number, (*_, title) in sold(store).items()}[7] == "Senior Agent"
    assert_facts_point_at_versions_valid_then(store)


def test_a_build_that_was_asked_for_before_a_delivery_was_retracted_is_refused_and_asked_for_again(store: Platform):
    store.land(customer_key(DAY_1), delivery(DAY_1))
    store.load_and_build()
    before = sold(store)
    store.retract(customer_key(DAY_1))

    with pytest.raises(DimensionOutdatedError, match="dim_customer is made from 1 deliver"):
        store.run(FACTS, ("2023", "2025"))

    assert sold(store) == before
    store.load_and_build()
    assert sold(store)[1] == ("Third Street", 4, "Agent")
    assert_facts_point_at_versions_valid_then(store)


def test_a_version_that_is_not_published_is_never_inferred(store: Platform):
    natural = pl.DataFrame(
        [(1, BEGINNING), (1, BEGINNING + timedelta(days=1)), (55, BEGINNING)],
        schema={"customer_id": pl.Int32(), "customer_valid_from": pl.Datetime("us", "UTC")},
        orient="row",
    )
    only_customers = WholeFact(
        source="chinook",
        schema="chinook_dw",
        name="fact_customers",
        description="Customers.",
        grain="one row per version",
        columns=(FACT_INVOICE.column("customer_key"),),
        row_key=("customer_key",),
        references=(CUSTOMER,),
    )
    before = keys(store, "dim_customer")

    with pytest.raises(UnpublishedVersionError, match="dim_customer lacks 1 version"):
        KeyResolver(store.target, "test").resolve(only_customers, natural)
    assert keys(store, "dim_customer") == before

    KeyResolver(store.target, "test").resolve(only_customers, natural[[0, 2]])
    assert keys(store, "dim_customer").keys() - before.keys() == {(55, "1900-01-01")}


def test_the_check_of_versions_finds_gaps_overlaps_and_two_that_are_current(store: Platform):
    store.land(customer_key(DAY_2), delivery(DAY_2))
    store.load_and_build()
    [check] = [c for c in table_check_specs(DIM_CUSTOMER, AssetKey("x")) if c.name == "one_version_at_a_time"]
    assert check.description

    def found() -> bool:
        with connect(store.target) as conn:
            return one_version_at_a_time(conn, [DIM_CUSTOMER], AssetKey("x")).passed

    assert found()
    for broken in (
        "valid_to = NULL, is_current = true WHERE customer_id = 1",  # two that are current, overlapping
        "valid_to = valid_to - interval '1 day' WHERE customer_id = 1 AND NOT is_current",  # a gap
        "is_current = false WHERE customer_id = 2",  # none that is current
        "valid_from = valid_from + interval '1 day' WHERE customer_id = 2",  # nothing before
    ):
        with connect(store.target) as conn, conn.transaction(force_rollback=True):
            conn.execute(f"UPDATE chinook_dw.dim_customer SET {broken}".encode())
            assert not one_version_at_a_time(conn, [DIM_CUSTOMER], AssetKey("x")).passed, broken
    assert found()


def test_a_retired_version_goes_by_itself_as_soon_as_no_fact_points_at_it(store: Platform):
    store.land(customer_key(DAY_1), delivery(DAY_1))
    store.land(customer_key(DAY_2), customers((1, "Second Street", 4), (2, "Loud Lane", "")))
    store.land(
        customer_key("2026-02-01"), customers((1, "Fourth Street", 4), (2, "Quiet Lane", ""), (9, "New Road", 3))
    )
    store.load_and_build()
    assert len(versions(store, "dim_customer", 2, "address")) == 3  # the middle one has invoice 5
    store.retract(customer_key(DAY_2))
    store.retract(customer_key("2026-02-01"))

    store.load()
    store.run([asset_key(DIM_CUSTOMER)])

    held = store.query(
        "SELECT customer_id, address, valid_to = valid_from FROM chinook_dw.dim_customer WHERE customer_id < 9"
        " ORDER BY customer_id, valid_from"
    )
    assert (2, "Loud Lane", True) in held
    assert not [row for row in held if row[1] == "Fourth Street"], "no fact points at it"
    current = store.query("SELECT customer_id, address FROM chinook_dw.dim_customer WHERE is_current ORDER BY 1")
    assert current[:2] == [(1, "Third Street"), (2, "Quiet Lane")]
    store.load_and_build()
    assert_facts_point_at_versions_valid_then(store)
    assert store.query("SELECT FROM chinook_dw.dim_customer WHERE valid_to = valid_from") == []


def test_an_empty_delivery_of_people_is_refused(store: Platform):
    store.land(customer_key("2025-06-01"), customers())
    [result] = store.load()
    assert not result.success
    assert "would empty the table" in store.ledger_row(customer_key("2025-06-01"))["reason"]


# ---- sales -----------------------------------------------------------------------------------------------------------

DAILY_LINES, DAILY = "chinook/invoice_line/invoice_line_2025-07-01.csv", "chinook/invoice/invoice_2025-07-01.csv"


def test_a_days_sales_arrive_lines_first_are_corrected_and_change_only_their_years(store: Platform):
    sales = "SELECT invoice_id, customer_id, total::text, date_key FROM chinook_dw.fact_invoice JOIN chinook_dw.dim_customer USING (customer_key) WHERE invoice_id >= 100 ORDER BY 1"
    sold_lines = "SELECT invoice_line_id, track_id, date_key FROM chinook_dw.fact_invoice_line JOIN chinook_dw.dim_track USING (track_key) WHERE invoice_id >= 100 ORDER BY 1"
    before = store.last_publication()
    store.land(DAILY_LINES, lines((100, 100, 1), (101, 100, 99), (102, 101, 2)))
    store.load_and_build()
    assert store.scalar("SELECT count(*) FROM raw_chinook.invoice_line WHERE invoice_id >= 100") == 3
    assert store.query(sold_lines) == []
    assert [row for row in store.publications(before) if row[2]] == []

    # Customer 77 and track 99 are in no delivery.
    store.land(DAILY, invoices((100, 77, "2025-07-01 09:30:00", "1.98"), (101, 1, "2025-07-01 10:00:00", "0.99")))
    store.load_and_build()
    assert store.query(sales) == [(100, 77, "1.98", 20250701), (101, 1, "0.99", 20250701)]
    assert store.query(sold_lines) == [(100, 1, 20250701), (101, 99, 20250701), (102, 2, 20250701)]
    assert changed(store, before, "fact_invoice") == changed(store, before, "fact_invoice_line") == {"2025"}
    inferred = "SELECT {id}, {key}, is_inferred, is_in_source FROM chinook_dw.{dim} WHERE {id} IN (77, 99)"
    customer = inferred.format(dim="dim_customer", id="customer_id", key="customer_key")
    track = inferred.format(dim="dim_track", id="track_id", key="track_key")
    [(_, customer_77, *flags_77)], [(_, track_99, *flags_99)] = store.query(customer), store.query(track)
    assert flags_77 == flags_99 == [True, False]

    # Next year's list of customers knows who was new, and who looked after him when he bought.
    before = store.last_publication()
    store.land(customer_key("2026-01-05"), customers((1, "Third Street", 4), (2, "Quiet Lane", ""), (77, "Found", 3)))
    store.land("chinook/track/Track.csv", tracks(1, 2, 99))
    store.load_and_build()
    assert store.query(customer) == [(77, customer_77, False, True)]
    assert store.query(track) == [(99, track_99, False, True)]
    assert sold(store)[100] == ("Found", 3, "Agent")
    assert changed(store, before, "fact_invoice") == {"2025"}

    # The day's file comes again: another total, and an invoice that belongs into the next year's books.
    before = store.last_publication()
    store.land(DAILY, invoices((100, 77, "2025-07-01 09:30:00", "2.97"), (101, 1, "2026-01-01 00:00:00", "0.99")))
    store.load_and_build()
    assert store.status(DAILY) == ["superseded", "loaded"]
    assert store.query(sales) == [(100, 77, "2.97", 20250701), (101, 1, "0.99", 20260101)]
    assert store.query(sold_lines) == [(100, 1, 20250701), (101, 99, 20250701), (102, 2, 20260101)]
    assert changed(store, before, "fact_invoice") == changed(store, before, "fact_invoice_line") == {"2025", "2026"}
    assert_facts_point_at_versions_valid_then(store)
    assert store.build() == []


# ---- the sample ------------------------------------------------------------------------------------------------------


def test_of_the_sample_every_planted_record_is_rejected_and_the_star_has_its_truths(platform: Platform, tmp_path: Path):
    sample = generate(tmp_path / "sample", scale=2.1)
    for dataset, paths in sample.files.items():
        for path in paths:
            platform.land(f"chinook/{dataset}/{path.name}", path.read_bytes())
    platform.load_and_build()

    assert {status for _, status in platform.files()} == {"loaded"}
    counts = platform.query(
        "SELECT dataset, sum(rows_read)::int, sum(rows_rejected)::int FROM ops.landed_file GROUP BY 1"
    )
    rejected = {name: sum(kinds.values()) for name, kinds in sample.planted.items()}
    assert {name: (read, bad) for name, read, bad in counts} == {
        name: (rows, rejected[name]) for name, rows in sample.rows.items()
    }
    assert sum(rejected.values()) > 50
    assert platform.scalar("SELECT count(*) FROM ops.rejected_row") == sum(rejected.values())
    for name, rows in sample.rows.items():
        assert platform.scalar(f"SELECT count(*) FROM raw_chinook.{name}") == rows - rejected[name]
    for name, expected in sample.versions.items():
        dim = f"FROM chinook_dw.dim_{name} WHERE NOT is_inferred"
        assert platform.scalar(f"SELECT count(*) {dim}") == expected, name
    assert platform.scalar("SELECT sum(total) FROM chinook_dw.fact_invoice") == sample.sales
    line_rows = sample.rows["invoice_line"] - rejected["invoice_line"] - sample.lines_without_invoice
    assert platform.query("SELECT count(*), sum(amount) FROM chinook_dw.fact_invoice_line") == [
        (line_rows, sample.sales)
    ]
    assert platform.scalar("SELECT count(*) FROM chinook_dw.dim_track WHERE is_inferred") == sample.unknown_tracks
    assert_facts_point_at_versions_valid_then(platform)
    # Invoices repeat the address that the customer had then: the version is the right one in every year.
    assert (
        platform.query(
            "SELECT f.invoice_id FROM chinook_dw.fact_invoice f JOIN chinook_dw.dim_customer c USING (customer_key)"
            " JOIN raw_chinook.invoice r USING (invoice_id) WHERE r.billing_address IS DISTINCT FROM c.address"
        )
        == []
    )
    assert platform.build() == []


# ---- bundles ---------------------------------------------------------------------------------------------------------

BUNDLE, AGAIN = "chinook/release/a.sqlite", "chinook/release/b.sqlite"
PEOPLE = ("customer", "employee")


def statuses(platform: Platform, bundle: str) -> dict[str, str]:
    """Dataset to state of the newest version of each table in a bundle."""
    return dict(
        platform.query(
            "SELECT split_part(key, '#', 2), status FROM ops.landed_file WHERE is_newest AND key LIKE %s",
            (f"{bundle}#%",),
        )
    )


def test_a_bundle_is_loaded_once_reloaded_and_retracted_by_its_key(platform: Platform, tmp_path: Path):
    tables = good_records(scale=0.05)
    write_sqlite(tables, tmp_path / "chinook.sqlite")
    content = (tmp_path / "chinook.sqlite").read_bytes()
    everything = {feed.dataset for feed in FEEDS}

    def rows() -> dict[str, int]:
        return {name: platform.scalar(f"SELECT count(*) FROM raw_chinook.{name}") for name in everything}

    platform.land(BUNDLE, content)
    platform.load()
    assert statuses(platform, BUNDLE) == dict.fromkeys(everything, "loaded")
    once = {name: len(records) for name, records in tables.items()}
    assert rows() == once

    # Under another name it adds nothing; people's deliveries count for their own time, and change no version.
    platform.land(AGAIN, content)
    platform.load()
    assert statuses(platform, AGAIN) == {name: "loaded" if name in PEOPLE else "duplicate" for name in everything}
    assert rows() == once | {name: 2 * once[name] for name in PEOPLE}

    assert len(reload_key(get_settings(), AGAIN)) == len(FEEDS)
    assert reload_key(get_settings(), f"{BUNDLE}#track")[0].startswith(
        f"{BUNDLE}#track waits to be read again (it was loaded)"
    )
    platform.load()
    assert rows() == once | {name: 2 * once[name] for name in PEOPLE}
    assert platform.status(f"{BUNDLE}#track") == ["superseded", "loaded"]

    done = retract_key(get_settings(), BUNDLE)
    assert f"{BUNDLE}#invoice is retracted, its rows left raw_chinook.invoice" in " ".join(done)
    platform.load()  # what had given way to it has its turn
    assert statuses(platform, BUNDLE) == dict.fromkeys(everything, "retracted")
    assert statuses(platform, AGAIN) == dict.fromkeys(everything, "loaded")
    assert rows() == once

    for command in (reload_key, retract_key):
        with pytest.raises(UnknownFileError, match=r"no landed file has the key chinook/release/a\.sqlite#nope"):
            command(get_settings(), f"{BUNDLE}#nope")


def test_of_a_bundle_without_one_table_the_others_are_loaded_and_that_one_is_parked_by_its_name(
    platform: Platform, tmp_path: Path
):
    tables = good_records(scale=0.05)
    del tables["genre"]
    write_json(tables, tmp_path / "chinook.json")
    platform.land("chinook/release/chinook.json", (tmp_path / "chinook.json").read_bytes())
    # An object that is named like one of its tables, and one with NULs and a damaged page, stop nobody.
    platform.land("chinook/release/chinook.json#genre", b"GenreId,Name\n1,a\n")
    with closing(sqlite3.connect(tmp_path / "odd.db")) as db:
        db.execute("CREATE TABLE Artist (ArtistId INTEGER, Name TEXT)")
        db.executemany("INSERT INTO Artist VALUES (?, ?)", ((n, "a\0b" if n == 7 else "a") for n in range(1, 201)))
        db.commit()
    platform.land("chinook/release/odd.db", (tmp_path / "odd.db").read_bytes())
    results = platform.load()

    assert [result.success for result in results] == [False]
    found = statuses(platform, "chinook/release/chinook.json")
    assert found.pop("genre") == "parked"
    assert found.pop("artist") == "superseded"  # a snapshot; odd.db's landed later
    assert set(found.values()) == {"loaded"}
    reason = platform.ledger_row("chinook/release/chinook.json#genre")["reason"]
    assert reason == "table `genre` is missing; the file has 10 of other names. Fix the file and land it again."
    assert platform.status("chinook/release/chinook.json#genre#") == ["parked"]
    odd = platform.ledger_row("chinook/release/odd.db#artist")
    assert (odd["status"], odd["rows_loaded"], odd["rows_rejected"]) == ("loaded", 199, 1)
    assert platform.query("SELECT line, rule, raw FROM ops.rejected_row") == [(7, "record_nul", '["7", "a\\u0000b"]')]
    assert platform.scan() == 0


def test_an_sql_script_is_refused_by_the_command_and_parked_when_any_client_lands_it(
    any_platform: Platform, tmp_path: Path
):
    script = tmp_path / "Chinook_PostgreSql.sql"
    script.write_text("DROP DATABASE IF EXISTS chinook;")
    for source, dataset in (
        ("chinook", None),
        ("chinook", "release"),
        ("chinook", "customer"),
        ("movielens", "ratings"),
    ):
        with pytest.raises(NotLandableError, match="is an SQL script: a program"):
            list(land_path(get_settings(), source, script, dataset=dataset))
    assert list(any_platform.landing.list()) == []

    for key in ("chinook/release/chinook.sql", "chinook/customer/customer.SQL"):
        any_platform.land(key, script.read_bytes())
    assert any_platform.load() == []
    assert [status for _, status in any_platform.files()] == ["parked", "parked"]
    reasons = any_platform.query("SELECT reason FROM ops.landed_file")
    assert all("It is not run. Land the data instead" in reason for (reason,) in reasons)
    with pytest.raises(NotLandableError, match=r"stays parked: chinook\.sql is an SQL script"):
        reload_key(get_settings(), "chinook/release/chinook.sql")
    assert retract_key(get_settings(), "chinook/release/chinook.sql")[0].endswith(
        "is retracted; it had no rows loaded."
    )
