"""The prepared warehouse of some settings, for Dagster's resources and for the command line alike."""

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.setup import prepare_warehouse

_prepared: dict[tuple[object, ...], PostgresTarget] = {}
"""What this process has prepared: once for each catalogue and warehouse."""


def start_and_prepare(catalog: Catalog, settings: Settings) -> PostgresTarget:
    """The warehouse of these settings: its server is started, its roles and the catalogue's tables made, if need be."""
    place = (
        catalog,
        *(str(settings.home_dir), settings.postgres_host, settings.postgres_port, settings.postgres_database),
    )
    if place not in _prepared:
        target = PostgresTarget.started(settings)
        databases = [settings.postgres_dagster_database]
        logins = login_secrets(settings)
        prepare_warehouse(
            target, catalog.tables, catalog.mart_schemas, logins, catalog.predictions, databases=databases
        )
        _prepared[place] = target
    return _prepared[place]


def forget_prepared() -> None:
    """Prepare every warehouse again when it is next asked for: it may be another one of the same name."""
    _prepared.clear()
