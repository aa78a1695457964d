"""The ledger of landed files (``ops.landed_file``): which wait, which are loaded, and which are not because others are.

Whoever wants to know something of landed files asks here. What does not belong here: writing the ledger's rows
(``file_writes``, the only one that does), what a listing shows (``sightings``), how files stand to what is loaded
(``standing``), what operators ask for (``corrections``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row
from psycopg.types.multirange import Multirange

from cinestream_platform.ledger import file_writes
from cinestream_platform.ledger.deliveries import effective_at
from cinestream_platform.ledger.file_states import FileState
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.raw_files import remove_rows


@dataclass(frozen=True)
class LandedFile:
    """One version of one landed file."""

    file_id: int
    source: str
    dataset: str
    bucket: str
    key: str
    etag: str
    size_bytes: int
    last_modified: datetime
    first_seen_at: datetime
    status: str
    attempts: int
    lake_path: str | None
    partition_rows: dict[str, int]
    partitions: list[str]
    rows_loaded: int | None = None
    rows_repeated: int | None = None
    rows_conflicting: int | None = None
    contested_groups: Multirange[int] = field(default_factory=Multirange)

    @property
    def effective_at(self) -> datetime:
        """From when on a delivery of a whole table holds."""
        return effective_at(self.key, self.last_modified)


COLUMNS = (
    "file_id, source, dataset, bucket, key, etag, size_bytes, last_modified, first_seen_at, status, attempts,"
    " lake_path, partition_rows, partitions, rows_loaded, rows_repeated, rows_conflicting, contested_groups"
)
"""What ``LandedFile`` holds of ``ops.landed_file``."""


def pending(
    conn: Connection[Any], source: str, dataset: str, *, file_ids: Sequence[int] | None = None, limit: int | None = None
) -> list[LandedFile]:
    """Files that wait and whose time has come, oldest first.

    Without ``file_ids`` somebody asks by hand: those whose load was cancelled are among them.
    """
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        return cursor.execute(
            f"""
            SELECT {COLUMNS} FROM ops.landed_file
            WHERE source = %s AND dataset = %s AND status = 'pending' AND next_attempt_at <= clock_timestamp()
              AND (%s::bigint[] IS NULL OR (file_id = ANY (%s::bigint[]) AND cancelled_at IS NULL))
            ORDER BY last_modified, key COLLATE "C" LIMIT %s
            """,  # noqa: S608 - the columns are this module's own
            (source, dataset, file_ids, file_ids, limit),
        ).fetchall()


@dataclass(frozen=True)
class DueFile:
    """A file whose load is due."""

    source: str
    dataset: str
    file_id: int
    attempts: int
    size_bytes: int = 0
    key: str = ""


def due(
    conn: Connection[Any], feeds: Sequence[tuple[str, str]], limit: int, excluded: Collection[int] = ()
) -> list[DueFile]:
    """Files of these feeds (source, dataset) to load now, oldest first, at most ``limit`` of each source.

    One source's queue, however long, leaves the others theirs. ``excluded`` are left out.
    """
    with conn.cursor(row_factory=class_row(DueFile)) as cursor:
        return cursor.execute(
            """
            SELECT f.source, f.dataset, f.file_id, f.attempts, f.size_bytes, f.key
            FROM (SELECT source, array_agg(dataset) AS datasets
                  FROM unnest(%s::text[], %s::text[]) AS feed (source, dataset) GROUP BY source) s
            CROSS JOIN LATERAL (
                SELECT source, dataset, file_id, attempts, size_bytes, last_modified, key FROM ops.landed_file
                WHERE source = s.source AND dataset = ANY (s.datasets) AND status = 'pending'
                    AND next_attempt_at <= clock_timestamp() AND file_id <> ALL (%s::bigint[]) AND cancelled_at IS NULL
                ORDER BY last_modified, key COLLATE "C" LIMIT %s
            ) f
            ORDER BY f.last_modified, f.key COLLATE "C"
            """,
            ([source for source, _ in feeds], [dataset for _, dataset in feeds], list(excluded), limit),
        ).fetchall()


def loaded_content(conn: Connection[Any], source: str, dataset: str) -> tuple[int, str]:
    """The rows of a feed's loaded files, and a hash that is the same while the same files are loaded."""
    row = conn.execute(
        "SELECT coalesce(sum(rows_loaded), 0)::bigint,"
        " md5(coalesce(string_agg(file_id || ' ' || coalesce(sha256, ''), ',' ORDER BY file_id), ''))"
        " FROM ops.landed_file WHERE source = %s AND dataset = %s AND status = 'loaded'",
        (source, dataset),
    ).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def settled_keys(conn: Connection[Any], bucket: str, keys: Collection[str]) -> set[str]:
    """Those of these keys whose newest version is loaded, while no file of another key of its feed landed later."""
    found = conn.execute(
        """
        SELECT f.key FROM ops.landed_file f
        WHERE f.bucket = %(bucket)s AND f.key = ANY (%(keys)s) AND f.is_newest AND f.status IN ('loaded', 'duplicate')
            AND NOT EXISTS (
                SELECT FROM ops.landed_file later
                WHERE later.source = f.source AND later.dataset = f.dataset AND later.key <> ALL (%(keys)s)
                    AND later.status IN ('pending', 'loaded', 'duplicate') AND later.last_modified > f.last_modified
            )
        """,
        {"bucket": bucket, "keys": list(keys)},
    )
    return {key for (key,) in found}


