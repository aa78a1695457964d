"""The sensor that asks for builds of what is stale, and nothing else."""

import hashlib
import time
from collections.abc import Sequence

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

from cinestream_platform.automation.cancellations import RANGE_END, RANGE_START, hold_cancelled_builds
from cinestream_platform.automation.jobs import JOBS, build_job_names, build_job_of
from cinestream_platform.automation.landing import UNFINISHED
from cinestream_platform.automation.planning import Span, plan_builds
from cinestream_platform.catalog import SOURCES
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.warehouse import turns
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.publications import LedgerState, read_state

BUILD_TAG = "cinestream/build"
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


def is_running(instance: DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job is queued or running."""
    return bool(instance.get_runs(RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=1))


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
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SensorResult:
        if context.repository_def is None:
            raise RuntimeError("the sensor needs its repository; evaluate it through Definitions")
        nodes = nodes_of(context.repository_def.asset_graph)
        instance = context.instance
        # Before cancelled runs are looked at: a run that ends in between counts as running.
        running = {source for source in SOURCES if any(is_running(instance, name) for name in build_job_names(source))}
        with connect(warehouse.target()) as conn:
            state = read_state(conn)
            returning = turns.returning_sources(conn)
            held = hold_cancelled_builds(conn, instance, nodes, state)
        requests = []
        for source in SOURCES:
            if source in returning | running:
                continue
            for span, assets in plan_builds(source, nodes, state, held=held).runs():
                build = _build_tag(source, span, assets, state)
                job_name = build_job_of(source, assets)
                if not must_wait(instance, job_name, build):
                    tags = {**range_tags(span), BUILD_TAG: build}
                    requests.append(RunRequest(job_name=job_name, asset_selection=assets, tags=tags))
                    break
        waits = f" {sum(map(len, held.values())):,} partitions wait: their build was cancelled by hand." if held else ""
        skip = None if requests else SkipReason(f"Nothing is to be built.{waits}")
        return SensorResult(run_requests=requests, skip_reason=skip)

    return evaluate
