"""By which partitions a mart can be rebuilt: for each unit what dbt, SQL and the ledger call a partition.

What belongs here: the one place that says how a year or a month is named where. The macros that read these variables
are in ``dbt_project/macros/requested_partitions.sql``.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cinestream_platform.warehouse.table import PartitionUnit


@dataclass(frozen=True)
class Rebuild:
    """Marts that are rebuilt by one unit: their dbt tag, and the column that says to which partition a row belongs."""

    unit: PartitionUnit
    column: str
    value_of: Callable[[str], int | date]
    """The column's value in all rows of a partition, from the partition's key."""

    @property
    def tag(self) -> str:
        """Tag of the models in dbt, and the end of their step's name: ``by_month``."""
        return f"by_{self.unit}"

    def variables(self, partition_keys: Sequence[str]) -> dict[str, int]:
        """Variables of dbt for a range of partitions, as integers: ``2005`` or ``200512``."""
        numbers = [int(key.replace("-", "")) for key in partition_keys]
        return {f"{self.unit}_from": min(numbers), f"{self.unit}_to": max(numbers)}


REBUILDS = (
    Rebuild(PartitionUnit.YEAR, "year", int),
    Rebuild(PartitionUnit.MONTH, "month_start", lambda key: PartitionUnit.MONTH.first_days(key)[0]),
)
"""Every unit by which marts are rebuilt; all other marts are rebuilt as a whole."""


def rebuild_by(unit: PartitionUnit) -> Rebuild:
    """How marts of a unit are rebuilt.

    Raises:
        KeyError: None are.
    """
    return {rebuild.unit: rebuild for rebuild in REBUILDS}[unit]


def dbt_arguments(partition_keys: Sequence[str], by: Rebuild | None = None, *, full_refresh: bool = False) -> list[str]:
    """Arguments of dbt that rebuild and test the selected models, as a whole or from the first to the last partition.

    dbt's unit tests are left out: they test the SQL, not the data, and belong in CI.
    """
    arguments: list[Any] = ["build", "--exclude-resource-type", "unit_test"]
    if full_refresh:
        arguments.append("--full-refresh")
    if by and partition_keys:
        arguments += ["--vars", json.dumps(by.variables(partition_keys))]
    return arguments
