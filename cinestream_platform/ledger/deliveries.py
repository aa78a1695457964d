"""Which partitions a loaded file has a say in: pure decisions that building and staleness share.

An event file touches the partitions of its events. A file whose rows carry no time touches every partition. Of a table
that is delivered again and again (write mode ``history``) a delivery says what holds from its time on, and also what
held between the one before it and itself: changes since, and members that are new in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property

from cinestream_platform.declarations.named_days import named_days
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""``valid_from`` of the first known version: what is older than the first delivery is taken to have been the same."""


def effective_at(key: str, last_modified: datetime) -> datetime:
    """From when on a delivery holds: the day that its key names last (in UTC), else when it landed.

    ``shop/customer/customer_2024-05-01.csv`` holds from 2024-05-01 00:00 on, and so does ``customer_20240501.csv``.
    """
    day = next(named_days(key), None)
    return datetime.combine(day, time(), UTC) if day else last_modified


def touches(partitions: Collection[str], unit: PartitionUnit, partition_key: str) -> bool:
    """Whether a file with these raw partitions has rows for a partition of a table."""
    return WHOLE in partitions or any(unit.containing(key) == partition_key for key in partitions)


def holding(effective: Mapping[int, datetime], unit: PartitionUnit, partition_key: str) -> set[int]:
    """Of all deliveries (file to time) those that say what held in a partition: up to its end, and the next one.

    The next one knows who was new at the end, before the next delivery.
    """
    end = datetime.combine(unit.first_days(partition_key)[1], time(), UTC)
    following = min((begin for begin in effective.values() if begin >= end), default=None)
    return {file_id for file_id, begin in effective.items() if begin < end or begin == following}


@dataclass(frozen=True)
class Input:
    """The loaded files of one raw table that another table is made from.

    ``partitions`` are the raw partitions that each file touches. ``effective`` tells from when on each file holds, for
    tables that hold over time. ``is_whole``: every partition of the other table is made from all of their rows.
    """

    partitions: Mapping[int, Collection[str]]
    effective: Mapping[int, datetime] | None = None
    is_whole: bool = False

    def has_events(self, unit: PartitionUnit, partition_key: str) -> bool:
        """Whether any file has rows that belong to a partition by their time."""
        return not self.is_whole and partition_key in self._touching(unit)

    def file_ids(self, unit: PartitionUnit, partition_key: str) -> set[int]:
        """The files that have a say in a partition, or in a table that is published as one piece."""
        if partition_key == WHOLE or self.is_whole:
            return set(self.partitions)
        if self.effective is not None:
            return holding(self.effective, unit, partition_key)
        touching = self._touching(unit)
        return touching.get(WHOLE, set()) | touching.get(partition_key, set())

    @cached_property
    def _by_unit(self) -> dict[PartitionUnit, dict[str, set[int]]]:
        return {}

    def _touching(self, unit: PartitionUnit) -> dict[str, set[int]]:
        """Partition of a table to the files that touch it: found once, not for each partition anew."""
        if unit not in self._by_unit:
            found: dict[str, set[int]] = {}
            for file_id, keys in self.partitions.items():
                for key in keys:
                    found.setdefault(key if key == WHOLE else unit.containing(key), set()).add(file_id)
            self._by_unit[unit] = found
        return self._by_unit[unit]


def made_from(inputs: Iterable[Input], unit: PartitionUnit, partition_key: str) -> tuple[int, ...]:
    """The files that a table, or a partition of it, is made from.

    A partition without any event is made from nothing, whatever else its table reads.
    """
    inputs = list(inputs)
    if partition_key != WHOLE and not any(read.has_events(unit, partition_key) for read in inputs):
        return ()
    return tuple(sorted(set().union(*(read.file_ids(unit, partition_key) for read in inputs))))
