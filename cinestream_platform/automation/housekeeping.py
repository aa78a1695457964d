"""What is done once a night: deleting from the lake what crashed loads left there."""

from datetime import UTC, datetime, timedelta

from dagster import (
    DefaultScheduleStatus,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

from cinestream_platform.lake.raw_rows import orphaned_folders
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.warehouse.connection import PostgresTarget, connect

SPARED = timedelta(days=1)
"""A load that is still running is not in the ledger yet: what is younger is left alone."""


def sweep_lake(target: PostgresTarget, lake: ObjectStore) -> int:
    """Delete folders of raw rows that no ledger row names; how many."""
    with connect(target) as conn:
        known = [row[0] for row in conn.execute("SELECT lake_path FROM ops.landed_file WHERE lake_path IS NOT NULL")]
    garbage = orphaned_folders(lake, known, before=datetime.now(UTC) - SPARED)
    for keys in garbage.values():
        lake.delete(keys)
    return len(garbage)


@op(description="Deletes folders of the lake that crashed loads left; what the ledger names stays.")
def sweep(context: OpExecutionContext, warehouse: Warehouse, stores: Stores) -> None:
    """``sweep_lake`` with its result in the run's log."""
    context.log.info("%s folders of crashed loads deleted", f"{sweep_lake(warehouse.target(), stores.lake()):,}")


@job(description="Deletes what crashed loads left in the lake.", executor_def=in_process_executor)
def housekeeping() -> None:
    """One step."""
    sweep()


HOUSEKEEPING_SCHEDULE = ScheduleDefinition(
    job=housekeeping, cron_schedule="30 3 * * *", default_status=DefaultScheduleStatus.RUNNING
)
