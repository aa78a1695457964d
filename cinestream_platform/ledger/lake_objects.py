"""Which objects of the lake hold the rows of a feed's loaded files, by the ledger.

A large file has a folder of its own. Small ones share an object, and such objects are written together into larger
ones, so that what reads the lake opens few of them, however many files are loaded. What does not belong here: reading
and writing the lake (``lake``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.multirange import Multirange

from cinestream_platform.ledger import file_writes, landed_files
from cinestream_platform.ledger.landed_files import LandedFile

SHARED = ".parquet"
"""How the path of an object ends that several files may share; any other path is a folder of one file."""


@dataclass(frozen=True)
class LakeObject:
    """A folder, or an object with rows of several files; ``partitions`` are those of a folder."""

    path: str
    partitions: list[str]
    rows: int

    @property
    def is_shared(self) -> bool:
        """Whether rows of several files may be in it."""
        return self.path.endswith(SHARED)


def current(
    conn: Connection[Any],
    source: str,
    dataset: str,
    *,
    sharing: Multirange[int] | None = None,
    without: Collection[int] = (),
) -> list[LakeObject]:
    """The objects with rows of loaded files (of any of these groups), but for some files."""
    with conn.cursor(row_factory=class_row(LakeObject)) as cursor:
        return cursor.execute(
            """
            SELECT path, CASE WHEN path LIKE '%%.parquet' THEN '{}'
                ELSE (SELECT array_agg(k ORDER BY k) FROM ops.landed_file f, jsonb_object_keys(f.partition_rows) k
                      WHERE f.file_id = one_file) END AS partitions, rows
            FROM (
                SELECT lake_path AS path, min(file_id) AS one_file, sum(rows_loaded)::bigint AS rows
                FROM ops.landed_file
                WHERE source = %s AND dataset = %s AND status = 'loaded' AND rows_loaded > 0
                    AND file_id <> ALL (%s::bigint[])
                    AND (%s::int8multirange IS NULL OR groups && %s::int8multirange)
                GROUP BY lake_path
            ) AS object ORDER BY path
            """,
            (source, dataset, list(without), sharing, sharing),
        ).fetchall()


def fingerprint(
    conn: Connection[Any], source: str, dataset: str, *, sharing: Multirange[int] | None = None
) -> tuple[Any, ...]:
    """The same as long as the same files (of any of these groups) are loaded, with their rows in the same places."""
    return (
        conn.execute(
            "SELECT count(*), sum(hashtextextended(lake_path, file_id)) FROM ops.landed_file"
            " WHERE source = %s AND dataset = %s AND status = 'loaded'"
            " AND (%s::int8multirange IS NULL OR groups && %s::int8multirange)",
            (source, dataset, sharing, sharing),
        ).fetchone()
        or ()
    )


def files(conn: Connection[Any], file_ids: Iterable[int]) -> list[LandedFile]:
    """Those of these files that are loaded."""
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        return cursor.execute(
            f"SELECT {landed_files.COLUMNS} FROM ops.landed_file WHERE file_id = ANY (%s) AND status = 'loaded'"  # noqa: S608
            ' ORDER BY last_modified, key COLLATE "C", file_id',
            (list(file_ids),),
        ).fetchall()


def owners(conn: Connection[Any], paths: Sequence[str]) -> list[tuple[str, int]]:
    """(path, file) of every file whose rows are said to be there, whatever its status."""
    return conn.execute(
        "SELECT lake_path, file_id FROM ops.landed_file WHERE lake_path = ANY (%s)", (list(paths),)
    ).fetchall()


def announce(conn: Connection[Any], path: str) -> None:
    """Enter an object before it is written: if nothing comes of it, it is known to be ours and is deleted."""
    conn.execute("INSERT INTO ops.lake_leftover (path) VALUES (%s)", (path,))


def replace(conn: Connection[Any], old: Sequence[str], new: str) -> int:
    """The rows of these objects are now in another one; how many files' are. The old ones are left for readers."""
    with conn.transaction():
        moved = file_writes.move_in_lake(conn, old, new)
        if moved:
            conn.execute("DELETE FROM ops.lake_leftover WHERE path = %s", (new,))
            conn.execute(
                "INSERT INTO ops.lake_leftover (path) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (list(old),)
            )
    return moved


def leftovers(conn: Connection[Any], spared: timedelta) -> list[str]:
    """Paths that no file names any more: of attempts that ended without a result, and of what was written together.

    None that was left later than ``spared`` ago: it may still be written or read.
    """
    rows = conn.execute(
        """
        SELECT path FROM (
            SELECT path, next_attempt_at AS left_at FROM ops.landed_file CROSS JOIN unnest(lake_attempts) path
            UNION ALL SELECT path, left_at FROM ops.lake_leftover
        ) AS leftover
        WHERE NOT EXISTS (SELECT FROM ops.landed_file k WHERE k.lake_path = path)
        GROUP BY path HAVING max(left_at) < clock_timestamp() - %s ORDER BY path
        """,
        (spared,),
    ).fetchall()
    return [path for (path,) in rows]


def forget(conn: Connection[Any], path: str) -> None:
    """What was left at a path is deleted."""
    with conn.transaction():
        conn.execute("DELETE FROM ops.lake_leftover WHERE path = %s", (path,))
        file_writes.forget_attempt_in_lake(conn, path)


def every_path(conn: Connection[Any]) -> list[str]:
    """All that this ledger has in the lake."""
    rows = conn.execute(
        "SELECT lake_path FROM ops.landed_file WHERE lake_path IS NOT NULL"
        " UNION SELECT unnest(lake_attempts) FROM ops.landed_file UNION SELECT path FROM ops.lake_leftover"
    )
    return [path for (path,) in rows]
