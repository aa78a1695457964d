"""``cinestream upgrade``: bring the warehouse of an earlier version to this one, while nobody else works."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from cinestream_platform.catalog import MART_SCHEMAS, PREDICTIONS, TABLES
from cinestream_platform.commands.instance import prepare_instance
from cinestream_platform.errors import CineStreamError
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.migrate import declared_migrations
from cinestream_platform.warehouse.setup import prepare_warehouse

DAEMON_ALIVE_SECONDS = 60
"""A daemon beats every 30 seconds."""
PATIENCE_SECONDS = 90


class StillWorkingError(CineStreamError):
    """Other processes of the platform work on the warehouse; the message says what to stop."""


def run_upgrade(settings: Settings) -> Iterator[str]:
    """Apply what is missing; a line for each step.

    Raises:
        StillWorkingError: The platform is not stopped.
        OtherVersionError: The warehouse was upgraded by a newer version.
    """
    target = PostgresTarget.started(settings)
    yield f"warehouse: {target}"
    prepare_instance(settings)
    yield from _wait_until_alone(target)
    changes = prepare_warehouse(
        target,
        TABLES,
        MART_SCHEMAS,
        login_secrets(settings),
        PREDICTIONS,
        upgrade=True,
        databases=[settings.postgres_dagster_database],
    )
    yield from (f"  {change}" for change in changes)
    _upgrade_dagster()
    yield f"The warehouse is at migration {declared_migrations()[-1]}; Dagster's storage is up to date."


def _wait_until_alone(target: PostgresTarget) -> Iterator[str]:
    """Wait for processes that are about to end; a line for each look."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while busy := _who_works(target):
        if time.monotonic() > give_up:
            raise StillWorkingError(
                f"nothing was changed: {busy}. Stop `cinestream ui` (or the containers) and every run, then try again."
            )
        yield f"waiting: {busy}"
        time.sleep(5)


def _who_works(target: PostgresTarget) -> str | None:
    """Who else works on the warehouse, in words; ``None`` if nobody does."""
    with connect(target, role=None) as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND starts_with(application_name, 'cinestream') AND usename = session_user"
        ).fetchone()
    if sessions := row[0] if row else 0:
        return f"other sessions of the platform are open: {sessions:,}"
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    age = datetime.now(UTC).timestamp() - max(beats, default=0.0)
    return f"a Dagster daemon was alive {age:.0f} seconds ago" if age < DAEMON_ALIVE_SECONDS else None


def _upgrade_dagster() -> None:
    """Bring Dagster's own storage to the schema of the installed Dagster."""
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        instance.upgrade()
