"""The partitions of assets, each defined once: facts and marts that share them can run in one range."""

from datetime import datetime, time
from functools import lru_cache

from dagster import PartitionsDefinition, TimeWindowPartitionsDefinition

from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.publishing.partitions import SWAPPED_TOGETHER

_CALENDAR = {
    PartitionUnit.YEAR: ("0 0 1 1 *", "%Y"),
    PartitionUnit.QUARTER: ("0 0 1 */3 *", "%Y-%m"),
    PartitionUnit.MONTH: ("0 0 1 * *", "%Y-%m"),
}
"""Schedule and key of each unit; a quarter's key is its first month, e.g. 2007-04."""


def partitions_of(partitioning: Partitioning | None) -> TimeWindowPartitionsDefinition | None:
    """The partitions (UTC) of a table, the current one included; ``None`` where it is published as one piece."""
    return time_window(partitioning.unit, partitioning.first, partitioning.last) if partitioning else None


@lru_cache
def time_window(unit: PartitionUnit, first: str, last: str | None) -> TimeWindowPartitionsDefinition:
    """Years, quarters or months from the first key on, to the last one or to now; equal ones are one object."""
    schedule, key = _CALENDAR[unit]
    begin = datetime.combine(unit.first_days(first)[0], time())
    end = datetime.combine(unit.first_days(last)[1], time()) if last else None
    return TimeWindowPartitionsDefinition(
        cron_schedule=schedule, start=begin, end=end, fmt=key, end_offset=0 if end else 1
    )


YEARS = time_window(PartitionUnit.YEAR, "1995", None)
"""Calendar years from 1995, the current one included."""


def partition_keys(definition: PartitionsDefinition[str] | None) -> tuple[str, ...]:
    """Every key, in order; empty where there are no partitions."""
    return tuple(definition.get_partition_keys()) if definition else ()


def unit_of(definition: object) -> PartitionUnit:
    """The unit of an asset's partitions."""
    schedule = getattr(definition, "cron_schedule", None)
    return next((unit for unit, (known, _) in _CALENDAR.items() if known == schedule), PartitionUnit.WHOLE)


def ranges_to_build(partition_keys: list[str], known: list[str]) -> list[tuple[str, str]]:
    """The ranges in which partitions are built: one, if from the first to the last there are few, else neighbours.

    What moves between them is then swapped in by one transaction; those in between come to the same content again.
    """
    ranges = contiguous_ranges(partition_keys, known)
    if ranges and known.index(ranges[-1][1]) - known.index(ranges[0][0]) < SWAPPED_TOGETHER:
        return [(ranges[0][0], ranges[-1][1])]
    return ranges


def contiguous_ranges(partition_keys: list[str], known: list[str]) -> list[tuple[str, str]]:
    """First and last key of every run of neighbours, e.g. 1996, 1997, 2004 -> (1996, 1997), (2004, 2004)."""
    position = {key: index for index, key in enumerate(known)}
    ranges: list[tuple[str, str]] = []
    for key in sorted((key for key in partition_keys if key in position), key=position.__getitem__):
        if ranges and position[ranges[-1][1]] == position[key] - 1:
            ranges[-1] = (ranges[-1][0], key)
        else:
            ranges.append((key, key))
    return ranges
