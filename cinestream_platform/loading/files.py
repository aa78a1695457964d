"""The way of files from the landing zone into a raw table: fetch, read, audit, write, publish.

Joins the lake with the warehouse; knows nothing of Dagster. What becomes of a file that fails is decided here:
content that cannot be loaded is parked at once, a passing fault is tried again later. Small files are published
together (``file_batches``); each is read, judged and accounted for by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.declarations.bundle import object_key
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawHistory
from cinestream_platform.lake.store import ObjectChangedError, ObjectGoneError, ObjectStore, StoredObject
from cinestream_platform.lake.store_errors import explain, is_store_error
from cinestream_platform.ledger import file_writes, landed_files
from cinestream_platform.ledger.file_results import FileResult
from cinestream_platform.ledger.lake_objects import SHARED
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.ledger.standing import NotToBeLoadedError, SnapshotOvertakenError, TwinLoadedError
from cinestream_platform.loading.file_batches import file_batches
from cinestream_platform.loading.file_reading import Reading, Refusal, read_delivery
from cinestream_platform.loading.overlap import Newcomer
from cinestream_platform.loading.publish import COMPARISONS, Compared, claim, compare
from cinestream_platform.loading.raw_rows import PARTITION_KEY, put_together, scan_spools
from cinestream_platform.messages import bounded, describe
from cinestream_platform.publishing.raw import RawTableChangedError, file_transaction
from cinestream_platform.reading.reject_words import reject_samples
from cinestream_platform.regular_files import NotRegularError
from cinestream_platform.services.disk import DiskFullError, Room, is_for_lack_of_room, shortage
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect


class Outcome(StrEnum):
    """The outcome of a file in this attempt."""

    LOADED = "loaded"
    DUPLICATE = "duplicate"
    OVERTAKEN = "overtaken"
    PARKED = "parked"
    FAILED = "failed"
    LEFT = "left to the next listing"


@dataclass(frozen=True)
class Report:
    """The outcome of a file, in numbers and words."""

    file: LandedFile
    outcome: Outcome
    rows_loaded: int = 0
    rows_rejected: int = 0
    reason: str = ""


@dataclass
class _Attempt:
    """An attempt at files: where they are read, and what came of each.

    To be published are ``readings``, from ``lake_path``. Of ``known`` files the content (its hash) is loaded already:
    they were not read. ``reports`` are of those for which no more is to be done, ``begun`` those tried now.
    """

    files: list[LandedFile]
    lake_path: str
    scratch: tempfile.TemporaryDirectory[str]
    begun: set[int] = field(default_factory=set)
    readings: dict[int, Reading] = field(default_factory=dict)
    known: dict[int, str] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Scratch space on local disk."""
        return Path(self.scratch.name)


