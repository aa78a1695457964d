"""Dagster's storage keeps its connections: statements, new instances and child processes cost no login each."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance

from cinestream_platform.orchestration.storage import KEPT, PooledPostgresStorage
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.dagster_storage import stored_instance


@pytest.fixture
def stored(postgres: PostgresTarget, tmp_path: Path) -> Iterator[tuple[DagsterInstance, psycopg.Connection]]:
    with stored_instance(postgres, tmp_path) as made:
        yield made


def backends(conn: psycopg.Connection) -> set[int]:
    """Sessions of others in this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return {pid for (pid,) in conn.execute(query)}


def sessions(conn: psycopg.Connection) -> int:
    """Logins that this database has had, as far as they are reported."""
    row = conn.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row
    return int(row[0])


def test_a_hundred_ticks_with_an_instance_each_cost_no_login(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    assert isinstance(instance.get_ref().storage_data.rehydrate(as_type=PooledPostgresStorage), PooledPostgresStorage)  # type: ignore[union-attr]
    before = sessions(conn)

    for _ in range(100):
        with DagsterInstance.from_ref(instance.get_ref()) as other:
            other.get_runs(limit=1)
            other.get_asset_keys()
            other.all_instigator_state()

    time.sleep(1.5)  # Postgres reports a session at most a second late
    assert sessions(conn) - before <= KEPT
    assert len(backends(conn)) <= KEPT


def test_sessions_that_postgres_ended_are_replaced(stored: tuple[DagsterInstance, psycopg.Connection]) -> None:
    instance, conn = stored
    instance.get_runs(limit=1)
    ended = backends(conn)
    conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (list(ended),))

    assert instance.get_runs(limit=1) == []
    assert not ended & backends(conn)


def _pids(instance: DagsterInstance, found: multiprocessing.Queue[list[int]]) -> None:
    instance.get_runs(limit=1)
    storage = instance.run_storage
    with storage.connect() as conn:  # type: ignore[attr-defined]
        found.put([conn.connection.dbapi_connection.info.backend_pid])


def test_a_forked_child_does_not_talk_over_its_parents_connections(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    instance.get_runs(limit=1)
    parents = backends(conn)
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue[list[int]] = context.Queue()
    child = context.Process(target=_pids, args=(instance, found))
    child.start()
    childs = set(found.get(timeout=600))
    child.join(60)

    assert child.exitcode == 0
    assert childs
    assert not childs & parents
    assert parents <= backends(conn)
    assert instance.get_runs(limit=1) == []


def test_the_webserver_too_replaces_sessions_that_postgres_ended(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    instance.optimize_for_webserver(statement_timeout=5_000, pool_recycle=3_600, max_overflow=5)

    def ask() -> None:
        instance.get_runs(limit=1)
        instance.event_log_storage.get_maximum_record_id()
        instance.all_instigator_state()

    ask()
    ended = backends(conn)
    assert len(ended) >= 3
    conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (list(ended),))
    ask()
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        engine = storage._engine  # type: ignore[union-attr]
        with engine.connect() as session:
            assert session.exec_driver_sql("SHOW statement_timeout").scalar() == "5s"
        engine.dispose()
