"""From the Netflix Prize's archive to the files that land: what is taken, what is left out, what is joined.

The original layout has a file per film. Each would be a load of its own, with partitions of its own: 17,770 of them. A
film's file opens with the line ``movieid:``, so that such files one after another are what the other layout,
``combined_data_N.txt``, is from the start. They are therefore joined, in the order of films, to files of about 512 MiB.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path

from cinestream_platform.declarations.release import Choice, Release, ReleaseError, Supply, Taken
from cinestream_platform.messages import counted, printable
from cinestream_platform.regular_files import irregular, open_file
from cinestream_platform.releases.archives import (
    CorruptArchiveError,
    DiskTooSmallError,
    Limits,
    UnsafeArchiveError,
    is_archive,
    unpack,
)
from cinestream_platform.releases.looking import none_in
from cinestream_platform.settings import Settings
from cinestream_platform.sources.netflix.tables import SOURCE

WHERE_IT_IS = """\
The Netflix Prize data set has to be downloaded by hand:
  Kaggle            https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data
                    (needs an account; archive.zip, about 700 MB)
  Internet Archive  https://archive.org/details/nf_prize_dataset.tar
                    (nf_prize_dataset.tar.gz)
Licence: for research only, and without implying that Netflix endorses it.
No redistribution and no commercial use without permission of Netflix.
Customers are pseudonyms: do not join them to other data to find people.
Then: cinestream fetch netflix <archive>"""

RATINGS = "ratings"
TITLES = "movie-titles"
JOIN_FROM_FILES = 101
JOINED_BYTES = 512 * 1024**2

# The whole is 2.1 GB at about 3:1; the original holds a tar, whose bytes count as well as those of its members.
LIMITS = Limits(max_bytes=12 * 1024**3, max_ratio=50.0)
_TAKEN = {
    RATINGS: re.compile(r"(combined_data_\d{1,4}|mv_\d{1,9}(-\d{1,9})?)\.txt", re.ASCII | re.IGNORECASE),
    TITLES: re.compile(r"movie_titles\.(csv|txt)", re.ASCII | re.IGNORECASE),
}
_FILM = re.compile(r"mv_(\d+)\.txt", re.ASCII | re.IGNORECASE)
_OPENING = re.compile(rb"[ \t]*\d+[ \t]*:[ \t]*\r?(\n|$)")
# Archives that lie in a folder when one of ours was unpacked by half, or files came from Kaggle one by one.
_ARCHIVE_IN_FOLDER = re.compile(
    r"(training_set|combined_data_\d+(\.txt)?|movie_titles(\.csv|\.txt)?)\.(zip|tar|tar\.gz|tgz)",
    re.ASCII | re.IGNORECASE,
)
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class ReleaseFiles:
    """What is in an archive or folder.

    Attributes:
        files: Dataset and path of each file to land.
        left_out: Names of those that the platform does not take, with the reason where there is a special one.
        films: Number of films' files that were joined.
        joined: What they were joined to; among ``files``.
    """

    files: list[tuple[str, Path]]
    left_out: list[str]
    films: int
    joined: list[Path]

    @property
    def notes(self) -> list[str]:
        """What was joined, for people."""
        return [f"joined {counted(self.films, 'file')} of films to {len(self.joined):,}"] if self.joined else []


def release_files(
    archive: Path,
    scratch: Path,
    *,
    limits: Limits = LIMITS,
    join_from: int = JOIN_FROM_FILES,
    joined_bytes: int = JOINED_BYTES,
    progress: Callable[[int], None] | None = None,
) -> ReleaseFiles:
    """Unpack an archive (or look through a folder), choose its files, and join those of films if they are many.

    Args:
        archive: A zip, a tar, a tar.gz, or a folder that holds the files at any depth. A folder is not changed.
        scratch: An empty folder to unpack and join in. The files to land may lie there.
        limits: What the archive may unpack to.
        join_from: From how many films' files on they are joined.
        joined_bytes: Size at which a joined file is full; one film more may go over it.
        progress: Called with a number of bytes whenever they were written.

    Raises:
        ReleaseError: It is no such archive, it is cut or unsafe, holds no file of the data set or two different ones
            of one name, or the disk is too small.
    """
    try:
        root = _unpacked(archive, scratch, limits, progress)
        found = _Chosen()
        for path, name in _files_below(root, scratch, limits, progress, found.left_out.append):
            found.add(path, name)
        if not found.files:
            raise ReleaseError(_nothing_in(archive, found.left_out))
        files, films, joined = _with_films_joined(found, scratch, join_from, joined_bytes, progress)
    except (UnsafeArchiveError, CorruptArchiveError) as error:
        culprit = "" if str(error).startswith(str(archive)) else f"{archive}: "
        raise ReleaseError(
            f"{culprit}{_ended(str(error))} Nothing was landed. Download it again: `cinestream fetch netflix` says "
            "where it is to be had."
        ) from error
    except DiskTooSmallError as error:
        raise ReleaseError(f"{error} CINESTREAM_HOME may name a folder on a larger disk.") from error
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        raise ReleaseError(
            f"{scratch}: the disk is full. Nothing was landed. Make room; CINESTREAM_HOME may name a folder on a "
            "larger disk."
        ) from error
    return ReleaseFiles(files, found.left_out, films, joined)


class _Chosen:
    """The files that are taken, one for each name, and the names of the others."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, Path, str]] = {}
        self.left_out: list[str] = []

    def add(self, path: Path, name: str) -> None:
        """Take a file if it is one of ours."""
        dataset = next((dataset for dataset, pattern in _TAKEN.items() if pattern.fullmatch(path.name)), None)
        if dataset is None:
            self.left_out.append(printable(name))
            return
        _, other, other_name = self.files.setdefault(path.name.lower(), (dataset, path, name))
        if other == path:
            return
        if not _is_same(other, path):
            raise ReleaseError(
                f"{printable(other_name)} and {printable(name)} have one name and different contents; one would "
                "replace the other. Nothing was landed. Unpack the archive, keep the right one, and give the folder."
            )
        self.left_out.append(f"{printable(name)} (the same as {printable(other_name)})")


