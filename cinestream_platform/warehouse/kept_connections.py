"""Connections that a process keeps for work that comes every few seconds: a sensor's tick costs no login.

For short work that leaves nothing in its session: no temporary table beyond its transaction, no setting, no lock.
Everything else takes ``connection.connect``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from cinestream_platform.warehouse.connection import PostgresTarget, connect

if TYPE_CHECKING:
    from psycopg import Connection

MOST_KEPT = 4
_idle: list[tuple[int, PostgresTarget, ExitStack, Connection[Any]]] = []
_turn = threading.Lock()


@contextmanager
def kept_connection(target: PostgresTarget) -> Iterator[Connection[Any]]:
    """Like ``connect``, but logged in already if this process has done such work before.

    Raises:
        PostgresUnreachableError: As ``connect``.
    """
    stack, conn = _take(target) or _log_in(target)
    try:
        yield conn
    finally:
        _give_back(target, stack, conn)


def _log_in(target: PostgresTarget) -> tuple[ExitStack, Connection[Any]]:
    stack = ExitStack()
    return stack, stack.enter_context(connect(target))


def _take(target: PostgresTarget) -> tuple[ExitStack, Connection[Any]] | None:
    """A session that still lives; those that Postgres has ended meanwhile are put away."""
    while True:
        with _turn:
            # A forked child has copies of its parent's; it must not speak through them.
            mine = [kept for kept in _idle if kept[:2] == (os.getpid(), target)]
            if not mine:
                return None
            _idle.remove(mine[-1])
        _, _, stack, conn = mine[-1]
        try:
            conn.execute("SELECT 1")
        except psycopg.OperationalError:
            stack.close()
        else:
            return stack, conn


def _give_back(target: PostgresTarget, stack: ExitStack, conn: Connection[Any]) -> None:
    if conn.closed or conn.info.transaction_status is not TransactionStatus.IDLE:
        stack.close()
        return
    with _turn:
        _idle.append((os.getpid(), target, stack, conn))
        oldest = _idle.pop(0) if len(_idle) > MOST_KEPT else None
    if oldest and oldest[0] == os.getpid():
        oldest[2].close()
