"""Somebody who looks at the warehouse every few milliseconds while something is published."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

import psycopg

from cinestream_platform.warehouse.connection import PostgresTarget

PAUSE_SECONDS = 0.005
GIVE_UP_SECONDS = 300
"""Nobody waits so long on any machine: only then is something stuck."""


class Reader:
    """Polls a query in a thread of its own and keeps every distinct answer.

    ``prepared`` uses a server-side prepared statement, whose plan outlives swaps; otherwise each poll is a plain
    query. Every poll is a transaction of its own.
    """

    def __init__(self, target: PostgresTarget, statement: str, *, prepared: bool = False) -> None:
        self.seen: set[tuple[Any, ...]] = set()
        self.errors: list[str] = []
        self.polls = 0
        self._statement = statement.encode()
        self._conn = psycopg.connect(
            target.conninfo(), autocommit=True, cursor_factory=psycopg.Cursor if prepared else psycopg.ClientCursor
        )
        self._conn.prepare_threshold = 0 if prepared else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self.seen.update(self._conn.execute(self._statement).fetchall())
            except psycopg.Error as error:
                self.errors.append(str(error))
                return
            self.polls += 1
            time.sleep(PAUSE_SECONDS)

    def read_on(self, polls: int = 2) -> None:
        """Return when so many more polls have ended, however long that takes; at once after an error."""
        # Two: the first of them may have begun before.
        wanted, deadline = self.polls + polls, time.monotonic() + GIVE_UP_SECONDS
        while self.polls < wanted and not self.errors:
            assert time.monotonic() < deadline, "a reader does not come on"
            time.sleep(PAUSE_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        self.read_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.read_on()
        self._stop.set()
        self._thread.join(30)
        self._conn.close()
