"""Generate files of a source in the publisher's formats."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cinestream_platform.declarations.sample import SampleCounts
from cinestream_platform.messages import counted
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.chinook.sample import generator as chinook
from cinestream_platform.sources.movielens.sample import generator as movielens
from cinestream_platform.sources.netflix.sample import generator as netflix

QUIET_SECONDS = 2.0
"""What takes no longer shows no progress."""


def generate(
    source: str, folder: Path | None, *, scale: float, seed: int, clean: bool, ratings: int | None, dirty: float | None
) -> Iterator[str]:
    """Write the files of one sample, by default below the home; say what is in them.

    Args:
        source: movielens, chinook or netflix.
        folder: Where the files go; by default ``sample/<source>`` in the home.
        scale: Size of the sample; of netflix 100,000 ratings, if ``ratings`` does not say how many.
        seed: Another seed gives other files.
        clean: Without the planted dirt.
        ratings: Good ratings; netflix only.
        dirty: Bad records per good rating; netflix only.

    Raises:
        SampleSizeError: No sample can be of that size.
    """
    folder = folder or get_settings().home_dir / "sample" / source
    made: SampleCounts
    if source == "netflix":
        rows = round(100_000 * scale) if ratings is None else ratings
        share = 0.0 if clean else (0.0001 if dirty is None else dirty)
        with _progress(rows) as follow:
            made = netflix.generate(folder, ratings=rows, seed=seed, dirty=share, progress=follow)
    else:
        write = {"movielens": movielens.generate, "chinook": chinook.generate}[source]
        made = write(folder, scale=scale, seed=seed, dirt=not clean)
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
