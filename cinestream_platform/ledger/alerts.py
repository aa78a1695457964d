"""Alerts in the ledger: ``ops.alert``, and what channels were told of each (``ops.alert_delivery``).

An alert is a condition that was seen for as long as its kind asks. The way of one key::

    not there ──seen──▶ seen ──patience──▶ open ──gone──▶ gone ──wait──▶ resolved
                         │                  ▲               │
                         └──gone──▶ no row  └─────seen──────┘

While it is seen or gone nothing new is opened under its key, so that whoever is told of a key is told once until it is
resolved. What comes back again and again is damped: with each opening within a day it must stay away twice as long
before it is resolved. Which conditions there are is asked of ``platform.alert_condition`` and not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

SHORTEST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""So long a condition must stay away before its alert is resolved, the first time and at most."""
REMEMBERED = timedelta(days=1)
"""Openings of a key within so long are counted for that."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=30), timedelta(minutes=15)
"""When a channel that failed is tried again: doubled with each failure, up to the longest."""
MOST_DUE = 1_000
"""So many alerts of a channel are looked at in one go; what is beyond is told of by their number."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now: a row of ``platform.alert_condition``."""

    key: str
    kind: str
    severity: str
    sentence: str
    source: str | None
    page: str
    subject: str | None
    since: datetime
    patience: timedelta


@dataclass(frozen=True)
class DueAlert:
    """An alert that a channel is to be told of: that it is open, or that it is over."""

    alert_id: int
    kind: str
    severity: str
    sentence: str
    page: str
    subject: str | None
    since: datetime
    opened_at: datetime
    gone_at: datetime | None
    is_resolved: bool


def conditions(conn: Connection[Any]) -> list[Condition]:
    """What is wrong now, the worst first."""
    with conn.cursor(row_factory=class_row(Condition)) as cursor:
        cursor.execute(
            "SELECT key, kind, severity, sentence, source, page, subject, since, patience FROM platform.alert_condition"
            " ORDER BY severity, since, key"
        )
        return cursor.fetchall()


def follow(conn: Connection[Any], seen: Sequence[Condition], channels: Collection[str], now: datetime) -> None:
    """Bring the alerts to what is wrong now: open, resolve, and note who is to be told.

    Args:
        conn: To the warehouse; not in a transaction.
        seen: All that is wrong now.
        channels: Names of all channels that are set.
        now: The time of this look; it does not run backwards from call to call.
    """
    found = list({one.key: one for one in seen}.values())
    parameters = {
        "now": now,
        "channels": list(channels),
        "remembered": REMEMBERED,
        "shortest": SHORTEST_WAIT,
        "longest": LONGEST_WAIT,
        **{f"{name}s": [getattr(one, name) for one in found] for name in Condition.__dataclass_fields__},
    }
    with conn.transaction():
        for statement in (*_SEEN, *_MOVES, *_CHANNELS):
            conn.execute(statement.encode(), parameters)


_SEEN = (
    """
    INSERT INTO ops.alert AS a (
        key, kind, severity, sentence, source, page, subject, since, patience, first_seen_at, changed_at
    )
    SELECT s.*, %(now)s, %(now)s FROM unnest(
        %(keys)s::text[], %(kinds)s::text[], %(severitys)s::text[], %(sentences)s::text[], %(sources)s::text[],
        %(pages)s::text[], %(subjects)s::text[], %(sinces)s::timestamptz[], %(patiences)s::interval[]
    ) AS s
    ON CONFLICT (key) WHERE resolved_at IS NULL DO UPDATE SET
        severity = excluded.severity, sentence = excluded.sentence, page = excluded.page, subject = excluded.subject,
        gone_at = NULL, changed_at = excluded.changed_at
    WHERE a.gone_at IS NOT NULL
        OR (a.severity, a.sentence, a.page, a.subject)
            IS DISTINCT FROM (excluded.severity, excluded.sentence, excluded.page, excluded.subject)
    """,
    """
    UPDATE ops.alert SET gone_at = %(now)s, changed_at = %(now)s
    WHERE resolved_at IS NULL AND gone_at IS NULL AND key <> ALL (%(keys)s::text[])
    """,
)
_MOVES = (
    "DELETE FROM ops.alert WHERE resolved_at IS NULL AND opened_at IS NULL AND gone_at IS NOT NULL",
    """
    UPDATE ops.alert SET opened_at = %(now)s, changed_at = %(now)s
    WHERE resolved_at IS NULL AND opened_at IS NULL AND first_seen_at + patience <= %(now)s
    """,
    """
    UPDATE ops.alert a SET resolved_at = %(now)s, changed_at = %(now)s
    WHERE resolved_at IS NULL AND gone_at + least(%(longest)s, %(shortest)s * 2 ^ (least(12, (
        SELECT count(*) FROM ops.alert e WHERE e.key = a.key AND e.opened_at > %(now)s - %(remembered)s::interval
    ) - 1))) <= %(now)s
    """,
)
_CHANNELS = (
    "INSERT INTO ops.alert_channel (channel) SELECT unnest(%(channels)s::text[]) ON CONFLICT DO NOTHING",
    "DELETE FROM ops.alert_channel WHERE channel <> ALL (%(channels)s::text[])",
    # Nobody is told by a channel that this channel is dead: when it is read, that is not so.
    """
    INSERT INTO ops.alert_delivery (alert_id, channel)
    SELECT a.alert_id, c.channel FROM ops.alert a CROSS JOIN unnest(%(channels)s::text[]) AS c (channel)
    WHERE a.opened_at IS NOT NULL AND a.resolved_at IS NULL AND a.key <> 'dead_channel:' || c.channel
        AND NOT EXISTS (SELECT FROM ops.alert_delivery d WHERE (d.alert_id, d.channel) = (a.alert_id, c.channel))
    """,
)


