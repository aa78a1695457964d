"""Locks on rows that only the platform may touch: who waits for whom, and that a lock ends with its holder."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest
from psycopg import Connection
from pydantic import SecretStr

from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.setup import prepare_warehouse
from tests.support.own_postgres import wait_until
from tests.support.platform import database


@pytest.fixture(scope="module")
def target(postgres: PostgresTarget) -> Iterator[PostgresTarget]:
    """A prepared database without a table."""
    with database(postgres, f"locks{uuid.uuid4().hex[:8]}") as made:
        prepare_warehouse(made, [], [], {"data_analyst": SecretStr("pw-data_analyst")})
        yield made


def kill(target: PostgresTarget, conn: Connection[object]) -> None:
    """End a session as a crash of its process would, and wait until the server knows."""
    pid = conn.info.backend_pid
    with connect(target, role=None) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
        wait_until(lambda: not killer.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchall())


def test_a_turn_is_one_sessions_at_a_time_and_every_name_has_its_own(target: PostgresTarget) -> None:
    with connect(target) as one, connect(target) as other:
        assert locks.try_turn(one, "file 1")
        assert not locks.try_turn(other, "file 1")
        assert locks.try_turn(other, "file 2")
        assert not locks.try_turn(one, "file 1"), "not twice either"
        locks.end_turn(other, "file 1")  # it is not its own
        assert not locks.try_turn(other, "file 1")
        locks.end_turn(one, "file 1")
        assert locks.try_turn(other, "file 1")


def test_a_turn_ends_with_the_session_that_has_it(target: PostgresTarget) -> None:
    with suppress(psycopg.OperationalError), connect(target) as dying:
        assert locks.try_turn(dying, "file 10")
        assert locks.try_turn(dying, "file 11")
        kill(target, dying)
        with connect(target) as conn:
            assert locks.try_turn(conn, "file 10")
            assert locks.forget_dead_turns(conn) >= 1
            left = conn.execute("SELECT name FROM ops.turn WHERE name IN ('file 10', 'file 11')").fetchall()
            assert left == [("file 10",)]


def test_of_many_that_want_a_turn_at_once_one_has_it(target: PostgresTarget) -> None:
    has, most, together = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal has, most
        with connect(target) as conn:
            for _ in range(5):
                with locks.turn(conn, "publish everything"):
                    with together:
                        has += 1
                        most = max(most, has)
                    conn.execute("SELECT 1")
                    with together:
                        has -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (has, most) == (0, 1)


def test_who_waits_too_long_is_told_who_has_the_turn(target: PostgresTarget) -> None:
    with connect(target, name="run of a test") as one, connect(target) as other, locks.turn(one, "extract shop"):
        told = pytest.raises(locks.TurnTakenError, match=r"turn to extract shop: session 'cinestream run of a test'")
        with told, locks.turn(other, "extract shop", wait_seconds=0.1):
            pass


def test_a_lock_is_held_until_the_transaction_ends_or_its_session_dies(target: PostgresTarget) -> None:
    got = threading.Event()

    def wait() -> None:
        with connect(target) as conn, conn.transaction():
            locks.lock(conn, locks.LEDGER)
            got.set()

    for new_name in (locks.LEDGER, "raw a.new_table"):
        got.clear()
        waiting = threading.Thread(target=wait)
        with suppress(psycopg.OperationalError), connect(target) as conn, conn.transaction():
            locks.lock(conn, new_name)
            locks.lock(conn, locks.LEDGER)
            waiting.start()
            assert not got.wait(0.3)
            kill(target, conn)
            assert got.wait(20)
        waiting.join(20)


def test_a_new_warehouse_can_be_prepared_by_many_at_once(postgres: PostgresTarget) -> None:
    with database(postgres, f"locks{uuid.uuid4().hex[:8]}") as bare:
        problems: list[BaseException] = []
        together = threading.Barrier(4)

        def prepare() -> None:
            together.wait()
            try:
                prepare_warehouse(bare, [], [], {"data_analyst": SecretStr("pw-data_analyst")})
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=prepare) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert problems == []


def test_a_run_lives_while_a_session_of_the_platform_bears_its_name(target: PostgresTarget) -> None:
    analyst = replace(target, user="cinestream_data_analyst", password=SecretStr("pw-data_analyst"))
    with connect(target) as conn, psycopg.connect(analyst.conninfo(locks.run_session("forged"))):
        with connect(target, name=locks.run_session("a")), connect(target, name=locks.run_session("a")) as second:
            assert locks.living_runs(conn) == {"a"}
            second.execute("SELECT 1")
        wait_until(lambda: locks.living_runs(conn) == set())


def test_one_session_of_a_name_at_a_time(target: PostgresTarget) -> None:
    with connect(target, role=None) as one, connect(target, role=None) as other:
        assert locks.sole_session(one, "load", wait_seconds=0)
        assert not locks.sole_session(other, "load", wait_seconds=0.1)
        assert locks.sole_session(other, "load something else", wait_seconds=0)
        kill(target, one)
        assert locks.sole_session(other, "load", wait_seconds=0)
