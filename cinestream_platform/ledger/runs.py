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


def end(conn: Connection[Any], run_id: str, *, has_failed: bool) -> None:
    """Note how a run ended."""
    conn.execute(
        "UPDATE ops.run SET ended_at = clock_timestamp(), state = %s WHERE run_id = %s",
        ("failed" if has_failed else "succeeded", run_id),
    )


def forget(conn: Connection[Any], keep: timedelta) -> int:
    """Delete runs that began longer ago; how many."""
    return conn.execute("DELETE FROM ops.run WHERE started_at < now() - %s", (keep,)).rowcount
