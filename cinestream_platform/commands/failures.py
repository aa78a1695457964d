"""What a command says when it fails: a line where somebody can mend it, else a traceback and where to report it.

People can mend errors of our own (``CineStreamError``), of object stores, of a Postgres that is not as it must be, and
what the machine refuses. Everything else is a fault of the platform. What does not belong here: usage errors (click's).
"""

import errno
import os
import traceback
from importlib.metadata import version

import psycopg

from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store_errors import explain, is_store_error
from cinestream_platform.messages import bounded, describe, harmless

REFUSALS = {
    errno.EACCES: "This account may not do that: change the owner or the mode, or name another path.",
    errno.EPERM: "This account may not do that: change the owner or the mode, or name another path.",
    errno.EROFS: "The file system is read-only: name another path.",
    errno.ENOSPC: "Make room on that disk, or name a path on another one.",
    errno.EDQUOT: "Make room within this account's quota, or name a path on another disk.",
    errno.EIO: "The disk or device could not be read or written: look at the system's log, or name another path.",
    errno.ESTALE: "The network's file system has lost that file: mount it anew, or name another path.",
    errno.ELOOP: "Symbolic links lead in a circle there: name another path.",
    errno.EFBIG: "That file system takes no file of that size: name a path on another one.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
    errno.ENFILE: "Too many files are open on this machine: close other programs, or raise its limit.",
    errno.ENOMEM: "This machine has no memory left: close other programs.",
    errno.EISDIR: "A folder is where a file must be: name another path.",
    errno.ENAMETOOLONG: "Name a shorter path.",
    errno.ENOTDIR: "A part of that path is a file where a folder must be: name another path.",
}
"""What a machine refuses, by error number: no fault of the platform's."""


def what_to_say(error: Exception) -> str:
    """What to print on stderr: one line, or a traceback that quotes no values and a request to report it."""
    message = _message_for_users(error)
    return f"Error: {bounded(message)}" if message is not None else _report(error)


def _message_for_users(error: Exception) -> str | None:
    """What to say where that is all it takes; ``None`` of a fault of the platform."""
    if isinstance(error, CineStreamError):
        return str(error)
    if is_store_error(error):
        return " ".join(f"{part}." for part in explain(error)).replace("..", ".")
    # Lost connections, full disks, timeouts. Wrong SQL is ours, and so is a row that breaks a constraint.
    if isinstance(error, (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege)):
        return describe(error)
    if isinstance(error, OSError) and error.errno in REFUSALS:
        culprit = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return f"{culprit}{error.strerror or os.strerror(error.errno)}. {REFUSALS[error.errno]}"
    return None


def _report(error: Exception) -> str:
    lines = "".join(traceback.format_exception(harmless(error)))
    return (
        f"{lines}\nError: this is a fault of CineStream itself (version {version('cinestream-platform')}), not of what "
        "you asked for. Please report it to those who maintain your installation, with the lines above, the command "
        "that you gave, and what `cinestream doctor` prints."
    )
