"""The demo's runs, their progress, and the table that says what they did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
)
from psycopg import Connection
from rich.console import Console

from cinestream_platform.automation.catch_up import build_stale, extract_databases, load_landed
from cinestream_platform.automation.planning import stale_tables
from cinestream_platform.catalog import CATALOG, EXTRACTS, FEEDS
from cinestream_platform.commands.tables import print_table, say
from cinestream_platform.commands.working import following
from cinestream_platform.definitions import defs
from cinestream_platform.lake.store import open_landing
from cinestream_platform.ledger import landed_files
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.marts.declared import declare
from cinestream_platform.messages import counted
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import connect

STEPS = {
    "marts": "dbt, marts",
    "marts_by_year": "dbt, marts by year",
    "marts_by_month": "dbt, marts by month",
    **{system.step: f"extraction of {system.name}" for system in CATALOG.systems},
}
"""Steps that make several tables; only the step has a duration."""


UP_TO_DATE = "up to date"


@dataclass
class _Line:
    """What the table shows of one asset."""

    rows: int = 0
    rejected: int | None = None
    passed: int = 0
    failed: int = 0
    warned: list[str] = field(default_factory=list)
    seconds: float = 0.0
    state: str = ""
    """Of a table that was not made: whether it is up to date."""


class Summary:
    """Runs everything and keeps what the runs did."""

    def __init__(self, console: Console, settings: Settings, sources: Sequence[str]) -> None:
        self._console, self._settings, self._sources = console, settings, sources
        self._target = start_and_prepare(CATALOG, settings)
        self._results: list[ExecuteInProcessResult] = []
        graph = defs.resolve_asset_graph()
        self._nodes = nodes_of(graph, CATALOG)
        with connect(self._target) as conn:
            declare(conn, graph, CATALOG, settings)
        self._last_checks: list[AssetCheckEvaluation] = []

    def run(self, log: Path) -> None:
        """Load what landed, then build what is stale, with progress; what dbt prints goes to ``log``."""
        with DagsterInstance.get() as instance, following(self._console) as steps:

            def follow(event: DagsterEvent) -> None:
                if event.event_type is DagsterEventType.STEP_START:
                    steps.follow(_shown(event.step_key))
                elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.step_key in STEPS:
                    steps.follow(f"{_shown(event.step_key)}: {_name(event.asset_key)}")
                elif event.event_type is DagsterEventType.STEP_SUCCESS:
                    steps.follow(steps.now, done=1)

            run: Any = {"instance": instance, "target": self._target, "begin": steps.begin, "follow": follow}
            with log.open("w", encoding="utf-8") as sink, redirect_stdout(sink):  # dbt talks to stdout
                self._results += load_landed(defs, settings=self._settings, landing=open_landing(self._settings), **run)
                self._results += extract_databases(defs, settings=self._settings, sources=self._sources, **run)
                self._results += build_stale(defs, sources=self._sources, at_once=True, **run)
            self._last_checks = _last_checks(instance)

    def print(self, planted: int | None) -> int:
        """Print the table, and how many bad records were found of those planted; how many things are wrong."""
        problems = [problem for result in self._results for problem in _failures(result)]
        with connect(self._target) as conn:
            lines = self._lines(conn)
            _print_lines(self._console, lines)
            problems += _unreadable(conn)
            if planted is not None:
                problems += self._compare(conn, planted)
        if current := sum(line.state == UP_TO_DATE for line in lines.values()):
            whole = "Nothing new: all" if not self._results else "Up to date:"
            tables = counted(current, "table is", "tables are")
            say(self._console, f"{whole} {tables} made from what landed and was extracted, and left as is.")
        for key, line in lines.items():
            if line.warned:
                say(self._console, f"Check that warns: {key}: {', '.join(sorted(set(line.warned)))}")
        problems += [f"{key}: a check failed" for key, line in lines.items() if line.failed]
        for problem in problems:
            say(self._console, f"NOT AS IT SHOULD BE: {problem}", "red")
        return len(problems)

    def _lines(self, conn: Connection[Any]) -> dict[str, _Line]:
        """What the runs did, then what was up to date; rows are those that are there now."""
        lines: dict[str, _Line] = defaultdict(_Line)
        for result in self._results:
            for event in result.all_events:
                _count(lines, event)
        done, stale = set(lines), stale_tables(self._nodes, read_state(conn))
        stale_names = {_name(key) for key, node in self._nodes.items() if node.relation in stale}
        for name, (rows, rejected) in self._rows(conn).items():
            lines[name].rows, lines[name].rejected = rows, rejected
            lines[name].state = "" if name in done else "stale" if name in stale_names else UP_TO_DATE
        for check in self._last_checks:
            if (line := lines.get(_name(check.asset_key))) and line.state:
                _count_check(line, check)
        return dict(lines)

    def _rows(self, conn: Connection[Any]) -> dict[str, tuple[int, int | None]]:
        """Asset to rows, and rejected ones of a raw table, of all that these sources have, as it was built."""
        loaded = conn.execute(
            "SELECT source, dataset, rows_loaded::bigint, rows_rejected::bigint FROM ops.v_feed WHERE loaded > 0"
            " ORDER BY 1, 2"
        ).fetchall()
        raw = {(feed.source, feed.dataset): asset_key(feed.table) for feed in (*FEEDS, *EXTRACTS)}
        found = {raw[source, dataset]: counts for source, dataset, *counts in loaded if (source, dataset) in raw}
        published = conn.execute(
            "SELECT schema_name, table_name, sum(rows)::bigint FROM ops.publication WHERE is_latest GROUP BY 1, 2"
            " ORDER BY max(publication_id)"
        ).fetchall()
        built = {node.relation: key for key, node in self._nodes.items()}
        found |= {built[schema, table]: [rows, None] for schema, table, rows in published if (schema, table) in built}
        own = (*self._sources, "conformed")
        return {_name(key): (rows, rejected) for key, (rows, rejected) in found.items() if key.path[0] in own}

    def _compare(self, conn: Connection[Any], planted: int) -> list[str]:
        """Planted dirt against rejected rows: they must be equal."""
        row = conn.execute(
            "SELECT coalesce(sum(rows_rejected), 0)::bigint FROM ops.v_feed WHERE source = ANY (%s)",
            (list(self._sources),),
        ).fetchone()
        rejected = row[0] if row else 0
        verdict = "equal" if planted == rejected else "NOT EQUAL"
        say(
            self._console,
            f"Quarantine: {planted:,} bad records were planted, {rejected:,} were rejected ({verdict}); "
            "they are in ops.rejected_row with file, line, rule and text.",
        )
        return [] if planted == rejected else ["planted and rejected records differ"]


def _last_checks(instance: DagsterInstance) -> list[AssetCheckEvaluation]:
    """The last result of every check."""
    keys = list(defs.resolve_asset_graph().asset_check_keys)
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).values()
    return [record.evaluation for record in found if isinstance(record.evaluation, AssetCheckEvaluation)]


def _count(lines: dict[str, _Line], event: DagsterEvent) -> None:
    if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
        rows = event.step_materialization_data.materialization.metadata.get("dagster/row_count")
        if rows is not None:  # of the partition; of a table that the ledger knows it tells all rows
            lines[_name(event.asset_key)].rows = int(str(rows.value))
    elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        _count_check(lines[_name(check.asset_key)], check)
    elif event.event_type is DagsterEventType.STEP_SUCCESS and event.step_key:
        seconds = event.step_success_data.duration_ms / 1000
        name = event.step_key.replace("__", "/")
        lines[name].seconds += seconds


def _count_check(line: _Line, check: AssetCheckEvaluation) -> None:
    line.passed += check.passed
    if not check.passed and check.severity.value == "WARN":
        line.warned.append(check.check_name)
    line.failed += not check.passed and check.severity.value == "ERROR"


def _failures(result: ExecuteInProcessResult) -> list[str]:
    """Which steps of a run failed, and why."""
    failed = [event for event in result.all_events if event.event_type is DagsterEventType.STEP_FAILURE]
    reasons = [f"{event.step_key}: {_cause(event.step_failure_data.error)}" for event in failed]
    return reasons or ([] if result.success else [f"run {result.run_id} failed"])


def _cause(error: Any) -> str:
    """The innermost error's own words; Dagster wraps it in its own."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"


