"""When operational systems are extracted: soon after something changed there, and wholly once a day."""

from collections.abc import Callable, Sequence

from dagster import (
    AssetKey,
    AssetMaterialization,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    RunRequest,
    ScheduleDefinition,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from cinestream_platform.automation.build_sensor import BUILD_TAG, is_running, must_wait
from cinestream_platform.automation.cancellations import is_extraction_held
from cinestream_platform.automation.jobs import load_job
from cinestream_platform.declarations.connector import (
    Connector,
    OperationalSystem,
    SourceDatabaseError,
    SourceDriftError,
)
from cinestream_platform.declarations.source import Source
from cinestream_platform.ledger import extractions, source_looks
from cinestream_platform.ledger.held_work import BUILD_REASON
from cinestream_platform.messages import describe, quotes_no_values
from cinestream_platform.orchestration.asset import asset_key, system_key
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.orchestration.run_tags import WHY_TAG
from cinestream_platform.services.disk import shortage
from cinestream_platform.settings import Settings, SettingsError
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.kept_connections import kept_connection

CHANGED = "its rows have changed"


def change_sensor(source: Source, system: OperationalSystem, interval_seconds: int) -> SensorDefinition:
    """Asks for an extraction when row counts or last changes are not those of the last one."""
    found: list[tuple[Settings, Connector]] = []
    job = load_job(source.name)

    def find(settings: Settings) -> Connector:
        # Finding it may make sure of the embedded server, which starts programs: once a process.
        if not found or found[0][0] is not settings:
            found[:] = [(settings, system.connect(settings))]
        return found[0][1]

    @sensor(
        name=f"{system.name}_change_sensor",
        description=f"Compares {system.name}'s row counts and last changes with those of the last extraction.",
        job=job,
        minimum_interval_seconds=interval_seconds,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SensorResult:
        if reason := shortage(warehouse.settings):
            return SensorResult(skip_reason=SkipReason(reason))
        if is_running(context.instance, job.name):
            return SensorResult(skip_reason=SkipReason("An extraction is running."))
        now, problem, is_drift = _look(system, lambda: find(warehouse.settings))
        if problem is not None:
            with kept_connection(warehouse.target()) as conn:
                source_looks.note(conn, system.name, problem=problem, is_drift=is_drift)
            return SensorResult(skip_reason=SkipReason(problem))
        with kept_connection(warehouse.target()) as conn:
            last = extractions.last(conn, system.name)
            is_done = last is not None and last.fingerprint == now
            is_noted = source_looks.note(conn, system.name, is_current=is_done)
            is_held = is_extraction_held(conn, context.instance, system, now, is_done=is_done)
        if is_done:
            # Once a minute: each event is a row in Dagster's database.
            events = [AssetMaterialization(system_key(system))] if is_noted else []
            return SensorResult(skip_reason=SkipReason("Nothing has changed."), asset_events=events)
        if is_held:
            return SensorResult(skip_reason=SkipReason(f"Its extraction was {BUILD_REASON}."))
        if must_wait(context.instance, job.name, now):
            return SensorResult(skip_reason=SkipReason("The extraction of this state failed lately."))
        quiet = {"ops": {system.step: {"config": {"report_unchanged": False}}}}
        tags = {BUILD_TAG: now, WHY_TAG: CHANGED}
        wanted = _alone(source, system)
        request = RunRequest(job_name=job.name, run_config=quiet, tags=tags, asset_selection=wanted)
        return SensorResult(run_requests=[request])

    return evaluate


def is_extracted(system: OperationalSystem, settings: Settings, target: PostgresTarget) -> bool:
    """Whether a system looks as it did at its last extraction; one that cannot be asked does not."""
    now, problem, _ = _look(system, lambda: system.connect(settings))
    if problem is not None:
        return False  # the extraction says what is wrong
    with connect(target) as conn:
        last = extractions.last(conn, system.name)
        is_done = last is not None and last.fingerprint == now
        source_looks.note(conn, system.name, is_current=is_done)
    return is_done


def _look(system: OperationalSystem, find: Callable[[], Connector]) -> tuple[str, str | None, bool]:
    """The fingerprint; or why there is none, and whether that is because tables there have changed."""
    try:
        connector = find()
    except (SettingsError, SourceDatabaseError) as error:
        return "", describe(error), False
    told: tuple[type[Exception], ...] = (SourceDatabaseError, SourceDriftError, *connector.passing_faults)
    try:
        return connector.fingerprint(system.feeds), None, False
    except told as error:
        return "", describe(error), isinstance(error, SourceDriftError)


def _alone(source: Source, system: OperationalSystem) -> list[AssetKey] | None:
    """What one system's run extracts; all that the source's job loads where it loads nothing else."""
    if len(system.feeds) == len(source.all_feeds):
        return None
    return [asset_key(feed.table) for feed in system.feeds]


def full_extraction_schedule(source: Source, system: OperationalSystem) -> ScheduleDefinition:
    """Everything once a day, whether it looks changed or not: finds what changed without a trace."""
    return ScheduleDefinition(
        name=f"{system.name}_full_extraction",
        job=load_job(source.name),
        cron_schedule="0 2 * * *",
        description=f"Extracts all of {system.name}, whether it looks changed or not: "
        "finds what changed without a trace.",
        run_config={"ops": {system.step: {"config": {"full": True}}}},
        default_status=DefaultScheduleStatus.RUNNING,
    )


def extraction_schedules(sources: Sequence[Source]) -> list[ScheduleDefinition]:
    """One for each operational system."""
    return [full_extraction_schedule(source, system) for source in sources for system in source.systems]


def extraction_sensors(sources: Sequence[Source], interval_seconds: int) -> list[SensorDefinition]:
    """One for each operational system."""
    return [change_sensor(source, system, interval_seconds) for source in sources for system in source.systems]
