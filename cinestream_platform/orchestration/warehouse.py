"""The prepared warehouse of this process's settings, for Dagster's resources and for the command line alike."""

from functools import cache

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.setup import prepare_warehouse


def prepared_target(catalog: Catalog) -> PostgresTarget:
    """The warehouse of these settings, started if need be, with all tables of the catalogue in place."""
    settings = get_settings()
    place = str(settings.home_dir), settings.postgres_host, settings.postgres_port, settings.postgres_database
    return _prepared(catalog, *place)


@cache
def _prepared(catalog: Catalog, *_: object) -> PostgresTarget:
    """Once a process and warehouse."""
    settings: Settings = get_settings()
    target = PostgresTarget.from_settings(settings)
    databases = [settings.postgres_dagster_database]
    prepare_warehouse(
        target, catalog.tables, catalog.mart_schemas, login_secrets(settings), catalog.predictions, databases=databases
    )
    return target


def prepare_again(catalog: Catalog) -> None:
    """Forget that the warehouse was prepared, and prepare it."""
    _prepared.cache_clear()
    prepared_target(catalog)
