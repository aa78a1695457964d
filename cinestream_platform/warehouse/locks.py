"""Every lock in Postgres that the platform takes: what it is called, who holds it, and in which order.

No reader has a right on schema ``ops``, so no login but the platform's can take a lock on its rows, or keep one.
Three kinds, and whoever needs several takes them in the order of this page, from top to bottom, so that nobody waits in
a circle.

**For a session** (``turn``, ``try_turn``): a row of ``ops.turn`` that names the session that holds it. It spans
transactions, also of other connections, and holds nothing open that vacuum would wait for. It ends with the session,
however that ends: the row of a session that is gone counts for nothing. Nobody waits for a second turn while holding
one, but for what stands later in this list:

=============================  ===========================  =========================================================
name                           held by                      for
=============================  ===========================  =========================================================
``extract <source>``           an extraction                one at a time extracts a source
``file <id>``                  a load                       one run at a time loads a file
``publish <table> <key>``      a publication                one at a time builds and swaps in a partition or table
``tell <channel>``             the sensor of alerts         one at a time tells a channel of alerts
=============================  ===========================  =========================================================

**For a transaction, by name** (``lock``): a row of ``ops.lock``, locked until the transaction ends:

=================  =====================================  ==========================================================
name               held by                                for
=================  =====================================  ==========================================================
``prepare``        preparing a warehouse                  one at a time changes tables and grants
``raw <table>``    the transaction of one landed file     one at a time changes a raw table's rows
``ledger``         a listing, a reload, a retraction      one at a time changes which version of a key is newest
``mart <table>``   dbt, rebuilding a mart                 the last commit holds the newest facts
=================  =====================================  ==========================================================

(dbt takes its own in ``in_place_rebuild.sql``, by the same two statements.)

**For a transaction, on what is there:**

========================  ====================================  =======================================================
function                  held by                               for
========================  ====================================  =======================================================
``lock_migrations``       preparing or upgrading a warehouse    one at a time runs a migration (it makes ``ops.lock``)
``lock_files``            the transaction of landed files       whoever asks for these files waits for their load
``lock_versions``         a reload, a retraction, a duplicate   a load of the key is waited for, and its rows are seen
``keep_file``             a file that stands back for another   that one stays loaded until this is written down
``lock_tables``           the swap of a partition, and the      the fact, its dims: nobody reads half of a swap
                          removal of an unfinished one
========================  ====================================  =======================================================

Of several rows of files the one with the greatest number is locked first: a version that is being loaded before those
that its transaction will replace. ``lock_tables`` waits at most as long as its caller says and then begins again, since
readers queue behind it.

A **run** is alive while a session bears its name (``run_session``, ``living_runs``). ``load-source``, which works where
there may be no schema ``ops``, has its turn by such a name too (``sole_session``). Names of sessions are seen by
everybody, and count only where the session's login is the platform's.

What does not belong here: locks on files of this machine, which processes take before there is a Postgres
(``services.file_locks``), and the time that a statement may wait for any lock (``sessions``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform import progress
from cinestream_platform.errors import CineStreamError
from cinestream_platform.warehouse.connection import OWNER_ROLE, session_name

if TYPE_CHECKING:
    from cinestream_platform.declarations.table import Table

LEDGER, PREPARE = "ledger", "prepare"
RUN = "run "
WAITS = (0.05, 1.0)
"""Seconds between two looks at a turn that somebody else has: the first wait, and the longest."""

# Process, login and name: a later session may get the same process number, but not the same name.
_LIVES = """
    EXISTS (SELECT FROM pg_stat_activity a WHERE (a.pid, a.usesysid, a.application_name) = (t.pid, t.login, t.session))
"""
# A server that stops ends all sessions, so that nothing is lost if it forgets turns: these commits need not wait.
_TAKE = f"""
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO ops.turn AS t (name, pid, login, session)
    SELECT %s, pg_backend_pid(), r.oid, current_setting('application_name')
    FROM quick, pg_roles r WHERE r.rolname = session_user
    ON CONFLICT (name) DO UPDATE SET pid = excluded.pid, login = excluded.login, session = excluded.session,
        since = clock_timestamp() WHERE NOT {_LIVES}
"""  # noqa: S608 - this module's own words
_END = """
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM ops.turn t USING quick
    WHERE t.name = %s AND (t.pid, t.session) = (pg_backend_pid(), current_setting('application_name'))
"""
_FORGET = f"DELETE FROM ops.turn t WHERE NOT {_LIVES}"  # noqa: S608 - this module's own words


class TurnTakenError(CineStreamError):
    """Another session has had its turn for longer than one may wait; the message says which."""


def raw_lock(table: Table) -> str:
    """Name of the lock on a raw table's rows."""
    return f"raw {table.qualified_name}"


