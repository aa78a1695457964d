"""What an operator asks of a landed file: read it again (``reload``), undo it (``retract``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row

from cinestream_platform.warehouse import ledger
from cinestream_platform.warehouse.ledger import LandedFile


class UnknownFileError(LookupError):
    """No landed file has that key."""


def _newest(conn: Connection[Any], bucket: str, key: str) -> LandedFile:
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        found = cursor.execute(
            f"SELECT {ledger.COLUMNS} FROM ops.landed_file WHERE bucket = %s AND key = %s"  # noqa: S608
            " ORDER BY is_newest DESC, status = 'loaded' DESC, file_id DESC LIMIT 1",
            (bucket, key),
        ).fetchone()
    if found is None:
        similar = conn.execute(
            "SELECT key FROM ops.landed_file WHERE bucket = %s AND is_newest AND key LIKE '%%' || %s"
            " ORDER BY key LIMIT 5",
            (bucket, key.rsplit("/", 1)[-1]),
        ).fetchall()
        hint = (
            f" Did you mean {', '.join(row[0] for row in similar)}?" if similar else " See cinestream status --files."
        )
        raise UnknownFileError(f"no landed file has the key {key}.{hint}")
    return found


def reload(conn: Connection[Any], bucket: str, key: str) -> LandedFile:
    """Ask for a file to be read again, whatever became of it; its new version takes the old one's place when loaded."""
    with conn.transaction():
        conn.execute(ledger.LOCK)
        file = _newest(conn, bucket, key)
        if file.status != "loaded":
            conn.execute(
                "UPDATE ops.landed_file SET status = 'pending', attempts = 0, next_attempt_at = '-infinity',"
                " reason = NULL, duplicate_of = NULL, is_reload = true WHERE file_id = %s",
                (file.file_id,),
            )
            return file
        conn.execute("UPDATE ops.landed_file SET is_newest = false WHERE file_id = %s", (file.file_id,))
        conn.execute(
            """
            INSERT INTO ops.landed_file (source, dataset, bucket, key, etag, size_bytes, last_modified, is_reload)
            SELECT source, dataset, bucket, key, etag, size_bytes, last_modified, true
            FROM ops.landed_file WHERE file_id = %s
            """,
            (file.file_id,),
        )
        return file


def retract(conn: Connection[Any], bucket: str, key: str, raw_table: sql.Identifier) -> list[str]:
    """Undo a file: its rows leave the raw table, and files that it had pushed aside get their turn.

    Returns:
        The fact partitions that it touched; they are stale from now on.
    """
    with conn.transaction():
        conn.execute(ledger.LOCK)
        newest = _newest(conn, bucket, key)
        # All versions, newest first: a load in progress locks its own, is waited for, and its rows are then seen.
        versions = conn.execute(
            "SELECT file_id, status, partitions FROM ops.landed_file WHERE bucket = %s AND key = %s"
            " ORDER BY file_id DESC FOR UPDATE",
            (bucket, key),
        ).fetchall()
        rows = {file_id: partitions for file_id, status, partitions in versions if status == "loaded"}
        file_ids = list(rows)
        conn.execute(sql.SQL("DELETE FROM {} WHERE _file_id = ANY (%s)").format(raw_table), (file_ids,))
        conn.execute(
            "UPDATE ops.landed_file SET status = 'retracted', reason = 'retracted by an operator'"
            " WHERE file_id = ANY (%s) OR file_id = %s",
            (file_ids, newest.file_id),
        )
        ledger.release_duplicates(conn, file_ids)
        _release_snapshots(conn, file_ids)
        return sorted({partition for partitions in rows.values() for partition in partitions})


def _release_snapshots(conn: Connection[Any], left: Sequence[int]) -> None:
    """Give the file that landed last before these its turn, where they are snapshots that had replaced it.

    Only in a snapshot feed can the newest version of a key be superseded, namely by another key's.
    """
    conn.execute(
        """
        UPDATE ops.landed_file SET status = 'pending', superseded_by = NULL, reason = NULL,
            attempts = 0, next_attempt_at = '-infinity'
        WHERE file_id IN (
            SELECT DISTINCT ON (old.source, old.dataset, old.bucket) old.file_id
            FROM ops.landed_file old
            JOIN ops.landed_file gone USING (source, dataset, bucket)
            WHERE gone.file_id = ANY (%s) AND old.is_newest AND old.status = 'superseded'
            ORDER BY old.source, old.dataset, old.bucket, old.last_modified DESC, old.key COLLATE "C" DESC
        )
        """,
        (list(left),),
    )
