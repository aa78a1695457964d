"""The sensor that asks for builds of what is stale, and nothing else."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from psycopg import Connection

from cinestream_platform.automation.cancellations import (
    BUILDS,
    RANGE_END,
    RANGE_START,
    are_cancelled,
    hold_cancelled_builds,
)
from cinestream_platform.automation.jobs import JOBS, build_job_names, build_job_of
from cinestream_platform.automation.landing import UNFINISHED
from cinestream_platform.automation.planning import Span, all_due, plan_builds, stale_tables
from cinestream_platform.catalog import CATALOG, SOURCES
from cinestream_platform.ledger import landed_files, stale_look
from cinestream_platform.ledger.publications import LedgerState, read_state, state_marker
from cinestream_platform.marts.declared import declare
from cinestream_platform.messages import counted, describe, quotes_no_values
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.orchestration.run_tags import WHY_TAG
from cinestream_platform.orchestration.staleness import Node, nodes_of
from cinestream_platform.services.disk import shortage
from cinestream_platform.warehouse.kept_connections import kept_connection

BUILD_TAG = "cinestream/build"
NOTHING = "Nothing is to be built."
STALE = "their inputs have changed"
_fresh: dict[str, object] = {}
"""What this process saw when it last found nothing stale: while that is so, there is nothing to compute."""
_declared: set[tuple[str, int]] = set()
"""Warehouses and graphs of assets whose declarations this process has written: they stay what they are."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10, 3_600


def range_tags(span: Span | None) -> dict[str, str]:
    """Dagster's tags of a run over a range of partitions."""
    if span is None:
        return {}
    return {RANGE_START: span[0], RANGE_END: span[1]}


def _build_tag(source: str, span: Span | None, assets: Sequence[AssetKey], state: LedgerState) -> str:
    """The same for the same assets made from the same files."""
    made_from = [
        (feed, sorted((file_id, sorted(partitions)) for file_id, partitions in files.items()))
        for feed, files in sorted(state.files.items())
        if feed[0] == source
    ]
    return hashlib.sha256(repr((span, sorted(assets), made_from)).encode()).hexdigest()[:16]


def must_wait(instance: DagsterInstance, job_name: str, build: str) -> bool:
    """Whether the same work from the same inputs failed lately: it is asked for again after 10, 20, 40 … seconds."""
    failures = instance.get_run_records(
        RunsFilter(job_name=job_name, tags={BUILD_TAG: build}, statuses=[DagsterRunStatus.FAILURE]), limit=20
    )
    if not failures:
        return False
    wait = min(FIRST_WAIT_SECONDS * 2 ** (len(failures) - 1), LONGEST_WAIT_SECONDS)
    return bool(time.time() < max(record.end_time or 0.0 for record in failures) + wait)


@lru_cache(maxsize=1)
def _nodes_of_day(asset_graph: object, _: date) -> dict[AssetKey, Node]:
    return nodes_of(asset_graph, CATALOG)


def _nodes(asset_graph: object) -> dict[AssetKey, Node]:
    """The nodes of the graph: the same object for a day (UTC), for partitions begin at midnight."""
    return _nodes_of_day(asset_graph, datetime.now(UTC).date())


def _building(instance: DagsterInstance) -> set[str]:
    """Sources of which a build is queued or running."""
    unfinished = {run.job_name for run in instance.get_runs(RunsFilter(statuses=UNFINISHED))}
    return {source for source in SOURCES if unfinished & set(build_job_names(source))}


def is_running(instance: DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job is queued or running."""
    return bool(instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=1))


def _declare(conn: Connection[Any], asset_graph: object, warehouse: Warehouse, log: Any) -> None:
    """Write what the catalogue of pages says, once a process. Builds go on, whatever comes of it."""
    place = (str(warehouse.target()), id(asset_graph))
    if place in _declared:
        return
    _declared.add(place)
    try:
        declare(conn, asset_graph, CATALOG, warehouse.settings)
    except Exception as error:
        log.warning("The catalogue of pages stays as it is: %s", describe(error))


def staleness_sensor(interval_seconds: int) -> SensorDefinition:
    """Requests exactly what is stale; while a build of a source runs, or files return to it, its next one waits.

    Of a source's runs one is requested at a time: side by side the marts of one would be made, and compared with the
    facts, while the other is changing these. A run that failed lately lets the next one go first.
    """

    @sensor(
        name="staleness_sensor",
        description="Compares every table's inputs in the ledger with those it was made from; requests what differs.",
        jobs=JOBS,
        minimum_interval_seconds=interval_seconds,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SensorResult:
        if reason := shortage(warehouse.settings):
            return SensorResult(skip_reason=SkipReason(reason))
        if context.repository_def is None:
            raise RuntimeError("the sensor needs its repository; evaluate it through Definitions")
        nodes = _nodes(context.repository_def.asset_graph)
        instance = context.instance
        # Before cancelled runs are looked at: a run that ends in between counts as running.
        running = _building(instance)
        with kept_connection(warehouse.target()) as conn:
            _declare(conn, context.repository_def.asset_graph, warehouse, context.log)
            seen = (str(warehouse.target()), nodes, state_marker(conn))
            if seen == _fresh.get("seen") and not are_cancelled(conn, instance, BUILDS):
                return SensorResult(skip_reason=SkipReason(NOTHING))
            state = read_state(conn)
            due = all_due(nodes, state)
            stale_look.note(conn, stale_tables(nodes, state, due), seen[2])
            returning = landed_files.returning_sources(conn)
            held = hold_cancelled_builds(conn, instance, nodes, state)
        plans = {source: plan_builds(source, nodes, state, held=held, due=due).runs() for source in SOURCES}
        if not held and not any(plans.values()):
            _fresh["seen"] = seen  # read before the state: what changed in between is seen by the next tick
        requests = []
        for source in SOURCES:
            if source in returning | running:
                continue
            for span, assets in plans[source]:
                build = _build_tag(source, span, assets, state)
                job_name = build_job_of(source, assets)
                if not must_wait(instance, job_name, build):
                    tags = {**range_tags(span), BUILD_TAG: build, WHY_TAG: STALE}
                    requests.append(RunRequest(job_name=job_name, asset_selection=assets, tags=tags))
                    break
        waits = counted(sum(map(len, held.values())), "partition waits", "partitions wait")
        waits = f" {waits}: the build was cancelled by hand." if held else ""
        skip = None if requests else SkipReason(f"{NOTHING}{waits}")
        return SensorResult(run_requests=requests, skip_reason=skip)

    return evaluate
