"""``cinestream prepare``: what must be there before Dagster starts, for instance in containers."""

from collections.abc import Iterator

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.instance import prepare_instance
from cinestream_platform.lake.store import open_lake, open_landing
from cinestream_platform.lake.store_errors import location_of
from cinestream_platform.marts.project import ensure_manifest
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings


def prepare_everything(settings: Settings) -> Iterator[str]:
    """Make buckets, databases, roles, tables and dbt's manifest where they are missing; a line for each."""
    for name, store in (("landing zone", open_landing(settings)), ("lake", open_lake(settings))):
        yield f"{name}: {location_of(store)}{' (made)' if store.ensure() else ''}"
    yield f"warehouse: {start_and_prepare(CATALOG, settings)}"
    prepare_instance(settings)
    yield f"Dagster: database {settings.postgres_dagster_database}, configuration in {settings.home_dir / 'dagster'}"
    yield f"dbt: {ensure_manifest(settings)}"
