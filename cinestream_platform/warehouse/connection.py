"""Connections to the warehouse: psycopg for every conversation, ADBC for reading rows in bulk.

Every connection acts as the role ``data_engineer``, so that whatever the platform creates belongs to that role and
not to the login that happened to run it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from cinestream_platform.errors import CineStreamError
from cinestream_platform.warehouse.sessions import beginning, options

if TYPE_CHECKING:
    from adbc_driver_manager import AdbcDatabase
    from adbc_driver_postgresql import dbapi
    from psycopg import Connection

    from cinestream_platform.settings import Settings

OWNER_ROLE = "data_engineer"
NO_FILE = f"{os.devnull}/none"  # an empty name stands for ~/.pgpass, and the null device itself for a warning
MINIMUM_VERSION = 15
NETWORK_LIMITS: dict[str, Any] = {
    "connect_timeout": 10,  # seconds
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 300_000,  # milliseconds
}
"""By libpq's names: a server that cannot be reached is noticed within 10 s, one that is gone within 5 minutes.

Not sooner: the kernel also counts the time in which a server that is there takes no more bytes of a COPY."""


class PostgresUnreachableError(CineStreamError):
    """Postgres does not answer or is too old; the message says which and what to do."""


def session_name(name: str | None = None) -> str:
    """What a session is called in ``pg_stat_activity`` (at most 63 bytes); no two of those without a name are alike."""
    return f"cinestream {name}" if name else f"{process_name()}{secrets.token_hex(6)}"


def process_name() -> str:
    """How the names of this process's sessions begin that have no name of their own."""
    return f"cinestream {os.getpid()}-"


@dataclass(frozen=True)
class PostgresTarget:
    """Where a Postgres is and who connects."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str
    sslmode: str = "prefer"
    remedy: str = "Is it running, and are CINESTREAM_POSTGRES_* right?"  # what to say when it does not let us in
    sslrootcert: str = ""  # a file, for verify-ca and verify-full
    settings: str = "CINESTREAM_POSTGRES"  # what the names of its settings begin with

    @classmethod
    def started(cls, settings: Settings) -> PostgresTarget:
        """The Postgres that the settings name; without one, the embedded server, started if need be."""
        if settings.postgres_host:
            return cls(
                settings.postgres_host,
                settings.postgres_port,
                settings.postgres_user,
                settings.postgres_password or SecretStr(""),
                settings.postgres_database,
                sslmode_towards(settings.postgres_host, settings.postgres_sslmode),
                sslrootcert=settings.postgres_sslrootcert or "",
            )
        from cinestream_platform.services.postgres import start_postgres

        server = start_postgres(settings.home_dir)
        return cls(server.host, server.port, server.superuser, server.password, settings.postgres_database)

    def conninfo(self, name: str | None = None) -> str:
        """The key=value string of libpq, password included: never print it. ``name`` is the session's."""
        return make_conninfo(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password.get_secret_value(),
            dbname=self.database,
            sslmode=self.sslmode,
            sslrootcert=self.sslrootcert,
            **NETWORK_LIMITS,
            **session_parameters(),
            application_name=session_name(name),
        )

    def uri(self) -> str:
        """The same as a URI, for ADBC and for ``cinestream dsn``: never log it."""
        login = f"{quote(self.user, safe='')}:{quote(self.password.get_secret_value(), safe='')}"
        ca = f"&sslrootcert={quote(self.sslrootcert, safe='')}" if self.sslrootcert else ""
        database = quote(self.database, safe="")
        return f"postgresql://{login}@{self.host}:{self.port}/{database}?sslmode={self.sslmode}{ca}"

    def client_environment(self) -> dict[str, str]:
        """The variables that psql logs in by, password included; for ``exec`` and ``subprocess``."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password.get_secret_value(),
            "PGDATABASE": self.database,
            "PGCONNECT_TIMEOUT": str(NETWORK_LIMITS["connect_timeout"]),
            "PGCLIENTENCODING": "UTF8",
            "PGPASSFILE": NO_FILE,
            "PGSSLMODE": self.sslmode,
            "PGSSLROOTCERT": self.sslrootcert,
        }

    def __str__(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"


def session_parameters(more: str = "") -> dict[str, Any]:
    """By libpq's names, what each session sets at its login, for psycopg, ADBC and Dagster's storage.

    ``more`` are options of one session alone. No file of the account has a say either: what ``~/.pgpass`` holds for a
    login without a password is another's.
    """
    # The encoding once more: as a parameter it beats PGCLIENTENCODING, as an option it does not.
    return {"options": options(more), "client_encoding": "UTF8", "passfile": NO_FILE}


def session_environment() -> dict[str, str]:
    """The same as variables, for programs that take it from nowhere else: dbt, pg_restore; not for people's psql."""
    return {"PGOPTIONS": options(), "PGCLIENTENCODING": "UTF8", "PGPASSFILE": NO_FILE}


