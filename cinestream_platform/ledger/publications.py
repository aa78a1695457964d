"""What was published when, by which run, from which files (``ops.publication``)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.ledger.deliveries import effective_at
from cinestream_platform.warehouse import locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cinestream_platform.declarations.table import Table


@dataclass(frozen=True)
class MadeFrom:
    """What a table or partition is made from: landed files, and publications of other tables (their numbers)."""

    file_ids: tuple[int, ...] = ()
    upstream: tuple[int, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there is neither."""
        return not self.file_ids and not self.upstream


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
    upstream: tuple[int, ...] = ()


@contextmanager
def publishing(conn: Connection[Any], table: Table, partition_key: str, *, wait_seconds: int = 600) -> Iterator[None]:
    """Hold the right to publish this table or partition; a second run waits for the first.

    Raises:
        TurnTakenError: The other run took longer than ``wait_seconds``.
    """
    with locks.turn(conn, locks.publication_turn(table, partition_key), wait_seconds=wait_seconds):
        yield


def latest(conn: Connection[Any], schema: str, table: str, partition_key: str) -> Publication | None:
    """The last publication of a table or partition."""
    row = conn.execute(
        """
        SELECT partition_key, rows, content_hash, file_ids, is_changed, relation, upstream FROM ops.publication
        WHERE schema_name = %s AND table_name = %s AND partition_key = %s AND is_latest
        """,
        (schema, table, partition_key),
    ).fetchone()
    if row is None:
        return None
    key, rows, content_hash, file_ids, changed, relation, upstream = row
    return Publication(key, rows, content_hash, tuple(file_ids), changed, relation, upstream=tuple(upstream))


def rows_published(conn: Connection[Any], schema: str, table: str) -> int:
    """Rows of all partitions of a table that are published now."""
    row = conn.execute(
        "SELECT coalesce(sum(rows), 0)::bigint FROM ops.publication"
        " WHERE schema_name = %s AND table_name = %s AND is_latest",
        (schema, table),
    ).fetchone()
    return int(row[0]) if row else 0


def record(conn: Connection[Any], schema: str, table: str, run_id: str, publication: Publication) -> int | None:
    """Enter a publication; call it in the transaction that publishes. Its number.

    The same content from the same files is no news and leaves no row (``None``).
    """
    before = latest(conn, schema, table, publication.partition_key)
    same_inputs = before and (before.file_ids, before.upstream) == (publication.file_ids, publication.upstream)
    if same_inputs and not publication.changed:
        return None
    key = (schema, table, publication.partition_key)
    conn.execute(
        "UPDATE ops.publication SET is_latest = false"
        " WHERE schema_name = %s AND table_name = %s AND partition_key = %s AND is_latest",
        key,
    )
    row = conn.execute(
        """
        INSERT INTO ops.publication
            (schema_name, table_name, partition_key, run_id, rows, content_hash, is_changed, file_ids, upstream,
             relation, data_as_of)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
            (SELECT max(last_modified) FROM ops.landed_file WHERE file_id = ANY (%s))) RETURNING publication_id
        """,
        (
            *key,
            run_id,
            publication.rows,
            publication.content_hash,
            publication.changed,
            list(publication.file_ids),
            list(publication.upstream),
            publication.relation,
            list(publication.file_ids),
        ),
    ).fetchone()
    return int(row[0]) if row else None


def record_added_members(conn: Connection[Any], dimension: Table, run_id: str) -> None:
    """Enter that a published dimension got inferred members; call it in the transaction that adds them."""
    before = latest(conn, dimension.schema, dimension.name, WHOLE)
    if before is None:
        return
    count = SQL("SELECT count(*) FROM {}").format(Identifier(dimension.schema, dimension.name))
    row = conn.execute(count).fetchone()
    now = replace(before, rows=int(row[0]) if row else 0, changed=True)
    record(conn, dimension.schema, dimension.name, run_id, now)


