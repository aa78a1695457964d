"""The rejected records of one file: all of them on local disk, the first few in memory.

What does not belong here: what makes a record a rejected one (``records`` and the readers), keeping them for good
(``ops.rejected_row``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from cinestream_platform.reading.blocks import REJECT_SCHEMA

WAITING_BYTES = 16 * 1024 * 1024
"""So much of their text waits in memory before it is written."""
FIRST_ROWS = 20
SAMPLES_OF_A_RULE = 3
"""So many of a rule's records are shown where checks tell of a delivery."""


def count_by_rule(rejected: pl.DataFrame) -> dict[str, int]:
    """How many records of a frame (``REJECT_SCHEMA``) each rule rejected."""
    return dict(rejected.group_by("rule").len().sort("rule").iter_rows())


def samples_by_rule(rejected: pl.DataFrame) -> pl.DataFrame:
    """The first records of a frame (``REJECT_SCHEMA``) that each rule rejected, without their text."""
    first = rejected.select("line", "rule", "found").group_by("rule", maintain_order=True).head(SAMPLES_OF_A_RULE)
    return first.select("line", "rule", "found")


class Rejects:
    """Takes rejected records batch by batch and gives them back in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[Path] = []
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self.rows = 0
        self.by_rule = Counter[str]()
        self.first = pl.DataFrame(schema=REJECT_SCHEMA)
        self.samples = samples_by_rule(self.first)

    def add(self, rejected: pl.DataFrame) -> None:
        """Take one batch, as ``REJECT_SCHEMA``."""
        if rejected.is_empty():
            return
        self.rows += rejected.height
        self.by_rule.update(count_by_rule(rejected))
        self.samples = samples_by_rule(pl.concat([self.samples, samples_by_rule(rejected)]))
        self.first = pl.concat([self.first, rejected.head(FIRST_ROWS - self.first.height)])
        self._waiting.append(rejected)
        self._waiting_bytes += int(rejected.estimated_size())
        if self._waiting_bytes > WAITING_BYTES:
            self._write()

    def _write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"part-{len(self._parts) + 1:05d}.parquet"
        pl.concat(self._waiting).write_parquet(path, compression="zstd", compression_level=1)
        self._parts.append(path)
        self._waiting, self._waiting_bytes = [], 0

    def frames(self) -> Iterator[pl.DataFrame]:
        """All of them, a bounded number in memory at a time."""
        for path in self._parts:
            yield pl.read_parquet(path, glob=False)
        yield from self._waiting

    def rows_of(self, file_id: int) -> Iterator[pl.DataFrame]:
        """All of them as rows of ``ops.rejected_row``."""
        for frame in self.frames():
            yield frame.select(pl.lit(file_id, pl.Int64).alias("file_id"), "line", "rule", "raw")