def sslmode_towards(host: str, said: str | None) -> str:
    """The sslmode that was said; else none without TLS, but towards this machine, where nobody listens in."""
    return said or ("prefer" if _is_this_machine(host) else "require")


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):  # a folder with a Unix socket
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def tls_remedy(target: PostgresTarget, said: str) -> str | None:
    """What to do if TLS is what a connection failed for; ``None`` if it is not."""
    if not re.search(r"does not support SSL|SSL error|certificate|no encryption|SSL off", said):
        return None
    return (
        f"Connections to other machines use TLS: switch it on at the server, or say {target.settings}_SSLMODE=disable "
        f"to go without; {target.settings}_SSLROOTCERT names the CA's certificate that verify-full needs."
    )


@contextmanager
def connect(
    target: PostgresTarget,
    *,
    role: str | None = OWNER_ROLE,
    autocommit: bool = True,
    name: str | None = None,
    any_encoding: bool = False,
) -> Iterator[Connection[Any]]:
    """A psycopg connection acting as ``role``; closed at the end, rolled back on an error. ``name`` is its session's.

    ``any_encoding`` is for reading what others wrote: the server converts to UTF-8 then.

    Raises:
        PostgresUnreachableError: No answer within ten seconds, a version before 15, or an encoding but UTF-8.
    """
    try:
        conn = psycopg.connect(target.conninfo(name), autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise PostgresUnreachableError(
            f"{target} does not let us in: {' '.join(str(error).split()).rstrip('.?')}. "
            f"{tls_remedy(target, str(error)) or target.remedy}"
        ) from error
    with conn:
        if conn.info.server_version < MINIMUM_VERSION * 10_000:
            raise PostgresUnreachableError(
                f"{target} is version {conn.info.server_version}; {MINIMUM_VERSION} is needed"
            )
        if (encoding := conn.info.parameter_status("server_encoding")) != "UTF8" and not any_encoding:
            raise PostgresUnreachableError(
                f"{target} is encoded in {encoding}: titles and tags would not fit. Create the database anew: "
                f"CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;"
            )
        try:
            conn.execute(beginning(role))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
            raise PostgresUnreachableError(
                f"{target}: {error.diag.message_primary}. Run cinestream doctor; if that does not help, have a DBA "
                f'run: GRANT "{role}" TO "{target.user}";'
            ) from error
        if not autocommit:
            conn.commit()
        yield conn


@contextmanager
def connect_bulk(
    target: PostgresTarget, *, role: str | None = OWNER_ROLE, more: str = ""
) -> Iterator[dbapi.Connection]:
    """An ADBC connection in one transaction, acting as ``role``: for reading rows as Arrow.

    ``more`` are options of this session alone.
    """
    from adbc_driver_manager import AdbcConnection
    from adbc_driver_postgresql import dbapi

    parameters = {**NETWORK_LIMITS, **session_parameters(more), "application_name": process_name()}
    known: Any = _known_types(f"{target.uri()}&{urlencode(parameters, quote_via=quote)}")
    with dbapi.Connection(known, AdbcConnection(known.database)) as conn:
        with conn.cursor() as cursor:
            cursor.execute(beginning(role).as_string())
            cursor.execute(sql.SQL("SET application_name = {}").format(session_name()).as_string())
        conn.commit()
        yield conn


class _KnownTypes:
    """ADBC's view of a database, which the connections to come share; it holds no connection itself.

    When it is made, it reads all types and columns of the database, for which it logs in: 60 ms of CPU, where a login
    takes 6. What we read is of built-in types, whose numbers never change.
    """

    def __init__(self, uri: str) -> None:
        import adbc_driver_postgresql

        self.database: AdbcDatabase = adbc_driver_postgresql.connect(uri)

    def close(self) -> None:
        """A connection that ends closes nothing: others use it too."""

    def __del__(self) -> None:
        if hasattr(self, "database"):
            self.database.close()


_known_types = lru_cache(maxsize=8)(_KnownTypes)
