"""Dagster's instance of this home: its folder, its configuration, and the environment that its processes need."""

import os
import shutil
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import limits
from cinestream_platform.warehouse.connection import PostgresTarget, connect

PROJECT_ROOT = Path(__file__).parents[2]
"""Where workspace.yaml, dagster.yaml and dbt_project lie, in a checkout and in the image."""


class NoDagsterDatabaseError(CineStreamError):
    """Dagster's own database is missing, and this login may not make it."""


def ensure_dagster_database(settings: Settings) -> bool:
    """Create Dagster's own database beside the warehouse where it is missing; whether it was.

    Raises:
        NoDagsterDatabaseError: The login may not; the message has the statement that a DBA must run.
    """
    target, name = PostgresTarget.started(settings), settings.postgres_dagster_database
    with connect(target, role=None) as conn:
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return False
        try:
            conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        except psycopg.errors.DuplicateDatabase:  # another process was faster
            return False
        except psycopg.errors.InsufficientPrivilege as error:
            statement = SQL("CREATE DATABASE {} OWNER {};").format(Identifier(name), Identifier(target.user))
            raise NoDagsterDatabaseError(
                f"there is no database {name} for Dagster's own storage, and {target.user} may not create it. "
                f"Have a DBA run: {statement.as_string(conn)}"
            ) from error
        limits.apply_where_possible(conn, limits.public_rights(conn, [name]))
    return True


def instance_environment(settings: Settings) -> dict[str, str]:
    """The variables that ``dagster.yaml`` reads, for child processes; the password is nowhere else."""
    target = PostgresTarget.started(settings)
    return {
        "DAGSTER_HOME": str(settings.home_dir / "dagster"),
        "CINESTREAM_HOME": str(settings.home_dir),
        "CINESTREAM_DAGSTER_PG_HOST": target.host,
        "CINESTREAM_DAGSTER_PG_PORT": str(target.port),
        "CINESTREAM_DAGSTER_PG_USER": target.user,
        "CINESTREAM_DAGSTER_PG_PASSWORD": target.password.get_secret_value(),
        "CINESTREAM_DAGSTER_PG_DATABASE": settings.postgres_dagster_database,
        # Windows of freshness are days long: every 30 s all assets would be looked at.
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "300",
    }


def prepare_instance(settings: Settings) -> None:
    """Make the instance's folder and set this process's environment, so that ``DagsterInstance.get()`` finds it."""
    ensure_dagster_database(settings)
    environment = instance_environment(settings)
    folder = Path(environment["DAGSTER_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", folder / "dagster.yaml")
    os.environ.update(environment)
