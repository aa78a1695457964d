"""``cinestream fetch netflix``: where the data set is to be had, and the landing of an archive of it."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from cinestream_platform.commands.files import land_planned, plan_landing
from cinestream_platform.commands.replacing import Landing
from cinestream_platform.messages import counted
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.netflix.release import RATINGS, TITLES, WHERE_IT_IS, printable, release_files

SOURCE = "netflix"
_NAMED_AT_MOST = 20
_LONG_SECONDS = 2.0


def fetch_netflix(archive: Path | None, *, name: str | None = None, replace: bool = False) -> Iterator[str]:
    """Land an archive or an unpacked folder; without one, say where the data set is. Lines for people."""
    if archive is None:
        yield WHERE_IT_IS
        return
    archive = archive.resolve() if archive.is_symlink() else archive  # who names a link means what it leads to
    downloads = get_settings().home_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="netflix-", dir=downloads) as scratch:
        with _progress(f"reading {archive.name}") as advance:
            found = release_files(archive, Path(scratch), progress=advance)
        yield from _about_left_out(found.left_out)
        if found.joined:
            yield f"joined {counted(found.films, 'file')} of films to {len(found.joined):,}"
        landings = [landing for dataset, path in found.files for landing in _planned(dataset, path, name)]
        landed = land_planned(landings, replace=replace)
        for landing in landings:
            with _progress(f"landing {landing.path.name} ({landing.path.stat().st_size:,} bytes)"):
                line = next(landed)
            yield line
    for dataset in (RATINGS, TITLES):
        if dataset not in dict(found.files):
            yield f"warning: {archive} holds no {dataset}"


def _planned(dataset: str, path: Path, name: str | None) -> list[Landing]:
    return plan_landing(SOURCE, path, dataset=dataset, name=f"{name}/{path.name}" if name else None)


def _about_left_out(names: list[str]) -> Iterator[str]:
    for name in names[:_NAMED_AT_MOST]:
        yield f"left out {name}"
    if len(names) > _NAMED_AT_MOST:
        yield f"left out {len(names) - _NAMED_AT_MOST:,} more"


@contextmanager
def _progress(text: str) -> Iterator[Callable[[int], None]]:
    """A line on stderr while something takes its time; gone when it is done. In a log, a line after two seconds."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    if not console.is_terminal:
        timer = threading.Timer(_LONG_SECONDS, console.print, [f"{printable(text)} …"], {"markup": False})
        timer.start()
        try:
            yield lambda _: None
        finally:
            timer.cancel()
        return
    # Redirected, what is printed to stdout would come out at stderr.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(printable(text).replace("[", r"\["), total=None)
        yield lambda count: bar.update(task, advance=count)
