"""What is new in the warehouse, asked on one connection for all pages and visitors.

``platform.change`` holds a short text that moves when something is published, landed, loaded, checked or begun. It is
part of every kept page's key, and open pages are told when it moves. It is asked every second (indexed looks, less than
a millisecond) and not listened for: Postgres has one queue of notifications for the whole server, any login can keep it
from emptying, and a full one would stop whoever publishes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 5.0  # a look without an answer for so long: the connection is gone
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 4.0
LOOK = b"SELECT marker, watched_at FROM platform.change"
WATCHED = timedelta(minutes=5)
LIMIT = b"SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"

log = logging.getLogger(__name__)


class Changes:
    """The mark of the warehouse's last news, and whether we still hear them.

    Args:
        conninfo: What to log in with, asked for at every attempt.
        keep_to: Told the connection limit of the login, whenever it logs in.
    """

    def __init__(self, conninfo: Callable[[], str], keep_to: Callable[[int], None]) -> None:
        self._conninfo = conninfo
        self._keep_to = keep_to
        self._news = asyncio.Event()
        self.mark = ""
        self.watched_at: datetime | None = None
        self.is_heard = False
        self.is_closing = False

    async def follow(self) -> None:
        """Look until cancelled; a lost connection is made again."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                conninfo = await asyncio.to_thread(self._conninfo)
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
                    [limit] = await _row(conn, LIMIT)
                    self._keep_to(int(str(limit)))
                    while True:
                        marker, watched_at = await _row(conn, LOOK)
                        self.watched_at = watched_at if isinstance(watched_at, datetime) else None
                        self._note(str(marker), is_heard=True)
                        wait = FIRST_WAIT_SECONDS
                        await asyncio.sleep(LOOK_SECONDS)
            except (psycopg.Error, OSError) as error:
                if self.is_heard:
                    log.warning("the warehouse is gone (%s); waiting for it", type(error).__name__)
                self._note("the warehouse is gone", is_heard=False)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _note(self, mark: str, *, is_heard: bool) -> None:
        self.is_heard = is_heard
        mark = hashlib.sha256(mark.encode()).hexdigest()[:16]
        if mark != self.mark:
            self.mark = mark
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    @property
    def is_watched(self) -> bool:
        """Whether a daemon works: it looks for what is wrong, and notes that once a minute."""
        return self.is_heard and self.watched_at is not None and datetime.now(UTC) - self.watched_at < WATCHED

    def close(self) -> None:
        """Let those who wait go."""
        self.is_closing = True
        self._wake()

    async def wait_for_news(self, seen: str, seconds: float) -> str:
        """The mark, as soon as it is another than ``seen``, or after so many seconds."""
        if self.mark == seen and not self.is_closing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
        return self.mark


async def _row(conn: psycopg.AsyncConnection[tuple[object, ...]], query: bytes) -> tuple[object, ...]:
    """The one row of a query."""
    cursor = await asyncio.wait_for(conn.execute(query), ANSWER_SECONDS)
    return await cursor.fetchone() or ()
