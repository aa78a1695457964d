"""Bringing a frame into Postgres beside its table: a bare table in the star's staging schema, filled by COPY.

Nothing reads staging tables; a crashed run's leftover is dropped by the next one that needs the name.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from psycopg import Connection, sql

from cinestream_platform.warehouse.connection import PostgresTarget, connect_bulk
from cinestream_platform.warehouse.table import Table


def _quoted(*names: str) -> str:
    """A quoted qualified name for ADBC, which knows no psycopg.sql."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def stage(target: PostgresTarget, table: Table, frame: pl.DataFrame, name: str) -> sql.Identifier:
    """Create ``<star>_staging.<name>`` with the table's columns and NOT NULLs, and COPY the frame into it.

    Creation and COPY share one transaction, so that Postgres with ``wal_level=minimal`` writes no WAL for the rows.
    """
    staged, like = _quoted(table.staging_schema, name), _quoted(table.schema, table.name)
    columns = frame.columns
    with connect_bulk(target) as conn:
        with conn.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {staged}")
            cursor.execute(f"CREATE TABLE {staged} (LIKE {like})")
            for surplus in [c.name for c in table.columns if c.name not in columns]:
                cursor.execute(f"ALTER TABLE {staged} DROP COLUMN {_quoted(surplus)}")
            if frame.height:
                batches = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
                cursor.adbc_ingest(name, batches, mode="append", db_schema_name=table.staging_schema)
        conn.commit()
    return sql.Identifier(table.staging_schema, name)


def drop_staged(conn: Connection[Any], staged: sql.Identifier) -> None:
    """Drop a staging table if it is there."""
    conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staged))
