"""Seeing what landed: the listing of the landing zone against the ledger, and the sensor that asks for loads.

There is no high-water mark: a late, same-second, slow or overwritten object is just a version that the ledger lacks.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, islice
from typing import Any

from dagster import (
    AssetMaterialization,
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

from cinestream_platform.automation.cancellations import asked_files, hold_cancelled_loads
from cinestream_platform.automation.jobs import JOBS, load_job_name
from cinestream_platform.catalog import FEEDS, SOURCES, day_problem, find_bundle, find_feed, placement_problem
from cinestream_platform.declarations.bundle import TABLE_MARK, is_bundle_table
from cinestream_platform.lake.store import ObjectStore, StoredObject
from cinestream_platform.lake.store_errors import is_store_error
from cinestream_platform.ledger import landed_files, sightings, source_looks
from cinestream_platform.ledger.landed_files import DueFile
from cinestream_platform.ledger.sightings import Arrival, Sighting
from cinestream_platform.messages import bounded, counted, describe, quotes_no_values
from cinestream_platform.orchestration.asset import asset_key, landing_key
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.orchestration.run_tags import FILE_TAG, MOST_OF_A_TAG, WHY_TAG
from cinestream_platform.services.disk import shortage
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.kept_connections import kept_connection

FILES_TAG = "cinestream/files"
LISTED_AT_A_TIME = 50_000
"""So many listed objects are in memory, and entered by one transaction."""
BYTES_PER_RUN = 1024**3
"""A run is asked for no more than this, or one file: a minute or two, then the source's builds have their turn."""
UNFINISHED_LOADS = 2
"""A source has at most so many unfinished loads: one that runs and one that waits. More would only fill the queue."""
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def sight(listed: StoredObject) -> Iterator[Sighting]:
    """Which feed a listed object belongs to, or why to none; of a file with several tables each table by itself."""
    source, _, rest = listed.key.partition("/")
    dataset = rest.partition("/")[0]
    problem = listed.problem or placement_problem(listed.key)
    bundle = find_bundle(source, dataset)
    if is_bundle_table(listed.key):  # an object of that name must not be taken for the table of another
        listed = replace(listed, key=f"{listed.key}{TABLE_MARK}")
    if bundle is None or problem:
        problem = problem or day_problem(listed.key, find_feed(source, dataset))
        yield Sighting(listed, source, dataset, problem)
        return
    for key, feed in bundle.table_keys(listed.key):
        yield Sighting(replace(listed, key=key), source, feed.dataset, day_problem(key, feed))


def scan_landing(settings: Settings, target: PostgresTarget, landing: ObjectStore) -> list[Arrival]:
    """List the landing zone and enter every version that the ledger does not know; what is new, by feed.

    The store is asked while no transaction is open: a listing that stalls keeps nothing locked.
    """
    listed: Iterator[StoredObject] = landing.list(settle_seconds=settings.landing_settle_seconds)
    seen = chain.from_iterable(map(sight, listed))
    arrivals: list[Arrival] = []
    with kept_connection(target) as conn:
        # Also a listing without anything is entered: snapshots have their turn when later ones have left.
        while (some := list(islice(seen, LISTED_AT_A_TIME))) or not arrivals:
            arrivals += sightings.register(conn, landing.url, some)
            if len(some) < LISTED_AT_A_TIME:
                break
        source_looks.note(conn, source_looks.LANDING)
    return arrivals


@dataclass(frozen=True)
class LoadRequest:
    """Files of one source to be loaded by one run."""

    source: str
    files: Sequence[DueFile]
    earlier_runs: int = 0

    @property
    def files_tag(self) -> str:
        """A short name of this set of files: Postgres' index of run tags takes 2,704 bytes, some 340 file ids."""
        return hashlib.sha256(" ".join(str(file.file_id) for file in self.files).encode()).hexdigest()[:16]

    @property
    def run_key(self) -> str:
        """The same for the same files at the same attempt, so that two sensors ask once; a retry asks anew.

        Dagster drops a key that any run ever had. A run that was killed counted no attempt, and a reload counts them
        from 0 again: the number of earlier runs for these files is part of the key.
        """
        versions = " ".join(f"{file.file_id}:{file.attempts}" for file in self.files)
        return f"{self.source}-{hashlib.sha256(versions.encode()).hexdigest()[:16]}-{self.earlier_runs}"

    @property
    def _counted(self) -> str:
        return counted(len(self.files), "file")

    @property
    def first_file(self) -> str:
        """The key of the first of them, and how many more there are, as a tag holds it."""
        more = f" and {len(self.files) - 1:,} more" if len(self.files) > 1 else ""
        return f"{bounded(self.files[0].key, MOST_OF_A_TAG)}{more}"

    def run_request(self) -> RunRequest:
        """The run that loads exactly these files."""
        by_dataset: dict[str, list[int]] = {}
        for file in self.files:
            by_dataset.setdefault(file.dataset, []).append(file.file_id)
        tables = {dataset: feed.table for dataset in by_dataset if (feed := find_feed(self.source, dataset))}
        ops = {
            f"{self.source}__{table.name}": {"config": {"file_ids": by_dataset[dataset]}}
            for dataset, table in tables.items()
        }
        return RunRequest(
            run_key=self.run_key,
            job_name=load_job_name(self.source),
            run_config={"ops": ops},
            asset_selection=[asset_key(table) for table in tables.values()],
            tags={FILES_TAG: self.files_tag, FILE_TAG: self.first_file, WHY_TAG: f"{self._counted} landed"},
        )


