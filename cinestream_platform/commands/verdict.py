"""The beginning of ``cinestream status``: is all well, and if not, what needs a look.

What belongs here: gathering services, runs, staleness and disk, and the words for them. The tables below are
``status``'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from cinestream_platform.catalog import CATALOG
from cinestream_platform.ledger import alerts, landed_files, source_looks, stale_look
from cinestream_platform.ledger.alerts import Condition
from cinestream_platform.ledger.publications import read_state, state_marker
from cinestream_platform.messages import counted, first_of
from cinestream_platform.processes.home import is_claimed
from cinestream_platform.processes.runs import Runs, read_runs
from cinestream_platform.services.disk import disks, shortage
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget

SHOWN = 5
"""Names that a line lists; of more their number is told."""
TOLD_BY_NUMBER = ("parked_file", "late_source", "failed_run", "disk", "unreachable")
"""Kinds of alerts that the verdict has in words of its own."""


@dataclass(frozen=True)
class Health:
    """All that the verdict is made from. ``stale`` is None where nobody looked: table -> stale partitions.

    ``not_extracted`` is why operational systems were not, at the sensor's last look.
    """

    postgres: str
    has_ui: bool
    has_daemon: bool
    runs: Runs
    stale: Mapping[str, int] | None
    parked: int
    waiting: int
    failing: int
    held: int
    extracted: tuple[tuple[str, datetime], ...]
    not_extracted: Mapping[str, str]
    disk: str
    shortage: str | None
    sources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Source, verdict and reasons, as ``platform.source_health`` has them."""
    late: tuple[tuple[str, datetime], ...] = ()
    """Sources whose data is later than their rhythm allows, and since when."""
    alerts: tuple[Condition, ...] = ()
    """What is wrong, as ``platform.alert_condition`` has it."""
    channels: tuple[tuple[str, bool], ...] = ()
    """Channels that alerts are sent to, and whether each takes them."""

    @property
    def faults(self) -> list[str]:
        """What needs a person."""
        found = [self.shortage] if self.shortage else []
        if self.parked:
            found.append(f"{counted(self.parked, 'file is', 'files are')} parked")
        if self.failing:
            found.append(f"{counted(self.failing, 'file')} failed and will be tried again")
        found += [f"{source} is late since {since:%Y-%m-%d %H:%M} UTC" for source, since in self.late]
        if self.not_extracted:
            found.append(f"{first_of(sorted(self.not_extracted), SHOWN)} cannot be extracted")
        if self.runs.failed:
            found.append(f"the last run failed of {first_of(self.runs.failed, SHOWN)}")
        found += [one.sentence for one in self.alerts if one.kind not in TOLD_BY_NUMBER][:SHOWN]
        idle = not self.has_daemon and not self.runs.running
        if idle and (self.stale or self.waiting):
            found.append("work waits, and no daemon does it: cinestream ui, or cinestream demo")
        return found


def gather(settings: Settings, target: PostgresTarget, conn: Connection[Any], *, with_stale: bool) -> Health:
    """Look at everything once; ``with_stale`` compares every table with its inputs, which takes seconds."""
    row = conn.execute(
        "SELECT files_parked, files_waiting, files_failing, partitions_held FROM platform.health"
    ).fetchone()
    parked, waiting, failing, held = row or (0, 0, 0, 0)
    has_daemon, runs = read_runs(target, settings.postgres_dagster_database)
    return Health(
        postgres=str(target),
        has_ui=is_claimed(settings.home_dir, "ui"),
        has_daemon=has_daemon,
        runs=runs,
        stale=_stale(settings, conn, is_looked_after=has_daemon) if with_stale else None,
        parked=parked,
        waiting=waiting,
        failing=failing,
        held=held,
        extracted=tuple(conn.execute("SELECT source, taken_at FROM platform.last_extraction ORDER BY 1").fetchall()),
        sources=tuple(
            (source, verdict, tuple(reasons))
            for source, verdict, reasons in conn.execute("SELECT source, verdict, reasons FROM platform.source_health")
        ),
        late=tuple(conn.execute("SELECT source, since FROM platform.source_freshness WHERE is_late").fetchall()),
        not_extracted=source_looks.problems(conn),
        alerts=tuple(alerts.conditions(conn)),
        channels=tuple(conn.execute("SELECT channel, failures < 2 FROM platform.alert_channel ORDER BY 1").fetchall()),
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
        yield "stale now", first_of(tables, SHOWN) or "nothing"
    if health.sources:
        yield "sources", "; ".join(_judged(*source) for source in health.sources)
    yield "runs", f"{health.runs.running:,} running, {health.runs.queued:,} queued{_failures(health.runs)}"
    held = f", {counted(health.held, 'partition')} held after being cancelled" if health.held else ""
    failing = f" ({health.failing:,} of them failed and will be tried again)" if health.failing else ""
    yield "files", f"{health.parked:,} parked, {health.waiting:,} waiting{failing}{held}"
    if health.extracted:
        yield "extracted", ", ".join(f"{source} {taken_at:%Y-%m-%d %H:%M} UTC" for source, taken_at in health.extracted)
    for source, problem in sorted(health.not_extracted.items()):
        yield "not extracted", f"{source}: {problem}"
    yield "disk", health.disk
    if health.alerts or health.channels:
        away = ", ".join(f"{name}{'' if takes else ' (away)'}" for name, takes in health.channels)
        yield "alerts", f"{len(health.alerts):,} open, sent to {away or 'nobody: no channel is set (docs/alerts.md)'}"


def _judged(source: str, verdict: str, reasons: Sequence[str]) -> str:
    return f"{source} {verdict}{f' ({first_of(reasons, SHOWN)})' if reasons else ''}"


def _failures(runs: Runs) -> str:
    """The jobs whose last run failed. A run whose only fault is a file's is told, but needs no look beside the file."""
    failed = f"; last run failed of {first_of(runs.failed, SHOWN)}" if runs.failed else ""
    if runs.failed_for_files:
        names = first_of(runs.failed_for_files, SHOWN)
        failed += f"; last run of {names} loaded all but the files that it could not load"
    return failed


def _stale(settings: Settings, conn: Connection[Any], *, is_looked_after: bool) -> dict[str, int]:
    """Tables that are made from other inputs than there are now, by number of partitions; as the sensor sees them.

    Where a daemon works and nothing has changed since its sensor looked, what that found holds. Else it is looked for
    now, and left for those who read the views.
    """
    found = stale_look.current(conn) if is_looked_after else None
    if found is None:
        found = _look_for_stale(settings, conn)
    return {".".join(relation): count for relation, count in found.items()}


def _look_for_stale(settings: Settings, conn: Connection[Any]) -> dict[tuple[str, str], int]:
    marker = state_marker(conn)
    if not landed_files.is_any_loaded(conn):
        return {}
    from cinestream_platform.marts.project import ensure_manifest

    ensure_manifest(settings)
    from cinestream_platform.automation.planning import stale_tables
    from cinestream_platform.definitions import defs
    from cinestream_platform.orchestration.staleness import nodes_of

    found = stale_tables(nodes_of(defs.resolve_asset_graph(), CATALOG), read_state(conn))
    stale_look.note(conn, found, marker)
    return found
