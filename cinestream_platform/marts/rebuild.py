"""By which partitions a mart can be rebuilt: for each unit what dbt, SQL and the ledger call a partition.

What belongs here: how a year or a month is named for dbt; its column in a mart is declared in
``declarations.mart_periods``. The macros that read these variables are in
``dbt_project/macros/requested_partitions.sql``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cinestream_platform.declarations.mart_periods import MART_PERIODS, MartPeriod
from cinestream_platform.declarations.partitioning import PartitionUnit


@dataclass(frozen=True)
class Rebuild(MartPeriod):
    """Marts that are rebuilt by one unit: their dbt tag, and the column that says to which partition a row belongs."""

    @property
    def tag(self) -> str:
        """Tag of the models in dbt, and the end of their step's name: ``by_month``."""
        return f"by_{self.unit}"

    def environment(self, partition_keys: Sequence[str]) -> dict[str, str]:
        """Variables by which dbt is told a range of partitions: ``2005`` or ``200512``."""
        if not partition_keys:
            return {}
        numbers = [int(key.replace("-", "")) for key in partition_keys]
        name = f"CINESTREAM_DBT_{self.unit.upper()}"
        return {f"{name}_FROM": str(min(numbers)), f"{name}_TO": str(max(numbers))}


REBUILDS = tuple(Rebuild(period.unit, period.column, period.value_of) for period in MART_PERIODS.values())
"""Every unit by which marts are rebuilt; all other marts are rebuilt as a whole."""


def rebuild_by(unit: PartitionUnit) -> Rebuild:
    """How marts of a unit are rebuilt.

    Raises:
        KeyError: None are.
    """
    return {rebuild.unit: rebuild for rebuild in REBUILDS}[unit]


def dbt_arguments(*, full_refresh: bool = False) -> list[str]:
    """Arguments of dbt that rebuild and test the selected models.

    dbt's unit tests are left out: they test the SQL, not the data, and belong in CI. No artifacts are written that
    nobody reads: the manifest of a run is that of the project, and writing it anew is a tenth of dbt's time.
    """
    options = ["--no-write-json", "--exclude-resource-type", "unit_test"]
    return ["build", *options, *(["--full-refresh"] if full_refresh else [])]