def _is_same(one: Path, other: Path) -> bool:
    """Whether two files have one content."""
    with open_file(one) as left, open_file(other) as right:
        while chunk := left.read(_CHUNK):
            if chunk != right.read(_CHUNK):
                return False
        return not right.read(1)


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _unpacked(archive: Path, scratch: Path, limits: Limits, progress: Callable[[int], None] | None) -> Path:
    """The folder to look through."""
    if archive.is_dir():
        return archive
    if not is_archive(archive):
        dataset = next((dataset for dataset, pattern in _TAKEN.items() if pattern.fullmatch(archive.name)), None)
        if dataset:
            raise ReleaseError(f"{archive} is not an archive. Land it: `cinestream land netflix {archive}`.")
        raise ReleaseError(
            f"{archive} is not a zip, tar or tar.gz. If its download was cut, repeat it; of another form of archive, "
            "unpack it and give the folder. Nothing was landed."
        )
    folder = scratch / "unpacked"
    unpack(archive, folder, limits, progress=progress)
    return folder


def _files_below(
    root: Path,
    scratch: Path,
    limits: Limits,
    progress: Callable[[int], None] | None,
    left_out: Callable[[str], None],
) -> Iterator[tuple[Path, str]]:
    """Every file below a folder, and its name there; archives that are known by name are unpacked first."""
    inner = 0
    for path in sorted(_visible_files(root) if not root.is_relative_to(scratch) else root.rglob("*")):
        mode, name = path.lstat().st_mode, path.relative_to(root).as_posix()
        if stat.S_ISDIR(mode):
            continue
        if irregular(mode):
            left_out(f"{printable(name)} (no regular file; links are never followed)")
            continue
        if not _ARCHIVE_IN_FOLDER.fullmatch(path.name):
            yield path, name
            continue
        inner += 1
        folder = scratch / f"inner-{inner}"
        for member in unpack(path, folder, limits, progress=progress):
            yield member, f"{name}/{member.relative_to(folder).as_posix()}"


