"""Publishing one landed file: its rows in the raw table and its ledger row, in one Postgres transaction.

Write modes ``file`` (the rows replace those of an older version of the same key), ``snapshot`` (the rows replace all
others) and ``history`` (the rows of every delivery stay; of deliveries of one key for the same time the last). The
commit is the only moment that counts: a crash before it leaves nothing but garbage in the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import polars as pl
from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.warehouse import locks, turns
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.copy import copy_frames
from cinestream_platform.warehouse.deliveries import effective_at
from cinestream_platform.warehouse.groups import to_multirange
from cinestream_platform.warehouse.ledger import LandedFile
from cinestream_platform.warehouse.raw_files import add_rows, remove_rows
from cinestream_platform.warehouse.table import Table, WriteMode


class FileSettledError(RuntimeError):
    """The file is no longer pending: another run was faster."""


class TwinLoadedError(RuntimeError):
    """A file with the same content was loaded meanwhile."""

    def __init__(self, file_id: int) -> None:
        super().__init__(f"the same content is loaded as file {file_id}")
        self.file_id = file_id


class SnapshotOvertakenError(RuntimeError):
    """A snapshot that landed later is loaded; this older one must not replace it."""

    def __init__(self, file_id: int) -> None:
        super().__init__(f"a later snapshot is loaded as file {file_id}")
        self.file_id = file_id


@dataclass(frozen=True)
class FileResult:
    """What reading a file gave; ``partition_rows`` counts loaded rows per fact partition, ``groups`` are its groups."""

    sha256: str
    rows_loaded: int
    rows_rejected: int
    ends_without_line_end: bool
    lake_path: str
    partition_rows: Mapping[str, int] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()


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


class FileTransaction:
    """The open transaction of one file. Nothing is visible before ``commit``."""

    def __init__(self, conn: Connection[Any], table: Table, file: LandedFile, run_id: str) -> None:
        self._conn, self._table, self._file, self._run_id = conn, table, file, run_id
        self.replaced: list[int] = []

    def claim(self, sha256: str, *, replaces_all: bool | None = None) -> None:
        """Lock the raw table against other files, and find what this file replaces.

        That follows from the write mode, unless ``replaces_all`` takes the file for the whole table (True), or for rows
        that come beside those of others, whatever those hold (False).

        Raises:
            FileSettledError, TwinLoadedError, SnapshotOvertakenError: It is not to be loaded after all.
        """
        locks.lock(self._conn, locks.raw_lock(self._table))
        status = self._query("SELECT status FROM ops.landed_file WHERE file_id = %s FOR UPDATE", self._file.file_id)
        if status != [("pending",)]:
            raise FileSettledError(f"{self._file.key} is {status[0][0]}")
        others = self._query(
            """
            SELECT file_id, key, sha256, last_modified FROM ops.landed_file
            WHERE source = %s AND dataset = %s AND bucket = %s AND status = 'loaded'
            ORDER BY last_modified, key COLLATE "C"
            """,
            self._file.source,
            self._file.dataset,
            self._file.bucket,
        )
        older_versions = [row[0] for row in others if row[1] == self._file.key]
        if replaces_all is not None:
            self.replaced = [row[0] for row in others if replaces_all]
            return
        if self._table.mode is WriteMode.HISTORY:
            # Every delivery counts for its own time, also one that equals an earlier one: values may change back.
            self.replaced = [
                file_id
                for file_id, key, _, landed in others
                if key == self._file.key and effective_at(key, landed) == self._file.effective_at
            ]
            return
        for file_id, key, other_sha256, _ in others:
            if key != self._file.key and other_sha256 == sha256:
                raise TwinLoadedError(file_id)
        if self._table.mode is WriteMode.SNAPSHOT and (later := self._later_snapshot()):
            raise SnapshotOvertakenError(later)
        snapshot = self._table.mode is WriteMode.SNAPSHOT
        self.replaced = [row[0] for row in others] if snapshot else older_versions

    def _later_snapshot(self) -> int | None:
        """The loaded file of another key that landed later than this one, or whose content landed again later."""
        found = self._query(
            """
            SELECT coalesce(later.duplicate_of, later.file_id) FROM ops.landed_file later
            JOIN ops.landed_file me USING (source, dataset, bucket)
            WHERE me.file_id = %s AND later.key <> me.key AND later.status IN ('loaded', 'duplicate')
                AND (later.last_modified, later.key COLLATE "C") > (me.last_modified, me.key COLLATE "C")
            ORDER BY later.last_modified DESC, later.key COLLATE "C" DESC LIMIT 1
            """,
            self._file.file_id,
        )
        return found[0][0] if found else None

    def write(self, rows: Iterable[pl.DataFrame], rejected: Iterable[pl.DataFrame], count: int) -> None:
        """Replace the rows of older versions by these, ``count`` of them, and keep the rejected records."""
        add_rows(self._conn, self._table, self._file.file_id, rows, count)
        if self.replaced:
            remove_rows(self._conn, Identifier(self._table.schema, self._table.name), self.replaced)
        self._query("DELETE FROM ops.rejected_row WHERE file_id = %s", self._file.file_id)
        copy_frames(self._conn, Identifier("ops", "rejected_row"), ["file_id", "line", "rule", "raw"], rejected)

    def complete(self, result: FileResult, overlap: Overlap) -> None:
        """Turn the ledger row to ``loaded``, those it replaces to ``superseded``."""
        touched = set(result.partition_rows) | overlap.partitions.get(self._file.file_id, frozenset())
        self._query(
            """
            UPDATE ops.landed_file SET status = 'loaded', reason = NULL, sha256 = %s,
                rows_read = %s, rows_loaded = %s, rows_rejected = %s, rows_repeated = %s, rows_conflicting = %s,
                ends_without_line_end = %s, partition_rows = %s::jsonb, partitions = %s,
                groups = %s, contested_groups = %s,
                lake_path = %s, lake_attempts = array_remove(lake_attempts, %s),
                run_id = %s, loaded_at = clock_timestamp()
            WHERE file_id = %s
            """,
            result.sha256,
            result.rows_loaded + result.rows_rejected,
            result.rows_loaded,
            result.rows_rejected,
            overlap.repeated,
            overlap.conflicting,
            result.ends_without_line_end,
            json.dumps(dict(result.partition_rows)),
            sorted(touched),
            to_multirange(result.groups),
            to_multirange(overlap.groups),
            result.lake_path,
            result.lake_path,
            self._run_id,
            self._file.file_id,
        )
        for file_id, partitions in overlap.partitions.items():
            self._query(
                "UPDATE ops.landed_file SET partitions ="
                " ARRAY(SELECT DISTINCT p FROM unnest(partitions || %s::text[]) p ORDER BY p) WHERE file_id = %s",
                sorted(partitions),
                file_id,
            )
        if self.replaced:
            turns.supersede(self._conn, self.replaced, by=self._file.file_id)

    def commit(self) -> None:
        """Make it all visible."""
        self._conn.commit()

    def _query(self, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self._conn.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def file_transaction(target: PostgresTarget, table: Table, file: LandedFile, run_id: str) -> Iterator[FileTransaction]:
    """Open the transaction of a file; rolled back unless it is committed inside."""
    with connect(target, autocommit=False) as conn:
        try:
            yield FileTransaction(conn, table, file, run_id)
        finally:
            conn.rollback()
