"""The beginning of ``cinestream status``: is all well, and if not, what needs a look.

What belongs here: gathering services, runs, staleness and disk, and the words for them. The tables below are
``status``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection

from cinestream_platform.processes.home import is_claimed
from cinestream_platform.processes.presence import NAME as DAEMON
from cinestream_platform.services.disk import disks, shortage
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect

SHOWN = 5
"""Names that a line lists; of more their number is told."""


@dataclass(frozen=True)
class Runs:
    """Dagster's runs: how many run and wait in its queue, and the jobs whose last run failed."""

    running: int = 0
    queued: int = 0
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    """All that the verdict is made from. ``stale`` is None where nobody looked: table -> stale partitions."""

    postgres: str
    has_ui: bool
    has_daemon: bool
    runs: Runs
    stale: Mapping[str, int] | None
    parked: int
    waiting: int
    held: int
    extracted: tuple[tuple[str, datetime], ...]
    disk: str
    shortage: str | None

    @property
    def faults(self) -> list[str]:
        """What needs a person."""
        found = [self.shortage] if self.shortage else []
        if self.parked:
            found.append(f"{_counted(self.parked, 'file is', 'files are')} parked")
        if self.runs.failed:
            found.append(f"the last run failed of {_named(self.runs.failed)}")
        idle = not self.has_daemon and not self.runs.running
        if idle and (self.stale or self.waiting):
            found.append("work waits, and no daemon does it: cinestream ui, or cinestream demo")
        return found


def gather(settings: Settings, target: PostgresTarget, conn: Connection[Any], *, with_stale: bool) -> Health:
    """Look at everything once; ``with_stale`` compares every table with its inputs, which takes seconds."""
    row = conn.execute("SELECT files_parked, files_waiting, partitions_held FROM platform.health").fetchone()
    parked, waiting, held = row or (0, 0, 0)
    has_daemon, runs = _dagster(settings, target)
    return Health(
        postgres=str(target),
        has_ui=is_claimed(settings.home_dir, "ui"),
        has_daemon=has_daemon,
        runs=runs,
        stale=_stale(conn) if with_stale else None,
        parked=parked,
        waiting=waiting,
        held=held,
        extracted=tuple(conn.execute("SELECT source, taken_at FROM platform.last_extraction ORDER BY 1").fetchall()),
        disk="; ".join(map(str, disks(settings))),
        shortage=shortage(settings),
    )


def described(health: Health) -> Iterator[tuple[str, str]]:
    """What, and how it is; the first is the verdict."""
    faults = health.faults
    yield "verdict", f"LOOK: {'; '.join(faults)}" if faults else "all is well"
    daemon = "a daemon works" if health.has_daemon else "no daemon: nothing loads by itself (cinestream ui)"
    ui = "the UI runs" if health.has_ui else "no UI of this home runs"
    yield "services", f"Postgres answers ({health.postgres}); {ui}; {daemon}"
    if health.stale is not None:
        tables = [f"{name} ({count:,})" if count > 1 else name for name, count in sorted(health.stale.items())]
        yield "stale now", _named(tables) or "nothing"
    failed = f"; last run failed of {_named(health.runs.failed)}" if health.runs.failed else ""
    yield "runs", f"{health.runs.running:,} running, {health.runs.queued:,} queued{failed}"
    held = f", {_counted(health.held, 'partition', 'partitions')} held after being cancelled" if health.held else ""
    yield "files", f"{health.parked:,} parked, {health.waiting:,} waiting{held}"
    if health.extracted:
        yield "extracted", ", ".join(f"{source} {taken_at:%Y-%m-%d %H:%M} UTC" for source, taken_at in health.extracted)
    yield "disk", health.disk


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _dagster(settings: Settings, target: PostgresTarget) -> tuple[bool, Runs]:
    """Whether a daemon works, and the state of runs, as Dagster's own database says; it may not be there yet."""
    try:
        with connect(replace(target, database=settings.postgres_dagster_database), role=None) as conn:
            row = conn.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND application_name = %s), to_regclass('public.runs') IS NOT NULL",
                (DAEMON,),
            ).fetchone()
            has_daemon, has_runs = row or (False, False)
            if not has_runs:
                return has_daemon, Runs()
            counts = conn.execute(
                "SELECT count(*) FILTER (WHERE status IN ('STARTED', 'STARTING', 'CANCELING')),"
                " count(*) FILTER (WHERE status IN ('QUEUED', 'NOT_STARTED')) FROM public.runs"
                " WHERE status IN ('STARTED', 'STARTING', 'CANCELING', 'QUEUED', 'NOT_STARTED')"
            ).fetchone()
            failed = conn.execute(
                "SELECT pipeline_name FROM (SELECT DISTINCT ON (pipeline_name) pipeline_name, status FROM public.runs"
                " WHERE status IN ('SUCCESS', 'FAILURE') ORDER BY pipeline_name, id DESC) AS last"
                " WHERE status = 'FAILURE' ORDER BY 1"
            ).fetchall()
    except psycopg.errors.InvalidCatalogName:
        return False, Runs()
    running, queued = counts or (0, 0)
    return has_daemon, Runs(running, queued, tuple(name for (name,) in failed))


def _stale(conn: Connection[Any]) -> dict[str, int]:
    """Tables that are made from other inputs than there are now, by number of partitions; as the sensor sees them."""
    if conn.execute("SELECT 1 FROM ops.landed_file WHERE status = 'loaded' LIMIT 1").fetchone() is None:
        return {}
    from cinestream_platform.marts.project import ensure_manifest

    ensure_manifest()
    from cinestream_platform.automation.planning import due_partitions
    from cinestream_platform.definitions import defs
    from cinestream_platform.ledger.publications import read_state
    from cinestream_platform.orchestration.staleness import nodes_of

    nodes, state = nodes_of(defs.resolve_asset_graph()), read_state(conn)
    found = {".".join(node.relation): len(due_partitions(node, nodes, state)) for node in nodes.values()}
    return {name: count for name, count in found.items() if count}
