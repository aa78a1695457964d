"""That something goes on: a bar or spinner in a terminal, in a pipe or log a plain line every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cinestream_platform.commands.tables import say
from cinestream_platform.messages import counted

SECONDS_BETWEEN_LINES = 5.0


class Steps:
    """How far the steps of a longer work are."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.now = "starting"

    def begin(self, steps: int) -> None:
        """So many steps more are to be done."""
        self.total += steps

    def follow(self, now: str, *, done: int = 0) -> None:
        """What is worked on, and how many steps are done since the last word."""
        self.now = now
        self.done += done

    def __str__(self) -> str:
        return f"{self.done:,} of {self.total:,} steps done, now: {self.now}" if self.total else self.now


@contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Say what goes on while it does."""
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        with _lines(console, lambda: what):
            yield


@contextmanager
def following(console: Console) -> Iterator[Steps]:
    """Show how far the steps are while they are done."""
    steps = Steps()
    if not console.is_terminal:
        with _lines(console, lambda: str(steps)):
            yield steps
        say(console, f"done          {counted(steps.done, 'step')}")
        return
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, get_time=time.monotonic) as progress:
        task = progress.add_task("starting", total=None)

        def show() -> None:
            progress.update(task, description=steps.now, total=steps.total or None, completed=steps.done)

        with _every(0.2, show):
            yield steps
        progress.update(task, description="done", total=steps.done, completed=steps.done)


@contextmanager
def _lines(console: Console, words: Callable[[], str]) -> Iterator[None]:
    begun = time.monotonic()
    with _every(SECONDS_BETWEEN_LINES, lambda: say(console, f"  {time.monotonic() - begun:4.0f} s  {words()}")):
        yield


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, in a thread of its own, until the work is done."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
