"""Emptying a warehouse, for the demo: a release is its own world, with users of its own."""

from psycopg.sql import SQL, Identifier

from cinestream_platform.catalog import CATALOG, MART_SCHEMAS, TABLES
from cinestream_platform.lake.store import open_lake, open_landing
from cinestream_platform.ledger import lake_objects
from cinestream_platform.loading.raw_rows import object_keys
from cinestream_platform.orchestration import warehouse
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import PLATFORM_SCHEMA
from cinestream_platform.warehouse.connection import connect


def foreign_files(settings: Settings, own: list[str]) -> list[str]:
    """Keys in the landing zone that the demo did not put there."""
    return sorted({item.key for item in open_landing(settings).list()} - set(own))


def empty_warehouse(settings: Settings, keys: list[str]) -> None:
    """Drop every schema that the platform made, its raw rows in the lake, and these landed files; then prepare anew."""
    schemas = (
        {table.schema for table in TABLES}
        | {table.staging_schema for table in TABLES}
        | {*MART_SCHEMAS, PLATFORM_SCHEMA, "ops"}
    )
    target = warehouse.start_and_prepare(CATALOG, settings)
    with connect(target) as conn, conn.transaction():
        paths = lake_objects.every_path(conn)
        for schema in sorted(schemas):
            conn.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))
    landing = open_landing(settings)
    landing.delete(sorted({item.key for item in landing.list()} & set(keys)))
    lake = open_lake(settings)
    lake.delete([key for path in paths for key in object_keys(lake, path)])
    warehouse.forget_prepared()
    warehouse.start_and_prepare(CATALOG, settings)
