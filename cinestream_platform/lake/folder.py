"""A folder of this machine as an object store: listing it entry by entry, fetching, putting, deleting.

What belongs here: what an entry is (a file to be read, one that waits, one that is never read), so that no entry stops
the listing of the others. What does not: buckets (``store``), opening without following links (``regular``).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import BinaryIO

from cinestream_platform import progress
from cinestream_platform.declarations.landing_keys import MAX_KEY_BYTES, is_in_transit
from cinestream_platform.lake.stored import (
    CHUNK_BYTES,
    KeyChangedError,
    LocalCopy,
    ObjectChangedError,
    ObjectGoneError,
    StoredObject,
    storable,
)
from cinestream_platform.regular_files import NotRegularError, entered, irregular, open_in, opened_folder, shared
from cinestream_platform.services.process import account_of

IN_TRANSIT = "in transit: a part of its name begins with a dot"
_EPOCH = datetime.fromtimestamp(0, UTC)
ANYTHING = "*"
"""Any version of a file, or none."""
_MOST_WATCHED = 100_000
_watched: dict[tuple[Path, str], tuple[str, float]] = {}
"""Files whose every date is ahead of this machine's clock: since when this process has seen them unchanged."""


@dataclass(frozen=True)
class Folder:
    """A folder with everything below it. It may be a link itself; links in it are never followed."""

    path: Path

    def look(self, prefix: str = "", *, settle_seconds: float = 0.0) -> Iterator[StoredObject]:
        """Every entry whose key begins with ``prefix``, with why it is not to be read, if so.

        A file's own date counts only while it is not ahead of the clock; then the kernel's record of its last change
        does, and if that is ahead too, what this process saw. A folder that cannot be listed is an entry itself.

        Raises:
            OSError: The folder itself cannot be listed.
        """
        waiting = [tuple(prefix.split("/")[:-1])]
        while waiting:
            parts = waiting.pop()
            try:
                with opened_folder(self.path, parts) as folder, os.scandir(folder) as entries:
                    for entry in entries:
                        found = self._look_at(entry, parts, folder, settle_seconds)
                        if found is None:
                            waiting.append((*parts, entry.name))
                        elif found.key.startswith(prefix):
                            yield found
            except FileNotFoundError:
                if not parts:
                    raise
            except OSError as error:
                if not parts:
                    raise
                yield _unreadable(parts, f"{_trouble(error)}: what is in it is not seen")
            except NotRegularError:
                continue  # a link took a folder's place; the next listing sees it

    def _look_at(
        self, entry: os.DirEntry[str], parts: Sequence[str], folder: int, settle_seconds: float
    ) -> StoredObject | None:
        """What an entry is; ``None`` of a folder to be looked at."""
        name = "/".join((*parts, entry.name))
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            return _unreadable((*parts, entry.name), _trouble(error))
        key, problem, waits = storable(name), irregular(status.st_mode), None
        if is_in_transit(entry.name):
            problem, waits = None, IN_TRANSIT
        elif stat.S_ISDIR(status.st_mode):
            if len(os.fsencode(name)) < MAX_KEY_BYTES:
                return None
            problem = f"its path is longer than {MAX_KEY_BYTES:,} bytes; what is in it is not seen"
        elif problem is None:
            waits = self._why_it_waits(entry.name, key, status, folder, settle_seconds)
        return StoredObject(key, _etag(status), status.st_size, _changed_at(status), problem, waits)

    def _why_it_waits(
        self, name: str, key: str, status: os.stat_result, folder: int, settle_seconds: float
    ) -> str | None:
        if problem := shared(status):
            return problem  # not for good: some programs link a file to its final name and then remove the first
        # Most files are open to all; the others cost a call each.
        if status.st_mode & 0o444 != 0o444 and not os.access(name, os.R_OK, dir_fd=folder, effective_ids=True):
            return _denied()
        return self._unrest(key, status, settle_seconds) if settle_seconds > 0 else None

    def _unrest(self, key: str, status: os.stat_result, settle_seconds: float) -> str | None:
        """Why a file cannot be taken for whole yet: a copy in progress already shows."""
        now = time.time()
        for changed in (status.st_mtime, status.st_ctime):
            if changed <= now - settle_seconds:
                return None
            if changed <= now:
                return f"still being written: it is read once it has rested for {settle_seconds:g} s"
        version, tick = f"{_etag(status)} {status.st_ctime_ns}", time.monotonic()
        seen, since = _watched.get((self.path, key), ("", tick))
        if seen == version and tick - since >= settle_seconds:
            return None
        if seen != version:
            if len(_watched) >= _MOST_WATCHED:
                _watched.clear()
            _watched[self.path, key] = (version, tick)
        return f"dated ahead of this machine's clock: it is read once it was seen unchanged for {settle_seconds:g} s"

    def fetch(self, version: StoredObject, target: Path) -> LocalCopy:
        """Copy exactly the listed version to ``target``, whatever takes its name meanwhile.

        Raises:
            ObjectChangedError: The file is another one, or changed while it was read.
            ObjectGoneError: The file is gone.
            NotRegularError: There is no regular file under that name.
        """
        *folders, name = version.key.split("/")
        digest, size = hashlib.sha256(), 0
        try:
            with entered(self.path, folders) as folder, open_in(folder, name) as source:
                before = os.fstat(source.fileno())
                if _etag(before) != version.etag or before.st_size != version.size:
                    raise ObjectChangedError(f"{version.key} changed after it was listed")
                with target.open("wb") as sink:
                    while chunk := source.read(CHUNK_BYTES):
                        progress.note(f"bytes of {version.key}")
                        digest.update(chunk)
                        size += sink.write(chunk)
                # By its name: another file may have taken it, and is then the version that counts.
                after = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if _etag(after) != version.etag or size != version.size:
                    raise ObjectChangedError(f"{version.key} changed while it was read")
        except FileNotFoundError as error:
            raise ObjectGoneError(f"{version.key} is gone") from error
        except PermissionError as error:
            raise PermissionError(error.errno, _denied(), version.key) from error
        return LocalCopy(target, size, digest.hexdigest())

    def require_regular(self, key: str) -> None:
        """See to it that whoever opens ``key`` by its path, a pattern perhaps, is led out of the folder by no link.

        Raises:
            NotRegularError: A folder on the way or a file that the pattern takes is a link, or no file at all.
        """
        *folders, pattern = key.split("/")
        with suppress(FileNotFoundError), opened_folder(self.path, folders) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if fnmatchcase(entry.name, pattern) and not entry.is_file(follow_symlinks=False):
                    raise NotRegularError(f"{'/'.join((*folders, entry.name))} in {self.path} is not a regular file")

    def put(self, key: str, source: BinaryIO, *, over: str | None = ANYTHING) -> None:
        """Store the rest of an opened file under ``key``: readers see the old file or the whole new one.

        ``over`` is the version that may be replaced, ``None`` if there must be none. File and new folders are as open
        to other accounts as the folder they are put in, whatever the umask.

        Raises:
            KeyChangedError: Another file lies there than may be replaced.
        """
        *folders, name = key.split("/")
        self._make_folders(folders)
        with entered(self.path, folders) as folder:
            temporary = f".{secrets.token_hex(8)}.part"  # in transit, as listings see it
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb", buffering=0) as sink:
                    os.fchmod(descriptor, 0o600 | os.fstat(folder).st_mode & 0o044)
                    shutil.copyfileobj(source, sink, CHUNK_BYTES)
                _put_name(temporary, name, folder, over)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def _make_folders(self, parts: Sequence[str]) -> None:
        for depth, part in enumerate(parts):
            with entered(self.path, parts[:depth]) as folder:
                try:
                    os.mkdir(part, 0o700, dir_fd=folder)
                except FileExistsError:
                    continue
                mode = stat.S_IMODE(os.fstat(folder).st_mode)
            with opened_folder(self.path, parts[: depth + 1]) as made:
                os.fchmod(made, mode & 0o777 | 0o700)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files; those that are gone already are not an error."""
        for key in keys:
            *folders, name = key.split("/")
            with suppress(FileNotFoundError, NotRegularError), entered(self.path, folders) as folder:
                os.unlink(name, dir_fd=folder)


def _put_name(temporary: str, name: str, folder: int, over: str | None) -> None:
    """Give a written file its name, if what has that name may be replaced.

    Where nothing may be, the kernel sees to it. Of a replaced file the version is compared right before: a folder knows
    no condition for that.
    """
    if over is None:
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError as error:
            raise KeyChangedError(f"a file {name} has appeared") from error
        except OSError:  # a file system without hard links
            if _version(name, folder) is not None:
                raise KeyChangedError(f"a file {name} has appeared") from None
        else:
            os.unlink(temporary, dir_fd=folder)
            return
    elif over != ANYTHING and _version(name, folder) != over:
        raise KeyChangedError(f"the file {name} has changed")
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _version(name: str, folder: int) -> str | None:
    try:
        return _etag(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _etag(status: os.stat_result) -> str:
    """The version of a file as the Rust object_store writes it, by which ledgers know what is loaded."""
    microseconds = max(0, status.st_mtime_ns) // 1000
    return f'"{status.st_ino:x}-{microseconds:x}-{status.st_size:x}"'


def _changed_at(status: os.stat_result) -> datetime:
    """A file's date. Of one that is dated ahead, when that was done: else it would be the newest for years."""
    nanoseconds = min(status.st_mtime_ns, status.st_ctime_ns or status.st_mtime_ns)
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:  # no year that Python or Postgres know
        return _EPOCH


def _unreadable(parts: Sequence[str], why: str) -> StoredObject:
    return StoredObject(storable("/".join(parts)), "", 0, _EPOCH, waits=why)


def _trouble(error: OSError) -> str:
    return _denied() if isinstance(error, PermissionError) else f"it cannot be looked at ({error.strerror})"


def _denied() -> str:
    return f"permission denied for account {_account()}"


@cache
def _account() -> str:
    return account_of(os.geteuid()).name
