"""Doing in this process, at once, what the sensors would ask for: for the demo, for scripts and for tests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from dagster import AssetKey, DagsterEvent, DagsterInstance, Definitions, ExecuteInProcessResult

from cinestream_platform.automation.build_sensor import range_tags
from cinestream_platform.automation.extraction import is_extracted
from cinestream_platform.automation.jobs import build_job_of, load_job_name
from cinestream_platform.automation.landing import arrival_events, due_files, load_requests, scan_landing
from cinestream_platform.automation.planning import is_loaded, is_published, plan_builds
from cinestream_platform.catalog import CATALOG, SOURCES
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect

Begin = Callable[[int], None]
"""Told how many steps a run is about to take."""
Follow = Callable[[DagsterEvent], None]
"""Told every event of a run."""


def _ignore(_: object) -> None:
    """Nobody watches."""


def _execute(
    defs: Definitions,
    job_name: str,
    instance: DagsterInstance,
    assets: Sequence[AssetKey],
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
    begin: Begin,
    follow: Follow,
) -> ExecuteInProcessResult:
    run_id = str(uuid4())
    begin(len(assets))
    instance.add_event_listener(run_id, lambda entry: follow(entry.dagster_event) if entry.dagster_event else None)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return defs.resolve_job_def(job_name).execute_in_process(
        instance=instance,
        run_id=run_id,
        asset_selection=list(assets),
        tags=dict(tags),
        run_config={**quiet, **run_config},
        raise_on_error=False,
    )


def load_landed(
    defs: Definitions,
    instance: DagsterInstance,
    settings: Settings,
    target: PostgresTarget,
    landing: ObjectStore,
    begin: Begin = _ignore,
    follow: Follow = _ignore,
) -> list[ExecuteInProcessResult]:
    """Enter and load everything that landed and is due, one run a source."""
    for event in arrival_events(scan_landing(settings, target, landing)):
        instance.report_runless_asset_event(event)
    with connect(target) as conn:
        due = due_files(conn, limit=1_000_000)
    results = []
    for request in load_requests(due, set(), per_run=len(due)):
        run = request.run_request()
        job, assets = load_job_name(request.source), list(run.asset_selection or [])
        results.append(_execute(defs, job, instance, assets, run.tags, run.run_config, begin, follow))
    return results


def extract_databases(
    defs: Definitions,
    instance: DagsterInstance,
    settings: Settings,
    target: PostgresTarget,
    sources: Sequence[str],
    begin: Begin = _ignore,
    follow: Follow = _ignore,
) -> list[ExecuteInProcessResult]:
    """Extract the operational systems of these sources, but those that look as they did at the last extraction."""
    results = []
    for source in [source for source in CATALOG.sources if source.name in sources]:
        for system in source.systems:
            if is_extracted(system, settings, target):
                continue
            assets = [asset_key(feed.table) for feed in system.feeds]
            results.append(_execute(defs, load_job_name(source.name), instance, assets, {}, {}, begin, follow))
    return results


def build_stale(
    defs: Definitions,
    instance: DagsterInstance,
    target: PostgresTarget,
    begin: Begin = _ignore,
    follow: Follow = _ignore,
    *,
    sources: Sequence[str] = SOURCES,
    at_once: bool = False,
) -> list[ExecuteInProcessResult]:
    """Build what is stale of these sources, in the runs that the sensor would ask for.

    ``at_once`` builds a source that has loaded files, and of which nothing was built yet, in as few runs as there are
    units.
    """
    nodes = nodes_of(defs.resolve_asset_graph(), CATALOG)
    results = []
    for source in sources:
        with connect(target) as conn:  # what sources share was perhaps built with the one before
            state = read_state(conn)
        is_first = is_loaded(source, state) and not is_published(source, nodes, state)
        for span, assets in plan_builds(source, nodes, state, everything=at_once and is_first).runs():
            results.append(
                _execute(defs, build_job_of(source, assets), instance, assets, range_tags(span), {}, begin, follow)
            )
    return results