def due_files(conn: Connection[Any], limit: int, in_flight: Collection[int] = ()) -> list[DueFile]:
    """Files to load now, oldest first and at most ``limit`` of each source; none whose feed was removed."""
    feeds = [(feed.source, feed.dataset) for feed in FEEDS]
    return landed_files.due(conn, feeds, limit, in_flight)


def load_requests(
    due: Iterable[DueFile], in_flight: Collection[int], per_run: int, bytes_per_run: int | None = None
) -> list[LoadRequest]:
    """Batches of files that no unfinished run has, one run a source a tick: the next tick asks for the next batch."""
    waiting: dict[str, list[DueFile]] = {}
    for file in due:
        if file.file_id not in in_flight:
            waiting.setdefault(file.source, []).append(file)
    return [LoadRequest(source, _first(files[:per_run], bytes_per_run)) for source, files in waiting.items()]


def _first(files: Sequence[DueFile], most_bytes: int | None) -> Sequence[DueFile]:
    """The first of these files: as many as have no more bytes together, but one at least."""
    if most_bytes is None:
        return files
    sizes = accumulate(file.size_bytes for file in files)
    return files[: max(1, sum(size <= most_bytes for size in sizes))]


def unfinished_loads(instance: DagsterInstance) -> dict[str, list[set[int]]]:
    """Source to the files of each queued or running load; of a load that somebody asked for by hand none are known.

    There are few such runs (``UNFINISHED_LOADS``), however many files wait.
    """
    found: dict[str, list[set[int]]] = {}
    for source in SOURCES:
        for run in instance.get_runs(RunsFilter(job_name=load_job_name(source), statuses=UNFINISHED)):
            found.setdefault(source, []).append(asked_files(run.run_config))
    return found


def arrival_events(arrivals: Iterable[Arrival]) -> Iterator[AssetMaterialization]:
    """One event a feed and tick, however many files: each event is a login and some statements for Dagster."""
    for arrival in arrivals:
        if feed := find_feed(arrival.source, arrival.dataset):
            metadata: dict[str, Any] = {
                "files": arrival.files,
                "bytes": arrival.size_bytes,
                "first_key": arrival.first_key,
                "last_key": arrival.last_key,
            }
            yield AssetMaterialization(landing_key(feed), metadata=metadata)


def count_earlier_runs(instance: DagsterInstance, request: LoadRequest) -> LoadRequest:
    """The request with the number of runs that were asked for exactly these files before.

    The last one's key says it: old runs are deleted, so that counting those that are left would give a key anew.
    """
    runs = RunsFilter(job_name=load_job_name(request.source), tags={FILES_TAG: request.files_tag})
    last = instance.get_runs(runs, limit=1)
    number = last[0].tags.get("dagster/run_key", "").rpartition("-")[2] if last else ""
    return replace(request, earlier_runs=int(number) + 1 if number.isdigit() else len(last))


def _scan_or_note(settings: Settings, target: PostgresTarget, stores: Stores) -> list[Arrival]:
    """``scan_landing``; where the zone does not answer, that is noted for those who are told of it."""
    try:
        return scan_landing(settings, target, stores.landing())
    except Exception as error:
        if is_store_error(error) or isinstance(error, OSError):
            with kept_connection(target) as conn:
                source_looks.note(conn, source_looks.LANDING, problem=describe(error))
        raise


def landing_sensor(interval_seconds: int) -> SensorDefinition:
    """Sees what landed and asks for its load."""

    @sensor(
        name="landing_sensor",
        description="Lists the landing zone, enters new files in the ledger, and asks for their load.",
        jobs=JOBS,
        minimum_interval_seconds=interval_seconds,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @quotes_no_values
    def evaluate(context: SensorEvaluationContext, warehouse: Warehouse, stores: Stores) -> SensorResult:
        settings = warehouse.settings
        if reason := shortage(settings):
            return SensorResult(skip_reason=SkipReason(reason))
        target = warehouse.target()
        arrivals = _scan_or_note(settings, target, stores)
        loads = unfinished_loads(context.instance)  # before cancelled runs are looked at, and before what is due
        in_flight = set(chain.from_iterable(chain.from_iterable(loads.values())))
        with kept_connection(target) as conn:
            hold_cancelled_loads(conn, context.instance, stores.landing().url)
            due = due_files(conn, settings.files_per_run, in_flight)
        wanted = [file for file in due if len(loads.get(file.source, ())) < UNFINISHED_LOADS]
        requests = load_requests(wanted, in_flight, settings.files_per_run, BYTES_PER_RUN)
        nothing = SkipReason(f"Nothing new to load; {counted(len(in_flight), 'file is', 'files are')} being loaded.")
        return SensorResult(
            run_requests=[count_earlier_runs(context.instance, request).run_request() for request in requests],
            asset_events=list(arrival_events(arrivals)),
            skip_reason=None if requests else nothing,
        )

    return evaluate