def unsettled_partitions(conn: Connection[Any], fact: Table, source: str, dataset: str) -> list[str]:
    """Partitions of a fact that are not made from the loaded files of its feed that touch them now."""
    rows = conn.execute(
        """
        SELECT partition_key FROM (
            SELECT p AS partition_key, array_agg(file_id ORDER BY file_id) AS wanted
            FROM ops.landed_file CROSS JOIN unnest(partitions) p
            WHERE source = %s AND dataset = %s AND status = 'loaded' GROUP BY p
        ) AS loaded FULL JOIN (
            SELECT partition_key, file_ids FROM ops.publication
            WHERE schema_name = %s AND table_name = %s AND is_latest
        ) AS published USING (partition_key)
        WHERE coalesce(wanted, '{}') <> coalesce(file_ids, '{}')
        """,
        (source, dataset, fact.schema, fact.name),
    ).fetchall()
    return [partition_key for (partition_key,) in rows]


@dataclass(frozen=True)
class Published:
    """What the ledger holds of a published table or partition.

    ``changed_by`` is its last publication that changed anything; ``is_intact`` is False if somebody dropped the
    partition that was swapped in.
    """

    file_ids: tuple[int, ...]
    upstream: tuple[int, ...]
    changed_by: int
    is_intact: bool


def versions_read(published: Mapping[str, Published], partition_key: str | None) -> list[Published]:
    """What a reader of a table reads: one partition of it, if it was published, or all (``None``)."""
    if partition_key is None:
        return list(published.values())
    return [published[partition_key]] if partition_key in published else []


@dataclass(frozen=True)
class LedgerState:
    """What is loaded and what is published, read in one moment.

    ``files`` holds per (source, dataset) the loaded files with the partitions that each touches; ``published`` per
    (schema, table) the partitions; ``effective`` from when on each file holds, if it is one delivery of several.
    """

    files: dict[tuple[str, str], dict[int, frozenset[str]]]
    published: dict[tuple[str, str], dict[str, Published]]
    effective: dict[int, datetime] = field(default_factory=dict)


_PUBLISHED = SQL(
    """
    SELECT schema_name, table_name, p.partition_key, p.file_ids, p.upstream,
        (SELECT max(c.publication_id) FROM ops.publication c WHERE c.is_changed
         AND (c.schema_name, c.table_name, c.partition_key) = (p.schema_name, p.table_name, p.partition_key)),
        p.relation IS NULL OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = p.relation)
    FROM ops.publication p WHERE is_latest
    """
)


def state_marker(conn: Connection[Any]) -> str:
    """A short text that changes with whatever ``read_state`` returns: indexed looks instead of all of it."""
    row = conn.execute("SELECT marker FROM ops.v_state_marker").fetchone()
    return str(row[0]) if row else ""


def read_state(conn: Connection[Any]) -> LedgerState:
    """Read the state in one snapshot."""
    files: dict[tuple[str, str], dict[int, frozenset[str]]] = {}
    published: dict[tuple[str, str], dict[str, Published]] = {}
    effective: dict[int, datetime] = {}
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for source, dataset, file_id, partitions, key, landed in conn.execute(
            "SELECT source, dataset, file_id, partitions, key, last_modified FROM ops.landed_file"
            " WHERE status = 'loaded'"
        ):
            files.setdefault((source, dataset), {})[file_id] = frozenset(partitions)
            effective[file_id] = effective_at(key, landed)
        for schema, table, partition, *found in conn.execute(_PUBLISHED):
            published.setdefault((schema, table), {})[partition] = _published(*found)
    return LedgerState(files, published, effective)


def published_partitions(conn: Connection[Any], schema: str, table: str) -> dict[str, Published]:
    """What is published of one table, by partition."""
    query = _PUBLISHED + SQL(" AND schema_name = {} AND table_name = {}").format(Literal(schema), Literal(table))
    return {partition: _published(*found) for _, _, partition, *found in conn.execute(query)}


def _published(file_ids: list[int], upstream: list[int], changed_by: int | None, is_intact: bool) -> Published:
    return Published(tuple(file_ids), tuple(upstream), changed_by or 0, is_intact)
