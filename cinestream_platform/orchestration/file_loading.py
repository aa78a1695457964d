"""The way of one file from the landing zone into a raw table: fetch, read, audit, write, publish.

Joins the lake with the warehouse; knows nothing of Dagster. What becomes of a file that fails is decided here:
content that cannot be loaded is parked at once, a passing fault is tried again later.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.sql import Identifier

from cinestream_platform.lake.bundle import object_key
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.raw_rows import find_overlap
from cinestream_platform.lake.store import ObjectChangedError, ObjectGoneError, ObjectStore, StoredObject
from cinestream_platform.lake.store_errors import explain, is_store_error
from cinestream_platform.lake.stored import NotRegularError
from cinestream_platform.messages import bounded, describe
from cinestream_platform.orchestration.file_reading import Reading, Refusal, read_delivery
from cinestream_platform.services.disk import DiskFullError, is_for_lack_of_room, shortage
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import ledger, locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.groups import to_multirange
from cinestream_platform.warehouse.ledger import LandedFile
from cinestream_platform.warehouse.raw_publish import (
    FileResult,
    FileSettledError,
    SnapshotOvertakenError,
    TwinLoadedError,
    file_transaction,
)
from cinestream_platform.warehouse.table import WriteMode


class Outcome(StrEnum):
    """What became of a file in this attempt."""

    LOADED = "loaded"
    DUPLICATE = "duplicate"
    OVERTAKEN = "overtaken"
    PARKED = "parked"
    FAILED = "failed"
    LEFT = "left to the next listing"


@dataclass(frozen=True)
class Report:
    """What became of a file, in numbers and words."""

    file: LandedFile
    outcome: Outcome
    rows_loaded: int = 0
    rows_rejected: int = 0
    reason: str = ""


@dataclass
class _Attempt:
    """An attempt at a file: where it is read, and what came of it: a reading to be published, or a report.

    ``known_sha256`` is its hash if the same content is loaded already, so that it was not read.
    """

    file: LandedFile
    scratch: tempfile.TemporaryDirectory[str] | None = None
    reading: Reading | None = None
    known_sha256: str | None = None
    report: Report | None = None


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

    def load_pending(self) -> Iterator[Report]:
        """Load the feed's pending files (those of ``file_ids`` where given), oldest first, and report each.

        A file that fails does not stop the others; a disk without room does, and no file is to blame for it. While
        one is being published, which is Postgres' work, the next is read already, which is ours; so at most two are in
        scratch space. A file that was tried before is handled alone: if the process is killed again, it was that
        file's doing.

        Raises:
            DiskFullError: A disk filled; the files that are not loaded wait.
        """
        with connect(self.target) as conn, ThreadPoolExecutor(1, "publish") as publisher:
            publishing: list[Future[Report]] = []
            for file in ledger.pending(conn, self.feed.source, self.feed.dataset, file_ids=self.file_ids):
                if shortage(self.settings, 0.5):
                    break
                if file.attempts:
                    yield from _finished(publishing)
                if not locks.try_turn(conn, locks.file_turn(file.file_id)):
                    continue  # another run has it
                attempt = self._attempt(conn, file)
                yield from _finished(publishing)
                publishing.append(publisher.submit(self._settle, conn, attempt))
                if file.attempts:
                    yield from _finished(publishing)
            yield from _finished(publishing)
        if reason := shortage(self.settings, 0.5):
            raise DiskFullError(reason)

    def _attempt(self, conn: Connection[Any], file: LandedFile) -> _Attempt:
        """Everything up to the file's publication; whatever can go wrong is a report."""
        if file.attempts >= self.settings.load_attempts:
            reason = (
                f"{file.attempts} attempts ended without a result: each time the process was killed, perhaps for lack "
                "of memory. cinestream reload asks for it again."
            )
            ledger.park(conn, file, reason)
            return _Attempt(file, report=Report(file, Outcome.PARKED, reason=reason))
        backoff = self.settings.load_backoff_seconds
        if not ledger.begin_attempt(conn, file, self._lake_path(file), backoff_seconds=backoff):
            return _Attempt(file, report=Report(file, Outcome.LEFT, reason="another run was faster"))
        attempt = _Attempt(file, tempfile.TemporaryDirectory(prefix="cinestream-"))
        attempt.report = self._guarded(conn, file, lambda: self._prepare(conn, attempt))
        return attempt

    def _settle(self, conn: Connection[Any], attempt: _Attempt) -> Report:
        """Publish what was read, if nothing has spoken against it, and clean up."""
        file, reading = attempt.file, attempt.reading
        try:
            report = attempt.report or self._guarded(
                conn,
                file,
                lambda: self._publish(conn, file, reading) if reading else self._give_way(conn, attempt),
            )
            if report is None:
                raise AssertionError(f"{file.key} was published without a report")
            if attempt.scratch and report.outcome is Outcome.LEFT:
                ledger.end_attempt(conn, file)
            return report
        finally:
            if attempt.scratch:
                attempt.scratch.cleanup()
            locks.end_turn(conn, locks.file_turn(file.file_id))

    def _guarded(self, conn: Connection[Any], file: LandedFile, do: Callable[[], Report | None]) -> Report | None:
        """What a step says of the file; errors decide whether it is tried again."""
        try:
            return do()
        except ObjectGoneError as error:
            ledger.mark_gone(conn, file)
            return Report(file, Outcome.LEFT, reason=str(error))
        except NotRegularError as error:
            ledger.park(conn, file, str(error))
            return Report(file, Outcome.PARKED, reason=str(error))
        except (ObjectChangedError, FileSettledError) as error:
            return Report(file, Outcome.LEFT, reason=str(error))
        except Exception as error:
            reason = describe(error)
            if is_store_error(error):
                reason = bounded(f"{type(error).__name__}: {': '.join(explain(error))}")
            if is_for_lack_of_room(error):
                return Report(file, Outcome.LEFT, reason=reason)
            ledger.mark_failed(conn, file, reason, attempts=self.settings.load_attempts)
            return Report(file, Outcome.FAILED, reason=reason)

    def _prepare(self, conn: Connection[Any], attempt: _Attempt) -> Report | None:
        """Fetch, read and audit; ``None`` if the file may be published."""
        file, scratch = attempt.file, Path(attempt.scratch.name if attempt.scratch else "")
        listed = StoredObject(object_key(file.key), file.etag, file.size_bytes, file.last_modified)
        copy = self.landing.fetch(listed, scratch / "object")
        same_delivery = self.feed.table.mode is WriteMode.HISTORY
        if ledger.loaded_twin(conn, file, copy.sha256, same_delivery=same_delivery):
            attempt.known_sha256 = copy.sha256
            return None
        reading = read_delivery(copy, file, self.feed, scratch)
        if isinstance(reading, Refusal):
            ledger.park(conn, file, reading.reason, sha256=copy.sha256, counts=reading.counts, sample=reading.sample)
            _, rejected = reading.counts or (0, 0)
            return Report(file, Outcome.PARKED, 0, rejected, reading.reason)
        copy.path.unlink()
        reading.spool.put(self.lake, self._lake_path(file))
        attempt.reading = reading
        return None

    def _lake_path(self, file: LandedFile) -> str:
        """The attempt is part of the path: a crashed attempt's leftovers never mix with this one's rows."""
        return f"raw/{self.feed.source}/{self.feed.table.name}/file-{file.file_id}-{self.run_id[:8]}-{file.attempts}"

    def _give_way(self, conn: Connection[Any], attempt: _Attempt) -> Report:
        """Mark a file whose content was loaded when it was fetched; what was published since may have replaced that."""
        file, sha256 = attempt.file, attempt.known_sha256
        same_delivery = self.feed.table.mode is WriteMode.HISTORY
        if sha256 and (twin := ledger.loaded_twin(conn, file, sha256, same_delivery=same_delivery)):
            return self._duplicate(conn, file, sha256, twin)
        return Report(file, Outcome.LEFT, reason="the file with the same content has left meanwhile")

    def _publish(self, conn: Connection[Any], file: LandedFile, reading: Reading) -> Report:
        result = FileResult(
            reading.sha256,
            reading.loaded,
            reading.rejects.rows,
            reading.ends_without_line_end,
            self._lake_path(file),
            dict(sorted(reading.spool.partition_rows.items())),
            frozenset(reading.spool.groups),
        )
        rejected = reading.rejects.rows_of(file.file_id)
        sharing = to_multirange(reading.spool.groups) if self.feed.grouped_by else None
        try:
            with file_transaction(self.target, self.feed.table, file, self.run_id) as transaction:
                transaction.claim(reading.sha256)
                others = [
                    other
                    for other in ledger.loaded(conn, self.feed.source, self.feed.dataset, sharing=sharing)
                    if other.file_id not in transaction.replaced
                ]
                overlap = find_overlap(self.lake, self.feed, reading.spool, file, others)
                transaction.write(reading.spool.frames(), rejected, reading.loaded)
                transaction.complete(result, overlap)
                transaction.commit()
        except TwinLoadedError as error:
            return self._duplicate(conn, file, reading.sha256, error.file_id)
        except SnapshotOvertakenError as error:
            stands_back = ledger.mark_overtaken(conn, file, reading.sha256, error.file_id)
            return Report(file, Outcome.OVERTAKEN if stands_back else Outcome.LEFT, reason=str(error))
        return Report(file, Outcome.LOADED, result.rows_loaded, result.rows_rejected)

    def _duplicate(self, conn: Connection[Any], file: LandedFile, sha256: str, twin: int) -> Report:
        raw_table = Identifier(self.feed.table.schema, self.feed.table.name)
        marked = ledger.mark_duplicate(conn, file, sha256, twin, raw_table)
        return Report(file, Outcome.DUPLICATE if marked else Outcome.LEFT, reason=f"same content as file {twin}")


def _finished(publishing: list[Future[Report]]) -> Iterator[Report]:
    """Wait for what is being published."""
    while publishing:
        yield publishing.pop().result()
