"""What checks found (``ops.check_result``): a row for equal outcomes in a row, numbers and no values of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation of a check found. ``severity`` is ``warn`` or ``error``."""

    source: str
    asset: str
    check_name: str
    is_passed: bool
    severity: str
    counts: Mapping[str, int | float] = field(default_factory=dict)


def record(conn: Connection[Any], run_id: str, evaluations: Sequence[Evaluation]) -> None:
    """Enter evaluations of different checks, in the order of their names, so that no two runs wait in a circle."""
    if not evaluations:
        return
    rows = sorted({(e.source, e.asset, e.check_name): e for e in evaluations}.items())
    found = [e for _, e in rows]
    parameters = {
        "run_id": run_id,
        "source": [e.source for e in found],
        "asset": [e.asset for e in found],
        "check_name": [e.check_name for e in found],
        "is_passed": [e.is_passed for e in found],
        "severity": [e.severity for e in found],
        "counts": [Jsonb(dict(e.counts)) for e in found],
    }
    new = (
        "unnest(%(source)s::text[], %(asset)s::text[], %(check_name)s::text[], %(is_passed)s::boolean[],"
        " %(severity)s::text[], %(counts)s::jsonb[]) AS new (source, asset, check_name, is_passed, severity, counts)"
    )
    same = (
        f"UPDATE ops.check_result r SET counts = new.counts, run_id = %(run_id)s, evaluated_at = clock_timestamp(),"  # noqa: S608 - our own
        f" evaluations = r.evaluations + 1 FROM {new}"
        " WHERE (r.source, r.asset, r.check_name) = (new.source, new.asset, new.check_name) AND r.is_latest"
        " AND (r.is_passed, r.severity) = (new.is_passed, new.severity)"
    )
    other = (
        f"UPDATE ops.check_result r SET is_latest = false FROM {new}"  # noqa: S608 - our own
        " WHERE (r.source, r.asset, r.check_name) = (new.source, new.asset, new.check_name) AND r.is_latest"
        " AND (r.is_passed, r.severity) <> (new.is_passed, new.severity)"
    )
    added = (
        "INSERT INTO ops.check_result (source, asset, check_name, is_passed, severity, counts, run_id)"  # noqa: S608 - our own
        f" SELECT source, asset, check_name, is_passed, severity, counts, %(run_id)s FROM {new}"
        " WHERE NOT EXISTS (SELECT FROM ops.check_result r WHERE r.is_latest"
        " AND (r.source, r.asset, r.check_name) = (new.source, new.asset, new.check_name))"
        " ON CONFLICT (source, asset, check_name) WHERE is_latest DO NOTHING"
    )
    with conn.transaction():
        for statement in (same, other, added):
            conn.execute(statement.encode(), parameters)


def forget(conn: Connection[Any], keep: timedelta) -> int:
    """Delete outcomes that ended longer ago, and no last one; how many."""
    return conn.execute(
        "DELETE FROM ops.check_result WHERE NOT is_latest AND evaluated_at < now() - %s", (keep,)
    ).rowcount
