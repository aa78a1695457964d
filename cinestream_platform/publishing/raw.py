"""Publishing landed files: their rows in the raw table and their ledger rows, in one Postgres transaction.

A large file has a transaction of its own, small ones share one. Write modes ``file`` (the rows replace those of an
older version of the same key), ``snapshot`` (the rows replace all others) and ``history`` (the rows of every delivery
stay; of deliveries of one key for the same time the last). The commit is the only moment that counts: a crash before it
leaves nothing but garbage in the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger import file_writes
from cinestream_platform.ledger.file_results import FileResult, Overlap
from cinestream_platform.ledger.file_states import IllegalTransitionError
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.ledger.standing import Standing, find_standing
from cinestream_platform.services.disk import Room
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.copy import copy_frames
from cinestream_platform.warehouse.raw_files import add_rows, remove_rows


class RawTableChangedError(CineStreamError):
    """Other files were loaded, or left, since these were compared with those that were."""


class FileTransaction:
    """The open transaction of files of one feed. Nothing is visible before ``commit``."""

    def __init__(
        self,
        conn: Connection[Any],
        table: RawTable,
        files: Sequence[LandedFile],
        run_id: str,
        room: Room | None = None,
    ) -> None:
        self.conn, self._table, self._files, self._run_id, self._room = conn, table, files, run_id, room
        self._replaced: Mapping[int, int] = {}

    def claim(self, contents: Mapping[int, str], expected: Standing, *, replaces_all: bool | None = None) -> None:
        """Lock the raw table against other files, and see that the files stand as when they were compared.

        Raises:
            RawTableChangedError: They do not.
        """
        locks.lock(self.conn, locks.raw_lock(self._table))
        locks.lock_files(self.conn, self._file_ids)
        standing = find_standing(self.conn, self._table, self._files, contents, replaces_all=replaces_all)
        if standing.refused or standing.replaced != expected.replaced:
            raise RawTableChangedError(f"{self._table.qualified_name} was changed meanwhile")
        self._replaced = standing.replaced

    @property
    def _file_ids(self) -> list[int]:
        return [file.file_id for file in self._files]

    def write(self, rows: Iterable[pl.DataFrame], rejected: Iterable[pl.DataFrame], count: int) -> None:
        """Replace the rows of older versions by these, ``count`` of them, and keep the rejected records."""
        add_rows(self.conn, self._table, self._file_ids, rows, count, self._room)
        if self._replaced:
            remove_rows(self.conn, Identifier(self._table.schema, self._table.name), list(self._replaced))
        self.conn.execute("DELETE FROM ops.rejected_row WHERE file_id = ANY (%s)", (self._file_ids,))
        copy_frames(
            self.conn, Identifier("ops", "rejected_row"), ["file_id", "line", "rule", "raw"], rejected, room=self._room
        )

    def complete(self, results: Mapping[int, FileResult], overlaps: Mapping[int, Overlap]) -> None:
        """Turn the ledger rows to ``loaded``, those that they replace to ``superseded``.

        Raises:
            RawTableChangedError: One of those was retracted meanwhile.
        """
        file_writes.load(self.conn, results, overlaps, self._run_id)
        touched: dict[int, set[str]] = {}
        for overlap in overlaps.values():
            for file_id, partitions in overlap.partitions.items():
                touched.setdefault(file_id, set()).update(partitions)
        file_writes.add_partitions(self.conn, touched)
        if self._replaced:
            try:
                file_writes.replace(self.conn, self._replaced)
            except IllegalTransitionError as error:  # retracted since the files were claimed
                raise RawTableChangedError(str(error)) from error

    def commit(self) -> None:
        """Make it all visible."""
        self.conn.commit()


@contextmanager
def file_transaction(
    target: PostgresTarget, table: RawTable, files: Sequence[LandedFile], run_id: str, room: Room | None = None
) -> Iterator[FileTransaction]:
    """Open the transaction of files; rolled back unless it is committed inside."""
    with connect(target, autocommit=False) as conn:
        try:
            yield FileTransaction(conn, table, files, run_id, room)
        finally:
            conn.rollback()
