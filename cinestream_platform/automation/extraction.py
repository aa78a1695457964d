"""When operational databases are extracted: soon after something changed there, and wholly once a day."""

from collections.abc import Callable, Sequence

from dagster import (
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
from cinestream_platform.automation.jobs import JOBS, load_job_name
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.ledger import extractions
from cinestream_platform.ledger.held_work import BUILD_REASON
from cinestream_platform.messages import describe, quotes_no_values
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.reading.database_reader import (
    PASSING_FAULTS,
    SourceDatabase,
    SourceDriftError,
    read_fingerprint,
)
from cinestream_platform.services.disk import shortage
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.sources.dvdrental.database import SourceDatabaseError, source_database
from cinestream_platform.sources.dvdrental.feeds import EXTRACTS
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect
from cinestream_platform.warehouse.kept_connections import kept_connection


def source_change_sensor(
    feeds: Sequence[Feed], database: Callable[[Settings], SourceDatabase], interval_seconds: int
) -> SensorDefinition:
    """Asks for an extraction when row counts or last changes are not those of the last one."""
    source = feeds[0].source
    found: list[tuple[Settings, SourceDatabase]] = []

    def find() -> SourceDatabase:
        # Finding it makes sure of the embedded server, which starts programs: once a process.
        settings = get_settings()
        if not found or found[0][0] is not settings:
            found[:] = [(settings, database(settings))]
        return found[0][1]

    @sensor(
        name=f"{source}_change_sensor",
        description=f"Compares {source}'s row counts and last changes with those of the last extraction.",
        job=next(job for job in JOBS if job.name == load_job_name(source)),
        minimum_interval_seconds=interval_seconds,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse) -> SensorResult:
        if reason := shortage(get_settings()):
            return SensorResult(skip_reason=SkipReason(reason))
        job = load_job_name(source)
        if is_running(context.instance, job):
            return SensorResult(skip_reason=SkipReason("An extraction is running."))
        try:
            now = read_fingerprint(find(), feeds)
        except (PostgresUnreachableError, SourceDatabaseError, SourceDriftError, *PASSING_FAULTS) as error:
            return SensorResult(skip_reason=SkipReason(describe(error)))
        with kept_connection(warehouse.target()) as conn:
            last = extractions.last(conn, source)
            is_done = last is not None and last.fingerprint == now
            is_held = is_extraction_held(conn, context.instance, source, now, is_done=is_done)
        if is_done:
            return SensorResult(skip_reason=SkipReason("Nothing has changed."))
        if is_held:
            return SensorResult(skip_reason=SkipReason(f"Its extraction was {BUILD_REASON}."))
        if must_wait(context.instance, job, now):
            return SensorResult(skip_reason=SkipReason("The extraction of this state failed lately."))
        quiet = {"ops": {f"{source}_extraction": {"config": {"report_unchanged": False}}}}
        return SensorResult(run_requests=[RunRequest(job_name=job, run_config=quiet, tags={BUILD_TAG: now})])

    return evaluate


def is_extracted(source: str, target: PostgresTarget) -> bool:
    """Whether a source looks as it did at its last extraction; one that cannot be asked does not."""
    try:
        now = read_fingerprint(source_database(get_settings()), EXTRACTS)
    except (PostgresUnreachableError, SourceDatabaseError, SourceDriftError, *PASSING_FAULTS):
        return False  # the extraction says what is wrong
    with connect(target) as conn:
        last = extractions.last(conn, source)
    return last is not None and last.fingerprint == now


def full_extraction_schedule(source: str) -> ScheduleDefinition:
    """Everything once a day, whether it looks changed or not: finds what changed without a trace."""
    return ScheduleDefinition(
        name=f"{source}_full_extraction",
        job=next(job for job in JOBS if job.name == load_job_name(source)),
        cron_schedule="0 2 * * *",
        description=f"Extracts all of {source}, whether it looks changed or not: finds what changed without a trace.",
        run_config={"ops": {f"{source}_extraction": {"config": {"full": True}}}},
        default_status=DefaultScheduleStatus.RUNNING,
    )


EXTRACTION_SCHEDULES = [full_extraction_schedule(EXTRACTS[0].source)]


def extraction_sensors(interval_seconds: int) -> list[SensorDefinition]:
    """One for each operational database."""
    return [source_change_sensor(EXTRACTS, source_database, interval_seconds)]
