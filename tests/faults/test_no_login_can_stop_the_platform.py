"""No login but the platform's own can take its locks, its connections or its tables, nor keep it waiting for long."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.publishing import partitions as partition_publish
from cinestream_platform.publishing.partitions import SwapBlockedError
from cinestream_platform.warehouse import blockers, limits
from cinestream_platform.warehouse.blockers import readers_give_way
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.dagster_storage import stored_instance
from tests.support.own_postgres import wait_until
from tests.support.platform import MOVIES, Y2005, Platform, ratings_csv

RATINGS = "movielens/ratings/a.csv"
READERS = ("data_analyst", "ml_engineer", "dashboard_reader")


@pytest.fixture
def database_template(calendar_template: str) -> str:
    return calendar_template


def login(platform: Platform, role: str, database: str | None = None) -> PostgresTarget:
    password = SecretStr(f"pw-{role}")
    return replace(
        platform.target, user=f"cinestream_{role}", password=password, database=database or platform.target.database
    )


def session(platform: Platform, role: str, database: str | None = None) -> psycopg.Connection:
    return psycopg.connect(login(platform, role, database).conninfo(), autocommit=True)


def refused(conn: psycopg.Connection, statement: str) -> bool:
    try:
        conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


@pytest.fixture
def built(platform: Platform) -> Platform:
    """A platform with a star of one rating."""
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land(RATINGS, ratings_csv([(1, 1, 4.5, Y2005)]))
    platform.load_and_build()
    return platform


@pytest.fixture
def forgotten(built: Platform) -> Iterator[psycopg.Connection]:
    """An analyst's transaction that read the fact and was left open; the session has undone its default timeouts."""
    with suppress(psycopg.OperationalError), session(built, "data_analyst") as conn:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            conn.execute(f"SET {name} = 0".encode())
        conn.execute("BEGIN")
        conn.execute("SELECT * FROM movielens_dw.fact_ratings")
        yield conn


def is_alive(platform: Platform, conn: psycopg.Connection) -> bool:
    found = platform.query("SELECT FROM pg_stat_activity WHERE pid = %s", [conn.info.backend_pid])
    return bool(found)


@pytest.mark.parametrize("role", READERS)
def test_a_reader_cannot_take_a_lock_of_the_platform_nor_any_that_everybody_could(
    platform: Platform, role: str
) -> None:
    with session(platform, role) as conn:
        for statement in (
            "SELECT pg_advisory_lock(1)",
            "SELECT pg_advisory_lock_shared(1, 2)",
            "SELECT pg_try_advisory_xact_lock(1)",
            "SELECT FROM ops.lock FOR UPDATE",
            "INSERT INTO ops.lock VALUES ('ledger')",
            "INSERT INTO ops.turn SELECT * FROM ops.turn",
            "SELECT FROM ops.migration",
        ):
            assert refused(conn, statement), statement


