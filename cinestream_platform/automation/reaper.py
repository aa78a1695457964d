"""Ending runs whose process is gone.

When the run worker and the code server are killed together, Dagster's default launcher leaves the run STARTED for
ever: its files would count as in flight and its builds as running. A living run has a session of its name in Postgres;
a run without one is dead, however it died.
"""

from datetime import UTC, datetime, timedelta

from dagster import (
    AssetKey,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from cinestream_platform.automation.housekeeping import housekeeping
from cinestream_platform.automation.jobs import JOBS
from cinestream_platform.automation.reports import REPORTS_JOB
from cinestream_platform.catalog import SOURCES
from cinestream_platform.messages import counted, quotes_no_values
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.warehouse.kept_connections import kept_connection
from cinestream_platform.warehouse.locks import living_runs

GRACE = timedelta(seconds=120)
"""A run may need this long from its start until its resources are up."""
INTERVAL_SECONDS = 30


def is_ours(run: DagsterRun) -> bool:
    """Whether it is a run of ours, which has a session: of a job, or of what people materialize in the UI."""
    if run.job_name in {*(job.name for job in JOBS), housekeeping.name, REPORTS_JOB.name}:
        return True
    sources = {*SOURCES, "conformed"}
    return run.job_name.startswith("__ASSET_JOB") and all(
        key.path[0] in sources for key in run.asset_selection or [AssetKey("?")]
    )


def dead_run_sensor() -> SensorDefinition:
    """Marks dead runs as failed, so that their work is asked for again."""

    @sensor(
        name="dead_run_sensor",
        description="Marks runs as failed whose process is gone without a word.",
        jobs=JOBS,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SkipReason:
        old = datetime.now(UTC) - GRACE
        filters = RunsFilter(statuses=[DagsterRunStatus.STARTED], updated_before=old)
        runs = [run for run in context.instance.get_runs(filters) if is_ours(run)]
        dead = []
        if runs:
            with kept_connection(warehouse.target()) as conn:
                living = living_runs(conn)
            dead = [run for run in runs if run.run_id not in living]
        for run in dead:
            context.instance.report_run_failed(run, "The run's process is gone; its work will be asked for again.")
        return SkipReason(f"{counted(len(runs), 'run')} looked at, {len(dead):,} dead.")

    return evaluate
