"""Runs of the platform's jobs (``ops.run``), noted by themselves, for those who cannot read Dagster's database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg import Connection


def begin(conn: Connection[Any], run_id: str, job: str, source: str | None, what: str, why: str) -> None:
    """Note that a run begins; one that begins again (another process of it) stays as it is."""
    conn.execute(
        "INSERT INTO ops.run (run_id, job, source, what, why) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (run_id, job, source, what, why),
    )


def end(conn: Connection[Any], run_id: str, *, has_failed: bool, needs_look: bool = False) -> None:
    """Note how a run ended; ``needs_look`` if somebody should look why it failed."""
    conn.execute(
        "UPDATE ops.run SET ended_at = clock_timestamp(), state = %s, needs_look = %s WHERE run_id = %s",
        ("failed" if has_failed else "succeeded", needs_look, run_id),
    )


def enter_failed(conn: Connection[Any], run_id: str, job: str, source: str | None, what: str, why: str) -> None:
    """Note a run that failed before it could note anything itself; one that is known stays as it is."""
    conn.execute(
        "INSERT INTO ops.run (run_id, job, source, what, why, ended_at, state, needs_look)"
        " SELECT %(id)s, %(job)s, %(source)s, %(what)s, %(why)s, clock_timestamp(), 'failed', true"
        " WHERE NOT EXISTS (SELECT FROM ops.run WHERE run_id = %(id)s) ON CONFLICT DO NOTHING",
        {"id": run_id, "job": job, "source": source, "what": what, "why": why},
    )


def forget(conn: Connection[Any], keep: timedelta) -> int:
    """Delete runs that began longer ago; how many."""
    return conn.execute("DELETE FROM ops.run WHERE started_at < now() - %s", (keep,)).rowcount
