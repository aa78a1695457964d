"""The partitions of assets, each defined once: facts and marts that share them can run in one range."""

from datetime import datetime

from dagster import TimeWindowPartitionsDefinition

from cinestream_platform.warehouse.table import PartitionUnit

YEARS = TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start=datetime(1995, 1, 1), fmt="%Y", end_offset=1)
"""Calendar years (UTC) from 1995, the current one included."""
QUARTERS = TimeWindowPartitionsDefinition(
    cron_schedule="0 0 1 */3 *", start=datetime(1995, 1, 1), fmt="%Y-%m", end_offset=1
)
"""Quarters (UTC) from 1995 by their first month, e.g. 2007-04."""
MONTHS = TimeWindowPartitionsDefinition(
    cron_schedule="0 0 1 * *", start=datetime(1995, 1, 1), fmt="%Y-%m", end_offset=1
)
"""Months (UTC) from 1995."""

PARTITIONS = {PartitionUnit.YEAR: YEARS, PartitionUnit.QUARTER: QUARTERS, PartitionUnit.MONTH: MONTHS}


def unit_of(definition: object) -> PartitionUnit:
    """The unit of an asset's partitions."""
    return next((unit for unit, known in PARTITIONS.items() if known == definition), PartitionUnit.WHOLE)


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
