"""Every lock on a file of this machine: the kernel frees it when its holder dies, however it dies.

=============================  =================================================  =====================================
file                           held by                                            for
=============================  =================================================  =====================================
``<home>/ui.lock``             ``cinestream ui``, as long as it runs              one UI, and one daemon, for each home
``<home>/ui-read-only.lock``   ``cinestream ui --read-only``, as long as it runs  one of these for each home
``lock`` beside the cluster    whoever starts, stops or changes the embedded      one at a time works on the cluster
                               Postgres, for that time
=============================  =================================================  =====================================

Whoever needs two takes them in this order. Both are taken before there is a session in Postgres; its locks are those
of ``warehouse.locks``.
"""

from __future__ import annotations

import fcntl


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file; whether it was free. Closing the file frees it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(descriptor: int) -> bool:
    """Whether nobody has the lock of an open file (which this process does not take but for a moment, shared)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Free the lock of an open file before it is closed."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
