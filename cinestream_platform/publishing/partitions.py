"""Publishing partitions of a fact: built beside the table with all its constraints, then swapped in at once.

Readers of the fact see the old partitions or the new ones. What one run changes is swapped in by one transaction, up
to ``SWAPPED_TOGETHER`` partitions, so that a row that moves between them is there once at any time. The build takes no
lock for long that a reader or another build waits for; the swap takes strong locks for milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import polars as pl
import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier, Literal

from cinestream_platform import progress
from cinestream_platform.declarations.star_table import Fact
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger.publications import MadeFrom, Publication, latest, publishing, record
from cinestream_platform.publishing import foreign_keys
from cinestream_platform.publishing.content_hash import content_hash
from cinestream_platform.publishing.foreign_keys import Joined
from cinestream_platform.services.disk import Room
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.access import grant_on_relation
from cinestream_platform.warehouse.blockers import PATIENCE_SECONDS, end_readers, holders
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.copy import copy_frames
from cinestream_platform.warehouse.ddl import check_constraints
from cinestream_platform.warehouse.staging import drop_staged

LOCK_TIMEOUT_MS = 500
"""How long readers can queue behind a waiting swap."""
SWAP_SECONDS = 600
"""How long a swap is tried again while sessions that cannot be ended hold the table or its dimensions."""
LONGEST_WAIT = 2.0
"""Seconds between two attempts to swap."""
SHOWN_HOLDERS = 5
SWAPPED_TOGETHER = 8
"""So many changed partitions of a run wait for one another. Each holds a connection and its place on the disk."""

STATISTICS_TARGET = 30
"""ANALYZE then samples 9,000 rows of a partition instead of 30,000, in a third of the time; the parent, by which most
queries are planned, is sampled as usual."""
ANALYZE_ONLY_FROM = 180_000
"""Older versions of Postgres analyze every partition along with the parent."""


class SwapBlockedError(CineStreamError):
    """Long-running queries held the table for as long as the swap was tried."""


@dataclass(frozen=True)
class Turn:
    """The right to publish one partition, and the connection that has it."""

    partition_key: str
    conn: Connection[Any]
    end: ExitStack


@dataclass
class PartitionPublisher:
    """Publishes partitions of a table for one run; leaving it ends every turn that was taken.

    Partitions are built side by side. Those that changed wait for one another, and ``finish`` swaps them in together.
    With more than ``SWAPPED_TOGETHER`` those so far are swapped in together, and from then on each by itself, so that a
    run over many partitions needs no room for all of them twice.
    """

    target: PostgresTarget
    table: Fact
    run_id: str
    room: Room | None = None
    _turns: dict[str, Turn] = field(default_factory=dict)
    _waiting: list[Publication] = field(default_factory=list)
    _is_apart: bool = False

    def __enter__(self) -> PartitionPublisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            for publication in self._waiting:
                child = self.table.partition_name(publication.partition_key)
                _give_back(self._turns[publication.partition_key].conn, self.table, child)
        for turn in list(self._turns.values()):
            self._end(turn.partition_key)

    def turns(self, partition_keys: Iterable[str]) -> Iterator[Turn]:
        """The turns of partitions, each taken when it is asked for. In one order: two runs then never block each other.

        Raises:
            TurnTakenError: Another run has had one for ten minutes.
        """
        for key in partition_keys:
            with ExitStack() as stack:
                conn = stack.enter_context(connect(self.target))
                stack.enter_context(publishing(conn, self.table, key))
                self._turns[key] = Turn(key, conn, stack.pop_all())
            yield self._turns[key]

    def build(
        self, turn: Turn, frame: pl.DataFrame, *, made_from: MadeFrom, joined: Joined | None = None
    ) -> Publication:
        """Build one partition beside the table, unless it has that content; it is to be handed to ``publish``.

        Args:
            turn: The partition.
            frame: Validated rows in the table's ``built_columns``, sorted by its primary key.
            made_from: What the rows are from.
            joined: Of references whose keys were joined in: all keys that the dimension had.
        """
        table, key, conn = self.table, turn.partition_key, turn.conn
        child, new_hash = table.partition_name(key), content_hash(frame)
        before, files, upstream = latest(conn, table.schema, table.name, key), made_from.file_ids, made_from.upstream
        if before and before.content_hash == new_hash and _is_intact(conn, table, child, before):
            return Publication(key, before.rows, new_hash, files, False, before.relation, before.rows, upstream)
        if before is None and frame.is_empty() and made_from.is_nothing:
            return Publication(key, 0, new_hash, (), False)  # nothing ever landed for it
        try:
            _build(conn, table, key, frame, joined or {}, self.room)
        except psycopg.Error:
            _give_back(conn, table, child)
            raise
        relation = conn.execute("SELECT %s::regclass::oid", (f'"{table.staging_schema}"."{child}"',)).fetchone()
        oid, rows_before = relation[0] if relation else None, before.rows if before else 0
        return Publication(key, frame.height, new_hash, files, True, oid, rows_before, upstream)

    def publish(self, built: Publication) -> list[Publication]:
        """Take a built partition; what is published by now, this one or others, or nothing yet.

        Raises:
            SwapBlockedError: Other sessions' locks did not end in ten minutes. The old partitions stay.
        """
        if not built.changed:
            if built.relation is not None:
                conn = self._turns[built.partition_key].conn
                with conn.transaction():
                    record(conn, self.table.schema, self.table.name, self.run_id, built)
            self._end(built.partition_key)
            return [built]
        self._waiting.append(built)
        self._is_apart = self._is_apart or len(self._waiting) > SWAPPED_TOGETHER
        return self.finish() if self._is_apart else []

    def finish(self) -> list[Publication]:
        """Swap in all that wait, in one transaction; they are published then.

        Raises:
            SwapBlockedError: As ``publish``.
        """
        if not self._waiting:
            return []
        conn = self._turns[self._waiting[0].partition_key].conn
        _swap_when_free(conn, self.table, self._waiting, self.run_id)
        published, self._waiting = self._waiting, []
        for publication in published:
            self._end(publication.partition_key)
        return published

    def _end(self, partition_key: str) -> None:
        self._turns.pop(partition_key).end.close()


def _build(
    conn: Connection[Any],
    table: Fact,
    partition_key: str,
    frame: pl.DataFrame,
    joined: Joined,
    room: Room | None,
    *,
    may_prove: bool = True,
) -> None:
    """Fill a table beside the fact with every constraint and index that its partitions have, and with statistics.

    The rows are frozen: a reader whose snapshot is older than them sees them too once they are swapped in, and not an
    empty partition. With ``wal_level=minimal`` Postgres writes no WAL for them.
    """
    staged = Identifier(table.staging_schema, table.partition_name(partition_key))
    conn.execute("SET max_parallel_maintenance_workers = 0")  # partitions are built side by side already
    conn.execute(SQL("SET default_statistics_target = {}").format(STATISTICS_TARGET))
    proves = may_prove and foreign_keys.can_be_proved(conn, table, frame, joined)
    _clear(conn, table, partition_key)
    with conn.transaction():
        conn.execute("SET LOCAL synchronous_commit = off")  # what a crash loses here is built again; the swap waits
        conn.execute(_create(table, staged, partition_key))
        if proves:
            foreign_keys.add(conn, table, staged)
    with conn.transaction():
        conn.execute("SET LOCAL synchronous_commit = off")
        if proves:
            foreign_keys.switch_off(conn)
        conn.execute(SQL("TRUNCATE {}").format(staged))  # FREEZE wants a table that is new in its transaction
        declared = [table.column(column) for column in frame.columns]
        copy_frames(conn, staged, frame.columns, [frame], freeze=True, declared=declared, room=room)
        _stamp(conn, table, staged)
        _index(conn, table, staged)
        grant_on_relation(conn, table, table.staging_schema, table.partition_name(partition_key))
        conn.execute(SQL("ANALYZE {}").format(staged))
    if not proves:
        foreign_keys.add(conn, table, staged)
    elif not foreign_keys.is_proved(conn, table, frame, joined):
        _build(conn, table, partition_key, frame, joined, room, may_prove=False)


def _clear(conn: Connection[Any], table: Fact, partition_key: str) -> None:
    """Drop what an earlier build of the partition left, if it left something."""
    child = table.partition_name(partition_key)
    if conn.execute("SELECT to_regclass(%s)", (f'"{table.staging_schema}"."{child}"',)).fetchone() != (None,):
        what = f"removal of an unfinished build of {table.qualified_name} ({partition_key})"
        _when_free(conn, _dimensions(table), what, lambda: _drop(conn, table, child))


def _give_back(conn: Connection[Any], table: Fact, child: str) -> None:
    """Free the space of what could not be built: the disk may be full. Else the next build of the partition does."""
    with suppress(psycopg.Error), conn.transaction():
        _drop(conn, table, child)


def _drop(conn: Connection[Any], table: Fact, child: str) -> None:
    """Drop a staged partition and its foreign keys, which locks their dimensions: in the order of all others."""
    if dimensions := _dimensions(table):
        locks.lock_tables(conn, dimensions, wait_ms=LOCK_TIMEOUT_MS)
    drop_staged(conn, Identifier(table.staging_schema, child))


def _is_intact(conn: Connection[Any], table: Fact, child: str, before: Publication) -> bool:
    """Whether the partition that was published is still the attached one and holds its rows."""
    attached = conn.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = %s", (before.relation,)).fetchone()
    if not attached:
        return False
    row = conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table.schema, child))).fetchone()
    return row is not None and row[0] == before.rows


def _bound_check(table: Fact, partition_key: str) -> Composed | None:
    """The condition that spares ATTACH its scan of the rows."""
    bounds = table.bounds(partition_key)
    if bounds is None:
        return None
    column = Identifier(table.partition_column)
    return SQL("{} >= {} AND {} < {}").format(column, Literal(bounds[0]), column, Literal(bounds[1]))


def _create(table: Fact, staged: Identifier, partition_key: str) -> Composed:
    """The statement that creates the table without keys and indexes; its CHECKs look at rows as they come."""
    parts: list[Composed] = [
        SQL("{} {} {}").format(
            Identifier(column.name), SQL(str(column.type)), SQL("" if column.nullable else "NOT NULL")
        )
        for column in table.built_columns
    ]
    for name, condition in check_constraints(table):
        parts.append(SQL("CONSTRAINT {} CHECK ({})").format(Identifier(name), SQL(condition)))
    if bound := _bound_check(table, partition_key):
        parts.append(SQL("CONSTRAINT partition_bound CHECK ({})").format(bound))
    # Its rows are frozen and analyzed here and never change: autovacuum would only look at all of them once more.
    return SQL("CREATE TABLE {} ({}) WITH (autovacuum_enabled = false)").format(staged, SQL(", ").join(parts))


def _stamp(conn: Connection[Any], table: Fact, staged: Identifier) -> None:
    """Add the time of the publish: as a default of rows that are there already it takes no space in any of them."""
    for column in table.columns:
        if column.is_publish_time:
            name = Identifier(column.name)
            add = SQL("ALTER TABLE {} ADD COLUMN {} timestamptz NOT NULL DEFAULT now()")
            conn.execute(add.format(staged, name))


def _index(conn: Connection[Any], table: Fact, staged: Identifier) -> None:
    key = SQL(", ").join(map(Identifier, table.primary_key))
    conn.execute(SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(staged, key))
    for index in table.indexes:
        columns = SQL(", ").join(map(Identifier, index.columns))
        storage = SQL("WITH (pages_per_range = {})").format(index.pages_per_range) if index.pages_per_range else SQL("")
        statement = SQL("CREATE INDEX ON {} USING {} ({}) {}")
        conn.execute(statement.format(staged, Identifier(index.method), columns, storage))


def _swap_when_free(conn: Connection[Any], table: Fact, publications: Sequence[Publication], run_id: str) -> None:
    keys = [publication.partition_key for publication in publications]
    going = [(table.schema, table.partition_name(key)) for key in keys]

    def swap() -> None:
        _lock(conn, table)
        for publication in publications:
            _swap(conn, table, publication.partition_key)
            record(conn, table.schema, table.name, run_id, publication)

    what = f"swap of {table.qualified_name} ({', '.join(keys)})"
    _when_free(conn, [(table.schema, table.name), *going, *_dimensions(table)], what, swap)


def _when_free(conn: Connection[Any], names: Sequence[tuple[str, str]], what: str, work: Callable[[], None]) -> None:
    """Do in one transaction what locks these tables (schema and name); again, until it gets its locks.

    Raises:
        SwapBlockedError: Others' locks did not end in ten minutes.
    """
    begun, wait = time.monotonic(), 0.05
    while True:
        try:
            with conn.transaction():
                work()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            progress.note(f"the {what} waits for readers")
            waited = time.monotonic() - begun
            relations = _oids(conn, names)
            if waited > SWAP_SECONDS:
                held_by = ", ".join(map(str, holders(conn, relations)[:SHOWN_HOLDERS])) or "other sessions"
                raise SwapBlockedError(
                    f"the {what} was blocked: {held_by} held locks for {SWAP_SECONDS} s. "
                    "See pg_stat_activity for long queries; then materialize it again."
                ) from error
            if waited > PATIENCE_SECONDS:
                end_readers(conn, relations, blocked=what, waited_seconds=waited)
            time.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)


def _oids(conn: Connection[Any], names: Sequence[tuple[str, str]]) -> list[int]:
    rows = conn.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN unnest(%s::text[], %s::text[]) AS wanted (schema, name) ON (n.nspname, c.relname) = (schema, name)",
        ([schema for schema, _ in names], [name for _, name in names]),
    ).fetchall()
    return [oid for (oid,) in rows]


def _dimensions(table: Fact) -> list[tuple[str, str]]:
    return sorted({(reference.table.schema, reference.table.name) for reference in table.references})


def _lock(conn: Connection[Any], table: Fact) -> None:
    """All locks of a swap at once, always in the same order."""
    locks.lock_tables(conn, [(table.schema, table.name), *_dimensions(table)], wait_ms=LOCK_TIMEOUT_MS)


def _swap(conn: Connection[Any], table: Fact, partition_key: str) -> None:
    """Replace the attached partition by the staged one."""
    parent, child = Identifier(table.schema, table.name), table.partition_name(partition_key)
    old = Identifier(table.schema, child)
    attached = conn.execute(
        "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", (f'"{table.schema}"."{child}"',)
    ).fetchone()
    if attached:
        conn.execute(SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, old))
    conn.execute(SQL("DROP TABLE IF EXISTS {}").format(old))
    conn.execute(
        SQL("ALTER TABLE {} SET SCHEMA {}").format(Identifier(table.staging_schema, child), Identifier(table.schema))
    )
    conn.execute(SQL("ALTER TABLE {} ATTACH PARTITION {} ").format(parent, old) + _values(table, partition_key))
    if _bound_check(table, partition_key):
        conn.execute(SQL("ALTER TABLE {} DROP CONSTRAINT partition_bound").format(old))


def _values(table: Fact, partition_key: str) -> Composed:
    bounds = table.bounds(partition_key)
    if bounds is None:
        return SQL("FOR VALUES FROM (MINVALUE) TO (MAXVALUE)").format()
    return SQL("FOR VALUES FROM ({}) TO ({})").format(Literal(bounds[0]), Literal(bounds[1]))


def analyze(target: PostgresTarget, table: Fact) -> None:
    """Statistics of the partitioned parent, which autovacuum never gathers; its partitions have theirs."""
    with connect(target) as conn:
        only = SQL("ONLY " if conn.info.server_version >= ANALYZE_ONLY_FROM else "")
        conn.execute(SQL("ANALYZE {}{}").format(only, Identifier(table.schema, table.name)))