def loaded(
    conn: Connection[Any], source: str, dataset: str, *, sharing: Multirange[int] | None = None
) -> list[LandedFile]:
    """Files whose rows are in the raw table (of any of these groups), in the order in which later ones win."""
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        return cursor.execute(
            f"""
            SELECT {COLUMNS} FROM ops.landed_file WHERE source = %s AND dataset = %s AND status = 'loaded'
                AND (%s::int8multirange IS NULL OR groups && %s::int8multirange)
            ORDER BY last_modified, key COLLATE "C", file_id
            """,  # noqa: S608 - the columns are this module's own
            (source, dataset, sharing, sharing),
        ).fetchall()


def loaded_twin(conn: Connection[Any], file: LandedFile, sha256: str, *, same_delivery: bool = False) -> int | None:
    """A loaded file of the same feed with the same content; ``None`` if the content is new.

    A reload does not count its own key's older version, since it is there to be replaced. ``same_delivery`` counts
    only versions of the same key that hold from the same time on.
    """
    twins = conn.execute(
        """
        SELECT twin.file_id, twin.key, twin.last_modified
        FROM ops.landed_file twin JOIN ops.landed_file me ON me.file_id = %s
        WHERE twin.source = me.source AND twin.dataset = me.dataset AND twin.status = 'loaded' AND twin.sha256 = %s
          AND twin.file_id <> me.file_id AND NOT (me.is_reload AND (twin.bucket, twin.key) = (me.bucket, me.key))
        """,
        (file.file_id, sha256),
    ).fetchall()
    for file_id, key, landed in twins:
        if not same_delivery or (key == file.key and effective_at(key, landed) == file.effective_at):
            return int(file_id)
    return None


def returning_sources(conn: Connection[Any]) -> set[str]:
    """Sources of files that were read before, gave way, and are due again: what replaces rows that have left.

    A build before their load would publish a table without them.
    """
    rows = conn.execute(
        "SELECT DISTINCT source FROM ops.landed_file WHERE status = 'pending' AND sha256 IS NOT NULL"
        " AND next_attempt_at <= clock_timestamp() AND cancelled_at IS NULL"
    ).fetchall()
    return {source for (source,) in rows}


def waiting_since(conn: Connection[Any], source: str, dataset: str, bucket: str, before: datetime) -> list[int]:
    """Files of a feed that wait and were seen before a time."""
    rows = conn.execute(
        "SELECT file_id FROM ops.landed_file"
        " WHERE (source, dataset, bucket) = (%s, %s, %s) AND status = 'pending' AND first_seen_at < %s",
        (source, dataset, bucket, before),
    ).fetchall()
    return [file_id for (file_id,) in rows]


def numbered(conn: Connection[Any], file_id: int) -> LandedFile:
    """The version with a number.

    Raises:
        LookupError: There is none.
    """
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        found = cursor.execute(
            f"SELECT {COLUMNS} FROM ops.landed_file WHERE file_id = %s",  # noqa: S608 - the columns are this module's own
            (file_id,),
        ).fetchone()
    if found is None:
        raise LookupError(f"no file has the number {file_id}")
    return found


def partitions_of(conn: Connection[Any], file_ids: Sequence[int]) -> list[str]:
    """The fact partitions that any of these files touches."""
    rows = conn.execute(
        "SELECT DISTINCT p FROM ops.landed_file CROSS JOIN unnest(partitions) p WHERE file_id = ANY (%s)",
        (list(file_ids),),
    ).fetchall()
    return sorted(partition for (partition,) in rows)


def newest(conn: Connection[Any], bucket: str, key: str) -> LandedFile | None:
    """The version of a key that counts, or the last one; ``None`` for a key that the ledger does not know."""
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM ops.landed_file WHERE bucket = %s AND key = %s"  # noqa: S608
            " ORDER BY is_newest DESC, status = 'loaded' DESC, file_id DESC LIMIT 1",
            (bucket, key),
        ).fetchone()


