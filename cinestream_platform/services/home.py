"""The home is closed to all other accounts of the machine: made so, and, if it is older than that rule, closed.

What belongs here: permissions of the home. What the landing zone or the lake have elsewhere is their owner's business.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from cinestream_platform.services.cluster import read_state, room_of
from cinestream_platform.services.process import PostgresServiceError

OTHERS = 0o077
OURS = ("landing", "lake", "services", "dagster", "dbt", "docs", "downloads", "logins", "logs", "sample", "web")
"""Folders of the home that the platform makes."""


def close_home(home: Path) -> None:
    """Close an existing home of ours, and what the platform made in it before homes were closed.

    A closed home costs one look. Where root's server account has its data inside the home, that account's group may
    pass through to it and see nothing else.
    """
    with suppress(FileNotFoundError):
        status = home.stat()
        if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
            return  # somebody else's, or a folder for everybody such as /tmp
        group = _servers_group(home)
        if _mode(status) & OTHERS == (0 if group is None else 0o010) and group in (None, status.st_gid):
            return
        for name in OURS:
            _close_below(home / name)
        for entry in home.iterdir():
            if stat.S_ISREG(entry.lstat().st_mode):
                _close(entry)
        if group is not None:
            _let_pass(home, group)
        _close(home, keep=0 if group is None else 0o010)  # last: whoever is killed before begins anew


def _servers_group(home: Path) -> int | None:
    """The group of another account that has its data in the home (as root's server account has in old homes)."""
    try:
        state = read_state(room_of(home))
        owner = state.data_dir.stat() if state and state.data_dir.is_relative_to(room_of(home)) else None
    except (PostgresServiceError, OSError):
        return None
    return owner.st_gid if owner and owner.st_uid != os.geteuid() else None


def _let_pass(home: Path, group: int) -> None:
    """Let a group through to the room of the server, and to nothing that lies beside it."""
    room = room_of(home)
    for folder in (home, room.parent, room):
        os.chown(folder, -1, group)
        folder.chmod(0o710)


def _close_below(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path, folders, names in os.walk(folder):
        # Copies of PostgreSQL's public programs, for an account that must read them.
        folders[:] = [name for name in folders if not name.startswith("binaries-")]
        for name in (*folders, *names):
            _close(Path(path, name))
    _close(folder)


def _close(path: Path, *, keep: int = 0) -> None:
    """Take all rights of other accounts from what is ours."""
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid() and _mode(status) & OTHERS & ~keep:
            path.chmod(_mode(status) & ~(OTHERS & ~keep))


def _mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)
