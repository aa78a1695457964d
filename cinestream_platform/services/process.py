"""Accounts, processes and files of this machine, as the supervisor of the embedded PostgreSQL needs them.

What belongs here: running a command as another account, telling one process from another, locking, private files.
What does not: anything that knows how PostgreSQL is set up.
"""

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services import file_locks

# psutil derives start times from clock ticks and /proc/stat's whole seconds: two readings differ by up to a second.
SAME_START_SECONDS = 2.0


class PostgresServiceError(CineStreamError):
    """The embedded PostgreSQL cannot do what was asked; the message names the culprit and the remedy."""


@dataclass(frozen=True)
class Account:
    """An account of the operating system that commands can be run as."""

    name: str
    uid: int
    gid: int

    @property
    def popen_options(self) -> dict[str, Any]:
        """Arguments that make ``subprocess`` run as this account, detached, in a folder that everyone can enter."""
        # The server must not inherit AWS keys or PG* variables of whoever starts it; C keeps its log English.
        options: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}}
        if os.geteuid() == 0:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options | {"umask": 0o077, "start_new_session": True}

    def run(
        self, command: Sequence[str | Path], *, text: str | None = None, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, with ``text`` as its input.

        Raises:
            OSError: The account cannot execute the command.
            subprocess.TimeoutExpired: It took longer than ``timeout`` seconds, and was ended.
        """
        source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
        return subprocess.run(
            [str(part) for part in command],
            **source,
            **self.popen_options,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def can_run(self, command: Sequence[str | Path]) -> bool:
        """Whether the command succeeds as this account; found out by trying it."""
        try:
            return self.run(command, timeout=60).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can reach what lies in the folder; found out by trying it."""
        return self.can_run(["/bin/sh", "-c", 'test -x "$1"', "sh", folder])


def account_of(uid: int) -> Account:
    """The account with this user id; a uid without an entry (usual in containers) is named by its number."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, os.getegid() if uid == os.geteuid() else uid)
    return Account(entry.pw_name, uid, entry.pw_gid)


def server_account() -> Account:
    """The account that a new server runs as: ourselves, or, as PostgreSQL refuses root, an unprivileged one.

    Raises:
        PostgresServiceError: We are root and there is no such account.
    """
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    wanted = os.environ.get("CINESTREAM_POSTGRES_OS_USER")
    for name in [wanted] if wanted else ["postgres", "nobody"]:
        with suppress(KeyError):
            account = account_of(pwd.getpwnam(name).pw_uid)
            if account.uid != 0:
                return account
    raise PostgresServiceError(
        f"PostgreSQL refuses to run as root, and there is no unprivileged account {wanted or 'postgres or nobody'}. "
        "Set CINESTREAM_POSTGRES_OS_USER to an existing account other than root, or work as an ordinary user."
    )


@dataclass(frozen=True)
class ProcessMark:
    """What tells a process from a later one with the same pid."""

    pid: int
    created: float  # seconds since the epoch; moves when the clock is set
    uptime: float  # seconds from the machine's boot to the process' start; the same for two boots only by chance

    @classmethod
    def of(cls, process: psutil.Process) -> "ProcessMark":
        """The mark of a live process; raises ``psutil.Error`` when it is gone."""
        created = process.create_time()
        return cls(process.pid, created, created - psutil.boot_time())

    def same_process_as(self, other: "ProcessMark") -> bool:
        """Whether both were taken from one process; a clock set in between does not matter."""
        apart = min(abs(self.created - other.created), abs(self.uptime - other.uptime))
        return self.pid == other.pid and apart < SAME_START_SECONDS

    def as_dict(self) -> dict[str, float]:
        """The mark as JSON values."""
        return asdict(self)


def is_alive(process: psutil.Process) -> bool:
    """Whether the process still runs; one that nobody has reaped (usual in containers) does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def exclusive_lock(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock file; the kernel frees it when the holder dies, however it dies.

    Raises:
        PostgresServiceError: Another process held it for ``timeout`` seconds.
    """
    # Not inheritable (Python's default), so that a server started under the lock does not go on holding it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait_for_lock(descriptor, path, timeout)
        yield
    finally:
        with suppress(OSError):
            file_locks.unlock(descriptor)
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not file_locks.try_lock(descriptor):
        if time.monotonic() > deadline:
            raise PostgresServiceError(
                f"{path}: another process has been starting or stopping this PostgreSQL for over {timeout:.0f} s. "
                f"`fuser {path}` names it; wait for it or end it, then try again."
            )
        time.sleep(0.05)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, closed to other accounts whatever the umask."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file with these permissions from its first moment; readers see all of it or the former one.

    It belongs to the owner of its folder.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mkstemp opens with 0600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            if os.geteuid() == 0:  # in another account's home, what root writes is that account's to read
                owner = path.parent.stat()
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
