"""The operational dvdrental database: restored, generated, replaced, read, and changed while it is read."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, SourceDatabaseError, source_target
from cinestream_platform.sources.dvdrental.load_database import OWNER, TURN, load_archive, load_sample
from cinestream_platform.sources.dvdrental.sample import activity
from cinestream_platform.sources.dvdrental.sample.generator import Sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.shop import settings_for

TRAPS = {
    "rentals_without_return": "SELECT count(*) FROM rental WHERE return_date IS NULL AND rental_date < '2900-01-01'",
    "rentals_without_payment": "SELECT count(*) FROM rental r WHERE return_date IS DISTINCT FROM 'infinity'"
    " AND rental_date < '2900-01-01' AND NOT EXISTS (SELECT FROM payment p WHERE p.rental_id = r.rental_id)",
    "payments_of_another_customer": "SELECT count(*) FROM payment p JOIN rental r USING (rental_id)"
    " WHERE p.customer_id <> r.customer_id",
    "payments_of_nothing": "SELECT count(*) FROM payment WHERE amount = 0",
    "films_without_inventory": "SELECT count(*) FROM film WHERE title <> '' AND length > 0 AND rental_duration > 0"
    " AND replacement_cost <> 'NaN' AND NOT EXISTS (SELECT FROM inventory i WHERE i.film_id = film.film_id)",
    "films_without_actor": "SELECT count(*) FROM film WHERE title <> '' AND length > 0 AND rental_duration > 0"
    " AND replacement_cost <> 'NaN' AND NOT EXISTS (SELECT FROM film_actor a WHERE a.film_id = film.film_id)",
    "items_never_rented": "SELECT count(*) FROM inventory i"
    " WHERE NOT EXISTS (SELECT FROM rental r WHERE r.inventory_id = i.inventory_id)",
    "inactive_customers": "SELECT count(*) FROM customer WHERE active = 0 AND activebool",
}
DIRT = {
    "actor": {"last_name_empty": "last_name = ''"},
    "address": {"address_blank": "btrim(address) = ''"},
    "film": {
        "title_empty": "title = ''",
        "length_negative": "length < 0",
        "rental_duration_zero": "rental_duration = 0",
        "replacement_cost_nan": "replacement_cost = 'NaN'",
    },
    "customer": {"first_name_blank": "btrim(first_name) = ''"},
    "rental": {
        "return_infinite": "return_date = 'infinity'",
        "rental_in_future": "rental_date > now()",
    },
    "payment": {
        "amount_negative": "amount < 0",
        "amount_nan": "amount = 'NaN'",
        "payment_in_future": "payment_date > now() AND payment_date < '9999-12-31'",
        "payment_year_of_five_digits": "payment_date > '9999-12-31'",
    },
}


@pytest.fixture
def settings(postgres: PostgresTarget, tmp_path: Path) -> Iterator[Settings]:
    """Those of a warehouse on the session's server; a database of its own, dropped at the end."""
    name = f"dvd{uuid.uuid4().hex[:12]}"
    yield settings_for(postgres, tmp_path, name)
    drop(postgres, name)


def drop(server: PostgresTarget, name: str) -> None:
    with connect(replace(server, database="postgres"), role=None) as conn:
        conn.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module", params=["dvdrental", "pagila"])
def generated(
    postgres: PostgresTarget, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Settings, Sample]]:
    """A generated database of either kind; tests read it only."""
    settings = settings_for(postgres, tmp_path_factory.mktemp("dvd"), f"dvd_{request.param}")
    sample = load_sample(settings, variant=request.param)
    assert sample is not None
    yield settings, sample
    drop(postgres, settings.own(DvdrentalSettings).database)


