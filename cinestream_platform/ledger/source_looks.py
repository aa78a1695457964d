"""When it was last looked for something new (``ops.source_look``), in the landing zone and in operational systems."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

LANDING = "landing"
"""The landing zone, as a place where something new may be."""
ALERTS = "alerts"
"""What is wrong, as something that is looked for: while a daemon works, once a minute."""


def note(
    conn: Connection[Any], place: str, *, is_current: bool = False, problem: str | None = None, is_drift: bool = False
) -> bool:
    """Note a look, once a minute, unless it says something else than the last; whether it was noted.

    Args:
        conn: To the warehouse.
        place: ``LANDING``, or the name of an operational system.
        is_current: All that is there was loaded before.
        problem: Why there was no answer.
        is_drift: The problem is that tables there are no longer what is declared.
    """
    noted = conn.execute(
        """
        INSERT INTO ops.source_look AS l (place, looked_at, current_at, problem, is_drift, problem_since)
        VALUES (
            %(place)s, now(), CASE WHEN %(is_current)s THEN now() END, %(problem)s::text, %(is_drift)s,
            CASE WHEN %(problem)s::text IS NOT NULL THEN now() END
        )
        ON CONFLICT (place) DO UPDATE SET looked_at = excluded.looked_at, problem = excluded.problem,
            current_at = coalesce(excluded.current_at, l.current_at), is_drift = excluded.is_drift,
            problem_since = CASE WHEN excluded.problem IS NOT NULL
                THEN coalesce(l.problem_since, excluded.problem_since) END
        WHERE l.looked_at < now() - interval '1 minute' OR l.problem IS DISTINCT FROM excluded.problem
        """,
        {"place": place, "is_current": is_current, "problem": problem, "is_drift": is_drift},
    )
    return noted.rowcount == 1


def problems(conn: Connection[Any]) -> dict[str, str]:
    """Why operational systems gave no answer at their last look; without those that were never extracted."""
    return dict(
        conn.execute(
            "SELECT place, problem FROM ops.source_look"
            " WHERE problem IS NOT NULL AND place IN (SELECT source FROM ops.extraction)"
        ).fetchall()
    )
