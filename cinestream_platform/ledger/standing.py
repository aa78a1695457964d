"""How files that were read relate to what is loaded: which are refused, and what the others replace.

The one place that decides which version of which file counts. Reads the ledger and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from cinestream_platform.declarations.raw_table import RawHistory, RawSnapshot, RawTable
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger.deliveries import effective_at
from cinestream_platform.ledger.file_states import FileState
from cinestream_platform.ledger.landed_files import LandedFile


class NotToBeLoadedError(CineStreamError):
    """A file is not to be loaded after all."""


class FileSettledError(NotToBeLoadedError):
    """The file is no longer pending: another run was faster."""


class TwinLoadedError(NotToBeLoadedError):
    """A file with the same content was loaded meanwhile."""

    def __init__(self, file_id: int) -> None:
        super().__init__(f"the same content is loaded as file {file_id}")
        self.file_id = file_id


class SnapshotOvertakenError(NotToBeLoadedError):
    """A snapshot that landed later is loaded; this older one must not replace it."""

    def __init__(self, file_id: int) -> None:
        super().__init__(f"a later snapshot is loaded as file {file_id}")
        self.file_id = file_id


@dataclass(frozen=True)
class Standing:
    """The effect of publishing files now: those that are refused, and what the others replace.

    ``replaced`` maps a loaded file to the new one that takes its place.
    """

    refused: Mapping[int, NotToBeLoadedError] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)


def find_standing(
    conn: Connection[Any],
    table: RawTable,
    files: Sequence[LandedFile],
    contents: Mapping[int, str],
    *,
    replaces_all: bool | None = None,
) -> Standing:
    """How files (with the hashes of their contents by number) stand to what is loaded.

    That follows from the write mode, unless ``replaces_all`` takes the one file for the whole table (True), or for rows
    that come beside those of others, whatever those hold (False).
    """
    file_ids = [file.file_id for file in files]
    statuses = dict(
        conn.execute("SELECT file_id, status FROM ops.landed_file WHERE file_id = ANY (%s)", (file_ids,)).fetchall()
    )
    refused: dict[int, NotToBeLoadedError] = {
        file.file_id: FileSettledError(f"{file.key} is {status}")
        for file in files
        if (status := statuses.get(file.file_id)) != FileState.PENDING
    }
    if replaces_all is not None:
        return Standing(refused, _all_loaded(conn, files[0]) if replaces_all else {})
    if not isinstance(table, RawHistory):
        # Of deliveries every one counts for its own time, also one that equals an earlier one: values may change back.
        for file_id, twin in _loaded_twins(conn, files, contents).items():
            refused.setdefault(file_id, TwinLoadedError(twin))
    if isinstance(table, RawSnapshot):
        [file] = files
        if not refused and (later := _later_snapshot(conn, file)):
            refused[file.file_id] = SnapshotOvertakenError(later)
        return Standing(refused, _all_loaded(conn, file))
    replaced = _older_versions(conn, files, same_time=isinstance(table, RawHistory))
    return Standing(refused, {old: new for old, new in replaced.items() if new not in refused})


def _all_loaded(conn: Connection[Any], file: LandedFile) -> dict[int, int]:
    rows = conn.execute(
        "SELECT file_id FROM ops.landed_file WHERE source = %s AND dataset = %s AND bucket = %s AND status = 'loaded'",
        (file.source, file.dataset, file.bucket),
    )
    return {file_id: file.file_id for (file_id,) in rows}


def _older_versions(conn: Connection[Any], files: Sequence[LandedFile], *, same_time: bool) -> dict[int, int]:
    """The loaded versions of the files' keys; with ``same_time`` those that hold from the same time on."""
    rows = conn.execute(
        """
        SELECT older.file_id, older.key, older.last_modified, new.file_id FROM ops.landed_file new
        JOIN ops.landed_file older USING (bucket, key)
        WHERE new.file_id = ANY (%s) AND older.status = 'loaded'
            AND (older.source, older.dataset) = (new.source, new.dataset)
        """,
        ([file.file_id for file in files],),
    ).fetchall()
    holds_from = {file.file_id: file.effective_at for file in files}
    return {old: new for old, key, landed, new in rows if not same_time or effective_at(key, landed) == holds_from[new]}


def _loaded_twins(conn: Connection[Any], files: Sequence[LandedFile], contents: Mapping[int, str]) -> dict[int, int]:
    """File to the loaded file of another key with the same content; of several the one that landed first."""
    rows = conn.execute(
        """
        SELECT new.file_id, twin.file_id
        FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS new (file_id, key, sha256)
        JOIN ops.landed_file twin ON twin.sha256 = new.sha256 AND twin.key <> new.key
        WHERE twin.source = %s AND twin.dataset = %s AND twin.bucket = %s AND twin.status = 'loaded'
        ORDER BY twin.last_modified DESC, twin.key COLLATE "C" DESC
        """,
        (
            [file.file_id for file in files],
            [file.key for file in files],
            [contents[file.file_id] for file in files],
            files[0].source,
            files[0].dataset,
            files[0].bucket,
        ),
    )
    return dict(rows.fetchall())


def _later_snapshot(conn: Connection[Any], file: LandedFile) -> int | None:
    """The loaded file of another key that landed later than this one, or whose content landed again later."""
    found = conn.execute(
        """
        SELECT coalesce(later.duplicate_of, later.file_id) FROM ops.landed_file later
        JOIN ops.landed_file me USING (source, dataset, bucket)
        WHERE me.file_id = %s AND later.key <> me.key AND later.status IN ('loaded', 'duplicate')
            AND (later.last_modified, later.key COLLATE "C") > (me.last_modified, me.key COLLATE "C")
        ORDER BY later.last_modified DESC, later.key COLLATE "C" DESC LIMIT 1
        """,
        (file.file_id,),
    ).fetchone()
    return found[0] if found else None
