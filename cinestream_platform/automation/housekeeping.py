"""What is done once a night: deleting from the lake what crashed loads left there."""

from datetime import timedelta

from dagster import (
    DefaultScheduleStatus,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.warehouse import ledger, locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect

SPARED = timedelta(days=1)
"""A load that is still running is left alone."""


def sweep_lake(target: PostgresTarget, lake: ObjectStore) -> int:
    """Delete folders that attempts of this ledger left in the lake, and nothing else there; how many."""
    swept = 0
    with connect(target) as conn:
        for file_id, path in ledger.leftovers(conn, SPARED):
            keys = [item.key for item in lake.list(f"{path}/")]
            lake.delete(keys)
            ledger.forget_attempt(conn, file_id, path)
            swept += bool(keys)
        locks.forget_dead_turns(conn)
    return swept


@op(description="Deletes folders of the lake that crashed loads left; nothing else is touched.")
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
