"""What was stale at the last look, kept for those who only read: views ``platform.stale_table`` and ``health``.

Which tables are stale only the declarations can tell, so that no view can compute it. Who compared them leaves here
what it found; the views say when that was, and whether anything has come, gone or been published since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection


def note(conn: Connection[Any], stale: Mapping[tuple[str, str], int], marker: str) -> None:
    """Put what is stale in the place of what was.

    Args:
        conn: To the warehouse.
        stale: (schema, table) -> stale partitions, of which there are some.
        marker: ``state_marker`` as it was before the state was read.
    """
    names = list(stale)
    columns = ([schema for schema, _ in names], [table for _, table in names])
    with conn.transaction():
        # First: of two that look at once the second waits here.
        conn.execute(
            "INSERT INTO ops.stale_look (looked_at, marker) VALUES (clock_timestamp(), %s)"
            " ON CONFLICT (is_only) DO UPDATE SET looked_at = excluded.looked_at, marker = excluded.marker",
            (marker,),
        )
        conn.execute(
            "DELETE FROM ops.stale_table"
            " WHERE (schema_name, table_name) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            columns,
        )
        conn.execute(
            "INSERT INTO ops.stale_table AS s (schema_name, table_name, partitions)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])"
            " ON CONFLICT (schema_name, table_name) DO UPDATE SET partitions = excluded.partitions"
            " WHERE s.partitions <> excluded.partitions",
            (*columns, list(stale.values())),
        )


def current(conn: Connection[Any]) -> dict[tuple[str, str], int] | None:
    """What is stale: (schema, table) -> partitions; ``None`` if that must be looked for, since something changed."""
    row = conn.execute("SELECT stale_is_current FROM platform.health").fetchone()
    if not row or not row[0]:
        return None
    found = conn.execute("SELECT schema_name, table_name, partitions FROM platform.stale_table").fetchall()
    return {(schema, table): partitions for schema, table, partitions in found}
