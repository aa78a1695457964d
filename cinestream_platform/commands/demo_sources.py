"""What the demo feeds each source with: the publisher's files where there are any, else generated ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.regular import is_regular
from cinestream_platform.settings import Settings

LEAST_NETFLIX_RATINGS = 20_000
"""Among fewer the planted dirt would be too large a share of a file."""


class DemoError(CineStreamError):
    """The demo cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Supply:
    """What a source is fed with.

    ``what`` tells it from others. ``files`` are files or folders to land; or ``load`` fills an operational database
    (anew if it is told to replace what is there). ``planted`` bad records are among it, if that is known.
    """

    source: str
    what: str
    files: tuple[Path, ...] = ()
    load: Callable[[bool], object] | None = None
    planted: int | None = None


def published_files(settings: Settings, data: Path, release: str) -> list[Supply]:
    """What lies in a folder with one sub-folder per source; sources that it lacks are left out.

    Raises:
        DemoError: It holds nothing for any source.
    """
    if not data.is_dir():
        raise DemoError(f"there is no folder {data}. DATA is a folder with one sub-folder per source.")
    for folder in (data / source for source in ("movielens", "chinook", "dvdrental", "netflix")):
        if folder.is_symlink():
            raise DemoError(f"{folder} is a link, and links in DATA are never followed (DATA itself may be one).")
    found = [
        _movielens(data, release),
        _chinook(data / "chinook"),
        _dvdrental(settings, data / "dvdrental"),
        _netflix(settings, data / "netflix"),
    ]
    supplies = [supply for supply in found if supply]
    if not supplies:
        raise DemoError(
            f"{data} has nothing for any source: movielens/{release}/ratings.csv, chinook/Chinook_Sqlite.sqlite (or "
            "JSON, or CSV files), dvdrental/dvdrental.tar, netflix/combined_data_1.txt."
        )
    return supplies


def _movielens(data: Path, release: str) -> Supply | None:
    """``<data>/movielens/<release>``, or a folder that holds the CSV files itself."""
    root = data / "movielens" if (data / "movielens").is_dir() else data
    for folder in (root / release, root):
        if not folder.is_symlink() and is_regular(folder / "ratings.csv"):
            return Supply("movielens", str(folder), (folder,))
    if root == data:
        return None
    releases = ", ".join(sorted(path.name for path in root.iterdir() if path.is_dir())) or "none"
    raise DemoError(f"no ratings.csv in {root / release}; folders there: {releases}. Choose one with RELEASE=.")


def _chinook(folder: Path) -> Supply | None:
    """One form of the data, for all hold the same: SQLite before JSON before CSV files."""
    for pattern in ("*.sqlite", "*.json", "*.csv"):
        files = sorted(filter(is_regular, folder.glob(pattern))) if folder.is_dir() else []
        if files:
            return Supply("chinook", str(folder / pattern), tuple(files if pattern == "*.csv" else files[:1]))
    return None


def _netflix(settings: Settings, folder: Path) -> Supply | None:
    """The files of both layouts, at any depth; those of single films joined if they are many."""
    from cinestream_platform.sources.netflix.release import release_files

    if not folder.is_dir():
        return None
    scratch = settings.home_dir / "downloads" / "netflix-demo"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    return Supply("netflix", str(folder), tuple(path for _, path in release_files(folder, scratch).files))


def _dvdrental(settings: Settings, folder: Path) -> Supply | None:
    """The archive, restored where the operational database is ours; else the one that the settings name."""
    from cinestream_platform.sources.dvdrental.load_database import load_archive

    if settings.dvdrental_host:
        return Supply("dvdrental", f"database at {settings.dvdrental_host}")
    archives = [folder / name for name in ("dvdrental.tar", "dvdrental.zip") if is_regular(folder / name)]
    if not archives:
        return None
    return Supply(
        "dvdrental", str(archives[0]), load=lambda replace: load_archive(settings, archives[0], replace=replace)
    )


def generated(settings: Settings, scale: float) -> list[Supply]:
    """Samples of all sources, with known dirt in them."""
    from cinestream_platform.samples import chinook, movielens, netflix
    from cinestream_platform.samples.dvdrental_content import DIRT
    from cinestream_platform.sources.dvdrental.load_database import load_sample

    what = f"sample at scale {scale:g}"
    supplies = []
    for source, generate in (("movielens", movielens.generate), ("chinook", chinook.generate)):
        folder = settings.home_dir / "sample" / source
        made = generate(folder, scale=scale)
        planted = sum(sum(kinds.values()) for kinds in made.planted.values())
        supplies.append(Supply(source, what, (folder,), planted=planted))
    folder = settings.home_dir / "sample" / "netflix"
    ratings = netflix.generate(folder, ratings=max(LEAST_NETFLIX_RATINGS, round(100_000 * scale)), dirty=0.0001)
    planted = sum(sum(kinds.values()) for kinds in ratings.planted.values())
    supplies.append(Supply("netflix", what, (folder,), planted=planted))
    if settings.dvdrental_host:
        return [*supplies, Supply("dvdrental", f"database at {settings.dvdrental_host}")]
    rental = Supply(
        "dvdrental",
        what,
        load=lambda replace: load_sample(settings, scale=min(scale, 1.0), replace=replace),
        planted=sum(map(len, DIRT.values())),
    )
    return [*supplies, rental]
