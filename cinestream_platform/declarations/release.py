"""What a publisher offers of a source: how it is fetched, and what is taken of it in a folder of files.

What belongs here: what a source's package says about that, and what commands get of it. What does not: downloads and
archives (``releases``), which files those are (``sources/<name>/release.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cinestream_platform.declarations.sample import Progress
from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings


class ReleaseError(CineStreamError):
    """A release could not be fetched or taken; the message says what to do."""


class NoSuchReleaseError(CineStreamError):
    """The release that was asked for is not in the folder, or it is not clear which one is meant."""


@dataclass(frozen=True)
class Archive:
    """One archive of a publisher.

    Attributes:
        archive: File name below the base URL. A file ``<archive>.md5`` may lie beside it.
        folder: Folder inside the archive that holds the files.
        files: The files that must be in that folder.
        base_url: Address of the publisher's folder.
        page: Where people find the archive.
        by_hand: What to do with an archive that was downloaded by hand.
        md5: Checksum of a release that never changes; None = read the publisher's ``.md5`` file each time.
        known_sha256: Checksum of an archive for which its publisher gives none. Another archive is taken as well, for
            it may be a newer one; ``warning_about`` says so.
    """

    archive: str
    folder: str
    files: tuple[str, ...]
    base_url: str
    page: str
    by_hand: str
    md5: str | None = None
    known_sha256: str | None = None


@dataclass(frozen=True)
class Taken:
    """What is taken of an archive, or of a folder that somebody unpacked.

    Attributes:
        files: Dataset and path of each file to land.
        left_out: Names of those that are not, with the reason where there is a special one.
        notes: What was done to them, for people.
        lacking: Datasets of the source that are not in it.
    """

    files: list[tuple[str, Path]]
    left_out: list[str]
    notes: list[str]
    lacking: list[str]


class Take(Protocol):
    """Finds the files of a source in an archive or a folder."""

    def __call__(self, archive: Path, scratch: Path, *, progress: Progress | None = None) -> Taken:
        """Look through it; ``scratch`` is an empty folder to unpack in, where files to land may lie.

        Raises:
            ReleaseError: It holds none, or cannot be taken.
        """
        ...


@dataclass(frozen=True)
class Supply:
    """What a source is fed with.

    ``what`` tells it from others. ``files`` are files or folders to land; or ``load`` fills the operational system
    ``place`` (anew if it is told to replace what is there). ``planted`` bad records are among it, if that is known.
    """

    source: str
    what: str
    files: tuple[Path, ...] = ()
    load: Callable[[bool], object] | None = None
    place: str = ""
    planted: int | None = None


Passed = tuple[str, str]
"""What is passed over, and why."""


@dataclass(frozen=True)
class Choice:
    """What is taken of a folder of published files (DATA) for one source.

    ``supply`` is missing if that is nothing. ``taken`` and ``passed`` are names below the source's folder, which is
    DATA itself if ``is_data``.
    """

    source: str
    supply: Supply | None = None
    taken: tuple[str, ...] = ()
    passed: tuple[Passed, ...] = ()
    is_data: bool = False


Choose = Callable[[Settings, Path, str | None], Choice]
"""Looks through DATA for one source; the name of a release may be given.

Raises ``NoSuchReleaseError`` if that is not there.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Release:
    """What a publisher offers of a source.

    Attributes:
        archives: What can be downloaded, by name; the first is what is usually meant.
        take: Takes the files of an archive that people give: one that cannot be downloaded for them.
        where: What to tell them: where it is to be had.
        choose: What the demo takes of a folder of published files; without, all files that a feed takes.
    """

    archives: Mapping[str, Archive] = field(default_factory=dict)
    take: Take | None = None
    where: str = ""
    choose: Choose | None = None

    @property
    def can_be_fetched(self) -> bool:
        """Whether there is something to download, or to take of an archive."""
        return bool(self.archives or self.take)

    def archive(self, name: str | None) -> Archive:
        """The archive of that name, or the usual one.

        Raises:
            ReleaseError: There is no such release.
        """
        name = name or next(iter(self.archives))
        if name not in self.archives:
            raise ReleaseError(f"there is no release {name!r}; there are {', '.join(self.archives)}")
        return self.archives[name]
