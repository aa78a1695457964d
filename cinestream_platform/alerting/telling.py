"""Telling channels what they are to be told: each on its own, so that one that hangs keeps up no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from cinestream_platform.alerting.channels import Sender
from cinestream_platform.alerting.wording import Message, next_messages
from cinestream_platform.ledger import alerts
from cinestream_platform.messages import describe
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.kept_connections import kept_connection

ROUND_SECONDS = 20.0
"""No message is begun later in a round; the next round goes on."""


def clock() -> datetime:
    """The time of a look."""
    return datetime.now(UTC)


def tell(
    target: PostgresTarget,
    settings: Settings,
    waiting: list[str],
    *,
    seconds: float = ROUND_SECONDS,
) -> list[str]:
    """Send what these channels wait for; what came of it, in words."""
    if not waiting:
        return []
    urls = settings.alert_channels

    def one(channel: str) -> str:
        try:
            with kept_connection(target) as conn, Sender(urls[channel], settings) as sender:
                return tell_channel(conn, channel, settings, sender.send, seconds=seconds)
        except Exception as error:  # the others are told all the same
            return f"{channel}: {describe(error)}"

    with ThreadPoolExecutor(len(waiting), thread_name_prefix="alerts") as pool:
        return list(pool.map(one, waiting))


def tell_channel(
    conn: Connection[Any],
    channel: str,
    settings: Settings,
    send: Callable[[Message], str | None],
    *,
    now: Callable[[], datetime] = clock,
    seconds: float = ROUND_SECONDS,
) -> str:
    """Tell one channel what it waits for; what came of it, in words.

    A message is noted as soon as it was taken. If this process is killed between, the channel gets that one again.

    Args:
        conn: To the warehouse.
        channel: Its name.
        settings: The limit, and where people reach the pages.
        send: Hands over a message; why it was not taken, or ``None``.
        now: The clock.
        seconds: No message is begun later.
    """
    began, sent = time.monotonic(), 0
    turn = locks.channel_turn(channel)
    if not locks.try_turn(conn, turn):
        return f"{channel}: another process tells it"
    try:
        taken = alerts.taken_within_an_hour(conn, channel, now())
        messages = next_messages(alerts.due(conn, channel), taken, settings.alerts_per_hour, settings.pages_url)
        for message in messages:
            if time.monotonic() - began > seconds:
                break
            if problem := send(message):
                alerts.note_failure(conn, channel, message.told, problem, now())
                return f"{channel}: {sent:,} sent, then {problem}"
            alerts.note_told(conn, channel, message.told, message.subject, now())
            sent += 1
    finally:
        if not conn.closed:
            locks.end_turn(conn, turn)
    return f"{channel}: {sent:,} sent"
