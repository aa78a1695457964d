"""Deleting what Dagster remembers of long ago, but never the last state of an asset, partition or check.

Runs go through Dagster's own interface. It has none for events without a run and for evaluations of checks, and a run's
deletion there takes the last materialization of its assets along: those are found and deleted by SQL on Dagster's
tables, whose columns are looked at first. ``tests/faults/test_old_runs_leave_the_last_state.py`` runs all of it on the
real storage.

What is left of a run that is deleted half-way is still listed as a run, and goes the next night.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from dagster import AssetKey, DagsterInstance, DagsterRunStatus, RunsFilter
from psycopg import ClientCursor, Connection
from psycopg.types.json import Jsonb

from cinestream_platform import progress
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import counted

FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
RUNS_AT_ONCE, ROWS_AT_ONCE = 100, 5_000
COLUMNS = {
    "event_logs": {"id", "run_id", "dagster_event_type", "timestamp", "asset_key", "partition"},
    "asset_event_tags": {"event_id"},
    "asset_keys": {"last_run_id"},
    "asset_check_executions": {
        "id", "run_id", "asset_key", "check_name", "partition", "execution_status", "create_timestamp",
    },
}  # fmt: skip
"""What the statements here rely on."""

LAST_EVENTS = """
    CREATE TEMP TABLE last_event AS
    SELECT id, run_id FROM event_logs WHERE id IN (
        SELECT max(id) FROM event_logs WHERE asset_key IS NOT NULL GROUP BY asset_key, dagster_event_type, partition
    )
"""
REMOVED_CHECKS = """
    CREATE TEMP TABLE removed_check AS
    SELECT DISTINCT asset_key, check_name FROM asset_check_executions
    WHERE asset_key IN (SELECT jsonb_object_keys(%(defined)s))
    AND NOT (%(defined)s -> asset_key) ? check_name
"""
"""Checks that no asset of the definitions has any more: renamed ones, say. Those of other assets may be another code
location's."""
LAST_CHECKS = """
    CREATE TEMP TABLE last_check AS
    SELECT id, run_id FROM asset_check_executions WHERE id IN (
        SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name, partition
        UNION SELECT max(id) FROM asset_check_executions WHERE execution_status <> 'PLANNED'
        GROUP BY asset_key, check_name, partition
    ) AND (asset_key, check_name) NOT IN (SELECT asset_key, check_name FROM removed_check)
"""
KEPT_RUNS = """
    SELECT run_id FROM last_event UNION SELECT run_id FROM last_check UNION SELECT last_run_id FROM asset_keys
"""


class UnknownStorageError(CineStreamError):
    """Dagster's tables are not those that this was written for; nothing was deleted."""


@dataclass(frozen=True)
class Deleted:
    """How much was deleted, and whether all that is old is gone."""

    runs: int = 0
    events: int = 0
    checks: int = 0
    is_complete: bool = True


def delete_old(
    instance: DagsterInstance,
    keep: timedelta,
    *,
    seconds: float,
    log: Callable[[str], None],
    defined: Callable[[], Mapping[AssetKey, Collection[str]]],
) -> Deleted:
    """Delete runs, events, evaluations of checks and logs that are older than ``keep``, for so many seconds at most.

    An instance that is not in Postgres (a test's) is left alone. ``defined`` gives the names of the checks of each
    asset: of a check that its asset has no more, also the last evaluation is deleted.

    Raises:
        UnknownStorageError: Dagster's tables have changed.
    """
    postgres_url = getattr(instance.event_log_storage, "postgres_url", None)
    if postgres_url is None:
        return Deleted()
    before, deadline = datetime.now(UTC) - keep, time.monotonic() + seconds
    with psycopg.connect(postgres_url, autocommit=True, connect_timeout=10) as conn:
        _check_columns(conn)
        names = {asset.to_string(): sorted(checks) for asset, checks in defined().items()}
        conn.execute(LAST_EVENTS)
        ClientCursor(conn).execute(REMOVED_CHECKS, {"defined": Jsonb(names)})  # the server takes no parameter in DDL
        conn.execute(LAST_CHECKS)
        conn.execute("ANALYZE last_event, last_check")
        kept = {run_id for (run_id,) in conn.execute(KEPT_RUNS)}
        checks = _delete_checks(conn, before, deadline)
        events = _delete_events_without_run(conn, before, deadline)
        runs = 0
        for run_id in _old_runs(instance, before, kept):
            if time.monotonic() > deadline:
                break
            _delete_run(instance, run_id)
            progress.note("a run of long ago")
            runs += 1
            if runs % 1_000 == 0:
                log(f"{counted(runs, 'run')} deleted")
    return Deleted(runs, events, checks, is_complete=time.monotonic() <= deadline)


