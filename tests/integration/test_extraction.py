"""Extraction of a live database: of one moment, whole or not at all, every row accounted for, nothing done twice."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest

from cinestream_platform.automation.housekeeping import sweep_lake
from cinestream_platform.automation.landing import due_files, scan_landing
from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.commands.files import NotLandableError, reload_key, retract_key
from cinestream_platform.declarations.connector import SourceDriftError
from cinestream_platform.ledger import landed_files
from cinestream_platform.loading import extraction
from cinestream_platform.loading.extraction import TooManyRejectedError
from cinestream_platform.loading.raw_rows import Spool
from cinestream_platform.publishing import raw as raw_publish
from cinestream_platform.reading.postgres_connector import PostgresReader, SnapshotLostError
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES
from cinestream_platform.sources.dvdrental.load_database import load_sample
from cinestream_platform.sources.dvdrental.sample import activity, content
from cinestream_platform.sources.dvdrental.sample.generator import Sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresUnreachableError, connect
from tests.support import crash
from tests.support import ledger as ledger_by_hand
from tests.support.shop import Shop

BROKEN_RULE = {
    "last_name_empty": "last_name_blank",
    "address_blank": "address_blank",
    "title_empty": "title_blank",
    "length_negative": "length_range",
    "rental_duration_zero": "rental_duration_range",
    "replacement_cost_nan": "replacement_cost_type",
    "first_name_blank": "first_name_blank",
    "return_infinite": "return_date_type",
    "rental_in_future": "rental_date_future",
    "amount_negative": "amount_range",
    "amount_nan": "amount_type",
    "payment_in_future": "payment_date_future",
    "payment_year_of_five_digits": "payment_date_type",
}
"""Kind of dirt to the rule that rejects it."""


# ---- what comes over -------------------------------------------------------------------------------------------------


def test_every_row_is_loaded_or_rejected_by_the_rule_it_breaks(
    shop: Shop, generated_source: tuple[str, Sample]
) -> None:
    _, sample = generated_source
    shop.extract()

    planted = {table: sum(kinds.values()) for table, kinds in sample.planted.items()}
    assert shop.raw_counts() == {table: rows - planted.get(table, 0) for table, rows in sample.rows.items()}
    rejected = shop.platform.query(
        "SELECT dataset, rule, count(*) FROM ops.rejected_row JOIN ops.landed_file USING (file_id)"
        " WHERE status = 'loaded' GROUP BY 1, 2"
    )
    assert {(table, rule): rows for table, rule, rows in rejected} == {
        (table, BROKEN_RULE[kind]): rows for table, kinds in sample.planted.items() for kind, rows in kinds.items()
    }
    assert sum(map(len, content.DIRT.values())) == len(BROKEN_RULE) == 13
    assert dict(shop.platform.query("SELECT dataset, rows_read FROM ops.landed_file")) == sample.rows
    [(raw,)] = shop.platform.query("SELECT raw FROM ops.rejected_row WHERE rule = 'payment_date_type'")
    assert raw.endswith(",20070-03-01 10:00:00")


def test_types_and_texts_come_over_as_they_are_whatever_the_sources_settings(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, real = shop.source.database, PostgresReader.copy

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.03)  # who holds the snapshot is idle for longer than the source allows
        return real(*arguments, **options)

    monkeypatch.setattr(PostgresReader, "copy", slow)
    shop.execute(
        f"ALTER DATABASE {source} SET DateStyle = 'German, DMY'",
        f"ALTER DATABASE {source} SET TimeZone = 'Asia/Tokyo'",
        f"ALTER DATABASE {source} SET idle_in_transaction_session_timeout = '50ms'",
        r"""UPDATE film SET special_features = ARRAY['a "b" c', 'd, e', NULL, '', 'NULL', E'f\\g\n{h}', 'ü''💿'] WHERE film_id = 1""",
        "UPDATE film SET special_features = '{}', title = 'NULL', description = '' WHERE film_id = 2",
        "UPDATE film SET special_features = NULL, description = NULL, rating = NULL, length = NULL WHERE film_id = 3",
        r"""UPDATE film SET title = 'a, "b"', description = E'\\N\t"\n\\.\r\n' WHERE film_id = 4""",
        "UPDATE payment SET amount = 999.99 WHERE payment_id = 17503",
        "UPDATE payment SET amount = 0 WHERE payment_id = 17504",
        "UPDATE language SET name = 'Île, de' WHERE language_id = 2",
        "ALTER TABLE customer DISABLE TRIGGER ALL",
        "UPDATE customer SET last_update = NULL, email = NULL, active = NULL WHERE customer_id = 2",
        "ALTER TABLE film ADD COLUMN streaming_url text DEFAULT 'x'",
    )
    extracted = shop.extract()
    assert shop.messages == []

    query = shop.platform.query
    assert query("SELECT special_features FROM raw_dvdrental.film WHERE film_id < 4 ORDER BY film_id") == [
        (['a "b" c', "d, e", None, "", "NULL", "f\\g\n{h}", "ü'💿"],),
        ([],),
        (None,),
    ]
    assert query("SELECT title, description FROM raw_dvdrental.film WHERE film_id IN (2, 4) ORDER BY film_id") == [
        ("NULL", ""),
        ('a, "b"', '\\N\t"\n\\.\r\n'),
    ]
    assert query("SELECT description, rating, length FROM raw_dvdrental.film WHERE film_id = 3") == [(None, None, None)]
    assert query(
        "SELECT count(*) FILTER (WHERE address2 IS NULL), count(*) FILTER (WHERE address2 = ''),"
        " count(*) FILTER (WHERE postal_code = ''), count(*) FILTER (WHERE phone = '') FROM raw_dvdrental.address"
    ) == [(4, 60, 4, 2)]
    assert query("SELECT max(amount), pg_typeof(max(amount))::text FROM raw_dvdrental.payment") == [
        (Decimal("999.99"), "numeric")
    ]
    amount = (
        "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'raw_dvdrental.payment'::regclass AND attname = 'amount'"
    )
    assert shop.platform.scalar(amount) == ((5 << 16) | 2) + 4
    assert [name for (name,) in query("SELECT name FROM raw_dvdrental.language ORDER BY language_id")] == [
        *("English", "Île, de", "Japanese", "Mandarin", "French", "German")
    ]
    assert query("SELECT last_update, email, active FROM raw_dvdrental.customer WHERE customer_id = 2") == [
        (None, None, None)
    ]
    assert query("SELECT DISTINCT create_date::text FROM raw_dvdrental.customer") == [("2006-02-14",)]
    [(first, last)] = query("SELECT min(payment_date), max(payment_date) FROM raw_dvdrental.payment")
    assert [(first, last)] == shop.rows(
        "SELECT min(payment_date) AT TIME ZONE 'UTC', max(payment_date) AT TIME ZONE 'UTC' FROM payment"
        " WHERE payment_date < '2900-01-01'"
    )
    columns = {
        name
        for (name,) in query("SELECT column_name FROM information_schema.columns WHERE table_schema = 'raw_dvdrental'")
    }
    assert columns.isdisjoint({"fulltext", "password", "picture", "streaming_url"})
    assert extracted.moment.unknown_columns(EXTRACTS) == [
        *("staff.password", "staff.picture", "film.fulltext", "film.streaming_url")
    ]


def test_times_without_a_zone_are_read_in_the_declared_one_and_others_are_instants(shop: Shop) -> None:
    settings = shop.platform.settings.with_own(DvdrentalSettings(time_zone="Europe/Berlin"))
    for variant, ahead in (("dvdrental", (2, 1)), ("pagila", (0, 0))):  # hours of summer and winter
        load_sample(settings, scale=0.05, dirt=False, replace=True, variant=variant)  # type: ignore[arg-type]
        shop.execute(
            "UPDATE rental SET rental_date = '2005-07-01 12:00', return_date = '2005-12-01 12:00' WHERE rental_id = 1"
        )
        shop.extract(settings=settings)

        times = "SELECT rental_date, return_date FROM raw_dvdrental.rental WHERE rental_id = 1"
        noons = (datetime(2005, 7, 1, 12, tzinfo=UTC), datetime(2005, 12, 1, 12, tzinfo=UTC))
        assert shop.platform.query(times) == [
            tuple(noon - timedelta(hours=hours) for noon, hours in zip(noons, ahead, strict=True))
        ]
        # An increment begins at an instant, too: what changed a moment ago is found.
        shop.execute("UPDATE rental SET return_date = NULL, last_update = now() WHERE rental_id = 1")
        assert shop.extract(settings=settings).rows == {"rental": (1, 0)}
        assert shop.current("rental").row(0, named=True)["return_date"] is None


def test_pagila_gives_the_same_raw_rows_and_so_the_same_star(shop: Shop) -> None:
    found = []
    for variant in ("dvdrental", "pagila"):
        load_sample(shop.platform.settings, scale=0.05, replace=True, variant=variant)  # type: ignore[arg-type]
        shop.extract()
        found.append({table: shop.current(table) for table in SOURCE_TABLES})
    for table in SOURCE_TABLES:
        columns = [name for name in found[0][table].columns if name != "_effective_at"]
        newest = [frame[table].select(columns).unique().sort(columns[:2]) for frame in found]
        assert newest[0].equals(newest[1]), table
    assert found[1]["payment"].height == 733


# ---- once, and only what is new --------------------------------------------------------------------------------------


def test_an_unchanged_source_is_extracted_again_without_a_trace(shop: Shop) -> None:
    assert set(shop.extract().rows) == set(SOURCE_TABLES)
    ledger, folders = shop.ledger(), shop.folders()
    assert shop.raw_counts()["payment"] > 1_000  # more than the margin that an increment reads again

    for full in (False, True, False):
        extracted = shop.extract(full=full)
        assert (extracted.rows, extracted.is_full) == ({}, full)

    assert shop.ledger() == ledger
    assert shop.folders() == folders == shop.loaded_folders()
    assert shop.platform.query("SELECT is_full, cardinality(tables_changed) FROM ops.extraction ORDER BY 1, 2") == [
        (False, 0),
        (False, 0),
        (True, 0),
        (True, 15),
    ]


def test_an_increment_sees_what_came_and_changed_and_only_a_full_extraction_what_went(shop: Shop) -> None:
    shop.extract()
    before = shop.raw_counts()
    with shop.clerk() as conn:
        rental, payment = activity.rent(conn)
        returned = activity.give_back(conn)
        last = shop.rows(f"SELECT max(payment_id) FROM payment WHERE payment_id < {payment - 10}")[0][0]
        conn.execute("UPDATE payment SET amount = 7.77 WHERE payment_id = %s", (last,))
        conn.execute("UPDATE payment SET amount = 8.88 WHERE payment_id = 17600")  # beyond the margin
        conn.execute("DELETE FROM payment WHERE payment_id = 17601")
        conn.execute("DELETE FROM rental WHERE rental_id = 1")  # unpaid
    extracted = shop.extract()

    assert extracted.rows == {"rental": (2, 0), "payment": (2, 0)}
    assert not extracted.is_full
    assert shop.raw_counts() == before | {"rental": before["rental"] + 2, "payment": before["payment"] + 2}
    current = shop.current("rental")
    assert current.filter(pl.col("rental_id") == rental)["return_date"].to_list() == [None]
    assert current.filter(pl.col("rental_id") == returned)["return_date"].null_count() == 0
    assert current.height == before["rental"] + 1
    amounts = dict(shop.current("payment").select("payment_id", "amount").iter_rows())
    old = dict(shop.rows("SELECT payment_id, amount FROM payment WHERE payment_id = 17600"))
    assert amounts[last] == Decimal("7.77")
    assert amounts[17_600] != old[17_600] == Decimal("8.88")
    assert 17_601 in amounts
    assert 1 in current["rental_id"]

    assert set(shop.extract(full=True).rows) == {"rental", "payment"}

    amounts = dict(shop.current("payment").select("payment_id", "amount").iter_rows())
    assert amounts[17_600] == Decimal("8.88")
    assert 17_601 not in amounts
    assert 1 not in shop.current("rental")["rental_id"]
    assert shop.raw_counts() == before | {"payment": before["payment"]}  # one came and one went, of both
    assert shop.extract(full=True).rows == {}


def test_a_value_that_goes_and_comes_back_is_a_change_each_time(shop: Shop) -> None:
    """The same content twice is not a duplicate here: what was read last is what holds."""
    load_sample(shop.platform.settings, scale=0.05, dirt=False, replace=True)  # its increments are the whole table
    shop.extract()
    [(was,)] = shop.rows("SELECT amount FROM payment WHERE payment_id = 17503")
    for amount in (Decimal("8.88"), was, Decimal("8.88"), was):
        shop.execute(f"UPDATE payment SET amount = {amount} WHERE payment_id = 17503")
        assert shop.extract().rows == {"payment": (1, 0)}
        assert shop.current("payment")["amount"][0] == amount
    shop.execute(
        "INSERT INTO payment SELECT 99999, customer_id, staff_id, rental_id, 1.11, now() FROM payment LIMIT 1",
    )
    assert shop.extract().rows == {"payment": (1, 0)}
    shop.execute("DELETE FROM payment WHERE payment_id = 99999")
    assert shop.extract().rows == {}  # that it went is for the next full extraction to see
    assert shop.current("payment").height == 734
    shop.extract(full=True)
    assert shop.current("payment").height == 733


def test_a_bad_row_in_a_small_increment_does_not_keep_the_others_away_and_is_rejected_once(shop: Shop) -> None:
    shop.extract()
    with shop.clerk() as conn:
        rental, payment = activity.rent(conn)
        conn.execute("UPDATE payment SET amount = 'NaN' WHERE payment_id = %s", (payment,))
    assert shop.extract().rows == {"rental": (1, 0), "payment": (0, 1)}
    assert shop.extract().rows == {}
    shop.execute(f"UPDATE payment SET amount = 1.5 WHERE payment_id = {payment}")
    assert shop.extract().rows == {"payment": (1, 0)}
    assert shop.current("payment").filter(rental_id=rental)["amount"].to_list() == [Decimal("1.5")]


def test_a_database_or_table_made_anew_is_read_whole_and_so_is_all_behind_a_clock_set_back(shop: Shop) -> None:
    shop.extract()
    load_sample(shop.platform.settings, scale=0.05, seed=2, dirt=False, replace=True)
    extracted = shop.extract()  # older keys and times than those that are loaded

    assert extracted.is_full
    source = shop.counts()
    assert {table: shop.current(table).height for table in ("rental", "payment", "actor")} == {
        table: source[table] for table in ("rental", "payment", "actor")
    }
    with connect(shop.platform.target) as conn:
        ledger_by_hand.land_an_hour_later(conn)
    shop.platform.execute("UPDATE ops.extraction SET taken_at = taken_at + interval '1 hour'")
    shop.execute("UPDATE staff SET username = 'ada' WHERE staff_id = 1", "UPDATE payment SET amount = 3.21 WHERE true")
    assert set(shop.extract().rows) == {"staff", "payment"}
    assert shop.current("staff")["username"][0] == "ada"
    assert shop.current("payment")["amount"].unique().to_list() == [Decimal("3.21")]


# ---- one moment ------------------------------------------------------------------------------------------------------


def test_while_rentals_are_made_no_payment_comes_without_its_rental(shop: Shop) -> None:
    shop.extract()
    unpaid = shop.current("rental").join(shop.current("payment"), on="rental_id", how="anti").height
    stop, made = threading.Event(), [0]

    def write() -> None:
        with shop.clerk() as conn:
            while not stop.is_set():
                activity.rent(conn)
                activity.give_back(conn)  # or soon nothing would be in stock
                made[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    try:
        for full in (False, True, False, True, False):
            begun = made[0]
            shop.extract(full=full)
            rental, payment = shop.current("rental"), shop.current("payment")
            assert payment.join(rental, on="rental_id", how="anti").height == 0
            assert rental.join(payment, on="rental_id", how="anti").height == unpaid
            assert begun < made[0], "the writer stood still"
            seen.append(rental.height)
    finally:
        stop.set()
        writer.join()
    assert seen == sorted(set(seen)), "every extraction saw more"
    shop.extract()
    assert shop.current("rental").height == shop.counts()["rental"] - 2  # the two dirty ones


def test_a_second_extraction_waits_for_the_first(shop: Shop) -> None:
    second = threading.Thread(target=shop.extract)
    with connect(shop.platform.target) as conn, locks.turn(conn, locks.extraction_turn("dvdrental")):
        second.start()
        second.join(0.7)
        assert second.is_alive()
        assert shop.ledger() == []
    second.join(300)
    assert shop.raw_counts()["rental"] == 1_604


# ---- nothing, where something is wrong -------------------------------------------------------------------------------


def test_what_is_missing_at_the_source_is_named_and_nothing_is_published(shop: Shop) -> None:
    shop.extract()
    before = shop.published()
    shop.execute("INSERT INTO actor (first_name, last_name) VALUES ('Ada', 'New')")
    for change, undo, named in (
        (
            "ALTER SCHEMA public RENAME TO shop",
            "ALTER SCHEMA shop RENAME TO public",
            "schema public: table actor is missing; table country is missing",
        ),
        (
            "REVOKE SELECT ON staff FROM dvdrental_reader",
            "GRANT SELECT ON staff TO dvdrental_reader",
            "permission denied for table staff",
        ),
        (
            "ALTER TABLE film RENAME COLUMN length TO minutes",
            "ALTER TABLE film RENAME COLUMN minutes TO length",
            "column film.length is missing",
        ),
        ("ALTER TABLE payment DROP COLUMN amount", "SELECT 1", "column payment.amount is missing"),
        ("DROP TABLE film_actor", "SELECT 1", "table film_actor is missing; column payment.amount is missing"),
    ):
        shop.execute(change)
        with pytest.raises((SourceDriftError, psycopg.errors.InsufficientPrivilege), match=named):
            shop.extract()
        shop.execute(undo)

    assert shop.published() == before
    assert shop.platform.query("SELECT DISTINCT status FROM ops.landed_file") == [("loaded",)]
    assert shop.messages == []  # trying again would not help


def test_too_many_bad_rows_in_one_table_keep_all_tables_as_they_were(shop: Shop) -> None:
    shop.extract()
    before = shop.published()
    shop.execute(
        "INSERT INTO actor (first_name, last_name) VALUES ('Ada', 'New')",
        "UPDATE payment SET amount = -1 WHERE payment_id % 19 = 0",  # 5.3 %
    )
    with pytest.raises(
        TooManyRejectedError, match=r"table payment: 8\d of 1,46\d rows break rules, more than 5%.*amount_range"
    ):
        shop.extract(full=True)
    assert shop.published() == before
    shop.execute("UPDATE payment SET amount = 1 WHERE payment_id % 19 = 0 AND amount = -1")
    assert set(shop.extract(full=True).rows) == {"actor", "payment"}


def test_a_table_that_was_emptied_is_empty_after_a_full_extraction(shop: Shop) -> None:
    shop.extract()
    shop.execute("DELETE FROM payment", "DELETE FROM rental", "DELETE FROM film_actor")
    assert shop.extract().rows == {"film_actor": (0, 0)}
    assert shop.extract(full=True).rows == {"rental": (0, 0), "payment": (0, 0)}
    assert {t: n for t, n in shop.raw_counts().items() if n == 0} == dict.fromkeys(
        ("film_actor", "payment", "rental"), 0
    )
    assert shop.extract().rows == shop.extract(full=True).rows == {}
    with shop.clerk() as conn:
        activity.rent(conn)
    assert shop.extract().rows == {"rental": (1, 0), "payment": (1, 0)}


# ---- when something dies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dying",
    [crash.die_after_source_copy, crash.die_in_lake_write, crash.die_in_extraction_copy],
    ids=lambda dying: dying.__name__,
)
def test_an_extraction_killed_at_any_point_publishes_no_table_and_the_next_one_is_whole(
    shop: Shop, environment: dict[str, str], dying: Callable[[], None]
) -> None:
    platform = shop.platform
    assert crash.run_in_child(environment, dying) == -signal.SIGKILL

    assert set(shop.raw_counts().values()) == {0}
    begun = platform.query("SELECT DISTINCT status FROM ops.landed_file")
    assert begun == ([] if dying is crash.die_after_source_copy else [("pending",)])
    scan_landing(platform.settings, platform.target, platform.landing)
    with connect(platform.target) as conn:  # nobody but an extraction may go on with these, nor wait for them
        assert due_files(conn, limit=100) == []
        assert landed_files.returning_sources(conn) == set()
    shop.extract()

    source = shop.counts()
    assert shop.raw_counts()["rental"] == source["rental"] - 2
    states = dict(platform.query("SELECT status, count(*) FROM ops.landed_file GROUP BY 1"))
    assert states["loaded"] == 15
    assert set(states) <= {"loaded", "gone"}
    assert sweep_lake(platform.target, platform.lake) == 0  # too young
    with connect(platform.target) as conn:
        ledger_by_hand.let_two_days_pass(conn, "gone")
    left = shop.folders() - shop.loaded_folders()
    assert bool(left) == (dying is not crash.die_after_source_copy)
    assert sweep_lake(platform.target, platform.lake) == len(left)
    assert shop.folders() == shop.loaded_folders()
    assert shop.extract().rows == {}


def test_an_extraction_that_fails_or_is_cancelled_leaves_nothing_pending(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.extract()
    before = shop.published()
    shop.execute(
        "UPDATE staff SET username = 'ada' WHERE staff_id = 1", "UPDATE payment SET amount = 1 WHERE payment_id = 18900"
    )
    for owner, name, error in (
        (Spool, "put", OSError("no space left")),
        (raw_publish.FileTransaction, "write", KeyboardInterrupt()),
        (extraction.extractions, "record", RuntimeError("almost")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, raising(error))
            with pytest.raises(type(error)):
                shop.extract()
        assert shop.published() == before
        assert shop.platform.scalar("SELECT count(*) FROM ops.landed_file WHERE status = 'pending'") == 0
    assert set(shop.extract().rows) == {"staff", "payment"}


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


READERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'dvdrental_reader'"
HOLDER = f"{READERS} AND query NOT LIKE 'COPY%'"
"""Who holds the snapshot has nothing to do while others read."""


def test_a_source_that_goes_away_meanwhile_is_read_again_from_the_beginning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left, lock = PostgresReader.copy, [0], threading.Lock()
    victims = READERS

    def copy(reader: Any, feed: Any, path: Any, **options: Any) -> Any:
        with lock:
            if feed.dataset == "film" and left[0]:
                left[0] -= 1
                shop.rows(victims)
        return real(reader, feed, path, **options)

    monkeypatch.setattr(PostgresReader, "copy", copy)
    left[0] = 2
    assert set(shop.extract().rows) == set(SOURCE_TABLES)
    assert shop.raw_counts()["rental"] == 1_604
    assert shop.platform.query("SELECT DISTINCT status FROM ops.landed_file") == [("loaded",)]

    shop.execute("UPDATE staff SET username = 'ada' WHERE staff_id = 1")
    victims, left[0] = HOLDER, 2
    assert set(shop.extract().rows) == {"staff"}
    assert len(shop.messages) == 4
    assert all("went away" in message for message in shop.messages)

    before = shop.published()
    shop.execute("UPDATE staff SET username = 'eve' WHERE staff_id = 1")
    left[0] = 3  # for good
    with pytest.raises((psycopg.OperationalError, SnapshotLostError)):
        shop.extract()
    assert shop.published() == before
    assert shop.extract().rows == {"staff": (2, 0)}


def test_a_source_that_is_not_there_is_waited_for_three_times_and_named(shop: Shop) -> None:
    settings = shop.platform.settings.with_own(DvdrentalSettings(database="nowhere"))
    with pytest.raises(
        PostgresUnreachableError, match=r'nowhere does not let us in:.*"nowhere" does not exist.*load-source'
    ):
        shop.extract(settings=settings)
    assert len(shop.messages) == 2
    assert shop.ledger() == []


# ---- what operators may ask for --------------------------------------------------------------------------------------


def test_an_extracted_state_can_be_neither_reloaded_nor_retracted(shop: Shop) -> None:
    shop.extract()
    before = shop.published()
    key = shop.platform.scalar("SELECT key FROM ops.landed_file WHERE dataset = 'payment'")
    assert key.startswith("dvdrental/payment/20")
    for ask in (reload_key, retract_key):
        with pytest.raises(
            NotLandableError, match=r"not a landed file: it is a state of dvdrental's own.*Extract again"
        ):
            ask(shop.platform.settings, key)
    assert shop.published() == before
