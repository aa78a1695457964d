"""Sessions that a process keeps: reused, replaced when they died, never handed on in the middle of a transaction."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import Connection

from cinestream_platform.warehouse.connection import PostgresTarget, connect_bulk
from cinestream_platform.warehouse.kept_connections import kept_connection
from tests.support.platform import Platform


@pytest.fixture
def target(platform: Platform) -> PostgresTarget:
    return platform.target


def pid(conn: Connection[Any]) -> int:
    return conn.info.backend_pid


def test_work_after_work_is_done_in_one_session(target: PostgresTarget) -> None:
    pids = []
    for _ in range(5):
        with kept_connection(target) as conn:
            assert conn.execute("SELECT current_role").fetchone() == ("data_engineer",)
            pids.append(pid(conn))

    assert len(set(pids)) == 1


def test_work_at_the_same_time_has_sessions_of_its_own(target: PostgresTarget) -> None:
    with kept_connection(target) as one, kept_connection(target) as other:
        assert pid(one) != pid(other)


def test_a_session_that_postgres_ended_is_replaced(target: PostgresTarget) -> None:
    with kept_connection(target) as conn:
        ended = pid(conn)
    with psycopg.connect(target.conninfo(), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (ended,))

    with kept_connection(target) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert pid(conn) != ended


def test_a_session_whose_work_failed_within_a_transaction_is_not_handed_on(target: PostgresTarget) -> None:
    with kept_connection(target) as conn:
        first = pid(conn)
        conn.execute("BEGIN")
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute("SELECT FROM no_such_table")

    with kept_connection(target) as conn:
        assert pid(conn) != first


def test_reads_in_bulk_share_what_is_known_of_types_and_no_session(target: PostgresTarget) -> None:
    known, said = [], []
    for _ in range(3):
        with connect_bulk(target) as conn, conn.cursor() as cursor:
            known.append(conn.adbc_database)
            cursor.execute("SELECT current_role::text, pg_backend_pid(), current_setting('application_name')")
            said += cursor.fetchall()
    assert known[0] is known[1] is known[2]
    roles, pids, names = (set(values) for values in zip(*said, strict=True))
    assert (roles, len(pids), len(names)) == ({"data_engineer"}, 3, 3)