def similar_keys(conn: Connection[Any], bucket: str, key: str) -> list[str]:
    """A few keys whose last part ends like this one's."""
    rows = conn.execute(
        "SELECT key FROM ops.landed_file WHERE bucket = %s AND is_newest AND key LIKE '%%' || %s ORDER BY key LIMIT 5",
        (bucket, key.rsplit("/", 1)[-1] or key),
    ).fetchall()
    return [found for (found,) in rows]


def mark_duplicate(conn: Connection[Any], file: LandedFile, sha256: str, twin: int, raw_table: sql.Identifier) -> bool:
    """The same content is loaded already: this version adds nothing. Rows of the key's older versions leave.

    Returns:
        False if the twin has left meanwhile; the file then goes on waiting.
    """
    with conn.transaction():
        if not _stays_loaded(conn, twin):
            return False
        if file_writes.repeat(conn, file.file_id, sha256, twin):
            _supersede_older_versions(conn, file, twin, raw_table)
    return True


def _supersede_older_versions(conn: Connection[Any], file: LandedFile, twin: int, raw_table: sql.Identifier) -> None:
    """The key's content is now that of another file: what it held before no longer counts."""
    spared = (file.file_id, twin)
    older = [
        file_id
        for file_id, status in locks.lock_versions(conn, file.bucket, file.key)
        if status == FileState.LOADED and file_id not in spared
    ]
    if older:
        remove_rows(conn, raw_table, older)
        file_writes.replace(conn, dict.fromkeys(older, file.file_id))


def mark_overtaken(conn: Connection[Any], file: LandedFile, sha256: str, by: int) -> bool:
    """An older snapshot is not loaded while a later one is; it waits again if that one is retracted.

    Returns:
        False if the later one has left meanwhile; the file then goes on waiting.
    """
    with conn.transaction():
        if not _stays_loaded(conn, by):
            return False
        file_writes.overtake(conn, file.file_id, sha256, by)
    return True


def _stays_loaded(conn: Connection[Any], file_id: int) -> bool:
    """Whether a file is loaded; if so it stays so until this transaction ends."""
    return locks.keep_file(conn, file_id) == FileState.LOADED


def park(
    conn: Connection[Any],
    file: LandedFile,
    reason: str,
    *,
    sha256: str | None = None,
    counts: tuple[int, int] | None = None,
    sample: Sequence[tuple[int, str, str]] = (),
) -> None:
    """Refuse a version for good, if it still waits: its content will not get better by trying again.

    ``counts`` are records read and rejected; ``sample`` holds (line, rule, raw) of rejected records.
    """
    with conn.transaction():
        if not file_writes.park(conn, file.file_id, reason, sha256=sha256, counts=counts):
            return
        conn.execute("DELETE FROM ops.rejected_row WHERE file_id = %s", (file.file_id,))
        conn.cursor().executemany(
            "INSERT INTO ops.rejected_row VALUES (%s, %s, %s, %s)", [(file.file_id, *row) for row in sample]
        )


# ---- what people are told --------------------------------------------------------------------------------------------


def parked(conn: Connection[Any], source: str | None = None, dataset: str | None = None) -> list[tuple[str, str]]:
    """Key and reason of every parked file, or of those of one feed."""
    return conn.execute(
        "SELECT key, reason FROM ops.landed_file WHERE status = 'parked'"
        " AND source = coalesce(%s, source) AND dataset = coalesce(%s, dataset) ORDER BY key",
        (source, dataset),
    ).fetchall()


def loaded_counts(conn: Connection[Any], source: str, dataset: str) -> list[tuple[int, str, int, int, int]]:
    """Number, key, records read, rows loaded and records rejected of every loaded file of a feed."""
    return conn.execute(
        "SELECT file_id, key, rows_read, rows_loaded, rows_rejected FROM ops.landed_file"
        " WHERE source = %s AND dataset = %s AND status = 'loaded' ORDER BY key",
        (source, dataset),
    ).fetchall()


def is_any_loaded(conn: Connection[Any]) -> bool:
    """Whether any file of any source is loaded."""
    return conn.execute("SELECT FROM ops.landed_file WHERE status = 'loaded' LIMIT 1").fetchone() is not None


def newest_among(conn: Connection[Any], bucket: str, etags: Sequence[str]) -> list[tuple[str, str]]:
    """Key and ETag of versions with one of these ETags that are the newest of their keys."""
    return conn.execute(
        "SELECT key, etag FROM ops.landed_file WHERE bucket = %s AND is_newest AND etag = ANY (%s)",
        (bucket, list(etags)),
    ).fetchall()
