"""What an operator asks of a landed file: read it again (``reload``), undo it (``retract``)."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row

from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger import held_work, landed_files, turns
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.raw_files import remove_rows


class UnknownFileError(CineStreamError):
    """No landed file has that key."""


def _newest(conn: Connection[Any], bucket: str, key: str) -> LandedFile:
    with conn.cursor(row_factory=class_row(LandedFile)) as cursor:
        found = cursor.execute(
            f"SELECT {landed_files.COLUMNS} FROM ops.landed_file WHERE bucket = %s AND key = %s"  # noqa: S608
            " ORDER BY is_newest DESC, status = 'loaded' DESC, file_id DESC LIMIT 1",
            (bucket, key),
        ).fetchone()
    if found is None:
        similar = conn.execute(
            "SELECT key FROM ops.landed_file WHERE bucket = %s AND is_newest AND key LIKE '%%' || %s"
            " ORDER BY key LIMIT 5",
            (bucket, key.rsplit("/", 1)[-1] or key),
        ).fetchall()
        hint = (
            f" Did you mean {', '.join(row[0] for row in similar)}?" if similar else " See cinestream status --files."
        )
        raise UnknownFileError(f"no landed file has the key {key}.{hint}")
    return found


def require_landed(conn: Connection[Any], bucket: str, key: str) -> None:
    """Check that the ledger knows a key.

    Raises:
        UnknownFileError: It does not; the message has keys of the same name.
    """
    _newest(conn, bucket, key)


def reload(conn: Connection[Any], bucket: str, key: str) -> LandedFile:
    """Ask for a file to be read again, whatever became of it; its new version takes the old one's place when loaded."""
    with conn.transaction():
        locks.lock(conn, locks.LEDGER)
        # A load in progress holds the row and is waited for: its rows must be known, or they would be loaded twice.
        conn.execute("SELECT FROM ops.landed_file WHERE bucket = %s AND key = %s FOR UPDATE", (bucket, key))
        file = _newest(conn, bucket, key)
        held_work.release_source(conn, file.source)
        if file.status != "loaded":
            conn.execute(
                "UPDATE ops.landed_file SET status = 'pending', attempts = 0, next_attempt_at = 'epoch',"
                " reason = NULL, duplicate_of = NULL, is_reload = true, cancelled_at = NULL,"
                " asked_at = clock_timestamp() WHERE file_id = %s",
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


def retract(conn: Connection[Any], bucket: str, key: str, raw_table: sql.Identifier | None) -> tuple[bool, list[str]]:
    """Undo a file: its rows leave the raw table, and files that it had pushed aside get their turn.

    ``raw_table`` is ``None`` for a key that no feed takes.

    Returns:
        Whether rows of it were loaded, and the fact partitions that it touched; they are stale from now on.
    """
    with conn.transaction():
        locks.lock(conn, locks.LEDGER)
        newest = _newest(conn, bucket, key)
        # All versions, newest first: a load in progress locks its own, is waited for, and its rows are then seen.
        versions = conn.execute(
            "SELECT file_id, status, partitions FROM ops.landed_file WHERE bucket = %s AND key = %s"
            " ORDER BY file_id DESC FOR UPDATE",
            (bucket, key),
        ).fetchall()
        rows = {file_id: partitions for file_id, status, partitions in versions if status == "loaded"}
        file_ids = list(rows)
        if file_ids and raw_table:
            remove_rows(conn, raw_table, file_ids)
        conn.execute(
            "UPDATE ops.landed_file SET status = 'retracted', reason = 'retracted by an operator'"
            " WHERE file_id = ANY (%s) OR file_id = %s",
            (file_ids, newest.file_id),
        )
        turns.release_duplicates(conn, file_ids)
        turns.release_snapshots(conn)
        return bool(file_ids), sorted({partition for partitions in rows.values() for partition in partitions})
