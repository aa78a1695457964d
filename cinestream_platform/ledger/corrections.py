"""What an operator asks of a landed file: read it again (``reload``), undo it (``retract``)."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger import file_writes, held_work, landed_files
from cinestream_platform.ledger.file_states import FileState
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.raw_files import remove_rows


class UnknownFileError(CineStreamError):
    """No landed file has that key."""


def _newest(conn: Connection[Any], bucket: str, key: str) -> LandedFile:
    found = landed_files.newest(conn, bucket, key)
    if found is None:
        similar = landed_files.similar_keys(conn, bucket, key)
        hint = f" Did you mean {', '.join(similar)}?" if similar else " See cinestream status --files."
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
        locks.lock_versions(conn, bucket, key)
        file = _newest(conn, bucket, key)
        held_work.release_source(conn, file.source)
        if file.status == FileState.LOADED:
            file_writes.read_again(conn, file.file_id)
        else:
            file_writes.reload(conn, file.file_id)
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
        # All versions: a load in progress locks its own, is waited for, and its rows are then seen.
        versions = locks.lock_versions(conn, bucket, key)
        loaded = [file_id for file_id, status in versions if status == FileState.LOADED]
        partitions = landed_files.partitions_of(conn, loaded)
        if loaded and raw_table:
            remove_rows(conn, raw_table, loaded)
        file_writes.retract(conn, [*loaded, newest.file_id])
        file_writes.release_duplicates(conn, loaded)
        file_writes.release_snapshots(conn)
        return bool(loaded), partitions
