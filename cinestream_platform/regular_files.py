"""Opening files in folders that others write to: regular files only, and no link anywhere on the way.

Each part of a path is opened by itself and never followed, so that a link that takes the place of a file or folder
after it was looked at is refused as well. Only the folder where the way begins may be a link: who named it chose it.
What does not belong here: which files are wanted (``folder`` and the command line).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BufferedReader, FileIO
from pathlib import Path

from cinestream_platform.errors import CineStreamError

# O_PATH (Linux) needs no right to list a folder, only to enter it.
_PASS_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a FIFO would wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PROTECTED_HARD_LINKS = "/proc/sys/fs/protected_hardlinks"
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO (named pipe)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISDIR, "a folder"),
)


class NotRegularError(CineStreamError):
    """There is no regular file but a link, a FIFO, a device or the like, which is never read."""


def irregular(mode: int) -> str | None:
    """Why something with this mode is not read, in words; ``None`` of a regular file."""
    if stat.S_ISREG(mode):
        return None
    kind = next((words for test, words in _KINDS if test(mode)), "no file")
    return f"it is {kind}, and only regular files are read: links are never followed. Put the file itself there"


@cache
def hard_links_are_protected() -> bool:
    """Whether this kernel lets only those link a file who may read and write it (Linux: fs.protected_hardlinks)."""
    try:
        return Path(_PROTECTED_HARD_LINKS).read_text().strip() == "1"
    except OSError:
        return False


def shared(status: os.stat_result) -> str | None:
    """Why a file with several names is not read: elsewhere than here it may be somebody's secret.

    Who can link a file can read it anyway where the kernel protects hard links, as Linux does by default.
    """
    if status.st_nlink <= 1 or hard_links_are_protected():
        return None
    return (
        f"it has {status.st_nlink:,} names (hard links), and this kernel lets anybody link files that he cannot read. "
        "Copy it there"
    )


@contextmanager
def entered(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """The descriptor of a folder below ``root``, good for ``dir_fd`` only.

    Raises:
        NotRegularError: A part of the way is not a folder but, say, a link.
        OSError: A folder is missing, or closed to this account.
    """
    folder = os.open(root, _PASS_THROUGH)
    try:
        for part in parts:
            below = _enter(part, folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _enter(name: str, folder: int) -> int:
    try:
        return os.open(name, _PASS_THROUGH | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise NotRegularError(f"{name!r} is not a folder, and links are never followed") from error
        raise


@contextmanager
def opened_folder(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """The descriptor of a folder below ``root`` that can be listed; raises as ``entered`` does."""
    with entered(root, parts) as folder:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield readable
    finally:
        os.close(readable)


def open_in(folder: int, name: str) -> FileIO:
    """Open a file in a folder that was entered.

    Raises:
        NotRegularError: It is not a regular file. A FIFO or a device is not opened at all.
        OSError: It is missing, or closed to this account.
    """
    _require_regular(name, os.stat(name, dir_fd=folder, follow_symlinks=False))
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link or a socket took its place
            raise NotRegularError(f"{name!r} is not a regular file any more") from error
        raise
    source = os.fdopen(descriptor, "rb", buffering=0)
    try:
        _require_regular(name, os.fstat(descriptor))
    except BaseException:
        source.close()
        raise
    return source


def _require_regular(name: str, status: os.stat_result) -> None:
    if problem := irregular(status.st_mode) or shared(status):
        raise NotRegularError(f"{name!r} is not read: {problem}")


def open_below(root: Path, name: str) -> FileIO:
    """Open the file that ``name`` (with ``/``) leads to below ``root``; raises as ``open_in`` does."""
    *folders, last = name.split("/")
    with entered(root, folders) as folder:
        return open_in(folder, last)


def open_file(path: Path) -> BufferedReader:
    """Open a file of a folder that somebody named, for readers that want a buffer; raises as ``open_in`` does."""
    return BufferedReader(open_below(path.parent, path.name))


def is_regular(path: Path) -> bool:
    """Whether there is a file that is not a link, as it is now."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def left_out(folder: Path) -> Iterator[str]:
    """The name of each entry of a folder that is neither a regular file nor a folder, and why it is not read."""
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode) and (problem := irregular(mode)):
            yield f"{path.name}: {problem}"
