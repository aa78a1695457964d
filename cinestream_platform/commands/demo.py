"""``cinestream demo``: land files, materialize everything in this process, and say what was done.

The demo uses the home's own Dagster instance, so that ``make ui`` shows its runs, materializations and checks.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cinestream_platform.commands.files import land_path
from cinestream_platform.commands.instance import prepare_instance
from cinestream_platform.commands.reset import empty_warehouse, foreign_files
from cinestream_platform.lake.store import open_landing
from cinestream_platform.settings import get_settings

if TYPE_CHECKING:
    from cinestream_platform.samples.movielens import Sample

SOURCE = "movielens"
MARKER = "demo.json"


class DemoError(RuntimeError):
    """The demo cannot go on; the message says what to do."""


def run_demo(data: Path | None, *, release: str, scale: float, fresh: bool) -> int:
    """Run the demo; 0 if everything was loaded, built and checked as it should be."""
    console = Console(file=sys.stdout)
    started = time.monotonic()
    with console.status("starting Postgres"):
        from cinestream_platform.orchestration.warehouse import prepared_target

        target = prepared_target()
    console.print(f"Postgres      {target}")
    folder = _release_folder(data, release) if data else None
    _make_room(console, str(folder) if folder else f"sample at scale {scale}", fresh=fresh)
    sample = None if folder else _generate(scale)
    keys = _land(folder or get_settings().home_dir / "sample")
    console.print(f"landed        {len(keys)} files in {get_settings().landing}/{SOURCE}/")
    with console.status("loading the definitions"):
        from cinestream_platform.marts.project import ensure_manifest

        ensure_manifest()
        prepare_instance(get_settings())
        from cinestream_platform.commands.demo_summary import Summary

    summary = Summary(console)
    summary.run(get_settings().home_dir / "demo.log")
    problems = summary.print(sample)
    _print_next_steps(console, time.monotonic() - started, is_sample=sample is not None)
    return 1 if problems else 0


def _release_folder(data: Path, release: str) -> Path:
    """The folder with the CSV files: ``<data>/movielens/<release>``, or one that holds them itself."""
    if not data.is_dir():
        raise DemoError(f"there is no folder {data}. DATA is a folder with one sub-folder per source.")
    root = data / SOURCE if (data / SOURCE).is_dir() else data
    for folder in (root / release, root):
        if (folder / "ratings.csv").is_file():
            return folder
    found = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir())) or "none"
    raise DemoError(f"no ratings.csv in {root / release}; folders there: {found}. Choose one with RELEASE=.")


def _make_room(console: Console, dataset: str, *, fresh: bool) -> None:
    """Empty the warehouse if it holds another data set of the demo; a release is its own world of users."""
    marker = get_settings().home_dir / MARKER
    landed = json.loads(marker.read_text()) if marker.is_file() else {"dataset": dataset, "keys": []}
    others = foreign_files(landed["keys"])
    if fresh or (landed["dataset"] != dataset and not others):
        console.print("emptied       the warehouse, for a release is its own world")
        empty_warehouse(landed["keys"] + (others if fresh else []))
    elif others and landed["dataset"] != dataset:
        raise DemoError(
            f"this warehouse holds {landed['dataset']} and files of yours ({', '.join(others[:3])}); user ids of two "
            "releases are different people. Use another CINESTREAM_HOME, or --fresh (make demo FRESH=1) to empty it."
        )
    marker.parent.mkdir(parents=True, exist_ok=True)
    keys = sorted(set(landed["keys"]) if landed["dataset"] == dataset else [])
    marker.write_text(json.dumps({"dataset": dataset, "keys": keys}))


def _generate(scale: float) -> Sample:
    from cinestream_platform.samples.movielens import generate

    folder = get_settings().home_dir / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    return generate(folder, scale=scale)


def _land(folder: Path) -> list[str]:
    """Land the folder's files, and note that they are the demo's."""
    keys = list(land_path(SOURCE, folder))
    marker = get_settings().home_dir / MARKER
    known: dict[str, Any] = json.loads(marker.read_text())
    marker.write_text(json.dumps(known | {"keys": sorted({*known["keys"], *keys})}))
    settle = get_settings().landing_settle_seconds if open_landing(get_settings()).is_folder else 0
    time.sleep(settle + 0.1 if settle else 0)
    return keys


def _print_next_steps(console: Console, seconds: float, *, is_sample: bool) -> None:
    settings = get_settings()
    home = "" if settings.home == Path(".cinestream") else f"CINESTREAM_HOME={settings.home} "
    console.print(f"\nDone in {seconds:,.0f} s. What next:", style="bold")
    for what, how in (
        ("Dagster UI", f"{home}make ui   then http://127.0.0.1:3000 (runs, checks and lineage of this demo are there)"),
        ("psql", f'psql "$({home}.venv/bin/cinestream dsn --role data_analyst)"'),
        ("drop a file", f"into {settings.landing}/{SOURCE}/ratings/ while the UI runs, or"),
        ("", f"{home}.venv/bin/cinestream land {SOURCE} my-ratings.csv --dataset ratings"),
        ("raw data", f"{home}.venv/bin/cinestream explore {SOURCE}"),
        ("ledger", f"{home}.venv/bin/cinestream status --files"),
        ("undo a file", f"{home}.venv/bin/cinestream retract {SOURCE}/ratings/ratings.csv"),
        *([("real files", "make demo DATA=<folder with movielens/ml-latest-small>")] if is_sample else []),
    ):
        console.print(f"  {what:<12}{how}", markup=False, highlight=False, soft_wrap=True)
