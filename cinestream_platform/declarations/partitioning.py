"""Partitions: the units of time, their keys, and which ones a table has.

What does not belong here: tables (``table``), and any library but the standard one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

SMALL_FILES = "small_files"
"""Key of the partition of a raw table that is split by file for all files that have none of their own."""
WHOLE = "whole"
"""Partition key of a table that is published as one piece."""


class PartitionUnit(StrEnum):
    """The grain of partitions. Keys: ``2005``; ``2005-04`` for the quarter that begins then, and for the month."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"
    WHOLE = "whole"

    @property
    def months(self) -> int:
        """Length of a partition in months."""
        return {"year": 12, "quarter": 3, "month": 1}[self]

    def key_of(self, year: int, month: int) -> str:
        """The key of the partition that a month lies in."""
        if self is PartitionUnit.YEAR:
            return f"{year:04d}"
        return f"{year:04d}-{month - (month - 1) % self.months:02d}"

    def first_days(self, partition_key: str) -> tuple[date, date]:
        """The first day of a partition, and the first day after it."""
        year, _, month = partition_key.partition("-")
        begin = int(year) * 12 + int(month or 1) - 1
        end = begin + self.months
        return date(begin // 12, begin % 12 + 1, 1), date(end // 12, end % 12 + 1, 1)

    def containing(self, partition_key: str) -> str:
        """The key of this unit's partition that a partition of the same or a finer unit lies in."""
        if WHOLE in (self, partition_key):
            return WHOLE
        year, _, month = partition_key.partition("-")
        return self.key_of(int(year), int(month or 1))


TimeUnit = Literal[PartitionUnit.YEAR, PartitionUnit.QUARTER, PartitionUnit.MONTH]
"""The units that are a time."""


@dataclass(frozen=True)
class Partitioning:
    """Partitions by time: range partitions on ``date_key``.

    ``first`` and ``last`` are the keys between which all partitions of a source lie that is closed; without, they begin
    in 1995 and go on with the calendar.
    """

    unit: TimeUnit
    first: str = "1995"
    last: str | None = None

    def bounds(self, partition_key: str) -> tuple[int, int]:
        """``[from, to)`` of a partition in values of ``date_key``."""
        begin, end = (day.year * 10_000 + day.month * 100 + 1 for day in self.unit.first_days(partition_key))
        return begin, end
