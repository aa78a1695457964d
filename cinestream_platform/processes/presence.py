"""Which processes live, and one daemon for each of Dagster's databases, on whatever machine: two would tick twice.

Daemon and webservers keep one idle session each, whose application name says what they are, and of which warehouse
(``platform.service`` shows it). Sessions end with their process, so that a killed one leaves nothing behind, and only
logins of the same user count: nobody else can pretend to be a daemon.
"""

import hashlib
import os
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import psycopg

from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, session_name, session_parameters

NAME = session_name("daemon")
"""How the names of daemons' sessions begin, of whatever warehouse."""
SECONDS_TO_END = 5.0  # a killed daemon's session is gone in milliseconds; its host's network may take longer
LOOK_SECONDS = 5.0
SECOND_DAEMON = 3  # exit code
KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""For the server, so that the session of a host that lost its power ends too."""
OTHERS = """
SELECT coalesce(host(client_addr), 'a local socket'), to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
FROM pg_stat_activity
WHERE datname = current_database() AND usename = session_user AND starts_with(application_name, %(name)s)
  AND pid <> pg_backend_pid()
  AND (%(any)s OR (backend_start, pid) < (SELECT backend_start, pid FROM pg_stat_activity WHERE pid = pg_backend_pid()))
ORDER BY backend_start LIMIT 1
"""


class SecondDaemonError(CineStreamError):
    """Another daemon works on this database; the message says since when and from where."""


def refuse_second_daemon(settings: Settings) -> None:
    """Raise ``SecondDaemonError`` if a daemon works on this platform's Dagster database."""
    with _session(settings) as conn:
        _wait_until_alone(conn, any_other=True)


def hold_presence(settings: Settings) -> None:
    """Say that this process is the daemon, for as long as it lives; end it where another one was first."""
    conn = _session(settings, presence_of("daemon", settings))
    try:
        _wait_until_alone(conn, any_other=False)
    except SecondDaemonError as error:
        sys.exit(str(error))
    threading.Thread(target=_hold, args=(settings, "daemon", conn), name="presence", daemon=True).start()


def show_presence(settings: Settings, program: str) -> None:
    """Have others see that this process lives, from the moment that Postgres lets it in; it works without."""
    threading.Thread(target=_hold, args=(settings, program, None), name="presence", daemon=True).start()


def presence_of(program: str, settings: Settings) -> str:
    """What the session of a program is called after ``cinestream``; the warehouse's name may be long, or not ASCII."""
    warehouse = hashlib.sha256(settings.postgres_database.encode()).hexdigest()[:12]
    return f"{program} of {warehouse}"


def _session(settings: Settings, name: str | None = None) -> "psycopg.Connection[Any]":
    target = replace(PostgresTarget.started(settings), database=settings.postgres_dagster_database)
    return psycopg.connect(target.conninfo(name), autocommit=True, **session_parameters(KEEPALIVES))


def _wait_until_alone(conn: "psycopg.Connection[Any]", *, any_other: bool) -> None:
    """Return when no other daemon is there, or, unless ``any_other``, none that was there before this session."""
    deadline = time.monotonic() + (1 if any_other else SECONDS_TO_END)
    while found := conn.execute(OTHERS, {"name": NAME, "any": any_other}).fetchone():
        if time.monotonic() >= deadline:
            raise SecondDaemonError(
                f"another daemon has worked on {conn.info.dbname} since {found[1]}, from {found[0]}: stop it first, or "
                "name another database for this platform (CINESTREAM_POSTGRES_DAGSTER_DATABASE)."
            )
        time.sleep(0.2)


def _hold(settings: Settings, program: str, conn: "psycopg.Connection[Any] | None") -> None:
    """Keep the session; after a restart of Postgres a new one, unless another daemon came first."""
    while True:
        try:
            if conn is None or conn.closed:
                conn = _session(settings, presence_of(program, settings))
                if program == "daemon":
                    _wait_until_alone(conn, any_other=False)
            else:
                conn.execute("")
        except SecondDaemonError as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(SECOND_DAEMON)
        except (psycopg.Error, CineStreamError):
            if conn is not None:
                conn.close()
        time.sleep(LOOK_SECONDS)