@dataclass(frozen=True)
class FileLoader:
    """Loads the files of one feed that the ledger says are pending."""

    settings: Settings
    target: PostgresTarget
    landing: ObjectStore
    lake: ObjectStore
    feed: Feed
    run_id: str
    file_ids: Sequence[int] | None = None

    @property
    def room(self) -> Room:
        """What is asked before more is written."""
        return Room(self.settings)

    def load_pending(self) -> Iterator[Report]:
        """Load the feed's pending files (those of ``file_ids`` where given), oldest first, and report each.

        A file that fails does not stop the others; a disk without room does, and no file is to blame for it. While
        one is being published, which is Postgres' work, the next is read already, which is ours; so at most two are in
        scratch space. A file that was tried before is handled alone: if the process is killed again, it was that
        file's doing.

        Raises:
            DiskFullError: A disk filled; the files that are not loaded wait.
        """
        with (
            connect(self.target) as conn,
            connect(self.target) as writing,
            ThreadPoolExecutor(1, "publish") as publisher,
        ):
            publishing: list[tuple[_Attempt, Future[list[Report]]]] = []
            pending = landed_files.pending(conn, self.feed.source, self.feed.dataset, file_ids=self.file_ids)
            for batch in file_batches(self.feed, pending):
                if shortage(self.settings, 0.5):
                    break
                is_suspect = bool(batch[0].attempts)
                if is_suspect:
                    yield from _finished(conn, publishing)
                files = [file for file in batch if locks.try_turn(conn, locks.file_turn(file.file_id))]
                if not files:
                    continue  # another run has them
                attempt = self._attempt(conn, files)
                yield from _finished(conn, publishing)
                publishing.append((attempt, publisher.submit(self._settle, writing, attempt)))
                if is_suspect:
                    yield from _finished(conn, publishing)
            yield from _finished(conn, publishing)
        if reason := shortage(self.settings, 0.5):
            raise DiskFullError(reason)

    def _attempt(self, conn: Connection[Any], files: list[LandedFile]) -> _Attempt:
        """Everything up to the files' publication; whatever can go wrong is a report."""
        attempt = _Attempt(files, self._lake_path(files), tempfile.TemporaryDirectory(prefix="cinestream-"))
        if (tried := files[0].attempts) >= self.settings.load_attempts:
            reason = (
                f"{tried} attempts ended without a result: each time the process was killed, perhaps for lack "
                "of memory. cinestream reload asks for it again."
            )
            landed_files.park(conn, files[0], reason)
            attempt.reports.append(Report(files[0], Outcome.PARKED, reason=reason))
            return attempt
        backoff = self.settings.load_backoff_seconds
        attempt.begun = file_writes.begin_attempts(
            conn, [file.file_id for file in files], attempt.lake_path, backoff_seconds=backoff
        )
        for file in files:
            if file.file_id not in attempt.begun:
                attempt.reports.append(Report(file, Outcome.LEFT, reason="another run was faster"))
            elif report := self._guarded(conn, file, partial(self._prepare, conn, attempt, file)):
                attempt.reports.append(report)
        return attempt

    def _settle(self, conn: Connection[Any], attempt: _Attempt) -> list[Report]:
        """Publish what was read and not refused, and clean up."""
        try:
            known = [file for file in attempt.files if file.file_id in attempt.known]
            gave_way = (self._guarded(conn, file, partial(self._give_way, conn, attempt, file)) for file in known)
            reports = [*attempt.reports, *filter(None, gave_way), *self._publish(conn, attempt)]
            left = {report.file.file_id for report in reports if report.outcome is Outcome.LEFT}
            file_writes.take_attempts_back(conn, left & attempt.begun)
            return reports
        finally:
            attempt.scratch.cleanup()

    def _guarded(self, conn: Connection[Any], file: LandedFile, do: Callable[[], Report | None]) -> Report | None:
        """What a step says of the file; errors decide whether it is tried again."""
        try:
            return do()
        except ObjectGoneError as error:
            file_writes.vanish(conn, file.file_id)
            return Report(file, Outcome.LEFT, reason=str(error))
        except NotRegularError as error:
            landed_files.park(conn, file, str(error))
            return Report(file, Outcome.PARKED, reason=str(error))
        except ObjectChangedError as error:
            return Report(file, Outcome.LEFT, reason=str(error))
        except Exception as error:
            reason = describe(error)
            if is_store_error(error):
                reason = bounded(f"{type(error).__name__}: {': '.join(explain(error))}")
            if is_for_lack_of_room(error):
                return Report(file, Outcome.LEFT, reason=reason)
            file_writes.fail(conn, file.file_id, reason, attempts=self.settings.load_attempts)
            return Report(file, Outcome.FAILED, reason=reason)

    def _prepare(self, conn: Connection[Any], attempt: _Attempt, file: LandedFile) -> Report | None:
        """Fetch, read and audit; ``None`` if the file may be published."""
        scratch = attempt.folder / str(file.file_id)
        scratch.mkdir()
        listed = StoredObject(object_key(file.key), file.etag, file.size_bytes, file.last_modified)
        copy = self.landing.fetch(listed, scratch / "object")
        same_delivery = isinstance(self.feed.table, RawHistory)
        if landed_files.loaded_twin(conn, file, copy.sha256, same_delivery=same_delivery):
            attempt.known[file.file_id] = copy.sha256
            return None
        reading = read_delivery(copy, file, self.feed, scratch, self.room)
        if isinstance(reading, Refusal):
            landed_files.park(
                conn, file, reading.reason, sha256=copy.sha256, counts=reading.counts, sample=reading.sample
            )
            _, rejected = reading.counts or (0, 0)
            return Report(file, Outcome.PARKED, 0, rejected, reading.reason)
        copy.path.unlink()
        if not attempt.lake_path.endswith(SHARED):
            reading.spool.put(self.lake, attempt.lake_path)
        attempt.readings[file.file_id] = reading
        return None

    def _lake_path(self, files: Sequence[LandedFile]) -> str:
        """The attempt is part of the path: a crashed attempt's leftovers never mix with this one's rows."""
        first, name, end = files[0], *(("file", "") if len(files) == 1 else ("files", SHARED))
        place = f"raw/{self.feed.source}/{self.feed.table.name}"
        return f"{place}/{name}-{first.file_id}-{self.run_id[:8]}-{first.attempts}{end}"

    def _give_way(self, conn: Connection[Any], attempt: _Attempt, file: LandedFile) -> Report:
        """Mark a file whose content was loaded when it was fetched; what was published since may have replaced that."""
        sha256 = attempt.known[file.file_id]
        same_delivery = isinstance(self.feed.table, RawHistory)
        if twin := landed_files.loaded_twin(conn, file, sha256, same_delivery=same_delivery):
            return self._duplicate(conn, file, sha256, twin)
        return Report(file, Outcome.LEFT, reason="the file with the same content has left meanwhile")

    def _publish(self, conn: Connection[Any], attempt: _Attempt) -> list[Report]:
        """Publish what was read; where that fails for files together, each by itself."""
        files = [file for file in attempt.files if file.file_id in attempt.readings]
        if len(files) == 1:
            [file] = files
            reports: list[Report] = []
            failed = self._guarded(conn, file, lambda: reports.extend(self._publish_together(conn, attempt, files)))
            return [failed] if failed else reports
        try:
            return self._publish_together(conn, attempt, files) if files else []
        except Exception:  # it may be the fault of one of them, or none's: whoever fails again says why
            tried = {file.file_id for file in files}
            file_writes.take_attempts_back(conn, tried)
            attempt.begun -= tried
            return [report for file in files for report in self._settle(conn, self._attempt(conn, [file]))]

    def _publish_together(self, conn: Connection[Any], attempt: _Attempt, files: Sequence[LandedFile]) -> list[Report]:
        """Publish files in one transaction, except those that turn out not to be loaded."""
        rows = self._rows(attempt, files)
        contents = {file_id: reading.sha256 for file_id, reading in attempt.readings.items()}
        firsts, twins = _twins(files, contents)
        reports = []
        for _ in range(COMPARISONS):
            newcomers = [Newcomer(file, attempt.readings[file.file_id].spool) for file in firsts]
            compared = compare(conn, self.lake, self.feed, newcomers, contents)
            refused = compared.standing.refused
            reports += [self._stand_back(conn, f, contents, refused[f.file_id]) for f in firsts if f.file_id in refused]
            firsts = [file for file in firsts if file.file_id not in refused]
            if refused and firsts:
                continue
            try:
                reports += self._write(attempt, firsts, contents, compared, rows) if firsts else []
            except RawTableChangedError:
                continue
            return reports + [self._duplicate(conn, file, contents[file.file_id], twin) for file, twin in twins]
        raise RawTableChangedError(f"other files of {self.feed.table.qualified_name} are being loaded all the time")

    def _rows(self, attempt: _Attempt, files: Sequence[LandedFile]) -> pl.DataFrame | None:
        """The rows of small files, which go to the lake together; ``None`` for a file by itself, which is there."""
        if not attempt.lake_path.endswith(SHARED):
            return None
        rows = scan_spools(self.feed, [attempt.readings[file.file_id].spool for file in files]).collect()
        put_together(rows, self.lake, attempt.lake_path, attempt.folder / "together.parquet")
        return rows.drop(PARTITION_KEY)

    def _write(
        self,
        attempt: _Attempt,
        files: Sequence[LandedFile],
        contents: Mapping[int, str],
        compared: Compared,
        rows: pl.DataFrame | None,
    ) -> list[Report]:
        """The transaction: rows, rejected records and ledger rows of these files."""
        readings = {file.file_id: attempt.readings[file.file_id] for file in files}
        results = {file_id: _result(self.feed, reading, attempt.lake_path) for file_id, reading in readings.items()}
        rejected = chain.from_iterable(reading.rejects.rows_of(file_id) for file_id, reading in readings.items())
        own = pl.col("_file_id").is_in(list(readings))
        frames = readings[files[0].file_id].spool.frames() if rows is None else iter([rows.filter(own)])
        with file_transaction(self.target, self.feed.table, files, self.run_id, self.room) as transaction:
            claim(transaction, self.feed, {file.file_id: contents[file.file_id] for file in files}, compared)
            transaction.write(frames, rejected, sum(result.rows_loaded for result in results.values()))
            transaction.complete(results, compared.overlaps)
            transaction.commit()
        return [
            Report(file, Outcome.LOADED, results[file.file_id].rows_loaded, results[file.file_id].rows_rejected)
            for file in files
        ]

    def _stand_back(
        self, conn: Connection[Any], file: LandedFile, contents: Mapping[int, str], error: NotToBeLoadedError
    ) -> Report:
        """What becomes of a file that is not to be loaded after all."""
        sha256 = contents[file.file_id]
        if isinstance(error, TwinLoadedError):
            return self._duplicate(conn, file, sha256, error.file_id)
        if isinstance(error, SnapshotOvertakenError):
            stands_back = landed_files.mark_overtaken(conn, file, sha256, error.file_id)
            return Report(file, Outcome.OVERTAKEN if stands_back else Outcome.LEFT, reason=str(error))
        return Report(file, Outcome.LEFT, reason=str(error))

    def _duplicate(self, conn: Connection[Any], file: LandedFile, sha256: str, twin: int) -> Report:
        raw_table = Identifier(self.feed.table.schema, self.feed.table.name)
        marked = landed_files.mark_duplicate(conn, file, sha256, twin, raw_table)
        return Report(file, Outcome.DUPLICATE if marked else Outcome.LEFT, reason=f"same content as file {twin}")


