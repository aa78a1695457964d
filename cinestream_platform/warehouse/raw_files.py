"""The rows of a landed file in its raw table: how they come, and how they leave.

Of a table that is split by file (``RawEvents.by_file``) a large file is a partition of its own. Its rows are copied
frozen into a table that is new in the same transaction: Postgres writes no WAL for them, no later reader has to mark
them as committed (which with checksums writes every page twice more), and the file leaves by a DROP instead of millions
of dead rows. Small files share the default partition, and all others tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from cinestream_platform.declarations.partitioning import SMALL_FILES
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.services.disk import Room
from cinestream_platform.warehouse.copy import copy_frames

OWN_PARTITION_FROM = 1_000_000
"""Rows from which on a file is a partition: fewer are deleted in seconds, and partitions stay few."""
LOCK_TIMEOUT_MS = 500
"""How long readers can queue behind a partition that is to be dropped; then its rows are deleted instead."""


def add_rows(
    conn: Connection[Any],
    table: RawTable,
    file_ids: Sequence[int],
    rows: Iterable[pl.DataFrame],
    count: int,
    room: Room | None = None,
) -> None:
    """Bring the rows of a file, or of several small ones; they belong to the connection's transaction."""
    names = [column.name for column in table.columns]
    target = Identifier(table.schema, table.name)
    if not table.by_file or count < OWN_PARTITION_FROM or len(file_ids) > 1:
        copy_frames(conn, target, names, rows, declared=table.columns, room=room)
        return
    [file_id] = file_ids
    part = Identifier(table.schema, table.partition_name(f"file-{file_id}"))
    conn.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING CONSTRAINTS)").format(part, target))
    only = SQL("ALTER TABLE {} ADD CONSTRAINT one_file CHECK (_file_id = {})")
    conn.execute(only.format(part, Literal(file_id)))  # spares ATTACH its scan
    copy_frames(conn, part, names, rows, freeze=True, declared=table.columns, room=room)
    conn.execute(SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(target, part, Literal(file_id)))
    conn.execute(SQL("ALTER TABLE {} DROP CONSTRAINT one_file").format(part))


def rows_by_file(conn: Connection[Any], table: RawTable) -> dict[int, int]:
    """How many rows of each file are in the table; partitions are counted without looking at their rows' file."""
    target = Identifier(table.schema, table.name)
    own = {name: int(name.rpartition("_")[2]) for _, name in _partitions(conn, target, r"\d+")} if table.by_file else {}
    found = {}
    for name, file_id in own.items():
        row = conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table.schema, name))).fetchone()
        found[file_id] = row[0] if row else 0
    shared = Identifier(table.schema, table.partition_name(SMALL_FILES)) if table.by_file else target
    return found | dict(conn.execute(SQL("SELECT _file_id, count(*) FROM {} GROUP BY 1").format(shared)).fetchall())


def remove_rows(conn: Connection[Any], raw_table: Identifier, file_ids: Sequence[int]) -> None:
    """Take the rows of files away, in the connection's transaction."""
    for partition in _partitions(conn, raw_table, "|".join(map(str, file_ids)) or "none"):
        try:
            with conn.transaction():
                conn.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MS}ms",))
                conn.execute(SQL("DROP TABLE {}").format(Identifier(*partition)))
        except psycopg.errors.LockNotAvailable:
            continue  # somebody reads the table: its rows leave one by one
    conn.execute(SQL("DELETE FROM {} WHERE _file_id = ANY (%s)").format(raw_table), (list(file_ids),))


def _partitions(conn: Connection[Any], raw_table: Identifier, file_ids: str) -> list[tuple[str, str]]:
    """Schema and name of the partitions of files whose number matches a pattern."""
    return conn.execute(
        """
        SELECT n.nspname, c.relname FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.inhparent = to_regclass(%s) AND c.relname ~ ('_file_(' || %s || ')$')
        """,
        (raw_table.as_string(conn), file_ids),
    ).fetchall()
