"""GroupLens' releases: which there are, and which one of a folder the demo takes."""

from collections.abc import Sequence
from pathlib import Path

from cinestream_platform.declarations.release import Archive, Choice, NoSuchReleaseError, Release, Supply
from cinestream_platform.regular_files import is_regular
from cinestream_platform.releases.looking import look_through
from cinestream_platform.settings import Settings
from cinestream_platform.sources.movielens.feeds import FEEDS
from cinestream_platform.sources.movielens.tables import SOURCE

DEFAULT = "ml-latest-small"
_SMALL = ("links.csv", "movies.csv", "ratings.csv", "tags.csv")
_WITH_GENOME = (*_SMALL, "genome-scores.csv", "genome-tags.csv")


def _archive(name: str, files: tuple[str, ...], md5: str | None = None) -> Archive:
    return Archive(
        f"{name}.zip",
        name,
        files,
        base_url="https://files.grouplens.org/datasets/movielens/",
        page="https://grouplens.org/datasets/movielens/",
        by_hand="unpack it and run `cinestream land movielens <folder>`",
        md5=md5,
    )


ARCHIVES = {
    # Upstream replaces "latest" from time to time, so that no checksum can be built in.
    DEFAULT: _archive(DEFAULT, _SMALL),
    "ml-25m": _archive("ml-25m", _WITH_GENOME, md5="6b51fb2759a8657d3bfcbfc42b592ada"),
    "ml-32m": _archive("ml-32m", _SMALL, md5="d472be332d4daa821edc399621853b57"),
}


def choose(settings: Settings, data: Path, release: str | None) -> Choice:
    """``<data>/movielens/<release>``, or a folder that holds the CSV files itself."""
    root = data / SOURCE if (data / SOURCE).is_dir() else data
    folders = [path for path in sorted(root.iterdir()) if _is_release(path)] if root != data else []
    if root == data and not _is_release(data):
        return Choice(SOURCE, passed=((".", "there is no folder movielens"),))
    folder = _release_folder(root, folders, release)
    if folder is None:
        reason = f"neither {root.name}/ nor a folder in it holds files of MovieLens, such as movies.csv or ratings.csv"
        return Choice(SOURCE, passed=((".", reason),))
    taken, passed = look_through(SOURCE, FEEDS, folder)
    passed += [
        (f"{other.name}/", f"another release; RELEASE={other.name} takes it") for other in folders if other != folder
    ]
    place = "" if folder == root else f"{folder.name}/"
    names = tuple(f"{place}{path.name}" for path in taken)
    supply = Supply(SOURCE, str(folder), tuple(taken))
    return Choice(SOURCE, supply, names, tuple(passed), is_data=root == data)


def _is_release(folder: Path) -> bool:
    """Whether a folder holds files of a release itself, ratings or not."""
    is_there = folder.is_dir() and not folder.is_symlink()
    return is_there and any(
        is_regular(path) and any(feed.takes(path.name) for feed in FEEDS) for path in folder.iterdir()
    )


def _release_folder(root: Path, folders: Sequence[Path], release: str | None) -> Path | None:
    """The folder of a release: the one that is named, the usual one, the folder itself, or the only one.

    Raises:
        NoSuchReleaseError: The one that is named is not there, or none is named and there are several.
    """
    there = ", ".join(folder.name for folder in folders) or "none"
    if release:
        found = next((folder for folder in folders if folder.name == release), None)
        if found is None and root.absolute().name == release and _is_release(root):
            return root
        if found is None:
            raise NoSuchReleaseError(f"{root / release} holds no file of MovieLens; releases there: {there}.")
        return found
    if root / DEFAULT in folders:
        return root / DEFAULT
    if _is_release(root):
        return root
    if len(folders) > 1:
        raise NoSuchReleaseError(f"{root} holds several releases: {there}. Choose one with RELEASE= (--release).")
    return folders[0] if folders else None


RELEASE = Release(archives=ARCHIVES, choose=choose)