def _twins(
    files: Sequence[LandedFile], contents: Mapping[int, str]
) -> tuple[list[LandedFile], list[tuple[LandedFile, int]]]:
    """The first file of each content, and those that repeat one: (file, the first)."""
    firsts: dict[str, LandedFile] = {}
    twins = []
    for file in files:
        first = firsts.setdefault(contents[file.file_id], file)
        if first is not file:
            twins.append((file, first.file_id))
    return list(firsts.values()), twins


def _result(feed: Feed, reading: Reading, lake_path: str) -> FileResult:
    return FileResult(
        reading.sha256,
        reading.loaded,
        reading.rejects.rows,
        reading.ends_without_line_end,
        lake_path,
        dict(sorted(reading.spool.partition_rows.items())),
        frozenset(reading.spool.groups),
        dict(sorted(reading.warnings.items())),
        dict(sorted(reading.rejects.by_rule.items())),
        reject_samples(reading.rejects.samples, feed.table),
    )


def _finished(conn: Connection[Any], publishing: list[tuple[_Attempt, Future[list[Report]]]]) -> Iterator[Report]:
    """Wait for what is being published, and let others have its files."""
    while publishing:
        attempt, reports = publishing.pop()
        yield from reports.result()
        for file in attempt.files:
            locks.end_turn(conn, locks.file_turn(file.file_id))
