"""A file beside the embedded server's data that takes up space, to be given up when the disk is full.

A server that was stopped by a full disk needs some space to start again: it replays its log and writes more of it. The
ballast is that space. What belongs here: making it, giving it up. When which is done is ``postgres``' business.
"""

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from cinestream_platform.services.cluster import Cluster, State
from cinestream_platform.services.process import Account

BALLAST_BYTES = 128 * 1024 * 1024
"""Eight segments of the log."""
SMALL_DISK_SHARE = 10
"""On small disks a tenth of the disk."""
NOTHING_LEFT_BYTES = 4 * 1024 * 1024
"""With less than this free, a running server refuses logins: each may have to write files of some 100 kB."""
_log = logging.getLogger(__name__)


def ballast_of(data_dir: Path) -> Path:
    """Where the ballast of a cluster is."""
    return data_dir.parent / "ballast"


def give_up_ballast(state: State | None, *, runs: bool) -> bool:
    """Delete the ballast of a server where the disk has less free space than that, or nothing if the server runs.

    Returns:
        Whether it was deleted.
    """
    if state is None or not state.data_dir.is_dir():
        return False
    path = ballast_of(state.data_dir)
    try:
        size = path.stat().st_size
        if shutil.disk_usage(path.parent).free >= (NOTHING_LEFT_BYTES if runs else size):
            return False
        path.unlink()
    except OSError:  # there is none, or it is another account's
        return False
    _log.warning(
        "The disk of %s is full: the reserve file of %s MB was deleted so that the server can work. Free some space: "
        "loads and builds wait until then, and the file is created again.",
        state.data_dir,
        size // 1024 // 1024,
    )
    return True


def keep_ballast(cluster: Cluster) -> None:
    """Make the ballast where there is none and the disk has room for it four times over."""
    path = ballast_of(cluster.data_dir)
    with suppress(OSError):  # the disk fills meanwhile, cannot reserve space, or is another account's
        usage = shutil.disk_usage(path.parent)
        size = min(BALLAST_BYTES, usage.total // SMALL_DISK_SHARE)
        if not path.exists() and usage.free >= 4 * size:
            _allocate(path, size, cluster.account)


def _allocate(path: Path, size: int, owner: Account) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.uid, owner.gid)
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
