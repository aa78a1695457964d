"""``cinestream demo``: land files, materialize everything in this process, and say what was done.

The demo uses the home's own Dagster instance, so that ``make ui`` shows its runs, materializations and checks.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rich.console import Console

from cinestream_platform.commands.demo_sources import DemoError, Supply, generated, published_files
from cinestream_platform.commands.files import land_path
from cinestream_platform.commands.instance import prepare_instance
from cinestream_platform.commands.replacing import KeyTakenError
from cinestream_platform.commands.reset import empty_warehouse, foreign_files
from cinestream_platform.lake.store import open_landing
from cinestream_platform.settings import get_settings

MARKER = "demo.json"


def run_demo(data: Path | None, *, release: str, scale: float, sources: Collection[str], fresh: bool) -> int:
    """Run the demo of these sources; 0 if everything was loaded, built and checked as it should be."""
    console = Console(file=sys.stdout)
    started = time.monotonic()
    with console.status("starting Postgres"):
        from cinestream_platform.orchestration.warehouse import prepared_target

        target = prepared_target()
    console.print(f"Postgres      {target}")
    with console.status("making files"):
        settings = get_settings()
        found = published_files(settings, data, release) if data else generated(settings, scale)
    supplies = [supply for supply in found if supply.source in sources]
    is_new = _make_room(console, {supply.source: supply.what for supply in supplies}, fresh=fresh)
    _feed(console, supplies, replace=is_new)
    with console.status("loading the definitions"):
        from cinestream_platform.marts.project import ensure_manifest

        ensure_manifest()
        prepare_instance(settings)
        from cinestream_platform.commands.demo_summary import Summary

    summary = Summary(console, [supply.source for supply in supplies])
    summary.run(settings.home_dir / "demo.log")
    planted = [supply.planted for supply in supplies if supply.planted is not None]
    problems = summary.print(sum(planted) if len(planted) == len(supplies) else None)
    _print_next_steps(console, time.monotonic() - started, is_sample=data is None)
    return 1 if problems else 0


def _make_room(console: Console, data: dict[str, str], *, fresh: bool) -> bool:
    """Empty the warehouse if it holds other data of a source, and say so; a release is a world of its own."""
    marker = get_settings().home_dir / MARKER
    known = json.loads(marker.read_text()) if marker.is_file() else {"data": {}, "keys": []}
    others = foreign_files(known["keys"])
    differs = any(known["data"].get(source, what) != what for source, what in data.items())
    if differs and others and not fresh:
        raise DemoError(
            f"this warehouse holds {'; '.join(known['data'].values())} and files of yours ({', '.join(others[:3])}); "
            "user ids of two releases are different people. Use another CINESTREAM_HOME, or --fresh (make demo FRESH=1)"
            " to empty it."
        )
    if fresh or differs:
        console.print("emptied       the warehouse, for a release is its own world")
        empty_warehouse(known["keys"] + (others if fresh else []))
        known = {"data": {}, "keys": []}
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"data": known["data"] | data, "keys": sorted(known["keys"])}))
    return fresh or differs


def _feed(console: Console, supplies: list[Supply], *, replace: bool) -> None:
    """Land each source's files, or fill its operational database."""
    for supply in supplies:
        if supply.files:
            keys = [key for path in supply.files for key in _land(supply.source, path)]
            where = f"{len(keys)} files in {get_settings().landing}/{supply.source}/"
            console.print(f"landed        {where}", soft_wrap=True, highlight=False)
        if supply.load:
            with console.status(f"filling the database {get_settings().dvdrental_database}"):
                supply.load(replace)
            console.print(f"database      {get_settings().dvdrental_database}: {supply.what}", soft_wrap=True)
    settle = get_settings().landing_settle_seconds if open_landing(get_settings()).is_folder else 0
    time.sleep(settle + 0.1 if settle else 0)


def _land(source: str, path: Path) -> list[str]:
    """Land files, and note that they are the demo's."""
    marker = get_settings().home_dir / MARKER
    known: dict[str, Any] = json.loads(marker.read_text())
    try:
        keys = list(land_path(source, path, own=known["keys"]))
    except KeyTakenError as error:
        raise DemoError(f"{error} The demo does neither: use another CINESTREAM_HOME, or --fresh.") from error
    marker.write_text(json.dumps(known | {"keys": sorted({*known["keys"], *keys})}))
    return keys


def _print_next_steps(console: Console, seconds: float, *, is_sample: bool) -> None:
    settings = get_settings()
    home = "" if settings.home == Path(".cinestream") else f"CINESTREAM_HOME={settings.home} "
    console.print(f"\nDone in {seconds:,.0f} s. What next:", style="bold")
    for what, how in (
        ("Dagster UI", f"{home}make ui   then http://127.0.0.1:3000 (runs, checks and lineage of this demo are there)"),
        ("psql", f'psql "$({home}.venv/bin/cinestream dsn --role data_analyst)"'),
        ("drop a file", f"into {settings.landing}/movielens/ratings/ while the UI runs, or"),
        ("", f"{home}.venv/bin/cinestream land movielens my-ratings.csv --dataset ratings"),
        ("raw data", f"{home}.venv/bin/cinestream explore movielens"),
        ("ledger", f"{home}.venv/bin/cinestream status --files"),
        ("undo a file", f"{home}.venv/bin/cinestream retract movielens/ratings/ratings.csv"),
        *(
            [("real files", "make demo DATA=<folder with movielens/, chinook/, dvdrental/, netflix/>")]
            if is_sample
            else []
        ),
    ):
        console.print(f"  {what:<12}{how}", markup=False, highlight=False, soft_wrap=True)
