"""What an entry of somebody else's archive may be: its path, its size, and how many there may be.

What belongs here: the rules that hold for every form of archive, and the errors that say which entry broke one. How a
form is read belongs to ``archives``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from cinestream_platform.errors import CineStreamError

# Deflate cannot do better than 1032:1, and text compresses about 5:1; a tiny entry may pass the ratio by chance.
RATIO_APPLIES_FROM_BYTES = 1024 * 1024
MAX_MEMBERS = 100_000
_MAX_FOLDERS_DEEP = 32


class UnsafeArchiveError(CineStreamError):
    """The archive holds an entry that must not be unpacked; the message names it. Nothing was unpacked."""


class CorruptArchiveError(CineStreamError):
    """The file is not an archive, is cut, or an entry's checksum is wrong. Nothing was unpacked."""


class DiskTooSmallError(CineStreamError):
    """The unpacked files would not fit. Nothing was unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes:
        max_bytes: Most bytes that all entries together may have once unpacked, archives among them included.
        max_ratio: Most unpacked bytes per packed byte.
        max_entries: Most entries, those of archives in the archive included.
    """

    max_bytes: int
    max_ratio: float
    max_entries: int = MAX_MEMBERS


class Budget:
    """What one archive, with the archives in it, has taken of its limits so far."""

    def __init__(self, limits: Limits, archive_bytes: int, progress: Callable[[int], None] | None = None) -> None:
        """A new one; ``progress`` is called with the number of bytes whenever some were written."""
        self.limits = limits
        self.written = progress or (lambda _: None)
        self._archive_bytes = archive_bytes
        self._bytes = 0
        self._members = 0

    def count(self, name: str) -> None:
        """One more entry, be it a file or a folder.

        Raises:
            UnsafeArchiveError: There are too many.
        """
        self._members += 1
        if self._members > self.limits.max_entries:
            raise UnsafeArchiveError(f"entry {name!r} is one more than the {self.limits.max_entries:,} allowed")

    def take(self, name: str, unpacked: int, *, is_nested: bool) -> None:
        """A file of that many bytes is going to be written.

        Raises:
            UnsafeArchiveError: It goes over the size in total or, in an archive inside the archive, over the ratio of
                all that was unpacked to the outermost archive.
        """
        self._bytes += unpacked
        if self._bytes > self.limits.max_bytes:
            raise UnsafeArchiveError(f"entry {name!r} takes the unpacked size over {self.limits.max_bytes:,} bytes")
        if is_nested:
            self.check_ratio(f"entry {name!r} is in an archive that", self._archive_bytes, self._bytes)

    def check_ratio(self, subject: str, packed: int, unpacked: int) -> None:
        """Compare packed with unpacked bytes.

        Raises:
            UnsafeArchiveError: They are too far apart; the message begins with ``subject``.
        """
        packed = max(1, packed)
        if unpacked >= RATIO_APPLIES_FROM_BYTES and unpacked > self.limits.max_ratio * packed:
            raise UnsafeArchiveError(
                f"{subject} unpacks {packed:,} bytes to {unpacked:,}, over {self.limits.max_ratio:g} times"
            )


class EntryPaths:
    """The paths of an archive's files, each checked when it is added."""

    def __init__(self) -> None:
        self.paths: list[PurePosixPath] = []
        self._files: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = set()

    def add(self, name: str) -> PurePosixPath:
        """Note a file.

        Raises:
            UnsafeArchiveError: Its path leaves the destination, or another entry has it.
        """
        path = inner_path(name, is_folder=False)
        taken = {path, *path.parents} & self._files or {path} & self._folders
        if taken:
            raise UnsafeArchiveError(f"entry {str(taken.pop())!r} occurs twice in the archive")
        self.paths.append(path)
        self._files.add(path)
        self._folders.update(path.parents)
        return path


def inner_path(name: str, *, is_folder: bool) -> PurePosixPath:
    """The path of an entry below the destination.

    Raises:
        UnsafeArchiveError: It leaves the destination, or would do so on another system.
    """
    path = PurePosixPath(name)
    # A backslash or a drive letter is harmless here and an escape on Windows, where the same archive may be unpacked.
    is_odd = path.is_absolute() or ".." in path.parts or any(sign in name for sign in ("\\", ":", "\0"))
    if is_odd or not (path.parts or is_folder):
        raise UnsafeArchiveError(f"entry {name!r} has a path that does not stay inside the destination folder")
    if len(path.parts) > _MAX_FOLDERS_DEEP:
        raise UnsafeArchiveError(f"entry {name!r} lies more than {_MAX_FOLDERS_DEEP} folders deep")
    return path
