"""Readers' sessions that keep the platform waiting for a lock are ended, and that is recorded.

A forgotten BEGIN in somebody's notebook holds every table that was read in it. What belongs here: who stands in the
way, and ending that session. Only sessions of logins that are members of a reader role are ended, never those of
engineers, of the platform itself or of superusers. Where the platform may not end a session it goes on waiting, and
says who it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, errors

from cinestream_platform.warehouse.access import READER_ROLES
from cinestream_platform.warehouse.connection import OWNER_ROLE

PATIENCE_SECONDS = 5.0
"""So long readers may keep the platform waiting; with a look every other second their sessions end before 10 s."""
LOOK_SECONDS = 2.0

_LOG = logging.getLogger(__name__)
_IS_READER = """
    NOT r.rolsuper AND NOT pg_has_role(r.oid, %(owner)s, 'MEMBER')
    AND EXISTS (SELECT FROM unnest(%(readers)s::text[]) AS g (role) WHERE pg_has_role(r.oid, g.role, 'MEMBER'))
"""
_HOLDERS = f"""
    SELECT DISTINCT a.pid, r.rolname, {_IS_READER}
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
    WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.relation = ANY (%(relations)s::oid[])
"""  # noqa: S608 - this module's own words
# Sessions of the platform's logins in this database that have waited for a lock, and the readers who hold it.
_IN_THE_WAY = f"""
    SELECT b.pid, r.rolname, a.application_name, extract(epoch FROM clock_timestamp() - min(l.waitstart))::float
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) AS holder (pid)
    JOIN pg_stat_activity b ON b.pid = holder.pid JOIN pg_roles r ON r.oid = b.usesysid
    WHERE NOT l.granted AND l.waitstart < clock_timestamp() - make_interval(secs => %(patience)s)
        AND a.datname = current_database() AND pg_has_role(a.usesysid, %(owner)s, 'MEMBER') AND {_IS_READER}
    GROUP BY 1, 2, 3
"""  # noqa: S608 - this module's own words
_PARAMETERS = {"owner": OWNER_ROLE, "readers": list(READER_ROLES)}


@dataclass(frozen=True)
class Blocker:
    """A session that holds what the platform waits for."""

    pid: int
    login: str
    is_reader: bool = True

    def __str__(self) -> str:
        return f"{self.login} (process {self.pid})"


def holders(conn: Connection[Any], relations: Sequence[int]) -> list[Blocker]:
    """Who holds a lock, of whatever kind, on one of these relations."""
    rows = conn.execute(_HOLDERS.encode(), {**_PARAMETERS, "relations": list(relations)}).fetchall()
    return [Blocker(*row) for row in rows]


def end_readers(conn: Connection[Any], relations: Sequence[int], *, blocked: str, waited_seconds: float) -> None:
    """End the sessions of readers that hold one of these relations. ``conn`` must not be in a transaction."""
    for blocker in holders(conn, relations):
        if blocker.is_reader:
            _end(conn, blocker, blocked, waited_seconds)


@contextmanager
def readers_give_way(conn: Connection[Any]) -> Iterator[None]:
    """Inside the block, end sessions of readers for which any session of the platform has waited too long.

    ``conn`` is not used for anything else meanwhile, and in autocommit mode.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            try:
                for pid, login, waiting, waited in conn.execute(
                    _IN_THE_WAY.encode(), {**_PARAMETERS, "patience": PATIENCE_SECONDS}
                ).fetchall():
                    _end(conn, Blocker(pid, login), waiting, waited)
            except psycopg.Error as error:
                if conn.closed:  # the work that it watches over notices by itself
                    return
                _LOG.warning("Sessions that block the platform could not be looked for: %s", error.diag.message_primary)

    thread = threading.Thread(target=watch, name="readers-give-way", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(LOOK_SECONDS * 5)  # else the end of the connection ends it


def _end(conn: Connection[Any], blocker: Blocker, blocked: str, waited_seconds: float) -> None:
    try:
        with conn.transaction():
            conn.execute("SET LOCAL ROLE NONE")  # the right to end it is the login's, not that of the owner
            conn.execute("SELECT pg_terminate_backend(%s)", (blocker.pid,))
    except errors.InsufficientPrivilege:
        _LOG.warning(
            '%s waits for %s, whose session %s may not end. A DBA can allow it: GRANT pg_signal_backend TO "%s";',
            blocked,
            blocker,
            conn.info.user,
            conn.info.user,
        )
        return
    _LOG.warning("%s waited %.0f s for %s; that session was ended.", blocked, waited_seconds, blocker)
    conn.execute(
        "INSERT INTO ops.ended_session (login, blocked, waited_seconds) VALUES (%s, %s, %s)",
        (blocker.login, blocked, waited_seconds),
    )