def waiting_channels(conn: Connection[Any], channels: Collection[str], now: datetime) -> list[str]:
    """Those of these channels that have something to be told of, and may be asked."""
    rows = conn.execute(
        f"SELECT c.channel FROM ops.alert_channel c WHERE c.channel = ANY (%(channels)s)"  # noqa: S608 - our own
        f" AND coalesce(c.next_attempt_at <= %(now)s, true)"
        f" AND EXISTS (SELECT {_DUE} AND d.channel = c.channel) ORDER BY c.channel",
        {"channels": list(channels), "now": now},
    )
    return [channel for (channel,) in rows]


_DUE = (
    "FROM ops.alert_delivery d JOIN ops.alert a USING (alert_id) WHERE d.resolve_told_at IS NULL"
    " AND (a.resolved_at IS NOT NULL OR d.opening_told_at IS NULL)"
)


def due(conn: Connection[Any], channel: str) -> list[DueAlert]:
    """What a channel is to be told of; what failed least often comes first, so that one message keeps up no other."""
    with conn.cursor(row_factory=class_row(DueAlert)) as cursor:
        cursor.execute(
            f"SELECT a.alert_id, a.kind, a.severity, a.sentence, a.page, a.subject, a.since, a.opened_at, a.gone_at,"
            f" a.resolved_at IS NOT NULL AS is_resolved {_DUE} AND d.channel = %s"
            " ORDER BY d.attempts, coalesce(a.resolved_at, a.opened_at), a.alert_id LIMIT %s".encode(),
            (channel, MOST_DUE),
        )
        return cursor.fetchall()


def taken_within_an_hour(conn: Connection[Any], channel: str, now: datetime) -> int:
    """How many messages a channel took within the last hour."""
    row = conn.execute(
        "SELECT count(*) FROM ops.alert_message WHERE channel = %s AND sent_at > %s", (channel, now - HOUR)
    ).fetchone()
    return int(row[0]) if row else 0


def note_told(conn: Connection[Any], channel: str, told: Sequence[DueAlert], subject: str, now: datetime) -> None:
    """A channel took a message: it was told of these alerts, as they were when the message was made."""
    with conn.transaction():
        conn.execute(
            "UPDATE ops.alert_delivery d SET opening_told_at = coalesce(opening_told_at, %(now)s), error = NULL,"
            " resolve_told_at = CASE WHEN t.is_resolved THEN %(now)s END"
            " FROM unnest(%(ids)s::bigint[], %(resolved)s::boolean[]) AS t (alert_id, is_resolved)"
            " WHERE (d.alert_id, d.channel) = (t.alert_id, %(channel)s)",
            {
                "now": now,
                "channel": channel,
                "ids": [alert.alert_id for alert in told],
                "resolved": [alert.is_resolved for alert in told],
            },
        )
        conn.execute(
            "INSERT INTO ops.alert_message (channel, sent_at, subject, alert_ids) VALUES (%s, %s, %s, %s)",
            (channel, now, subject, [alert.alert_id for alert in told]),
        )
        conn.execute(
            "UPDATE ops.alert_channel SET failures = 0, failing_since = NULL, next_attempt_at = NULL, problem = NULL,"
            " delivered_at = %s WHERE channel = %s",
            (now, channel),
        )


def note_failure(conn: Connection[Any], channel: str, untold: Sequence[DueAlert], problem: str, now: datetime) -> None:
    """A channel did not take a message: it is tried again after a while, and nothing is lost."""
    with conn.transaction():
        conn.execute(
            "UPDATE ops.alert_delivery SET attempts = attempts + 1, error = %s"
            " WHERE channel = %s AND alert_id = ANY (%s)",
            (problem, channel, [alert.alert_id for alert in untold]),
        )
        conn.execute(
            "UPDATE ops.alert_channel SET failures = failures + 1, problem = %(problem)s,"
            " failing_since = coalesce(failing_since, %(now)s),"
            " next_attempt_at = %(now)s + least(%(longest)s, %(first)s * 2 ^ least(failures, 12))"
            " WHERE channel = %(channel)s",
            {
                "problem": problem,
                "now": now,
                "channel": channel,
                "first": FIRST_RETRY,
                "longest": LONGEST_RETRY,
            },
        )


def forget(conn: Connection[Any], keep: timedelta) -> int:
    """Delete alerts that were over, and messages that were taken, longer ago; how many alerts."""
    conn.execute("DELETE FROM ops.alert_message WHERE sent_at < now() - %s", (keep,))
    return conn.execute("DELETE FROM ops.alert WHERE resolved_at < now() - %s", (keep,)).rowcount
