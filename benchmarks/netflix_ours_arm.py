"""Our way: the files land; then load, dims, facts and marts in this process, as ``cinestream demo`` runs them.

netflix_ours_arm.py FILES REPORT. Seconds are of Dagster's events: from a step's start to its success, and of these what
follows the writing of its table counts as checks. dbt's tests are part of marts.
"""

import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

SOURCE = "netflix"


ORDER = ("start", "landing", "raw", "dims", "facts", "marts", "checks", "exports", "between steps")


def order(stage: str) -> int:
    """A stage's place in the report."""
    return ORDER.index(stage.partition(":")[0])


class Stages:
    """Adds up the seconds of steps by layer, told of every event as it happens."""

    def __init__(self, layers: dict[str, str]) -> None:
        """Take step -> layer; other steps are dbt's or exports."""
        self.seconds: dict[str, float] = {}
        self._layers, self._begun, self._written = layers, {}, {}

    def follow(self, event: Any) -> None:
        """Note a step's start, the end of its writing, and its success."""
        step, now = event.step_key or "", time.perf_counter()
        if event.event_type_value == "STEP_START":
            self._begun[step] = now
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            self._written.setdefault(step, now)
        elif event.event_type_value == "STEP_SUCCESS":
            is_table = step in self._layers
            written = self._written.get(step, now) if is_table else now
            other = "marts" if step.startswith("marts") else "exports"
            self.add(self._layers.get(step, other), written - self._begun[step])
            if is_table:
                self.add("checks", now - written)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def problems(results: list[Any]) -> list[str]:
    """Steps that failed, and checks that did with severity ERROR."""
    found = []
    for event in (event for result in results for event in result.all_events):
        if event.event_type_value == "STEP_FAILURE":
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            found.append(f"{event.step_key}: {error.message.strip() if error else 'failed'}")
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity.value == "ERROR":
                found.append(f"{check.asset_key.to_user_string()}: check {check.check_name} failed")
    return found or [f"run {result.run_id} failed" for result in results if not result.success]


def main() -> None:
    """Everything from the files to the marts; a failure says which step, and why."""
    began = time.perf_counter()
    files, report = Path(sys.argv[1]), Path(sys.argv[2])
    from cinestream_platform.catalog import CATALOG
    from cinestream_platform.commands.files import land_path
    from cinestream_platform.commands.instance import prepare_instance
    from cinestream_platform.marts.project import ensure_manifest
    from cinestream_platform.orchestration.warehouse import start_and_prepare
    from cinestream_platform.settings import get_settings

    settings = get_settings()
    target = start_and_prepare(CATALOG, settings)
    ensure_manifest(settings)
    prepare_instance(settings)
    from dagster import DagsterInstance

    from cinestream_platform.automation.catch_up import build_stale, load_landed
    from cinestream_platform.catalog import TABLES
    from cinestream_platform.declarations.table import Layer
    from cinestream_platform.definitions import defs
    from cinestream_platform.lake.store import open_landing
    from cinestream_platform.orchestration.asset import asset_key

    names = {Layer.RAW: "raw", Layer.DIMENSION: "dims", Layer.BRIDGE: "dims"}
    stages = Stages(
        {"__".join(asset_key(table).path): names.get(table.layer, f"facts: {table.name}") for table in TABLES}
    )
    stages.add("start", time.perf_counter() - began)
    landed = time.perf_counter()
    list(land_path(get_settings(), SOURCE, files))
    stages.add("landing", time.perf_counter() - landed)
    with DagsterInstance.get() as instance, (settings.home_dir / "dbt.log").open("w") as log, redirect_stdout(log):
        instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
        run: dict[str, Any] = {"instance": instance, "target": target, "follow": stages.follow}
        results = load_landed(defs, settings=settings, landing=open_landing(settings), **run)
        if not (found := problems(results)):
            results += build_stale(defs, sources=[SOURCE], at_once=True, **run)
            found = problems(results)
    if found or not results:
        raise SystemExit("ours: " + ("; ".join(found) or "no file was loaded"))
    stages.add("between steps", time.perf_counter() - began - sum(stages.seconds.values()))
    report.write_text(json.dumps(dict(sorted(stages.seconds.items(), key=lambda stage: order(stage[0])))))


if __name__ == "__main__":
    main()
