"""Bringing a frame into Postgres beside its table: a bare table in the star's staging schema, filled by COPY.

Nothing reads staging tables; a crashed run's leftover is dropped by the next one that needs the name.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from psycopg import Connection, sql

from cinestream_platform.declarations.table import Table
from cinestream_platform.services.disk import Room
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.copy import copy_frames


def stage(
    target: PostgresTarget, table: Table, frame: pl.DataFrame, name: str, room: Room | None = None
) -> sql.Identifier:
    """Create ``<star>_staging.<name>`` with the table's columns and NOT NULLs, and COPY the frame into it.

    Creation and COPY share one transaction: with ``wal_level=minimal`` Postgres writes no WAL for the rows, and they
    are frozen. A reader whose snapshot is older than the rows sees them too once they are swapped in, and not an
    empty partition.
    """
    staged = sql.Identifier(table.staging_schema, name)
    with connect(target, autocommit=False) as conn:
        drop_staged(conn, staged)
        like = sql.Identifier(table.schema, table.name)
        conn.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(staged, like))
        for surplus in [c.name for c in table.columns if c.name not in frame.columns]:
            conn.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(staged, sql.Identifier(surplus)))
        declared = [table.column(column) for column in frame.columns]
        copy_frames(conn, staged, frame.columns, [frame], freeze=True, declared=declared, room=room)
    return staged


def drop_staged(conn: Connection[Any], staged: sql.Identifier) -> None:
    """Drop a staging table if it is there."""
    conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staged))
