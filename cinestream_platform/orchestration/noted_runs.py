"""Noting in the ledger that a run began, why, and how it ended: those who read views cannot read Dagster's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from psycopg import Connection

from cinestream_platform.ledger import runs
from cinestream_platform.messages import first_of
from cinestream_platform.orchestration.run_tags import FILE_TAG, NOT_LOADED_TAG, SOURCE_TAG, WHY_TAG

SHOWN = 5
"""Names of assets that a run's line lists; of more their number is told."""
ASKED_BY = {
    "dagster/schedule_name": "schedule",
    "dagster/backfill": "backfill",
    "dagster/sensor_name": "sensor",
}
CANCELLED = (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)
MOST_STEPS = 1_000
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@contextmanager
def noted(conn: Connection[Any], run: DagsterRun, instance: DagsterInstance | None) -> Iterator[None]:
    """Note that a run begins, and how it ends. What it does is done, whatever comes of this."""
    with suppress(psycopg.Error):
        runs.begin(conn, run.run_id, run.job_name, run.tags.get(SOURCE_TAG), what_of(run), why_of(run))
    try:
        yield
    finally:
        with suppress(Exception):  # Dagster's database may be gone by now, too
            has_failed, needs_look = (False, False) if instance is None else outcome(instance, run.run_id)
            runs.end(conn, run.run_id, has_failed=has_failed, needs_look=needs_look)


def outcome(instance: DagsterInstance, run_id: str) -> tuple[bool, bool]:
    """Whether a step of a run failed, or the run was cancelled, and whether that needs a look; resources hear neither.

    No look is needed where somebody cancelled it, and where steps failed only for files that could not be loaded: the
    ledger has those files.
    """
    run = instance.get_run_by_id(run_id)
    found = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE, limit=MOST_STEPS).records
    steps = {record.event_log_entry.step_key for record in found}
    status = None if run is None else run.status
    tags = {} if run is None else run.tags
    unexplained = [step for step in steps if f"{NOT_LOADED_TAG}{step}" not in tags]
    is_ended = status is DagsterRunStatus.FAILURE and not steps
    is_cancelled = status in CANCELLED
    return bool(steps) or is_cancelled or is_ended, not is_cancelled and (bool(unexplained) or is_ended)


def what_of(run: DagsterRun) -> str:
    """What a run is to load or build, for people: its file, or its assets and partitions."""
    if file := run.tags.get(FILE_TAG):
        return file
    assets = sorted("/".join(key.path) for key in run.asset_selection or ())
    first, last = (run.tags.get(tag) for tag in RANGE)
    span = "" if not first else f", {first}" if first == last else f", {first} to {last}"
    return f"{first_of(assets, SHOWN) or run.job_name}{span}"


def why_of(run: DagsterRun) -> str:
    """What asked for a run, and why."""
    asked = [f"{what} {run.tags[tag]}" for tag, what in ASKED_BY.items() if tag in run.tags]
    return ": ".join([asked[0] if asked else "by hand", *([run.tags[WHY_TAG]] if WHY_TAG in run.tags else [])])
