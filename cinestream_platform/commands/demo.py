"""``cinestream demo``: land files, materialize everything in this process, and say what was done.

The demo uses the home's own Dagster instance, so that ``make ui`` shows its runs, materializations and checks.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cinestream_platform.catalog import CATALOG, table_keys
from cinestream_platform.commands.demo_data import choose, described
from cinestream_platform.commands.demo_sources import DemoError, generated
from cinestream_platform.commands.files import land_planned, plan_landing
from cinestream_platform.commands.instance import prepare_instance
from cinestream_platform.commands.next_steps import next_steps
from cinestream_platform.commands.replacing import KeyTakenError, Landing, find_equal
from cinestream_platform.commands.reset import empty_warehouse, foreign_files
from cinestream_platform.commands.tables import say
from cinestream_platform.commands.working import working
from cinestream_platform.declarations.release import Supply
from cinestream_platform.lake.store import open_landing
from cinestream_platform.ledger.landed_files import settled_keys
from cinestream_platform.messages import counted
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect

MARKER = "demo.json"


def run_demo(
    settings: Settings,
    data: Path | None,
    *,
    release: str | None,
    scale: float,
    sources: Collection[str],
    fresh: bool,
) -> int:
    """Run the demo of these sources, or of all; 0 if everything was loaded, built and checked as it should be.

    What was made by an earlier one and is not stale is left as it is.
    """
    console = Console(file=sys.stdout)
    started = time.monotonic()
    sources = sources or CATALOG.names
    choices = choose(settings, data, release, sources) if data else []
    for line in described(data, choices) if data else ():
        say(console, line)
    with working(console, "starting Postgres"):
        from cinestream_platform.orchestration.warehouse import start_and_prepare

        target = start_and_prepare(CATALOG, settings)
    say(console, f"Postgres      {target}")
    supplies = [choice.supply for choice in choices if choice.supply]
    if data is None:
        with working(console, "making files"):
            supplies = generated(settings, scale, sources)
    is_new = _make_room(console, settings, {supply.source: supply.what for supply in supplies}, fresh=fresh)
    keys = _feed(console, settings, target, supplies, replace=is_new)
    with working(console, "loading the definitions"):
        from cinestream_platform.marts.project import ensure_manifest

        ensure_manifest(settings)
        prepare_instance(settings)
        from cinestream_platform.commands.demo_summary import Summary

    summary = Summary(console, settings, [supply.source for supply in supplies])
    summary.run(settings.home_dir / "demo.log")
    planted = [supply.planted for supply in supplies if supply.planted is not None]
    problems = summary.print(sum(planted) if len(planted) == len(supplies) else None)
    console.print(f"\nDone in {time.monotonic() - started:,.0f} s. What next:", style="bold")
    for what, how in next_steps(settings, [supply.source for supply in supplies], keys, is_sample=data is None):
        say(console, f"  {what:<14}{how}")
    return 1 if problems else 0


def _make_room(console: Console, settings: Settings, data: dict[str, str], *, fresh: bool) -> bool:
    """Empty the warehouse if it holds other data of a source, and say so; a release is a world of its own."""
    marker = settings.home_dir / MARKER
    known = json.loads(marker.read_text()) if marker.is_file() else {"data": {}, "keys": []}
    others = foreign_files(settings, known["keys"])
    differs = any(known["data"].get(source, what) != what for source, what in data.items())
    if differs and others and not fresh:
        raise DemoError(
            f"this warehouse holds {'; '.join(known['data'].values())} and files of yours ({', '.join(others[:3])}); "
            "user ids of two releases are different people. Use another CINESTREAM_HOME, or --fresh (make demo FRESH=1)"
            " to empty it."
        )
    if fresh or differs:
        say(console, "emptied       the warehouse, for a release is its own world")
        empty_warehouse(settings, known["keys"] + (others if fresh else []))
        known = {"data": {}, "keys": []}
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"data": known["data"] | data, "keys": sorted(known["keys"])}))
    return fresh or differs


def _feed(
    console: Console, settings: Settings, target: PostgresTarget, supplies: list[Supply], *, replace: bool
) -> list[str]:
    """Land each source's files, or fill its operational database; the keys of its files."""
    keys: list[str] = []
    news = 0
    for supply in supplies:
        if supply.files:
            landings = [landing for path in supply.files for landing in plan_landing(supply.source, path)]
            settled = settled_landings(settings, target, landings)
            landed = _land(settings, [landing for landing in landings if landing.key not in settled])
            where = f"{settings.landing}/{supply.source}/"
            if landed:
                say(console, f"landed        {counted(landed, 'file')} in {where}")
            if settled:
                say(console, f"up to date    {counted(len(settled), 'file')} in {where}: landed and loaded before")
            keys += [landing.key for landing in landings]
            news += landed
        if supply.load:
            with working(console, f"filling the database {supply.place}"):
                supply.load(replace)
            say(console, f"database      {supply.place}: {supply.what}")
    settle = settings.landing_settle_seconds if news and open_landing(settings).is_folder else 0
    time.sleep(settle + 0.1 if settle else 0)
    return keys


def settled_landings(settings: Settings, target: PostgresTarget, landings: Sequence[Landing]) -> set[str]:
    """Keys of files that need not land again: they lie there, and their tables are loaded, after those of others."""
    tables = {landing.key: {table_key for table_key, _ in table_keys(landing.key)} for landing in landings}
    with connect(target) as conn:
        settled = settled_keys(conn, settings.landing, set().union(*tables.values()))
    loaded = [landing for landing in landings if tables[landing.key] <= settled]
    return find_equal(open_landing(settings), loaded)


def _land(settings: Settings, landings: Sequence[Landing]) -> int:
    """Land files, and note that they are the demo's; how many."""
    marker = settings.home_dir / MARKER
    known: dict[str, Any] = json.loads(marker.read_text())
    try:
        for _ in land_planned(settings, landings, own=known["keys"]):
            pass
    except KeyTakenError as error:
        raise DemoError(f"{error} The demo does neither: use another CINESTREAM_HOME, or --fresh.") from error
    keys = [landing.key for landing in landings]
    marker.write_text(json.dumps(known | {"keys": sorted({*known["keys"], *keys})}))
    return len(keys)
