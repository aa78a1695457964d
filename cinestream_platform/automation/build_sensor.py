"""The sensor that asks for builds of what is stale, and nothing else."""

from dagster import (
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from cinestream_platform.automation.jobs import JOBS, SOURCES, build_job_name
from cinestream_platform.automation.landing import UNFINISHED
from cinestream_platform.automation.planning import Span, plan_builds
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.publications import read_state


def range_tags(span: Span | None) -> dict[str, str]:
    """Dagster's tags of a run over a range of partitions."""
    if span is None:
        return {}
    return {"dagster/asset_partition_range_start": span[0], "dagster/asset_partition_range_end": span[1]}


def staleness_sensor(interval_seconds: int) -> SensorDefinition:
    """Requests exactly what is stale; while a build of a source runs, its next one waits."""

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
        with connect(warehouse.target()) as conn:
            state = read_state(conn)
        requests = []
        for source in SOURCES:
            if context.instance.get_runs(RunsFilter(job_name=build_job_name(source), statuses=UNFINISHED), limit=1):
                continue
            for span, assets in plan_builds(source, nodes, state).runs():
                requests.append(
                    RunRequest(job_name=build_job_name(source), asset_selection=assets, tags=range_tags(span))
                )
        return SensorResult(run_requests=requests, skip_reason=None if requests else SkipReason("Nothing is stale."))

    return evaluate