def _name(key: AssetKey | None) -> str:
    return key.to_user_string() if key else "?"


def _print_lines(console: Console, lines: dict[str, _Line]) -> None:
    """The table of assets."""
    rows: list[tuple[str, ...]] = []
    styles: list[str | None] = []
    for name, line in lines.items():
        seconds = line.state or (f"{line.seconds:,.1f}" if line.seconds else "")
        styles.append("red" if line.failed else ("yellow" if line.warned else None))
        if name in STEPS or line == _Line(seconds=line.seconds):  # several marts at once, or a check across tables
            rows.append((STEPS.get(name, name), "", "", "", "", "", seconds))
            continue
        rejected = "" if line.rejected is None else f"{line.rejected:,}"
        checks = (f"{count:,}" for count in (line.passed, len(line.warned), line.failed))
        rows.append((name, f"{line.rows:,}", rejected, *checks, seconds))
    headings = ("asset", "rows", "rejected", "pass", "warn", "fail", "seconds")
    stayed = any(line.state for line in lines.values())
    print_table(
        console, "What was done, and what was up to date" if stayed else "What was done", headings, rows, styles=styles
    )


def _shown(step_key: str | None) -> str:
    """A step as people know it."""
    return STEPS.get(step_key or "", (step_key or "").replace("__", "/"))


def _unreadable(conn: Connection[Any]) -> list[str]:
    return [f"{key} is parked: {reason}" for key, reason in landed_files.parked(conn)]
