"""Generate files of a source in the publisher's formats."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.sample import SampleSize
from cinestream_platform.messages import counted
from cinestream_platform.settings import get_settings

QUIET_SECONDS = 2.0
"""What takes no longer shows no progress."""


def generate(name: str, folder: Path | None, size: SampleSize) -> Iterator[str]:
    """Write the files of one sample, by default below the home (``sample/<source>``); say what is in them.

    Raises:
        click.UsageError: The source has no such sample.
        SampleSizeError: No sample can be of that size.
    """
    folder = folder or get_settings().home_dir / "sample" / name
    source = CATALOG.source(name)
    if source is None or source.sample is None:
        raise click.UsageError(f"no files of {name} are made up")
    sample = source.sample()
    if not sample.has_options and (size.ratings is not None or size.dirty is not None):
        having = ", ".join(other.name for other in CATALOG.sources if other.sample and other.sample().has_options)
        raise click.UsageError(f"--ratings and --dirty are options of {having}; the size of {name} is its --scale")
    records = sample.records(size)
    with _progress(records) if records else nullcontext() as follow:
        made = sample.generate(folder, size, follow)
    for dataset, count in made.rows.items():
        yield f"{dataset}: {counted(count, 'record')}, {sum(made.planted[dataset].values()):,} to be rejected"
    yield f"The files are in {folder}."


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int], None]]:
    """Progress on stderr, where it does not mix with the answer, from the third second on."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task, begun = progress.add_task("ratings", total=rows), monotonic()

    def follow(written: int) -> None:
        progress.update(task, completed=written)
        if monotonic() - begun > QUIET_SECONDS:
            progress.start()

    try:
        yield follow
    finally:
        progress.stop()
