"""A folder in memory for the session's server: most of its work is copying and dropping databases of 700 files each.

On a disk the kernel looks for a free inode for each file, past all that were deleted a moment ago: more than half of
what a database costs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "cinestream-tests-"
LOCK, HELD = "lock", "held"
"""The file that the owner of a folder locks, and one that says that it has."""
ROOM = 4 * 1024**3
"""Bytes that must be free: databases, WAL and the ballast of a server are less than 1 GB; several servers run at once."""


@contextmanager
def folder_in_memory() -> Iterator[Path | None]:
    """An empty folder in memory that every account may enter, deleted at the end; ``None`` where there is no room."""
    if not _has_room():
        yield None
        return
    _delete_what_nobody_holds()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=SHARED_MEMORY))
    folder.chmod(0o755)
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / HELD).touch()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _has_room() -> bool:
    """Containers often have 64 MB there."""
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK):
        return False
    return min(shutil.disk_usage(SHARED_MEMORY).free, psutil.virtual_memory().available) > ROOM


def _delete_what_nobody_holds() -> None:
    """Delete the folders of killed runs, which the kernel has unlocked: memory is too dear to wait for somebody."""
    for held in SHARED_MEMORY.glob(f"{PREFIX}*/{HELD}"):
        with suppress(OSError), held.with_name(LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(held.parent, ignore_errors=True)