@pytest.mark.parametrize("role", READERS)
def test_a_reader_cannot_fill_the_servers_disk_nor_work_in_other_databases(platform: Platform, role: str) -> None:
    with session(platform, role) as conn:
        for statement in (
            "CREATE TEMP TABLE mine (value integer)",
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, 'x')",
            "SELECT pg_logical_emit_message(false, '', 'x')",
            "SET temp_file_limit = -1",
            "ALTER ROLE CURRENT_USER RESET temp_file_limit",
            "CREATE TABLE public.mine (value integer)",
        ):
            assert refused(conn, statement), statement
    for database in ("dagster", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            session(platform, role, database)


def test_a_sort_of_a_readers_ends_before_it_fills_the_disk(platform: Platform) -> None:
    with session(platform, "dashboard_reader") as conn:
        conn.execute("SET work_mem = '1MB'")
        conn.execute("SET max_parallel_workers_per_gather = 0")
        most = conn.execute("SELECT current_setting('temp_file_limit')").fetchone()
        assert most == (limits.TEMPORARY_FILES["dashboard_reader"],)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            conn.execute(
                "SELECT count(*) FROM (SELECT n FROM generate_series(1, 1000) n, repeat('x', 1000000) wide"
                " ORDER BY md5(n::text), wide || n OFFSET 1) sorted"
            )


def test_a_full_queue_of_notifications_keeps_no_event_from_being_stored(
    platform: Platform, postgres: PostgresTarget, tmp_path: Path
) -> None:
    """Everybody may LISTEN and NOTIFY: no right is needed, and all databases of a server share the queue."""
    with (
        stored_instance(postgres, tmp_path) as (instance, _),
        session(platform, "data_analyst") as listener,
        session(platform, "dashboard_reader") as other,
    ):
        listener.execute("LISTEN anything")
        listener.execute("BEGIN")
        listener.execute("SELECT 1")
        with pytest.raises(psycopg.Error, match="too many notifications"):
            other.execute("SELECT pg_notify('anything', repeat('x', 7900) || n) FROM generate_series(1, 20000) n")

        instance.report_engine_event("stored all the same", run_id=str(uuid.uuid4()), job_name="any")
        assert instance.event_log_storage.get_maximum_record_id()


@pytest.mark.parametrize("role", READERS)
def test_connections_of_a_reader_leave_the_platform_its_share(platform: Platform, role: str) -> None:
    most = platform.scalar("SELECT current_setting('max_connections')::int")
    with ExitStack() as stack:
        refusal, let_in = "", 0
        while not refusal:
            try:
                stack.enter_context(session(platform, role))
                let_in += 1
            except psycopg.OperationalError as error:
                refusal = str(error)
        assert "too many connections for role" in refusal
        assert let_in == int(most * limits.SHARES[role])
        platform.land(RATINGS, ratings_csv([(1, 1, 4.5, Y2005)]))
        platform.load()
    assert platform.status(RATINGS) == ["loaded"]
    assert sum(limits.SHARES.values()) <= 0.5


def test_a_forgotten_transaction_of_an_analyst_does_not_keep_new_rows_from_readers(
    built: Platform, forgotten: psycopg.Connection
) -> None:
    built.land("movielens/ratings/b.csv", ratings_csv([(2, 2, 3.0, Y2005)]))
    begun = time.monotonic()
    built.load_and_build()

    assert built.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 2
    assert time.monotonic() - begun < partition_publish.SWAP_SECONDS / 5
    assert not is_alive(built, forgotten)
    [(login_name, blocked, waited)] = built.query("SELECT login, blocked, waited_seconds FROM ops.ended_session")
    assert (login_name, blocked) == ("cinestream_data_analyst", "swap of movielens_dw.fact_ratings (2005)")
    assert waited >= blockers.PATIENCE_SECONDS
    # The next look is after one more attempt and the longest wait between two.
    assert blockers.PATIENCE_SECONDS + partition_publish.LOCK_TIMEOUT_MS / 1000 + partition_publish.LONGEST_WAIT < 10
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")


def test_what_is_recorded_of_an_ended_session_has_no_query(platform: Platform) -> None:
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'ops.ended_session'::regclass AND attnum > 0"
    assert {name for (name,) in platform.query(columns)} == {"ended_at", "login", "blocked", "waited_seconds"}


def test_a_session_of_an_engineer_is_waited_for_and_named(built: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_publish, "SWAP_SECONDS", 2)
    monkeypatch.setattr(partition_publish, "PATIENCE_SECONDS", 0.5)
    built.land("movielens/ratings/b.csv", ratings_csv([(2, 2, 3.0, Y2005)]))
    built.load()
    with session(built, "data_engineer") as engineer, engineer.transaction():
        engineer.execute("SELECT * FROM movielens_dw.fact_ratings")
        with pytest.raises(Exception, match="was blocked") as failure:
            built.build()
        assert is_alive(built, engineer)
        process = engineer.info.backend_pid
    cause: BaseException | None = failure.value
    while cause and not isinstance(cause, SwapBlockedError):
        cause = cause.__cause__ or cause.__context__
    assert f"cinestream_data_engineer (process {process}) held locks" in str(cause or failure.value)
    assert built.query("SELECT * FROM ops.ended_session") == []


def test_whatever_the_platform_waits_for_readers_give_way(
    built: Platform, forgotten: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DDL, an upgrade, dbt: every wait for a lock, not only that of a swap."""
    monkeypatch.setattr(blockers, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(blockers, "LOOK_SECONDS", 0.1)
    altered = threading.Event()

    def alter() -> None:
        built.execute("ALTER TABLE movielens_dw.fact_ratings ADD COLUMN probe integer")
        altered.set()

    thread = threading.Thread(target=alter)
    with session(built, "ml_engineer") as other, connect(built.target) as watching, readers_give_way(watching):
        other.execute("SELECT count(*) FROM movielens_dw.dim_movie")
        thread.start()
        assert altered.wait(30)
        thread.join()
        assert is_alive(built, other), "it was in nobody's way"
    wait_until(lambda: not is_alive(built, forgotten))
    [(login_name, waited)] = built.query("SELECT login, waited_seconds >= 0.3 FROM ops.ended_session")
    assert (login_name, waited) == ("cinestream_data_analyst", True)
