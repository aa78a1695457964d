"""How a mart says to which year or month a row belongs: one column, the same in every mart."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from cinestream_platform.declarations.partitioning import PartitionUnit


@dataclass(frozen=True)
class MartPeriod:
    """A unit by which marts are read and rebuilt: the column, and its value in all rows of a partition of that key."""

    unit: PartitionUnit
    column: str
    value_of: Callable[[str], int | date]


YEAR = MartPeriod(PartitionUnit.YEAR, "year", int)
MONTH = MartPeriod(PartitionUnit.MONTH, "month_start", lambda key: PartitionUnit.MONTH.first_days(key)[0])
MART_PERIODS = {period.unit: period for period in (YEAR, MONTH)}
"""All other marts are one piece."""
