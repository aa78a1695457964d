"""What is done once a night: deleting what crashed loads left in the lake, and what Dagster remembers of long ago."""

from datetime import timedelta
from typing import Any

from dagster import (
    AssetKey,
    DefaultScheduleStatus,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

from cinestream_platform.automation.retention import delete_old
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import alerts, check_results, lake_objects, runs
from cinestream_platform.loading.raw_rows import object_keys
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.services.postgres import shorten_server_log
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget, connect

SPARED = timedelta(days=1)
"""A load that is still running is left alone."""
NIGHTLY_SECONDS = 1_800


def sweep_lake(target: PostgresTarget, lake: ObjectStore) -> int:
    """Delete what this ledger left in the lake and names no more, and nothing else; how many folders and objects."""
    swept = 0
    with connect(target) as conn:
        for path in lake_objects.leftovers(conn, SPARED):
            keys = object_keys(lake, path)
            lake.delete(keys)
            lake_objects.forget(conn, path)
            swept += bool(keys)
        locks.forget_dead_turns(conn)
    return swept


@op(description="Deletes folders of the lake that crashed loads left; nothing else is touched.")
def sweep(context: OpExecutionContext, warehouse: Warehouse, stores: Stores) -> None:
    """``sweep_lake`` with its result in the run's log."""
    context.log.info("%s folders of crashed loads deleted", f"{sweep_lake(warehouse.target(), stores.lake()):,}")


@op(description="Deletes old runs, events, check evaluations and logs, but no last state of an asset or check.")
def forget(context: OpExecutionContext, warehouse: Warehouse) -> None:
    """``delete_old`` with its result in the run's log; what is too much for one night goes on in the next."""
    settings = warehouse.settings
    if settings.postgres_host is None and shorten_server_log(settings.home_dir):
        context.log.info("the log of the embedded Postgres was long, and is set aside")
    keep = timedelta(days=settings.keep_days)
    with connect(warehouse.target()) as conn:
        runs.forget(conn, keep)
        check_results.forget(conn, keep)
        alerts.forget(conn, keep)
    done = delete_old(
        context.instance,
        keep,
        seconds=NIGHTLY_SECONDS,
        log=context.log.info,
        defined=lambda: _defined_checks(context.repository_def.asset_graph),
    )
    context.log.info(
        "deleted: %s runs, %s events without a run, %s evaluations of checks, all older than %s days%s",
        *(f"{count:,}" for count in (done.runs, done.events, done.checks)),
        keep.days,
        "" if done.is_complete else "; the rest is deleted tomorrow",
    )


def _defined_checks(graph: Any) -> dict[AssetKey, set[str]]:
    """The names of the checks of every asset."""
    found: dict[AssetKey, set[str]] = {key: set() for key in graph.materializable_asset_keys}
    for check in graph.asset_check_keys:
        found.setdefault(check.asset_key, set()).add(check.name)
    return found


@job(description="Deletes what crashed loads left in the lake, and old runs.", executor_def=in_process_executor)
def housekeeping() -> None:
    """Two steps that do not need each other."""
    sweep()
    forget()


HOUSEKEEPING_SCHEDULE = ScheduleDefinition(
    job=housekeeping,
    cron_schedule="30 3 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Deletes once a night what crashed loads left in the lake, and old runs.",
)
