"""Runs that somebody cancelled: what they were to do waits until its inputs change or somebody asks.

A sensor calls one of these before it decides what to ask for, after it has looked which runs are unfinished: a run that
ends in between was unfinished for it, and one that ended before is seen here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from psycopg import Connection

from cinestream_platform.automation.jobs import build_job_names, load_job_name
from cinestream_platform.catalog import FEEDS, SOURCES
from cinestream_platform.declarations.connector import OperationalSystem
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.ledger import held_work, landed_files
from cinestream_platform.ledger.held_work import HeldWork
from cinestream_platform.ledger.publications import LedgerState
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.staleness import Node, stale_partitions, wanted_inputs

LOOKED_AT = 100
"""So many cancelled runs are looked at, the last ones that were made."""
BUILDS = "builds"
"""Who deals with cancelled builds."""
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def is_cancelled_by_hand(instance: DagsterInstance, run_id: str) -> bool:
    """Whether somebody asked for the end of this cancelled run.

    A worker that is stopped with the platform also ends as cancelled, but nobody asked; a run that was ended for its
    length or silence has failed.
    """
    asked = instance.all_logs(run_id, of_type=DagsterEventType.RUN_CANCELING)
    return bool(asked) and not instance.all_logs(run_id, of_type=DagsterEventType.RUN_FAILURE)


def are_cancelled(conn: Connection[Any], instance: DagsterInstance, seen_by: str) -> bool:
    """Whether there are cancelled runs that ``seen_by`` has not dealt with."""
    return bool(_unseen(conn, instance, seen_by))


def _unseen(conn: Connection[Any], instance: DagsterInstance, seen_by: str) -> list[str]:
    listed = instance.get_run_ids(RunsFilter(statuses=[DagsterRunStatus.CANCELED]), limit=LOOKED_AT)
    return held_work.unseen_runs(conn, seen_by, listed) if listed else []


@contextmanager
def newly_cancelled(conn: Connection[Any], instance: DagsterInstance, seen_by: str) -> Iterator[list[RunRecord]]:
    """Runs that were cancelled by hand since ``seen_by`` looked; dealt with, if the block ends without an error."""
    unseen = _unseen(conn, instance, seen_by)
    if not unseen:
        yield []
        return
    since = held_work.seen_since(conn)
    records = instance.get_run_records(RunsFilter(run_ids=unseen))
    with conn.transaction():
        yield [
            record
            for record in records
            if ended_at(record) >= since and is_cancelled_by_hand(instance, record.dagster_run.run_id)
        ]
        held_work.mark_seen(conn, seen_by, unseen)


def ended_at(record: RunRecord) -> datetime:
    """When a run ended."""
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def hold_cancelled_loads(conn: Connection[Any], instance: DagsterInstance, bucket: str) -> None:
    """Let the files of cancelled loads wait."""
    with newly_cancelled(conn, instance, "loads") as records:
        for record in records:
            ended = ended_at(record)
            file_ids = asked_files(record.dagster_run.run_config)
            for feed in [] if file_ids else _feeds_of(record):
                file_ids |= set(landed_files.waiting_since(conn, feed.source, feed.dataset, bucket, ended))
            held_work.hold_files(conn, sorted(file_ids), ended)


def asked_files(run_config: Mapping[str, Any]) -> set[int]:
    """The files that a load was asked for by name; none if somebody materialized a raw table."""
    steps = run_config.get("ops", {})
    return {file_id for step in steps.values() for file_id in step.get("config", {}).get("file_ids") or ()}


def _feeds_of(record: RunRecord) -> list[Feed]:
    """The feeds whose raw tables a run was to load."""
    run = record.dagster_run
    whole = {source for source in SOURCES if load_job_name(source) == run.job_name and not run.asset_selection}
    selected = run.asset_selection or set()
    return [feed for feed in FEEDS if asset_key(feed.table) in selected or feed.source in whole]


def hold_cancelled_builds(
    conn: Connection[Any], instance: DagsterInstance, nodes: Mapping[AssetKey, Node], state: LedgerState
) -> dict[AssetKey, set[str]]:
    """Let what cancelled builds left stale wait; all partitions that wait now.

    What changed since, or is published by now, waits no longer.
    """
    with newly_cancelled(conn, instance, BUILDS) as records:
        for record in records:
            held_work.hold(conn, _left_stale(record, nodes, state))
    # Extractions, and tables that are declared no longer, are none of the nodes.
    held = [(one, nodes[key]) for one in held_work.held(conn) if (key := AssetKey.from_user_string(one.work)) in nodes]
    stale = {node.key: set(stale_partitions(node, nodes, state)) for _, node in held}
    waiting: dict[AssetKey, set[str]] = {}
    over = []
    for one, node in held:
        same_inputs = one.inputs == wanted_inputs(node, one.partition_key, nodes, state)
        if same_inputs and one.partition_key in stale[node.key]:
            waiting.setdefault(node.key, set()).add(one.partition_key)
        else:
            over.append(one)
    held_work.release(conn, over)
    return waiting


def _left_stale(record: RunRecord, nodes: Mapping[AssetKey, Node], state: LedgerState) -> Iterator[HeldWork]:
    """What of a cancelled run's work is not done; what all sources share goes on, since others need it, too."""
    run = record.dagster_run
    whole = {source for source in SOURCES if run.job_name in build_job_names(source) and not run.asset_selection}
    first = run.tags.get(RANGE_START, run.tags.get("dagster/partition"))
    last = run.tags.get(RANGE_END, first)
    for key, node in nodes.items():
        if key.path[0] not in SOURCES or (key not in (run.asset_selection or ()) and key.path[0] not in whole):
            continue
        for partition in stale_partitions(node, nodes, state):
            if partition == WHOLE or first is None or last is None or first <= partition <= last:
                inputs = wanted_inputs(node, partition, nodes, state)
                yield HeldWork(key.path[0], key.to_user_string(), partition, inputs, run.run_id)


def is_extraction_held(
    conn: Connection[Any], instance: DagsterInstance, system: OperationalSystem, fingerprint: str, *, is_done: bool
) -> bool:
    """Whether an extraction was cancelled and the source's state is still the one that was seen then.

    ``is_done`` says that this state was extracted meanwhile.
    """
    source, work = system.feeds[0].source, f"{system.name} extraction"
    tables = {asset_key(feed.table) for feed in system.feeds}
    with newly_cancelled(conn, instance, f"{work}s") as records:
        for record in records:
            run = record.dagster_run
            selected = run.asset_selection
            if tables & selected if selected else run.job_name == load_job_name(source):
                held_work.hold(conn, [HeldWork(source, work, WHOLE, fingerprint, run.run_id)])
    waiting = [one for one in held_work.held(conn) if one.work == work]
    over = [one for one in waiting if is_done or one.inputs != fingerprint]
    held_work.release(conn, over)
    return len(over) < len(waiting)
