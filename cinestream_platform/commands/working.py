"""That something goes on: a bar or spinner in a terminal, in a pipe or log a plain line every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from cinestream_platform.commands.tables import say
from cinestream_platform.messages import counted, printable

SECONDS_BETWEEN_LINES = 5.0
QUIET_SECONDS = 2.0
"""What takes no longer shows no progress."""


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
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show on stderr how far something is while it takes its time: in a terminal a bar, in a log one line.

    What takes less than ``QUIET_SECONDS`` shows nothing. stdout is left to the answer. ``total`` is the number of
    records. Without it bytes are counted, of which nobody knows how many there are.

    Yields:
        What is to be told of the records or bytes that have been done since the last word.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        timer = threading.Timer(QUIET_SECONDS, say, (console, f"{what} …"))
        timer.start()
        try:
            yield lambda _: None
        finally:
            timer.cancel()
        return
    done: ProgressColumn = DownloadColumn() if total is None else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done, TimeElapsedColumn())
    # Redirected, what is printed to stdout would come out at stderr.
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    task, begun = bar.add_task(escape(printable(what)), total=total), time.monotonic()

    def advance(count: int) -> None:
        bar.update(task, advance=count)
        if time.monotonic() - begun > QUIET_SECONDS:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


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
