"""Publishing landed files: their rows in the raw table and their ledger rows, in one Postgres transaction.

A large file has a transaction of its own, small ones share one. Write modes ``file`` (the rows replace those of an
older version of the same key), ``snapshot`` (the rows replace all others) and ``history`` (the rows of every delivery
stay; of deliveries of one key for the same time the last). The commit is the only moment that counts: a crash before it
leaves nothing but garbage in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import polars as pl
from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.declarations.raw_table import RawHistory, RawSnapshot, RawTable
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger import turns
from cinestream_platform.ledger.deliveries import effective_at
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.copy import copy_frames
from cinestream_platform.warehouse.groups import to_multirange
from cinestream_platform.warehouse.raw_files import add_rows, remove_rows


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


class RawTableChangedError(CineStreamError):
    """Other files were loaded, or left, since these were compared with those that were."""


@dataclass(frozen=True)
class FileResult:
    """What reading a file gave.

    ``partition_rows`` counts loaded rows per fact partition, ``groups`` are its groups, and ``warnings`` count what was
    accepted though it is not written as declared. ``rejected_by_rule`` counts the rejected records, and
    ``rejected_samples`` tells of some of them what everybody may know (``reject_words``).
    """

    sha256: str
    rows_loaded: int
    rows_rejected: int
    ends_without_line_end: bool
    lake_path: str
    partition_rows: Mapping[str, int] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()
    warnings: Mapping[str, int] = field(default_factory=dict)
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    rejected_samples: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True)
class Overlap:
    """Records of a file that other loaded files, or the file itself, hold too.

    ``partitions`` maps each file concerned (this one included) to the fact partitions that its common events touch;
    ``groups`` are the groups that these events are of.
    """

    repeated: int = 0
    conflicting: int = 0
    partitions: Mapping[int, frozenset[str]] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What becomes of files if they are published now: those that are refused, and what the others replace.

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
        if (status := statuses.get(file.file_id)) != "pending"
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


class FileTransaction:
    """The open transaction of files of one feed. Nothing is visible before ``commit``."""

    def __init__(self, conn: Connection[Any], table: RawTable, files: Sequence[LandedFile], run_id: str) -> None:
        self.conn, self._table, self._files, self._run_id = conn, table, files, run_id
        self._replaced: Mapping[int, int] = {}

    def claim(self, contents: Mapping[int, str], expected: Standing, *, replaces_all: bool | None = None) -> None:
        """Lock the raw table against other files, and see that the files stand as when they were compared.

        Raises:
            RawTableChangedError: They do not.
        """
        locks.lock(self.conn, locks.raw_lock(self._table))
        self._query("SELECT FROM ops.landed_file WHERE file_id = ANY (%s) ORDER BY file_id FOR UPDATE", self._file_ids)
        standing = find_standing(self.conn, self._table, self._files, contents, replaces_all=replaces_all)
        if standing.refused or standing.replaced != expected.replaced:
            raise RawTableChangedError(f"{self._table.qualified_name} was changed meanwhile")
        self._replaced = standing.replaced

    @property
    def _file_ids(self) -> list[int]:
        return [file.file_id for file in self._files]

    def write(self, rows: Iterable[pl.DataFrame], rejected: Iterable[pl.DataFrame], count: int) -> None:
        """Replace the rows of older versions by these, ``count`` of them, and keep the rejected records."""
        add_rows(self.conn, self._table, self._file_ids, rows, count)
        if self._replaced:
            remove_rows(self.conn, Identifier(self._table.schema, self._table.name), list(self._replaced))
        self._query("DELETE FROM ops.rejected_row WHERE file_id = ANY (%s)", self._file_ids)
        copy_frames(self.conn, Identifier("ops", "rejected_row"), ["file_id", "line", "rule", "raw"], rejected)

    def complete(self, results: Mapping[int, FileResult], overlaps: Mapping[int, Overlap]) -> None:
        """Turn the ledger rows to ``loaded``, those that they replace to ``superseded``."""
        self.conn.cursor().executemany(
            """
            UPDATE ops.landed_file SET status = 'loaded', reason = NULL, sha256 = %s,
                rows_read = %s, rows_loaded = %s, rows_rejected = %s, rows_repeated = %s, rows_conflicting = %s,
                ends_without_line_end = %s, partition_rows = %s::jsonb, partitions = %s,
                groups = %s, contested_groups = %s, warnings = %s::jsonb,
                rejected_by_rule = %s::jsonb, rejected_samples = %s::jsonb,
                lake_path = %s, lake_attempts = array_remove(lake_attempts, %s),
                run_id = %s, loaded_at = clock_timestamp()
            WHERE file_id = %s
            """,
            [self._values(file_id, result, overlaps.get(file_id, Overlap())) for file_id, result in results.items()],
        )
        touched: dict[int, set[str]] = {}
        for overlap in overlaps.values():
            for file_id, partitions in overlap.partitions.items():
                touched.setdefault(file_id, set()).update(partitions)
        self.conn.cursor().executemany(
            "UPDATE ops.landed_file SET partitions ="
            " ARRAY(SELECT DISTINCT p FROM unnest(partitions || %s::text[]) p ORDER BY p) WHERE file_id = %s",
            [(sorted(partitions), file_id) for file_id, partitions in sorted(touched.items())],
        )
        if self._replaced:
            turns.supersede(self.conn, self._replaced)

    def _values(self, file_id: int, result: FileResult, overlap: Overlap) -> tuple[Any, ...]:
        return (
            result.sha256,
            result.rows_loaded + result.rows_rejected,
            result.rows_loaded,
            result.rows_rejected,
            overlap.repeated,
            overlap.conflicting,
            result.ends_without_line_end,
            json.dumps(dict(result.partition_rows)),
            sorted(result.partition_rows),
            to_multirange(result.groups),
            to_multirange(overlap.groups),
            json.dumps(dict(result.warnings)),
            json.dumps(dict(result.rejected_by_rule)),
            json.dumps(list(result.rejected_samples)),
            result.lake_path,
            result.lake_path,
            self._run_id,
            file_id,
        )

    def commit(self) -> None:
        """Make it all visible."""
        self.conn.commit()

    def _query(self, statement: LiteralString, *parameters: Any) -> None:
        self.conn.execute(statement, parameters)


@contextmanager
def file_transaction(
    target: PostgresTarget, table: RawTable, files: Sequence[LandedFile], run_id: str
) -> Iterator[FileTransaction]:
    """Open the transaction of files; rolled back unless it is committed inside."""
    with connect(target, autocommit=False) as conn:
        try:
            yield FileTransaction(conn, table, files, run_id)
        finally:
            conn.rollback()