def _check_columns(conn: Connection[Any]) -> None:
    found: dict[str, set[str]] = {}
    for table, column in conn.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    ):
        found.setdefault(table, set()).add(column)
    lacking = [f"{table}.{column}" for table in COLUMNS for column in COLUMNS[table] - found.get(table, set())]
    if lacking:
        raise UnknownStorageError(f"Dagster's storage has no {', '.join(sorted(lacking))}; nothing old was deleted")


def _delete_checks(conn: Connection[Any], before: datetime, deadline: float) -> int:
    """Evaluations that are not the last of their check (and partition), of whatever run."""
    return _in_batches(
        conn,
        "SELECT id FROM asset_check_executions c WHERE id > %s AND create_timestamp < %s"
        " AND NOT EXISTS (SELECT FROM last_check l WHERE l.id = c.id) ORDER BY id LIMIT %s",
        ["DELETE FROM asset_check_executions WHERE id = ANY (%s)"],
        before,
        deadline,
    )


def _delete_events_without_run(conn: Connection[Any], before: datetime, deadline: float) -> int:
    """Events that sensors reported: arrivals of files, states of freshness."""
    return _in_batches(
        conn,
        "SELECT id FROM event_logs e WHERE run_id = '' AND id > %s AND timestamp < %s"
        " AND NOT EXISTS (SELECT FROM last_event l WHERE l.id = e.id) ORDER BY id LIMIT %s",
        ["DELETE FROM asset_event_tags WHERE event_id = ANY (%s)", "DELETE FROM event_logs WHERE id = ANY (%s)"],
        before,
        deadline,
    )


def _in_batches(conn: Connection[Any], find: str, delete: list[str], before: datetime, deadline: float) -> int:
    """Delete what is found in short transactions, in the order of ids."""
    last, deleted = 0, 0
    while time.monotonic() <= deadline:
        # Dagster's timestamps are UTC without a zone.
        found = conn.execute(find.encode(), (last, before.replace(tzinfo=None), ROWS_AT_ONCE)).fetchall()
        if not found:
            break
        ids = [row_id for (row_id,) in found]
        with conn.transaction():
            for statement in delete:
                conn.execute(statement.encode(), (ids,))
        progress.note("events of long ago")
        last, deleted = ids[-1], deleted + len(ids)
    return deleted


def _old_runs(instance: DagsterInstance, before: datetime, kept: set[str]) -> Iterator[str]:
    """Finished runs that hold no last state, oldest first; each is deleted before the next is asked for."""
    filters, after = RunsFilter(statuses=FINISHED, updated_before=before), None
    while page := instance.get_run_records(filters, limit=RUNS_AT_ONCE, cursor=after, ascending=True):
        run_ids = [record.dagster_run.run_id for record in page]
        yield from (run_id for run_id in run_ids if run_id not in kept)
        # A deleted run is not a cursor.
        after = next((run_id for run_id in reversed(run_ids) if run_id in kept), after)


def _delete_run(instance: DagsterInstance, run_id: str) -> None:
    """Its logs, its events and at last the run itself, so that a kill in between leaves a run to be deleted."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.event_log_storage.delete_events(run_id)
    instance.delete_run(run_id)
