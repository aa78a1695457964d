"""Free space: what is kept free on every disk that loads, builds and extractions write to, and whether it still is.

A warehouse that fills its disk stops its own server: PostgreSQL panics when it cannot write its log. So nothing begins
while less than the reserve is free, and what runs ends itself while half of it still is.
"""

import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services.cluster import read_state, room_of
from cinestream_platform.settings import Settings

SMALL_DISK_SHARE = 0.05
LOOK_SECONDS = 1.0
"""A running load or build looks at most so often; a disk takes some hundred MB a second."""
_looked_at = float("-inf")


class DiskFullError(CineStreamError):
    """A disk has less free space than is kept free; the message says which, and what to do."""


@dataclass(frozen=True)
class Disk:
    """A file system that the platform writes to."""

    uses: tuple[str, ...]  # "home", "Postgres", "lake", "scratch"
    folder: Path
    total: int  # bytes
    free: int  # bytes
    reserve: int  # bytes

    def __str__(self) -> str:
        return f"{_gigabytes(self.free)} free of {_gigabytes(self.total)} at {self.folder} ({', '.join(self.uses)})"


def disks(settings: Settings) -> list[Disk]:
    """The file systems of home, embedded Postgres, lake folder and scratch space, each once."""
    by_device: dict[int, tuple[Path, list[str]]] = {}
    for use, folder in _folders(settings):
        seen = _visible(folder)
        by_device.setdefault(seen.stat().st_dev, (seen, []))[1].append(use)
    found = []
    for folder, uses in by_device.values():
        usage = shutil.disk_usage(folder)
        found.append(Disk(tuple(uses), folder, usage.total, usage.free, _reserve(settings, usage.total)))
    return found


def shortage(settings: Settings, share: float = 1.0) -> str | None:
    """What is wrong where a disk has less than this share of its reserve free, in one sentence; else ``None``."""
    short = [disk for disk in disks(settings) if disk.free < disk.reserve * share]
    if not short:
        return None
    named = "; ".join(str(disk) for disk in short)
    return (
        f"The disk is nearly full: {named}, and {_gigabytes(max(disk.reserve for disk in short))} are kept free. "
        "Make room there; work then goes on by itself."
    )


def is_for_lack_of_room(error: BaseException) -> bool:
    """Whether an error says that a disk is full, ours or Postgres': no fault of what was to be written."""
    if isinstance(error, DiskFullError) or getattr(error, "sqlstate", None) == "53100":
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(error)  # polars and obstore have no number


def keep_room(settings: Settings) -> None:
    """Give up while half of the reserve is left, for a log that must be written; called often, looks now and then.

    Raises:
        DiskFullError: A disk has less than half of its reserve free.
    """
    global _looked_at
    if time.monotonic() - _looked_at >= LOOK_SECONDS:
        _looked_at = time.monotonic()
        if reason := shortage(settings, 0.5):
            raise DiskFullError(reason)


@dataclass(frozen=True)
class Room:
    """What a load or build asks between two pieces of its work: whether there is still room for the next."""

    settings: Settings

    def keep(self) -> None:
        """As ``keep_room``."""
        keep_room(self.settings)


def _reserve(settings: Settings, total: int) -> int:
    return min(settings.disk_reserve_mb * 1_000_000, int(total * SMALL_DISK_SHARE))


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "home", settings.home_dir
    # A Postgres elsewhere watches its own disk.
    if settings.postgres_host is None and (state := read_state(room_of(settings.home_dir))):
        yield "Postgres", state.data_dir
    for use, url in (("landing zone", settings.landing), ("lake", settings.lake)):
        if url.startswith("file:"):
            yield use, Path(unquote(urlsplit(url).path))
    yield "scratch", Path(tempfile.gettempdir())


def _visible(path: Path) -> Path:
    """The folder, or the nearest one above that this user may look into: it is on the same disk more often than not."""
    for folder in (path, *path.parents):
        try:
            folder.stat()
        except OSError:
            continue
        return folder
    return Path("/")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
