"""Reading one delivered file from local disk into a spool, and judging whether it may be published.

What belongs here: which reader takes a file, what is kept of it, and the words for a file that is refused. What does
not: fetching, publishing and the ledger (``file_loading``), how records are framed and judged (``lake``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from cinestream_platform import progress
from cinestream_platform.lake.blocks import FileRefusedError
from cinestream_platform.lake.bundle import is_member
from cinestream_platform.lake.bundle_reader import read_member
from cinestream_platform.lake.csv_reader import read_csv
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.line_reader import read_lines
from cinestream_platform.lake.raw_rows import Spool
from cinestream_platform.lake.rejects import Rejects
from cinestream_platform.lake.store import LocalCopy
from cinestream_platform.services.disk import keep_room
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.ledger import LandedFile
from cinestream_platform.warehouse.table import WriteMode

CLOCK_SLACK = timedelta(days=1)
"""An event may be dated this much after its file arrived: sources' clocks are not ours."""
KEPT_REJECTS = 1_000_000
"""Beyond so many rejected records reading stops: the file is not what the feed is for."""


@dataclass
class Reading:
    """A file's records after reading, on local disk: typed rows and rejected ones."""

    spool: Spool
    sha256: str
    rejects: Rejects
    ends_without_line_end: bool

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


def read_delivery(copy: LocalCopy, file: LandedFile, feed: Feed, scratch: Path) -> Reading | Refusal:
    """Read a local copy of a file into ``scratch`` and judge it."""
    try:
        reading = _read(copy, file, feed, scratch)
    except FileRefusedError as error:
        return Refusal(str(error))
    if verdict := _verdict(reading, feed):
        counts = (reading.read, reading.rejects.rows)
        return Refusal(verdict, counts, tuple(reading.rejects.first.iter_rows()))
    return reading


def _read(copy: LocalCopy, file: LandedFile, feed: Feed, scratch: Path) -> Reading:
    spool, rejects, open_end = Spool(scratch / "rows", feed), Rejects(scratch / "rejects"), False
    read = read_member if is_member(file.key) else read_lines if feed.lines else read_csv
    for batch in read(copy.path, feed, file_id=file.file_id, not_after=file.first_seen_at + CLOCK_SLACK):
        progress.note(f"rows read from {file.key}")
        keep_room(get_settings())
        spool.add(batch.rows)
        rejects.add(batch.rejected)
        open_end = batch.ends_without_line_end
        if rejects.rows > KEPT_REJECTS:
            raise FileRefusedError(f"more than {KEPT_REJECTS:,} records are rejected, e.g. {examples(rejects.first)}")
    spool.flush()
    return Reading(spool, copy.sha256, rejects, open_end)


def _verdict(reading: Reading, feed: Feed) -> str | None:
    """Why nothing of a readable file is published; ``None`` if it may be."""
    rejected = reading.rejects.rows
    if reading.read and rejected > reading.read * feed.reject_threshold:
        return (
            f"{rejected:,} of {reading.read:,} records are rejected, more than {feed.reject_threshold:.2%}; nothing "
            f"was published. E.g. {examples(reading.rejects.first)}. Fix the file and land it again."
        )
    if feed.table.mode in (WriteMode.SNAPSHOT, WriteMode.HISTORY) and reading.loaded == 0:
        return "a snapshot without any row would empty the table. Land a file with rows, or retract the old one."
    return None


def examples(rejected: pl.DataFrame) -> str:
    """A few rejected records, for messages."""
    return "; ".join(f"line {line:,} {rule}: {raw[:200]!r}" for line, rule, raw in rejected.head(3).iter_rows())
