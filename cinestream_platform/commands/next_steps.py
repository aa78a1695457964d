"""What to try after the demo, said about what it loaded: commands that can be copied as they are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from cinestream_platform.catalog import FEEDS
from cinestream_platform.settings import Settings

Step = tuple[str, str]
"""What, and how."""


def next_steps(settings: Settings, sources: Sequence[str], keys: Sequence[str], *, is_sample: bool) -> Iterator[Step]:
    """Advice on what was loaded.

    Args:
        settings: The home and the landing zone that the commands must name.
        sources: What was loaded; the first is the example.
        keys: Keys of the landed files.
        is_sample: Whether it was a generated sample.
    """
    home = (
        "" if settings.home == Path(".cinestream").absolute() else f"CINESTREAM_HOME={shlex.quote(str(settings.home))} "
    )
    command = f"{home}.venv/bin/cinestream"
    yield "Dagster UI", f"{home}make ui   then http://127.0.0.1:3000 (runs, checks and lineage of this demo are there)"
    yield "pages", f"http://127.0.0.1:3002 while the UI runs (is it fresh, is it right); alone: {command} dashboards"
    yield "SQL", f"{command} psql --role data_analyst"
    yield "state", f"{command} status   (every file: --files)"
    if sources:
        yield "raw data", f"{command} explore {sources[0]}"
    if key := _example(keys):
        source, dataset, *_, name = key.split("/")
        ending = "".join(PurePosixPath(name).suffixes[-1:])
        mine = f"my-{dataset}{ending}"
        yield "drop a file", f"{command} land {source} {mine} --dataset {dataset}   (while the UI runs)"
        yield "undo a file", f"{command} retract {shlex.quote(key)}"
    elif sources:
        yield "change a row", f"in the database of {sources[0]}, while the UI runs: it is extracted within a minute"
    if is_sample:
        yield "real files", "make demo DATA=<folder>   (README.md, Real files, says what belongs in it)"


def _example(keys: Sequence[str]) -> str | None:
    """A file of events rather than one of reference data: what it touches is a partition, and rebuilt in seconds."""
    events = {feed.prefix for feed in FEEDS if feed.event_time}
    return next((key for key in keys if key.startswith(tuple(events))), keys[0] if keys else None)
