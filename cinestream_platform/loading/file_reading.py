"""Reading one delivered file from local disk into a spool, and judging whether it may be published.

What belongs here: which reader takes a file, what is kept of it, and the words for a file that is refused. What does
not: fetching, publishing and the ledger (``file_loading``), how records are framed and judged (``lake``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cinestream_platform import progress
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.declarations.raw_table import RawHistory, RawSnapshot
from cinestream_platform.lake.store import LocalCopy
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading.raw_rows import Spool
from cinestream_platform.messages import bounded, counted
from cinestream_platform.reading.blocks import LAST_RECORD_REJECTED, Batch
from cinestream_platform.reading.readers import read_records
from cinestream_platform.reading.reject_words import reject_words
from cinestream_platform.reading.rejects import Rejects
from cinestream_platform.services.disk import Room

CLOCK_SLACK = timedelta(days=1)
"""An event may be dated this much after its file arrived: sources' clocks are not ours."""


@dataclass
class Reading:
    """A file's records after reading, on local disk: typed rows and rejected ones."""

    spool: Spool
    sha256: str
    rejects: Rejects
    ends_without_line_end: bool
    warnings: Counter[str]

    @property
    def loaded(self) -> int:
        """How many records became rows."""
        return self.spool.rows

    @property
    def read(self) -> int:
        """How many records the file has."""
        return self.loaded + self.rejects.rows


@dataclass(frozen=True)
class Refusal:
    """Why nothing of a file is published; where it was read, (records read, rejected) and some of the rejected."""

    reason: str
    counts: tuple[int, int] | None = None
    sample: tuple[tuple[int, str, str], ...] = ()


def read_delivery(
    copy: LocalCopy, file: LandedFile, feed: Feed, scratch: Path, room: Room | None = None
) -> Reading | Refusal:
    """Read a local copy of a file into ``scratch`` and judge it."""
    try:
        reading = _read(copy, file, feed, scratch, room)
    except FileRefusedError as error:
        return Refusal(bounded(str(error)))
    return reading if isinstance(reading, Refusal) else _judge(reading, feed) or reading


def _read(copy: LocalCopy, file: LandedFile, feed: Feed, scratch: Path, room: Room | None) -> Reading | Refusal:
    spool, rejects, open_end = Spool(scratch / "rows", feed), Rejects(scratch / "rejects"), False
    rows, warnings = 0, Counter[str]()
    not_after = file.first_seen_at + CLOCK_SLACK
    for batch in read_records(copy.path, file.key, feed, file_id=file.file_id, not_after=not_after, room=room):
        progress.note(f"rows read from {file.key}")
        if room:
            room.keep()
        rows += batch.rows.height
        spool.add(batch.rows)
        rejects.add(batch.rejected)
        open_end = batch.ends_without_line_end
        warnings[LAST_RECORD_REJECTED] = int(open_end and _ends_rejected(batch))
        warnings.update(batch.warnings)
        if batch.most_to_come and feed.refuses(rejects.rows, rows + rejects.rows + batch.most_to_come):
            return _too_many(rejects, rows + rejects.rows, feed, is_all=False)
    spool.flush()
    return Reading(spool, copy.sha256, rejects, open_end, +warnings)


def _ends_rejected(batch: Batch) -> bool:
    """Whether the last record of a batch is a rejected one."""
    if batch.rejected.is_empty():
        return False
    return batch.rows.is_empty() or bool((batch.rejected["line"] >= batch.rows["_line"].max()).any())


def _too_many(rejects: Rejects, read: int, feed: Feed, *, is_all: bool) -> Refusal:
    """More records are rejected than the feed allows; unless all were read, whatever follows could not change that."""
    which = counted(read, "record is", "records are") if is_all else f"the first {read:,} records are"
    rest = "" if is_all else " even if all that follow were good, so that reading stopped there"
    reason = (
        f"{rejects.rows:,} of {which} rejected, more than {feed.reject_threshold:.2%}{rest}; nothing was "
        f"published. E.g. {reject_words(rejects.first, feed.table)}. Fix the file and land it again."
    )
    sample = rejects.first.select("line", "rule", "raw").iter_rows()
    return Refusal(bounded(reason), (read, rejects.rows), tuple(sample))


def _judge(reading: Reading, feed: Feed) -> Refusal | None:
    """Why nothing of a readable file is published; ``None`` if it may be."""
    if feed.refuses(reading.rejects.rows, reading.read):
        return _too_many(reading.rejects, reading.read, feed, is_all=True)
    if isinstance(feed.table, RawSnapshot | RawHistory) and reading.loaded == 0:
        sample = reading.rejects.first.select("line", "rule", "raw").iter_rows()
        return Refusal(
            "a snapshot without any row would empty the table. Land a file with rows, or retract the old one.",
            (reading.read, reading.rejects.rows),
            tuple(sample),
        )
    return None