def lock(conn: Connection[Any], name: str) -> None:
    """Wait for a lock and hold it until the transaction ends, in which ``conn`` must be."""
    conn.execute("INSERT INTO ops.lock (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    conn.execute("SELECT FROM ops.lock WHERE name = %s FOR UPDATE", (name,))


def lock_migrations(conn: Connection[Any]) -> None:
    """Be the only one who runs a migration, until the transaction ends; readers of the record go on."""
    conn.execute("LOCK TABLE ops.migration IN EXCLUSIVE MODE")


def lock_files(conn: Connection[Any], file_ids: Sequence[int]) -> None:
    """Lock rows of landed files until the transaction ends."""
    conn.execute(
        "SELECT FROM ops.landed_file WHERE file_id = ANY (%s) ORDER BY file_id DESC FOR UPDATE", (list(file_ids),)
    )


def lock_versions(conn: Connection[Any], bucket: str, key: str) -> list[tuple[int, str]]:
    """Lock every version of a landed file until the transaction ends; number and state of each, newest first."""
    return conn.execute(
        "SELECT file_id, status FROM ops.landed_file WHERE bucket = %s AND key = %s ORDER BY file_id DESC FOR UPDATE",
        (bucket, key),
    ).fetchall()


def keep_file(conn: Connection[Any], file_id: int) -> str | None:
    """Let a landed file stay in its state until the transaction ends; which that is, ``None`` for no such file."""
    row = conn.execute("SELECT status FROM ops.landed_file WHERE file_id = %s FOR SHARE", (file_id,)).fetchone()
    return row[0] if row else None


def lock_tables(conn: Connection[Any], relations: Sequence[tuple[str, str]], *, wait_ms: int) -> None:
    """Keep everybody else from tables (schema and name) until the transaction ends, all at once and in their order.

    Raises:
        psycopg.errors.LockNotAvailable: Somebody had one of them for all of ``wait_ms``.
    """
    conn.execute("SELECT set_config('lock_timeout', %s, true)", (f"{wait_ms}ms",))
    names = SQL(", ").join(Identifier(*relation) for relation in relations)
    conn.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))


# ---- turns of sessions -----------------------------------------------------------------------------------------------


def file_turn(file_id: int) -> str:
    """Name of the turn to load a file."""
    return f"file {file_id}"


def extraction_turn(source: str) -> str:
    """Name of the turn to extract a source."""
    return f"extract {source}"


def publication_turn(table: Table, partition_key: str) -> str:
    """Name of the turn to publish a table or partition."""
    return f"publish {table.qualified_name} {partition_key}"


def channel_turn(channel: str) -> str:
    """Name of the turn to tell a channel of alerts."""
    return f"tell {channel}"


def try_turn(conn: Connection[Any], name: str) -> bool:
    """Take a turn for this session; whether it got it. ``conn`` must not be in a transaction."""
    # One turn a statement: whether a holder lives is looked at once a statement, and must be after its row is locked.
    return conn.execute(_TAKE.encode(), (name,)).rowcount == 1


def end_turn(conn: Connection[Any], name: str) -> None:
    """Give a turn back, if this session has it."""
    conn.execute(_END, (name,))


def forget_dead_turns(conn: Connection[Any]) -> int:
    """Delete the turns of sessions that are gone, which nobody has asked for since; how many."""
    return conn.execute(_FORGET.encode()).rowcount


@contextmanager
def turn(conn: Connection[Any], name: str, *, wait_seconds: float = 600) -> Iterator[None]:
    """Wait for a turn and have it until the end of the block. ``conn`` must not be in a transaction.

    Raises:
        TurnTakenError: Another session had it for all of ``wait_seconds``.
    """
    deadline, wait = time.monotonic() + wait_seconds, WAITS[0]
    while not try_turn(conn, name):
        if time.monotonic() > deadline:
            holder = conn.execute("SELECT session, since FROM ops.turn WHERE name = %s", (name,)).fetchone()
            has = f"session {holder[0]!r} has it since {holder[1]:%Y-%m-%d %H:%M:%S} UTC" if holder else "it was taken"
            raise TurnTakenError(f"waited {wait_seconds:,.0f} s for the turn to {name}: {has}")
        progress.note(f"waits for the turn to {name}")
        time.sleep(wait)
        wait = min(wait * 2, WAITS[1])
    try:
        yield
    finally:
        if not conn.closed:
            end_turn(conn, name)


# ---- named sessions --------------------------------------------------------------------------------------------------


def run_session(run_id: str) -> str:
    """Name of the sessions that say that a run is alive, for ``connect(name=…)``."""
    return f"{RUN}{run_id}"


def living_runs(conn: Connection[Any]) -> set[str]:
    """The runs that have a session, however many processes they are."""
    prefix = session_name(RUN)
    rows = conn.execute(
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE starts_with(application_name, %s)"
        " AND datname = current_database() AND pg_has_role(usesysid, %s, 'MEMBER')",
        (prefix, OWNER_ROLE),
    )
    return {name.removeprefix(prefix) for (name,) in rows}


def sole_session(conn: Connection[Any], name: str, *, wait_seconds: float) -> bool:
    """Be the only session of this login that bears a name, until the connection ends; whether it is.

    Two that begin at once both step back, and try again after a while.
    """
    deadline = time.monotonic() + wait_seconds
    own = conn.info.parameter_status("application_name")
    others = (
        "SELECT FROM pg_stat_activity WHERE application_name = %s AND usename = session_user"
        " AND pid <> pg_backend_pid()"
    )
    while True:
        # First said, then looked: of two, one at least sees the other.
        conn.execute("SELECT set_config('application_name', %s, false)", (session_name(name),))
        if not conn.execute(others, (session_name(name),)).fetchall():
            return True
        conn.execute("SELECT set_config('application_name', %s, false)", (own,))
        if time.monotonic() > deadline:
            return False
        time.sleep(random.uniform(*WAITS) / 2)  # noqa: S311 - so that the two do not meet again