def _visible_files(root: Path) -> Iterator[Path]:
    """The files below somebody's folder. What is hidden is no download: the state of this platform may lie there."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = (name for name in folders if (Path(folder) / name).is_symlink())  # which os.walk does not follow
        yield from (Path(folder) / name for name in (*names, *links) if not name.startswith("."))


def _nothing_in(archive: Path, left_out: Sequence[str]) -> str:
    holds = f"only {', '.join(left_out[:5])}{' …' if len(left_out) > 5 else ''}" if left_out else "and is empty"
    return (
        f"{archive} holds no file of the Netflix Prize (combined_data_N.txt, mv_NNNNNNN.txt, movie_titles.csv), "
        f"{holds}. `cinestream fetch netflix` says where the data set is to be had."
    )


def _with_films_joined(
    found: _Chosen, scratch: Path, join_from: int, joined_bytes: int, progress: Callable[[int], None] | None
) -> tuple[list[tuple[str, Path]], int, list[Path]]:
    """The files to land, how many films' files are joined in them, and to what."""
    films = sorted(
        (int(match[1]), path.name, path)
        for _, path, _ in found.files.values()
        if (match := _FILM.fullmatch(path.name)) and _opens_with_film(path)
    )
    if len(films) < join_from:
        return [(dataset, path) for dataset, path, _ in found.files.values()], 0, []
    films_paths = {path for _, _, path in films}
    files = [(dataset, path) for dataset, path, _ in found.files.values() if path not in films_paths]
    names = {path.name.lower() for _, path in files}
    joined = list(_joined([(film, path) for film, _, path in films], scratch, joined_bytes, progress))
    for path in joined:
        if path.name in names:
            raise ReleaseError(
                f"{path.name} is what the files of its films would be joined to, and is there already. Nothing was "
                "landed. Remove either that file or those of the films."
            )
    return [*files, *((RATINGS, path) for path in joined)], len(films), joined


def _opens_with_film(path: Path) -> bool:
    """Whether the first line names a film; else its ratings would be taken for those of the film before it."""
    with open_file(path) as opened:
        return _OPENING.match(opened.read(64)) is not None


def _joined(
    films: Sequence[tuple[int, Path]], scratch: Path, joined_bytes: int, progress: Callable[[int], None] | None
) -> Iterator[Path]:
    """Files of films one after another, each named after its first and last film."""
    start = size = 0
    for end, (_, path) in enumerate(films, start=1):
        size += path.stat().st_size
        if size >= joined_bytes or end == len(films):
            group = films[start:end]
            yield _join(group, scratch / f"mv_{group[0][0]:07}-{group[-1][0]:07}.txt", scratch, progress)
            start, size = end, 0


def _join(
    films: Sequence[tuple[int, Path]], target: Path, scratch: Path, progress: Callable[[int], None] | None
) -> Path:
    with target.open("xb") as joined:
        for _, path in films:
            last = b""
            with open_file(path) as source:
                while chunk := source.read(_CHUNK):
                    joined.write(chunk)
                    last = chunk[-1:]
                    if progress:
                        progress(len(chunk))
            if last != b"\n":
                joined.write(b"\n")
            if path.is_relative_to(scratch):
                path.unlink()  # else the disk would have to hold everything twice
    return target


def take(archive: Path, scratch: Path, *, progress: Callable[[int], None] | None = None) -> Taken:
    """The files of an archive, or of an unpacked folder, as they are landed."""
    found = release_files(archive, scratch, progress=progress)
    lacking = [dataset for dataset in (RATINGS, TITLES) if dataset not in dict(found.files)]
    return Taken(found.files, found.left_out, found.notes, lacking)


def choose(settings: Settings, data: Path, release: str | None) -> Choice:
    """The files of both layouts, at any depth; those of single films joined if they are many."""
    folder = data / SOURCE
    if not folder.is_dir():
        return Choice(SOURCE, passed=none_in(folder))
    scratch = settings.home_dir / "downloads" / f"{SOURCE}-demo"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    found = release_files(folder, scratch)
    names = [path.name for _, path in found.files if path not in found.joined]
    if found.joined:
        names.append(f"{counted(found.films, 'file')} of films joined to {len(found.joined):,}")
    passed = tuple((name, "no file of the Netflix Prize that is to be loaded") for name in found.left_out)
    supply = Supply(SOURCE, str(folder), tuple(path for _, path in found.files))
    return Choice(SOURCE, supply, tuple(names), passed)


RELEASE = Release(take=take, where=WHERE_IT_IS, choose=choose)
