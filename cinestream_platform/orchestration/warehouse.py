"""The prepared warehouse of this process's settings, for Dagster's resources and for the command line alike."""

from functools import cache

from cinestream_platform.catalog import MART_SCHEMAS, PREDICTIONS, TABLES
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.setup import prepare_warehouse


def prepared_target() -> PostgresTarget:
    """The warehouse of these settings, started if need be, with all declared tables in place."""
    settings = get_settings()
    return _prepared(str(settings.home_dir), settings.postgres_host, settings.postgres_port, settings.postgres_database)


@cache
def _prepared(*_: object) -> PostgresTarget:
    """Once a process and warehouse."""
    settings: Settings = get_settings()
    target = PostgresTarget.from_settings(settings)
    databases = [settings.postgres_dagster_database]
    prepare_warehouse(target, TABLES, MART_SCHEMAS, login_secrets(settings), PREDICTIONS, databases=databases)
    return target


def prepare_again() -> None:
    """Forget that the warehouse was prepared, and prepare it."""
    _prepared.cache_clear()
    prepared_target()
