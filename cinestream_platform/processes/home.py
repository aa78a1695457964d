"""One ``cinestream ui`` for each home: a lock that the kernel frees, and a look for daemons that live on."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cinestream_platform.errors import CineStreamError
from cinestream_platform.services import file_locks

LEFTOVER_SECONDS = 15.0  # children of a killed supervisor end within 8 s of it
DAEMONS = ("dagster._daemon", "dagster-daemon", "cinestream_platform.processes.child")


class UiError(CineStreamError):
    """The UI cannot be started now; the message is one sentence with the culprit and the remedy."""


@contextmanager
def claimed(home: Path, name: str, port: int) -> Iterator[None]:
    """Be the home's one UI of this name; freed when this process ends, however it ends.

    Raises:
        UiError: Another process is; the message says which.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not file_locks.try_lock(descriptor):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise UiError(
                f"another cinestream ui of {home} is alive ({holder or 'it is just starting'}): use that one, or stop "
                "it first, or set CINESTREAM_HOME to another folder."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}, http://127.0.0.1:{port}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_claimed(home: Path, name: str) -> bool:
    """Whether a UI of this home is alive. Changes nothing."""
    try:
        descriptor = os.open(home / f"{name}.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        return not file_locks.is_free(descriptor)
    finally:
        os.close(descriptor)


def require_free_port(port: int) -> None:
    """Raise ``UiError`` if somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ports in TIME_WAIT are free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UiError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): choose another one with --port … "
                "(make ui PORT=…)"
            ) from error


def require_no_daemon(home: Path) -> None:
    """Raise ``UiError`` if a Dagster daemon of this home lives; those of a supervisor just killed are waited for."""
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while found := _daemons_of(home):
        if time.monotonic() > deadline or not _is_ours(found[0]):
            raise UiError(
                f"a Dagster daemon of {home} is alive (process {found[0].pid}), and sensors would run twice: end it "
                f"first (kill {found[0].pid})."
            )
        time.sleep(0.2)


def _daemons_of(home: Path) -> list[psutil.Process]:
    folder = str(home / "dagster")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = process.cmdline()
            is_one = "daemon" in " ".join(command) and any(part.endswith(DAEMONS) for part in command)
            if is_one and process.pid != os.getpid() and process.environ().get("DAGSTER_HOME") == folder:
                found.append(process)
    return found


def _is_ours(process: psutil.Process) -> bool:
    """Whether it follows a supervisor, and so ends by itself when that one was killed."""
    with suppress(psutil.Error):
        return any(part == "--lifeline" for part in process.cmdline())
    return True
