"""The sensor that looks for what is wrong and has channels told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from psycopg import Connection

from cinestream_platform.alerting.looks import Looks
from cinestream_platform.alerting.telling import clock, tell
from cinestream_platform.automation.jobs import JOBS
from cinestream_platform.automation.reaper import is_ours
from cinestream_platform.ledger import alerts, runs, source_looks, troubles
from cinestream_platform.ledger.troubles import Trouble
from cinestream_platform.messages import counted, quotes_no_values
from cinestream_platform.orchestration.noted_runs import what_of, why_of
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.orchestration.run_tags import SOURCE_TAG
from cinestream_platform.warehouse.kept_connections import kept_connection

INTERVAL_SECONDS = 30
QUEUE_LIMIT = timedelta(hours=1)
"""A run that has waited for so long while nothing runs will not begin by itself."""
LOOKED_BACK = timedelta(hours=1)
"""Failed runs of so long ago are looked at: those that ended before they could note it themselves."""
MOST_RUNS = 50


def alert_sensor() -> SensorDefinition:
    """Opens and resolves alerts, and tells channels; whether it could reach them stops nothing else."""
    looks = Looks()

    @sensor(
        name="alert_sensor",
        description="Looks for what is wrong, and has the channels for alerts told when something begins or is over.",
        jobs=JOBS,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SkipReason:
        settings, target = warehouse.settings, warehouse.target()
        channels = list(settings.alert_channels)
        with kept_connection(target) as conn:
            looks.note(conn, target, settings, warehouse.catalog)
            note_runs(conn, context.instance)
            seen = alerts.conditions(conn)
            alerts.follow(conn, seen, channels, now := clock())
            source_looks.note(conn, source_looks.ALERTS)
            waiting = alerts.waiting_channels(conn, channels, now)
        told = tell(target, settings, waiting)
        return SkipReason("; ".join([f"{counted(len(seen), 'thing is', 'things are')} wrong", *told]) + ".")

    return evaluate


def note_runs(conn: Connection[Any], instance: DagsterInstance) -> None:
    """Note what only Dagster's database knows: runs that failed before they began, and a queue that stands still."""
    failed = RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=datetime.now(UTC) - LOOKED_BACK)
    for run in instance.get_runs(failed, limit=MOST_RUNS):
        if is_ours(run):
            runs.enter_failed(conn, run.run_id, run.job_name, run.tags.get(SOURCE_TAG), what_of(run), why_of(run))
    troubles.replace(conn, "queue", _stuck_queue(instance))


def _stuck_queue(instance: DagsterInstance) -> list[Trouble]:
    waiting = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]
    if not instance.get_runs(RunsFilter(statuses=waiting), limit=1):
        return []
    old = RunsFilter(statuses=waiting, created_before=datetime.now(UTC) - QUEUE_LIMIT)
    if not (stuck := instance.get_runs(old, limit=1)):
        return []
    if instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]), limit=1):
        return []
    text = f"Runs have waited for more than an hour and none runs: the first of them is of {stuck[0].job_name}"
    return [Trouble("stuck_run", "queue", f"{text}. Is the queue paused in the Dagster UI?")]
