"""Partitions side by side: what is done for each of them in a thread, bounded in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

MAX_AT_ONCE = min(4, os.cpu_count() or 1)
"""Partitions that are built at once: one a core. A month of 5 million ratings needs about 500 MB meanwhile."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(do: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """Do it for each partition, some at once, and give what comes of it in order. Each is taken when its turn comes.

    Raises:
        Exception: What the first of them raised; those that had not begun are not done.
    """
    waiting = iter(items)
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, "partition") as pool:
        while True:
            try:
                # Few ahead of the one that is waited for: each holds a partition in memory.
                for item in islice(waiting, workers + 1 - len(running)):
                    running.append(pool.submit(do, item))
                if not running:
                    return
                yield running.popleft().result()
            except BaseException:
                for future in running:
                    future.cancel()
                raise
