"""The ledger of landed files (``ops.landed_file``): what was seen, what waits, what became of it.

The one place that decides which version of which file counts. What does not belong here: reading files
(``lake``), what a listing shows (``sightings``), writing rows (``raw_publish``, ``publish``), what operators ask for
(``corrections``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row
from psycopg.types.multirange import Multirange

from cinestream_platform.ledger import turns
from cinestream_platform.ledger.deliveries import effective_at
from cinestream_platform.messages import bounded
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
    reason: str | None
    lake_path: str | None
    partition_rows: dict[str, int]
    partitions: list[str]
    rows_loaded: int | None = None
    rows_rejected: int | None = None
    rows_repeated: int | None = None
    rows_conflicting: int | None = None
    ends_without_line_end: bool | None = None
    contested_groups: Multirange[int] = field(default_factory=Multirange)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.size_bytes

    @property
    def effective_at(self) -> datetime:
        """From when on a delivery of a whole table holds."""
        return effective_at(self.key, self.last_modified)


COLUMNS = (
    "file_id, source, dataset, bucket, key, etag, size_bytes, last_modified, first_seen_at, status, attempts, reason,"
    " lake_path, partition_rows, partitions, rows_loaded, rows_rejected, rows_repeated, rows_conflicting,"
    " ends_without_line_end, contested_groups"
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


def due(
    conn: Connection[Any], feeds: Sequence[tuple[str, str]], limit: int, excluded: Collection[int] = ()
) -> list[DueFile]:
    """Files of these feeds (source, dataset) to load now, oldest first, at most ``limit`` of each source.

    One source's queue, however long, leaves the others theirs. ``excluded`` are left out.
    """
    with conn.cursor(row_factory=class_row(DueFile)) as cursor:
        return cursor.execute(
            """
            SELECT f.source, f.dataset, f.file_id, f.attempts, f.size_bytes
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


def mark_duplicate(conn: Connection[Any], file: LandedFile, sha256: str, twin: int, raw_table: sql.Identifier) -> bool:
    """The same content is loaded already: this version adds nothing. Rows of the key's older versions leave.

    Returns:
        False if the twin has left meanwhile; the file then goes on waiting.
    """
    with conn.transaction():
        if not _stays_loaded(conn, twin):
            return False
        marked = conn.execute(
            """
            UPDATE ops.landed_file SET status = 'duplicate', sha256 = %s, duplicate_of = %s,
                reason = format('the same content is loaded as file %%s', %s::bigint)
            WHERE file_id = %s AND status = 'pending'
            """,
            (sha256, twin, twin, file.file_id),
        ).rowcount
        if marked:
            _supersede_older_versions(conn, file, twin, raw_table)
    return True


def _supersede_older_versions(conn: Connection[Any], file: LandedFile, twin: int, raw_table: sql.Identifier) -> None:
    """The key's content is now that of another file: what it held before no longer counts."""
    older = [
        row[0]
        for row in conn.execute(
            "SELECT file_id FROM ops.landed_file"
            " WHERE bucket = %s AND key = %s AND status = 'loaded' AND file_id NOT IN (%s, %s) FOR UPDATE",
            (file.bucket, file.key, file.file_id, twin),
        )
    ]
    if older:
        remove_rows(conn, raw_table, older)
        turns.supersede(conn, dict.fromkeys(older, file.file_id))


def mark_overtaken(conn: Connection[Any], file: LandedFile, sha256: str, by: int) -> bool:
    """An older snapshot stands back for a later one; it gets its turn if that one is retracted.

    Returns:
        False if the later one has left meanwhile; the file then goes on waiting.
    """
    with conn.transaction():
        if not _stays_loaded(conn, by):
            return False
        conn.execute(
            "UPDATE ops.landed_file SET status = 'superseded', superseded_by = %s, sha256 = %s,"
            " reason = 'a snapshot that landed later is loaded' WHERE file_id = %s AND status = 'pending'",
            (by, sha256, file.file_id),
        )
    return True


def _stays_loaded(conn: Connection[Any], file_id: int) -> bool:
    """Whether a file is loaded; if so it stays so until this transaction ends."""
    row = conn.execute("SELECT status FROM ops.landed_file WHERE file_id = %s FOR SHARE", (file_id,)).fetchone()
    return bool(row and row[0] == "loaded")


def begin_attempts(
    conn: Connection[Any], files: Iterable[LandedFile], lake_path: str, *, backoff_seconds: float
) -> set[int]:
    """Count an attempt at each file before it is made, since a process that is killed cannot count it afterwards.

    ``lake_path`` is where the attempt will write: what it leaves there if it dies is known to be ours.

    Returns:
        The files that still wait; of others no attempt is to be made.
    """
    rows = conn.execute(
        """
        UPDATE ops.landed_file SET attempts = attempts + 1, lake_attempts = array_append(lake_attempts, %s),
            cancelled_at = NULL, reason = CASE WHEN cancelled_at IS NULL THEN reason END,
            next_attempt_at = clock_timestamp() + make_interval(secs => %s * power(2, attempts))
        WHERE file_id = ANY (%s) AND status = 'pending' RETURNING file_id
        """,
        (lake_path, backoff_seconds, [file.file_id for file in files]),
    )
    return {file_id for (file_id,) in rows}


def end_attempts(conn: Connection[Any], files: Iterable[LandedFile]) -> None:
    """Do not count the attempt: nothing was wrong with these files, it is only not their turn."""
    conn.execute(
        "UPDATE ops.landed_file SET attempts = attempts - 1, next_attempt_at = 'epoch'"
        " WHERE file_id = ANY (%s) AND status = 'pending'",
        ([file.file_id for file in files],),
    )


def mark_failed(conn: Connection[Any], file: LandedFile, reason: str, *, attempts: int) -> None:
    """Say why the attempt failed: the file waits longer each time and is parked after ``attempts`` of them."""
    conn.execute(
        "UPDATE ops.landed_file SET reason = %s,"
        " status = CASE WHEN attempts >= %s THEN 'parked' ELSE 'pending' END WHERE file_id = %s AND status = 'pending'",
        (bounded(reason), attempts, file.file_id),
    )


def mark_gone(conn: Connection[Any], file: LandedFile) -> None:
    """The object vanished before it was read."""
    conn.execute(
        "UPDATE ops.landed_file SET status = 'gone', reason = 'deleted before it was read', is_newest = false"
        " WHERE file_id = %s AND status = 'pending'",
        (file.file_id,),
    )


def park(
    conn: Connection[Any],
    file: LandedFile,
    reason: str,
    *,
    sha256: str | None = None,
    counts: tuple[int, int] | None = None,
    sample: Sequence[tuple[int, str, str]] = (),
) -> None:
    """Refuse a version for good: its content will not get better by trying again.

    ``counts`` are records read and rejected; ``sample`` holds (line, rule, raw) of rejected records.
    """
    read, rejected = counts or (None, None)
    with conn.transaction():
        conn.execute(
            """
            UPDATE ops.landed_file SET status = 'parked', reason = %s, sha256 = %s,
                rows_read = %s, rows_loaded = 0, rows_rejected = %s
            WHERE file_id = %s AND status = 'pending'
            """,
            (bounded(reason), sha256, read, rejected, file.file_id),
        )
        conn.execute("DELETE FROM ops.rejected_row WHERE file_id = %s", (file.file_id,))
        conn.cursor().executemany(
            "INSERT INTO ops.rejected_row VALUES (%s, %s, %s, %s)", [(file.file_id, *row) for row in sample]
        )
