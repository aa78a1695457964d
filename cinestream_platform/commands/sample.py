"""Generate files of a source in the publisher's formats."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import click

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.working import counting
from cinestream_platform.declarations.sample import SampleSize
from cinestream_platform.messages import counted
from cinestream_platform.settings import Settings


def generate(settings: Settings, name: str, folder: Path | None, size: SampleSize) -> Iterator[str]:
    """Write the files of one sample, by default below the home (``sample/<source>``); say what is in them.

    Raises:
        click.UsageError: The source has no such sample.
        SampleSizeError: No sample can be of that size.
    """
    folder = folder or settings.home_dir / "sample" / name
    source = CATALOG.source(name)
    if source is None or source.sample is None:
        raise click.UsageError(f"there is no sample of {name}")
    sample = source.sample()
    if not sample.has_options and (size.ratings is not None or size.dirty is not None):
        having = ", ".join(other.name for other in CATALOG.sources if other.sample and other.sample().has_options)
        raise click.UsageError(f"--ratings and --dirty are options for {having}; use --scale for {name}")
    records = sample.records(size)
    with counting("ratings", records) if records else nullcontext() as advance:
        made = sample.generate(folder, size, _up_to(advance) if advance else None)
    for dataset, count in made.rows.items():
        yield f"{dataset}: {counted(count, 'record')}, {sum(made.planted[dataset].values()):,} to be rejected"
    yield f"The files are in {folder}."


def _up_to(advance: Callable[[int], None]) -> Callable[[int], None]:
    """What is told how many records are written by now, and hands on how many these are more."""
    told = 0

    def follow(written: int) -> None:
        nonlocal told
        advance(written - told)
        told = written

    return follow
