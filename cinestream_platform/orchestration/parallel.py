"""Partitions side by side: what is done for each of them in a thread, bounded in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

MAX_AT_ONCE = min(4, os.cpu_count() or 1)
"""Partitions that are built at once: one a core. A month of the Netflix Prize needs about 500 MB meanwhile."""

Result = TypeVar("Result")


def in_parallel(do: Callable[[str], Result], partition_keys: Iterable[str], *, workers: int) -> Iterator[Result]:
    """Do it for each partition, some at once, and give what comes of it in order.

    Raises:
        Exception: What the first of them raised; those that had not begun are not done.
    """
    waiting = deque(partition_keys)
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, "partition") as pool:
        while waiting or running:
            # Few ahead of the one that is waited for: each holds a partition in memory.
            while waiting and len(running) < workers + 1:
                running.append(pool.submit(do, waiting.popleft()))
            try:
                yield running.popleft().result()
            except BaseException:
                for future in running:
                    future.cancel()
                raise
