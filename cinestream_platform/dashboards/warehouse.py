"""How pages read the warehouse: as ``dashboard_reader``, read-only, within limits of time, and as nobody else.

What belongs here: the login, the pool, and reading all tiles of a page at one moment. What the tiles ask is in
``*.sql`` beside each page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests
from pydantic import SecretStr

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.services.postgres import PostgresServiceError, postgres_status
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import DASHBOARD, login_name
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.sessions import options

MOST_CONNECTIONS = 4
"""The role's login has a tenth of the server's connections; the listener needs one of them."""
STATEMENT_SECONDS = 5
WAIT_SECONDS = 2.0  # for a connection; a page then says that the warehouse does not answer
LIMITS = (
    "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
    f" -c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout=3s -c idle_in_transaction_session_timeout=10s"
)
NETWORK = {"connect_timeout": 2, "tcp_user_timeout": 10_000}

Row = dict[str, Any]
Rows = Mapping[str, list[Row]]
"""The rows of each tile, by the name of its SQL file."""


class WarehouseAwayError(CineStreamError):
    """The warehouse does not answer, or not yet with what pages read; the message says which."""


class NoReaderLoginError(CineStreamError):
    """There is no login for the pages."""


def reader_target(settings: Settings) -> PostgresTarget:
    """Where the warehouse is now, and the login of the pages. Starts nothing.

    Raises:
        NoReaderLoginError: An external Postgres, and no secret was given.
        WarehouseAwayError: The embedded Postgres does not run.
    """
    password = login_secrets(settings).get(DASHBOARD)
    if password is None:
        raise NoReaderLoginError(
            f"{DASHBOARD} has no login. Set CINESTREAM_LOGIN_{DASHBOARD.upper()}_PASSWORD; cinestream prepare then "
            "creates it."
        )
    if settings.postgres_host:
        return replace(PostgresTarget.started(settings), user=login_name(DASHBOARD), password=password)
    try:
        server = postgres_status(settings.home_dir)
    except PostgresServiceError as error:
        raise WarehouseAwayError(str(error)) from error
    if server is None:
        raise WarehouseAwayError("the embedded Postgres does not run")
    return PostgresTarget(server.host, server.port, login_name(DASHBOARD), password, settings.postgres_database)


class Warehouse:
    """Reads for all pages of one server, with a few connections that are opened when they are needed.

    Args:
        settings: Where the warehouse is; asked again for every connection, since an embedded one may move.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            self.conninfo,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row, "autocommit": False},
            min_size=0,
            max_size=MOST_CONNECTIONS,
            max_waiting=64,
            timeout=WAIT_SECONDS,
            max_idle=300,
            reconnect_timeout=WAIT_SECONDS,
            check=ConnectionPool.check_connection,
            num_workers=2,
            open=False,
        )

    def conninfo(self, name: str = "dashboards") -> str:
        """What libpq logs in with, password included: never print it."""
        try:
            target = reader_target(self._settings)
        except WarehouseAwayError:  # the pool and the listener try again, as with a server that refuses
            target = PostgresTarget("127.0.0.1", 1, login_name(DASHBOARD), SecretStr(""), "none")
        return make_conninfo(target.conninfo(name), options=options(LIMITS), **NETWORK)

    def open(self) -> None:
        """Begin: connections are made when they are asked for."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """End."""
        self._pool.close(timeout=2)

    def keep_to(self, limit: int) -> None:
        """Stay within the connections that the login may have, the listener's included; negative is no limit."""
        most = MOST_CONNECTIONS if limit < 0 else max(1, min(MOST_CONNECTIONS, limit - 1))
        self._pool.resize(0, most)

    def read(self, queries: Mapping[str, str], parameters: Mapping[str, object]) -> Rows:
        """The rows of each query, all as of one moment.

        Raises:
            WarehouseAwayError: No connection, a query that took too long, or a warehouse that is not prepared.
        """
        try:
            with self._pool.connection() as conn:
                return {name: conn.execute(query.encode(), parameters).fetchall() for name, query in queries.items()}
        except (PoolTimeout, TooManyRequests) as error:
            raise WarehouseAwayError("no connection to the warehouse") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise WarehouseAwayError("the warehouse is not prepared for pages: cinestream prepare") from error
        except psycopg.OperationalError as error:  # gone meanwhile, or over a limit of time
            raise WarehouseAwayError(f"the warehouse did not answer ({type(error).__name__})") from error
