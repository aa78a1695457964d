"""What was published when, by which run, from which files (``ops.publication``), and what is stale."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cinestream_platform.warehouse.table import Table


@dataclass(frozen=True)
class Publication:
    """A published table or partition. ``changed`` is False where the content was the same already."""

    partition_key: str
    rows: int
    content_hash: str
    file_ids: tuple[int, ...]
    changed: bool
    relation: int | None = None
    rows_before: int = 0


@contextmanager
def publishing(conn: Connection[Any], table: Table, partition_key: str, *, wait_seconds: int = 600) -> Iterator[None]:
    """Hold the right to publish this table or partition; a second run waits for the first.

    Raises:
        psycopg.errors.LockNotAvailable: The other run took longer than ``wait_seconds``.
    """
    name = f"cinestream.publish.{table.qualified_name}.{partition_key}"
    with conn.transaction():
        conn.execute("SELECT set_config('lock_timeout', %s, true)", (f"{wait_seconds}s",))
        conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))
    try:
        yield
    finally:
        conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


def latest(conn: Connection[Any], schema: str, table: str, partition_key: str) -> Publication | None:
    """The last publication of a table or partition."""
    row = conn.execute(
        """
        SELECT partition_key, rows, content_hash, file_ids, is_changed, relation FROM ops.publication
        WHERE schema_name = %s AND table_name = %s AND partition_key = %s AND is_latest
        """,
        (schema, table, partition_key),
    ).fetchone()
    return Publication(row[0], row[1], row[2], tuple(row[3]), row[4], row[5]) if row else None


def record(conn: Connection[Any], schema: str, table: str, run_id: str, publication: Publication) -> None:
    """Enter a publication; call it in the transaction that publishes.

    The same content from the same files is no news and leaves no row.
    """
    before = latest(conn, schema, table, publication.partition_key)
    if before and not publication.changed and before.file_ids == publication.file_ids:
        return
    key = (schema, table, publication.partition_key)
    conn.execute(
        "UPDATE ops.publication SET is_latest = false"
        " WHERE schema_name = %s AND table_name = %s AND partition_key = %s AND is_latest",
        key,
    )
    conn.execute(
        """
        INSERT INTO ops.publication
            (schema_name, table_name, partition_key, run_id, rows, content_hash, is_changed, file_ids, relation)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *key,
            run_id,
            publication.rows,
            publication.content_hash,
            publication.changed,
            list(publication.file_ids),
            publication.relation,
        ),
    )


def stale_partitions(conn: Connection[Any], table: Table, source: str, datasets: Sequence[str]) -> list[str]:
    """Partitions of a fact whose loaded files are not those of its last publication, in order.

    No clock is asked: a file that was loaded, replaced or retracted changes the set of files, and nothing else does.
    A partition whose table somebody dropped is stale too.
    """
    rows = conn.execute(
        """
        WITH wanted AS (
            SELECT p AS partition_key, array_agg(file_id ORDER BY file_id) AS file_ids
            FROM ops.landed_file, unnest(partitions) p
            WHERE source = %(source)s AND dataset = ANY (%(datasets)s) AND status = 'loaded' GROUP BY p
        ), published AS (
            SELECT partition_key, file_ids, relation FROM ops.publication
            WHERE schema_name = %(schema)s AND table_name = %(table)s AND is_latest
        )
        SELECT partition_key FROM wanted FULL JOIN published USING (partition_key)
        WHERE coalesce(wanted.file_ids, '{}') IS DISTINCT FROM published.file_ids
           OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = published.relation)
        ORDER BY partition_key
        """,
        {"source": source, "datasets": list(datasets), "schema": table.schema, "table": table.name},
    )
    return [row[0] for row in rows]
