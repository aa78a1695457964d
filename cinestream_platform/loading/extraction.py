"""Extracting an operational system: read one moment, write the lake, publish all raw tables in one transaction.

The system is read by its connector. Joins the lake with the warehouse; knows nothing of Dagster. A run that dies
half-way publishes no table.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from psycopg import Connection

from cinestream_platform import progress
from cinestream_platform.declarations.column import Kind
from cinestream_platform.declarations.connector import (
    Connector,
    Increment,
    Moment,
    OperationalSystem,
    Reader,
    TableCopy,
)
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawHistory
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import extractions, landed_files
from cinestream_platform.ledger.extractions import Extraction, KeyCounts, Known
from cinestream_platform.ledger.file_results import FileResult
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading.compaction import compact
from cinestream_platform.loading.file_reading import CLOCK_SLACK
from cinestream_platform.loading.overlap import Newcomer
from cinestream_platform.loading.publish import COMPARISONS, Compared, claim, compare
from cinestream_platform.loading.raw_rows import RawRows, Spool
from cinestream_platform.messages import counted, describe
from cinestream_platform.publishing.raw import FileTransaction, RawTableChangedError
from cinestream_platform.reading.blocks import REJECT_SCHEMA
from cinestream_platform.reading.increments import grown, newest_from
from cinestream_platform.reading.reject_words import reject_samples, reject_words
from cinestream_platform.reading.rejects import count_by_rule, samples_by_rule
from cinestream_platform.services.disk import Room, keep_room
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect

READERS = 2
WAREHOUSE_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PostgresUnreachableError)
"""The warehouse went away or was restarted: worth another attempt."""


class TooManyRejectedError(CineStreamError):
    """A table has more bad rows than its feed allows; nothing of the extraction is published."""


@dataclass(frozen=True)
class ExtractedTable:
    """A table that had changed, ready to be published."""

    feed: Feed
    file: LandedFile
    sha256: str
    spool: Spool
    rejected: pl.DataFrame
    is_whole: bool
    warnings: Mapping[str, int]

    @property
    def contents(self) -> dict[int, str]:
        """The hash of its content."""
        return {self.file.file_id: self.sha256}

    @property
    def replaces_all(self) -> bool | None:
        """Whether it takes the place of all rows; ``None`` where that follows from the table."""
        return None if isinstance(self.feed.table, RawHistory) else self.is_whole


@dataclass(frozen=True)
class Extracted:
    """What an extraction did: rows loaded and rejected of each table that had changed."""

    is_full: bool
    moment: Moment
    rows: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Extractor:
    """Extracts the tables of one operational system."""

    settings: Settings
    system: OperationalSystem
    connector: Connector
    target: PostgresTarget
    lake: ObjectStore
    run_id: str
    log: Callable[[str], None]

    @property
    def feeds(self) -> Sequence[Feed]:
        """What is extracted."""
        return self.system.feeds

    def run(self, *, full: bool) -> Extracted:
        """Extract once; a source that goes away meanwhile is asked again, from the beginning and with patience.

        ``full`` also reads tables as a whole of which otherwise only the last changes are read.

        Raises:
            SourceDriftError: A table or column is missing in the source.
            TooManyRejectedError: A table has more bad rows than its feed allows.
            PostgresUnreachableError, psycopg.OperationalError, a passing fault of the connector: It did not come back.
        """
        away: tuple[type[Exception], ...] = (*WAREHOUSE_AWAY, *self.connector.passing_faults)
        for attempt in range(1, self.settings.load_attempts + 1):
            try:
                return self._run_once(full=full)
            except away as error:
                if attempt == self.settings.load_attempts:
                    raise
                wait = self.settings.load_backoff_seconds * 2 ** (attempt - 1)
                self.log(f"{self.connector.address} went away ({describe(error)}); again in {wait:,.0f} s")
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _run_once(self, *, full: bool) -> Extracted:
        with connect(self.target) as conn, locks.turn(conn, locks.extraction_turn(self.system.name)):
            extractions.abandon(conn, self.feeds)
            try:
                with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch:
                    return self._extract(conn, Path(scratch), full=full)
            except BaseException:
                if not conn.closed:
                    extractions.abandon(conn, self.feeds)
                raise

    def _extract(self, conn: Connection[Any], scratch: Path, *, full: bool) -> Extracted:
        known = extractions.known_content(conn, self.feeds)
        last = extractions.last(conn, self.system.name)
        with self.connector.read(self.feeds) as reader:
            increments, keys = self._increments(conn, known, reader, last if not full else None)
            copies = self._copy_all(reader, scratch, increments)
        moment, clock = reader.moment, reader.moment.taken_at
        if last:  # whatever the source's clock says: what was read later is what holds
            moment = replace(moment, taken_at=max(moment.taken_at, last.taken_at + timedelta(microseconds=1)))
        read = [
            self._read(conn, moment, feed, copy, is_whole=feed.dataset not in increments)
            for feed, copy in copies
            if not _is_known(copy, feed, known.get(feed.dataset), is_whole=feed.dataset not in increments)
        ]
        tables = [table for table in read if table]
        for table in tables:
            table.spool.put(self.lake, _lake_path(table.feed, self.run_id, table.sha256))
        self._publish(conn, moment, clock, tables, keys, is_full=not increments)
        for table in tables:
            compact(self.target, self.lake, table.feed)
        rows = {t.feed.dataset: (t.spool.rows, t.rejected.height) for t in tables}
        return Extracted(not increments, moment, rows)

    def _increments(
        self, conn: Connection[Any], known: Mapping[str, Known], reader: Reader, last: Extraction | None
    ) -> tuple[dict[str, Increment], list[KeyCounts]]:
        """What is read of tables that need not be read whole, and how many rows their ranges of keys have now.

        After another database's extraction, or where the source's clock was set back, all are read whole.
        """
        moment = reader.moment
        follows = last is not None and last.origin == moment.origin and last.source_clock <= moment.taken_at
        increments, keys = {}, []
        for feed in self.feeds:
            if not feed.increment_by:
                continue
            since = None
            if follows and last is not None and feed.dataset in known:
                since = _since(conn, feed, last.source_clock)
            if since is None:
                keys.append(KeyCounts(feed.dataset, reader.count_keys(feed), None))
                continue
            counted, ranges = self._count(conn, reader, feed)
            keys.append(counted)
            increments[feed.dataset] = Increment(since, ranges)
        return increments, keys

    def _count(
        self, conn: Connection[Any], reader: Reader, feed: Feed
    ) -> tuple[KeyCounts, tuple[tuple[int, int], ...]]:
        """How many rows the ranges of keys have, and those that have grown.

        The newest ranges are counted each time. The others only if the table's rows do not add up with them.
        """
        known = extractions.known_keys(conn, feed.source, feed.dataset)
        if known:
            floor = newest_from(known)
            newest = reader.count_keys(feed, from_bucket=floor)
            others = sum(rows for bucket, rows in known.items() if bucket < floor)
            if reader.moment.rows[feed.table.name] - sum(newest.values()) == others:
                return KeyCounts(feed.dataset, newest, floor), grown(newest, known)
        counts = reader.count_keys(feed)
        return KeyCounts(feed.dataset, counts, None), grown(counts, known)

    def _copy_all(
        self, reader: Reader, scratch: Path, increments: Mapping[str, Increment]
    ) -> list[tuple[Feed, TableCopy]]:
        def copy(feed: Feed) -> TableCopy:
            path = scratch / f"{feed.dataset}.copy"
            return reader.copy(feed, path, increment=increments.get(feed.dataset))

        with ThreadPoolExecutor(READERS) as readers:
            return list(zip(self.feeds, readers.map(copy, self.feeds), strict=True))

    def _read(
        self, conn: Connection[Any], moment: Moment, feed: Feed, copy: TableCopy, *, is_whole: bool
    ) -> ExtractedTable | None:
        """Type the rows of a table that has changed; ``None`` where an increment brings nothing that is not loaded.

        Raises:
            TooManyRejectedError: More rows break rules than the feed allows.
        """
        lake_path = _lake_path(feed, self.run_id, copy.sha256)
        file = extractions.begin(
            conn, feed.table, moment.taken_at, sha256=copy.sha256, size=copy.size, lake_path=lake_path
        )
        spool, rejected = Spool(copy.path.with_suffix(""), feed), [pl.DataFrame(schema=REJECT_SCHEMA)]
        warnings = Counter[str]()
        loaded = [] if is_whole else landed_files.loaded(conn, feed.source, feed.dataset)
        not_after = moment.taken_at + CLOCK_SLACK
        for batch in self.connector.typed(copy.path, feed, file_id=file.file_id, not_after=not_after):
            progress.note(f"rows of {feed.table.name}")
            keep_room(self.settings)
            spool.add(batch.rows if is_whole else self._unknown(batch.rows, feed, loaded))
            rejected.append(batch.rejected)
            warnings.update(batch.warnings)
        spool.flush()
        copy.path.unlink()
        bad = pl.concat(rejected)
        if not is_whole:
            bad = bad.join(
                extractions.known_rejects(conn, loaded), on=["rule", "raw"], how="anti", maintain_order="left"
            )
            if not spool.rows and bad.is_empty():
                extractions.forget(conn, file)
                return None
        rows = spool.rows + bad.height + sum(earlier.rows_loaded or 0 for earlier in loaded)
        if feed.refuses(bad.height, rows):
            raise TooManyRejectedError(
                f"table {feed.table.name}: {bad.height:,} of {counted(rows, 'row')} break rules, more than "
                f"{feed.reject_threshold:.0%}, e.g. {reject_words(bad, feed.table)}. Nothing was published. Fix the "
                "source."
            )
        return ExtractedTable(feed, file, copy.sha256, spool, bad, is_whole, warnings)

    def _unknown(self, rows: pl.DataFrame, feed: Feed, loaded: Sequence[LandedFile]) -> pl.DataFrame:
        """Rows of an increment that are not loaded as they are: its margin reads many that are."""
        delivered = [column.name for column in feed.table.columns if column.source_name]
        begin = pl.col(feed.increment_by or "") >= rows[feed.increment_by or ""].min()
        known = RawRows(self.lake, feed, loaded).rows().filter(begin).select(delivered)
        new = rows.lazy().join(known, on=delivered, how="anti", nulls_equal=True).sort("_line")
        return new.collect(engine="streaming")

    def _publish(
        self,
        conn: Connection[Any],
        moment: Moment,
        clock: datetime,
        tables: Sequence[ExtractedTable],
        keys: Sequence[KeyCounts],
        *,
        is_full: bool,
    ) -> None:
        """All changed tables in one transaction: readers see the source of one moment."""
        changed = tuple(table.feed.dataset for table in tables)
        extraction = Extraction(
            self.system.name,
            moment.origin,
            moment.taken_at,
            clock,
            self.run_id,
            is_full,
            moment.fingerprint,
            changed,
        )
        for _ in range(COMPARISONS):
            compared = [self._compare(conn, table) for table in tables]
            try:
                with connect(self.target, autocommit=False) as writing:
                    for table, found in zip(tables, compared, strict=True):
                        self._write(writing, table, found)
                    for counted in keys:
                        extractions.keep_keys(writing, self.feeds[0].source, counted)
                    extractions.record(writing, extraction)
                    writing.commit()
                return
            except RawTableChangedError:
                continue
        raise RawTableChangedError(f"raw tables of {self.system.name} are being changed all the time")

    def _compare(self, conn: Connection[Any], table: ExtractedTable) -> Compared:
        newcomers = [Newcomer(table.file, table.spool)]
        compared = compare(conn, self.lake, table.feed, newcomers, table.contents, replaces_all=table.replaces_all)
        for error in compared.standing.refused.values():
            raise error
        return compared

    def _write(self, writing: Connection[Any], table: ExtractedTable, compared: Compared) -> None:
        feed, file, spool = table.feed, table.file, table.spool
        transaction = FileTransaction(writing, feed.table, [file], self.run_id, Room(self.settings))
        claim(transaction, feed, table.contents, compared, replaces_all=table.replaces_all)
        rejected = table.rejected.select(pl.lit(file.file_id, pl.Int64).alias("file_id"), "line", "rule", "raw")
        transaction.write(spool.frames(), [rejected], spool.rows)
        result = FileResult(
            table.sha256,
            spool.rows,
            rejected.height,
            False,
            _lake_path(feed, self.run_id, table.sha256),
            dict(sorted(spool.partition_rows.items())),
            warnings=table.warnings,
            rejected_by_rule=count_by_rule(table.rejected),
            rejected_samples=reject_samples(samples_by_rule(table.rejected), feed.table),
        )
        transaction.complete({file.file_id: result}, compared.overlaps)


def _since(conn: Connection[Any], feed: Feed, clock: datetime) -> Any:
    """Where an increment begins: never ahead of the source's clock at the last extraction; ``None`` reads all."""
    column = feed.table.column(feed.increment_by or "")
    if column.type.kind is Kind.TIMESTAMP:
        return extractions.time_watermark(conn, feed.table, column.name, clock)
    return extractions.key_watermark(conn, feed.table, int(feed.increment_margin))


def _is_known(copy: TableCopy, feed: Feed, known: Known | None, *, is_whole: bool) -> bool:
    """Whether a table's content is what was extracted last.

    A whole table that equals the last increment says nothing: rows that are gone may stand in what came before.
    """
    if known is None or known.sha256 != copy.sha256:
        return False
    return known.versions == 1 or not (is_whole and feed.increment_by)


def _lake_path(feed: Feed, run_id: str, sha256: str) -> str:
    return f"raw/{feed.source}/{feed.table.name}/extract-{run_id[:8]}-{sha256[:8]}"