def rows(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    """What the reader sees."""
    with connect(source_target(settings), role=None) as conn:
        return conn.execute(statement.encode()).fetchall()


def scalar(settings: Settings, statement: str) -> Any:
    [[value]] = rows(settings, statement)
    return value


def counts(settings: Settings) -> dict[str, int]:
    return {table: scalar(settings, f"SELECT count(*) FROM {table}") for table in SOURCE_TABLES}


def databases(server: PostgresTarget, like: str) -> list[str]:
    with connect(replace(server, database="postgres"), role=None) as conn:
        found = conn.execute("SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1", (f"{like}%",))
        return [name for (name,) in found]


def writer(server: PostgresTarget, settings: Settings) -> psycopg.Connection[Any]:
    return psycopg.connect(
        replace(server, database=settings.own(DvdrentalSettings).database).conninfo(), autocommit=True
    )


def test_the_published_archive_is_restored_with_every_row(
    settings: Settings, postgres: PostgresTarget, dvdrental_files: Path
) -> None:
    assert load_archive(settings, dvdrental_files / "dvdrental.tar") is True
    assert sum(counts(settings).values()) == 44_820
    assert rows(settings, "SELECT sum(amount), min(payment_id), max(payment_id) FROM payment") == [
        (Decimal("61312.04"), 17_503, 32_098)
    ]
    # As the published views are: they call functions that the reader may call.
    assert scalar(settings, "SELECT sum(total_sales) FROM sales_by_store") == Decimal("61312.04")
    assert databases(postgres, settings.own(DvdrentalSettings).database) == [settings.own(DvdrentalSettings).database]

    with writer(postgres, settings) as conn:
        conn.execute("DELETE FROM payment")
    assert load_archive(settings, dvdrental_files / "dvdrental.zip") is False
    assert scalar(settings, "SELECT count(*) FROM payment") == 0
    assert load_archive(settings, dvdrental_files / "dvdrental.zip", replace=True) is True
    assert scalar(settings, "SELECT count(*) FROM payment") == 14_596


def test_the_archives_functions_do_not_lend_their_owners_rights(settings: Settings, dvdrental_files: Path) -> None:
    load_archive(settings, dvdrental_files / "dvdrental.tar")
    owner = f"SELECT rolsuper, rolcanlogin, rolname FROM pg_roles WHERE rolname = '{OWNER}'"
    assert rows(settings, owner) == [(False, False, OWNER)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(settings, "SELECT * FROM rewards_report(1, 1)")


def test_an_archive_that_cannot_be_restored_leaves_the_database_as_it_was(
    settings: Settings, postgres: PostgresTarget, dvdrental_files: Path, tmp_path: Path
) -> None:
    load_sample(settings, scale=0.05)
    before = counts(settings)
    whole = (dvdrental_files / "dvdrental.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:1_000_000])
    damaged = whole.replace(b"\t2007-03-01 ", b"\t2007-33-01 ", 1)
    assert damaged != whole
    (tmp_path / "damaged.tar").write_bytes(damaged)
    for name, problem in (("cut.tar", "pg_restore: error"), ("damaged.tar", "out of range")):
        with pytest.raises(
            SourceDatabaseError, match=rf"{name} could not be restored, and nothing was changed: .*{problem}"
        ):
            load_archive(settings, tmp_path / name, replace=True)
        assert counts(settings) == before
    assert databases(postgres, settings.own(DvdrentalSettings).database) == [settings.own(DvdrentalSettings).database]


def test_an_archive_without_one_of_the_tables_is_refused(
    settings: Settings, postgres: PostgresTarget, tmp_path: Path
) -> None:
    load_sample(settings, scale=0.05)
    before = counts(settings)
    target = replace(postgres, database=settings.own(DvdrentalSettings).database)
    dump = [postgres_binary(tmp_path, "pg_dump"), "--format=custom", "--exclude-table=payment", f"--dbname={target}"]
    with (tmp_path / "most.dump").open("wb") as file:
        subprocess.run(dump, env={"PGPASSWORD": target.password.get_secret_value()}, stdout=file, check=True)
    with pytest.raises(
        SourceDatabaseError, match=r"not a dvdrental: schema public lacks payment\. Nothing was changed"
    ):
        load_archive(settings, tmp_path / "most.dump", replace=True)
    assert counts(settings) == before
    assert databases(postgres, settings.own(DvdrentalSettings).database) == [settings.own(DvdrentalSettings).database]


def test_a_generated_database_has_the_announced_rows_traps_and_dirt(generated: tuple[Settings, Sample]) -> None:
    settings, sample = generated
    assert counts(settings) == sample.rows
    assert {trap: scalar(settings, query) for trap, query in TRAPS.items()} == sample.traps
    assert sample.traps["rentals_without_return"] == 183
    assert sample.traps["rentals_without_payment"] == 1_452
    found = {
        table: {kind: scalar(settings, f"SELECT count(*) FROM {table} t WHERE {rule}") for kind, rule in kinds.items()}
        for table, kinds in DIRT.items()
    }
    assert found == sample.planted
    dirty = {table: sum(kinds.values()) for table, kinds in sample.planted.items()}
    assert sample.rows["rental"] - dirty["rental"] == 16_044
    assert sample.rows["payment"] - dirty["payment"] == 14_596


def test_the_types_are_those_of_the_published_database_or_of_pagila(generated: tuple[Settings, Sample]) -> None:
    settings, _ = generated
    types = dict(
        rows(
            settings,
            "SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " JOIN pg_class c ON c.oid = attrelid WHERE relkind IN ('r', 'p') AND attnum > 0"
            " AND relnamespace = 'public'::regnamespace",
        )
    )
    assert types["film.rating"] == "mpaa_rating"
    assert types["film.release_year"] == "year"
    assert types["film.special_features"] == "text[]"
    assert types["film.fulltext"] == "tsvector"
    assert types["staff.picture"] == "bytea"
    assert types["language.name"] == "character(20)"
    assert types["payment.amount"] == "numeric(5,2)"
    assert types["rental.customer_id"] == "smallint"
    pagila = "pagila" in settings.own(DvdrentalSettings).database
    assert types["rental.return_date"] == ("timestamp with time zone" if pagila else "timestamp without time zone")
    assert ("film.original_language_id" in types) is pagila
    assert scalar(settings, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'payment'::regclass") == 5 * pagila
    assert scalar(settings, "SELECT count(*) FROM pg_trigger WHERE tgname = 'last_updated'") == 14
    assert scalar(settings, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    assert scalar(settings, "SELECT octet_length(name) FROM language WHERE language_id = 1") == 20
    assert scalar(settings, "SELECT count(*) FROM film WHERE fulltext @@ 'tale'") == 1_004


def test_both_kinds_hold_the_same_rows_and_instants(postgres: PostgresTarget, tmp_path: Path) -> None:
    found = []
    for variant in ("dvdrental", "pagila"):
        settings = settings_for(postgres, tmp_path, f"dvd_same_{variant}")
        load_sample(settings, scale=0.05, variant=variant, dirt=False)  # type: ignore[arg-type]
        query = "SELECT rental_id, rental_date::timestamp::text, return_date::timestamp::text FROM rental ORDER BY 1"
        found.append(rows(settings, query))
        drop(postgres, settings.own(DvdrentalSettings).database)
    assert found[0] == found[1]
    assert len(found[0]) == 802


def test_without_dirt_the_other_rows_are_the_same(settings: Settings) -> None:
    dirty = load_sample(settings, scale=0.05)
    with_dirt = rows(settings, "SELECT to_jsonb(r)::text FROM rental r ORDER BY rental_id")
    clean = load_sample(settings, scale=0.05, dirt=False, replace=True)
    assert dirty is not None
    assert clean is not None
    assert clean.planted == {}
    assert clean.traps == dirty.traps
    assert rows(settings, "SELECT to_jsonb(r)::text FROM rental r ORDER BY rental_id") == with_dirt[:-2]


def test_the_reader_reads_everything_and_can_do_nothing_else(
    generated: tuple[Settings, Sample],
) -> None:
    settings, _ = generated
    assert scalar(settings, "SELECT count(*) FROM customer_list") > 500
    for statement in (
        "INSERT INTO category (name) VALUES ('x')",
        "UPDATE customer SET active = 0",
        "DELETE FROM payment",
        "TRUNCATE payment",
        "CREATE TABLE mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "DROP TABLE payment",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT nextval('rental_rental_id_seq')",
        f"SET ROLE {OWNER}",
        "COPY category TO PROGRAM 'cat'",
        "SELECT pg_advisory_lock(1)",  # a million of them fill the table of locks of the whole server
        "SELECT lo_create(0)",
    ):
        with (
            connect(source_target(settings), role=None) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(statement.encode())
    default = "SELECT rolconfig FROM pg_roles WHERE rolname = current_user"
    assert scalar(settings, default) == ["default_transaction_read_only=on"]  # of who logs in by other programs
    limit = "SELECT rolconnlimit < current_setting('max_connections')::int / 2 FROM pg_roles"
    assert scalar(settings, f"{limit} WHERE rolname = current_user AND rolconnlimit > 0") is True


def test_the_reader_reads_what_the_owner_adds_and_nobody_else_gets_in(
    settings: Settings, postgres: PostgresTarget
) -> None:
    load_sample(settings, scale=0.05)
    with writer(postgres, settings) as conn:
        conn.execute(f"SET ROLE {OWNER}".encode())
        conn.execute("CREATE TABLE coupon AS SELECT 7 AS number")
        assert scalar(settings, "SELECT number FROM coupon") == 7
        conn.execute("RESET ROLE")
        conn.execute("CREATE ROLE passer_by LOGIN PASSWORD 'x'")
        stranger = replace(source_target(settings), user="passer_by", password=SecretStr("x"))
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(stranger.conninfo())
        conn.execute("DROP ROLE passer_by")


def test_what_was_taken_from_the_reader_is_given_back_without_touching_a_row(
    settings: Settings, postgres: PostgresTarget
) -> None:
    load_sample(settings, scale=0.05)
    with writer(postgres, settings) as conn:
        conn.execute("REVOKE SELECT ON payment FROM dvdrental_reader")
        conn.execute("ALTER ROLE dvdrental_reader PASSWORD 'another'")
    assert load_sample(settings, scale=0.1) is None
    assert scalar(settings, "SELECT count(*) FROM payment WHERE amount <> 'NaN'") == 736


def test_a_database_that_was_not_made_here_is_never_replaced(settings: Settings, postgres: PostgresTarget) -> None:
    with connect(replace(postgres, database="postgres"), role=None) as conn:
        conn.execute(SQL("CREATE DATABASE {}").format(Identifier(settings.own(DvdrentalSettings).database)))
    for replaced in (False, True):
        with pytest.raises(SourceDatabaseError, match=r"was not made by cinestream load-source, and is left alone"):
            load_sample(settings, scale=0.05, replace=replaced)
    assert databases(postgres, settings.own(DvdrentalSettings).database) == [settings.own(DvdrentalSettings).database]
    warehouse = settings.with_own(
        settings.own(DvdrentalSettings).model_copy(update={"database": settings.postgres_database})
    )
    with pytest.raises(SourceDatabaseError, match="left alone"):
        load_sample(warehouse, scale=0.05, replace=True)


def test_a_killed_load_is_cleared_away_and_a_running_one_is_waited_for(
    settings: Settings, postgres: PostgresTarget
) -> None:
    load_sample(settings, scale=0.05)
    with connect(replace(postgres, database="postgres"), role=None, name=TURN) as conn:
        leftover = Identifier(f"{settings.own(DvdrentalSettings).database}_loading")
        conn.execute(SQL("CREATE DATABASE {} OWNER {}").format(leftover, Identifier(OWNER)))
        with pytest.raises(SourceDatabaseError, match="another cinestream load-source is at work"):
            load_sample(settings, replace=True)
    assert load_sample(settings, scale=0.05, replace=True) is not None
    assert databases(postgres, settings.own(DvdrentalSettings).database) == [settings.own(DvdrentalSettings).database]


@pytest.mark.parametrize("variant", ["dvdrental", "pagila"])
def test_a_rental_and_its_payment_appear_together(settings: Settings, postgres: PostgresTarget, variant: str) -> None:
    load_sample(settings, scale=0.05, dirt=False, variant=variant)  # type: ignore[arg-type]
    unpaid = "SELECT count(*) FROM rental r WHERE NOT EXISTS (SELECT FROM payment p WHERE p.rental_id = r.rental_id)"
    stop, made = threading.Event(), []

    def write() -> None:
        with writer(postgres, settings) as conn:
            while not stop.is_set():
                made.append(activity.rent(conn))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = set()
        while len(seen) < 5:
            assert scalar(settings, unpaid) == 73
            seen.add(scalar(settings, "SELECT count(*) FROM rental"))
    finally:
        stop.set()
        thread.join()
    assert scalar(settings, "SELECT count(*) FROM rental") == 802 + len(made)
    assert scalar(settings, "SELECT max(payment_id) FROM payment") == made[-1][1]
    age = "SELECT abs(extract(epoch FROM now()::timestamp - max(rental_date)::timestamp)) < 600 FROM rental"
    assert scalar(settings, age) is True


def test_returns_and_moves_change_one_row_and_its_last_update(settings: Settings, postgres: PostgresTarget) -> None:
    load_sample(settings, scale=0.05, dirt=False)
    with writer(postgres, settings) as conn:
        rental = activity.give_back(conn)
        activity.move(conn, 1, "1 New Lane")
        with pytest.raises(LookupError, match="no customer 32000"):
            activity.move(conn, 32_000, "1 New Lane")
    changed = "SELECT rental_id FROM rental WHERE last_update > '2020-01-01' AND return_date > '2020-01-01'"
    assert rows(settings, changed) == [(rental,)]
    moved = (
        "SELECT customer_id, address FROM customer JOIN address a USING (address_id) WHERE a.last_update > '2020-01-01'"
    )
    assert rows(settings, moved) == [(1, "1 New Lane")]
