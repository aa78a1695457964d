"""A child must not outlive its supervisor, however that ends: a pipe whose other end only the supervisor holds.

The kernel closes that end when the supervisor dies, on every Unix; PR_SET_PDEATHSIG would be Linux alone, and would not
reach the children's children.
"""

import os
import signal
import threading
import time

GRACE_SECONDS = 8.0


def follow_supervisor(descriptor: int) -> None:
    """End this process's group when the other end of the pipe is closed: by SIGTERM, then by SIGKILL.

    Args:
        descriptor: The pipe's reading end, inherited from the supervisor, who made this process a group's leader.
    """
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_follow, args=(descriptor,), name="lifeline", daemon=True).start()


def _follow(descriptor: int) -> None:
    while os.read(descriptor, 1):  # nothing is ever written: this returns at the end of the pipe
        pass
    group = os.getpgrp()
    if group != os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
    os.killpg(group, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(group, signal.SIGKILL)
