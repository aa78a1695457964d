"""Dagster's Postgres storage with a connection pool (``dagster.yaml`` names this class).

dagster-postgres logs in anew for every statement, so that many instances in one process do not add up connections.
Here all instances of a process share one pool: a sensor tick, which makes an instance of its own, costs no login.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from os import register_at_fork
from typing import Any, Self

from dagster import EventLogEntry
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import pg_url_from_config, set_pg_statement_timeout
from sqlalchemy import Connection, Engine, create_engine, event

from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import session_parameters, sslmode_towards

KEPT, MORE = 10, 20
"""Connections that a process keeps, and how many more it may open for a moment."""
RECYCLE_SECONDS = 3_600
_BUILT: set[tuple[str, str]] = set()
"""Indexes of Dagster's tables that are known to be built: database and name."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in Postgres; connections come from the pool of this process.

    The webserver replaces the pool by its own (``optimize_for_webserver``), which has a statement timeout.
    """

    def __init__(self, postgres_url: str, should_autocreate_tables: bool = True, inst_data: Any = None) -> None:
        if should_autocreate_tables:
            _ensure_tables(postgres_url)
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = _Runs(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _Events(postgres_url, should_autocreate_tables=False)
        self._schedule_storage = _Schedules(postgres_url, should_autocreate_tables=False)
        engine: Any = pool(postgres_url)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        """Made by Dagster from ``dagster.yaml``; the configuration is that of ``storage: postgres``.

        TLS is that of the warehouse's server, on which Dagster's database is; a session sets what every session sets.
        """
        settings = get_settings()
        database = dict(config_value["postgres_db"])
        said = settings.postgres_sslmode if settings.postgres_host else None
        database["params"] = {
            **database.get("params", {}),
            **session_parameters(),
            "sslmode": sslmode_towards(database["hostname"], said),
            "sslrootcert": (settings.postgres_sslrootcert if settings.postgres_host else None) or "",
        }
        url = pg_url_from_config({"postgres_db": database})
        return cls(url, config_value.get("should_autocreate_tables", True), inst_data)


class _OfWebserver:
    """A storage that, in the webserver too, asks whether Postgres has ended a session before it uses that."""

    postgres_url: str
    _engine: Engine

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        self._engine = create_engine(
            self.postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=max_overflow,
            pool_pre_ping=True,  # Dagster's own does not: the first request after a restart of Postgres failed
            pool_recycle=pool_recycle,
        )
        event.listen(self._engine, "connect", lambda conn, _: set_pg_statement_timeout(conn, statement_timeout))


class _Runs(_OfWebserver, PostgresRunStorage):
    """Runs."""


class _Events(_OfWebserver, PostgresEventLogStorage):
    """Events, without a NOTIFY for each: nobody listens, and the server has one queue of notifications for all.

    No right is needed to fill that queue, from whatever database; then no event could be stored.
    All statements of one event go over one connection: each taken from the pool is asked first whether it still works.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._kept = threading.local()
        super().__init__(*args, **kwargs)

    def store_event(self, event: EventLogEntry) -> None:
        with super()._connect() as self._kept.connection:
            try:
                super(PostgresEventLogStorage, self).store_event(event)  # as every other database's
            finally:
                self._kept.connection = None

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        kept: Connection | None = getattr(self._kept, "connection", None)
        if kept is None:
            with super()._connect() as connection:
                yield connection
            return
        is_within = kept.in_transaction()
        yield kept
        if not is_within and kept.in_transaction():  # as at the end of a connection of its own
            kept.commit()


class _Schedules(_OfWebserver, PostgresScheduleStorage):
    """States and ticks of sensors, without listing all tables several times a tick: ``_ensure_tables`` did.

    That an index was built stays so; the other two storages remember it, too.
    """

    def has_instigators_table(self) -> bool:
        return True

    def _has_instigators_table(self, conn: Any) -> bool:
        return True

    def has_built_index(self, migration_name: str) -> bool:
        key = (self.postgres_url, migration_name)
        if key not in _BUILT and super().has_built_index(migration_name):
            _BUILT.add(key)
        return key in _BUILT


@cache
def pool(postgres_url: str) -> Engine:
    """The pool of this process towards one database."""
    engine = create_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT,
        max_overflow=MORE,
        pool_use_lifo=True,
        pool_pre_ping=True,  # Postgres may have been restarted since
        pool_recycle=RECYCLE_SECONDS,
    )
    # Two processes must never talk over one connection: the child opens its own, and leaves its parent's alone.
    register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return engine


@cache
def _ensure_tables(postgres_url: str) -> None:
    """Make Dagster's tables where they are missing; looked at once a process."""
    DagsterPostgresStorage(postgres_url)
