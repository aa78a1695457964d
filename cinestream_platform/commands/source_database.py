"""``cinestream load-source``: an operational system of a source, made by the platform where none is named."""

from collections.abc import Iterator
from pathlib import Path

import click

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.connector import OwnSystem
from cinestream_platform.declarations.sample import SampleSize
from cinestream_platform.messages import counted
from cinestream_platform.settings import Settings


def restore(settings: Settings, name: str, path: Path, *, replace: bool) -> Iterator[str]:
    """Restore what the publisher offers."""
    system = _system(name)
    yield _outcome(settings, system, system.restore(settings, path, replace=replace))


def generate(settings: Settings, name: str, size: SampleSize, *, replace: bool) -> Iterator[str]:
    """Make it with generated rows."""
    system = _system(name)
    sample = system.generate(settings, size, replace=replace)
    yield _outcome(settings, system, sample is not None)
    if sample:
        for table, kinds in sample.planted.items():
            yield f"{table}: {counted(sample.rows[table], 'row')}, {sum(kinds.values()):,} to be rejected"


def _system(name: str) -> OwnSystem:
    for system in CATALOG.systems:
        if system.name == name and system.own:
            return system.own()
    raise click.UsageError(f"the platform makes no operational system {name}")


def _outcome(settings: Settings, system: OwnSystem, is_new: bool) -> str:
    """What is there now, as its reader sees it."""
    found = system.describe(settings)
    return f"loaded {found}" if is_new else f"left as it was: {found}; --replace makes it anew"
