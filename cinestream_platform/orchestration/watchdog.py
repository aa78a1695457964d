"""Ending a run that has gone silent: no byte, row or event for a while, or a day over all.

A call into a library that never returns cannot be interrupted from Python, so the process ends itself at once, children
included; the work is then asked for again. Only processes that Dagster started for one run are ended, never one that
runs jobs beside other things (the demo, tests, a notebook).

Postgres is asked before: a statement of this process that is being worked on is a sign of life, as an index of a
hundred million rows says nothing for minutes. One that waits for a lock counts while what it waits for is worked on;
one that waits for us does not.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from dagster import DagsterInstance, DagsterRun

from cinestream_platform import progress
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect, process_name

WORKER_TAG = ".dagster/grpc_info"
"""Dagster's launcher gives it to runs that have a process of their own."""
ASKING_SECONDS = 30.0
"""So long a question to Postgres, or a word to Dagster, may take when a run is about to be ended."""
EXIT_CODE = 70

_WORKS = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity mine
        WHERE starts_with(mine.application_name, %s) AND mine.state = 'active' AND mine.pid <> pg_backend_pid()
          AND (mine.wait_event_type IS NULL OR mine.wait_event_type NOT IN ('Client', 'Lock')
               OR mine.wait_event_type = 'Lock' AND EXISTS (
                   SELECT FROM pg_stat_activity other
                   WHERE other.pid = ANY (pg_blocking_pids(mine.pid)) AND other.state = 'active'
                     AND (other.wait_event_type IS NULL OR other.wait_event_type NOT IN ('Client', 'Lock')))))
"""


@contextmanager
def watched(
    run: DagsterRun, instance: DagsterInstance | None, target: PostgresTarget, settings: Settings
) -> Iterator[None]:
    """End this process if the run goes silent, or lasts longer than a run may; if the process is the run's own."""
    if WORKER_TAG not in run.tags:
        yield
        return
    progress.note("the run began")
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(run, instance, target, settings, ended), name="watchdog", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()


def _watch(
    run: DagsterRun,
    instance: DagsterInstance | None,
    target: PostgresTarget,
    settings: Settings,
    ended: threading.Event,
) -> None:
    silence, limit = settings.run_silence_seconds, settings.run_limit_hours * 3600
    began = time.monotonic()
    while not ended.wait(min(5.0, silence / 10)):
        silent, last = progress.last_note()
        if time.monotonic() - began > limit:
            _end(run, instance, f"This run took longer than {settings.run_limit_hours:g} h, the most that one may")
        elif silent > silence:
            if _in_time(lambda: postgres_works(target)):
                progress.note("a statement in Postgres")
                continue
            if not ended.is_set():
                why = f"Nothing was heard of this run for {silent:,.0f} s; the last was: {last}"
                _end(run, instance, why)


def postgres_works(target: PostgresTarget) -> bool:
    """Whether a statement of this process, or of its dbt, is being worked on."""
    with connect(target, role=None) as conn:  # what a session does is seen by its own login only
        row = conn.execute(_WORKS, (process_name(),)).fetchone()
    return bool(row and row[0])


def _in_time(ask: Callable[[], Any]) -> Any:
    """The answer, or ``None`` when it does not come soon or not at all."""
    answers: list[Any] = []

    def asked() -> None:
        with suppress(Exception):
            answers.append(ask())

    thread = threading.Thread(target=asked, daemon=True)
    thread.start()
    thread.join(ASKING_SECONDS)
    return answers[0] if answers else None


def _end(run: DagsterRun, instance: DagsterInstance | None, why: str) -> None:
    """End this process and its children."""
    message = f"{why}. Its process was ended; the work is asked for again."
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    if instance is not None:
        _in_time(lambda: instance.report_run_failed(run, message))
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    os._exit(EXIT_CODE)
