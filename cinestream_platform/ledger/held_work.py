"""Work that somebody cancelled, and that waits: files (``ops.landed_file.cancelled_at``), builds and extractions.

What belongs here: the tables that remember it, which outlive Dagster's runs. Which runs were cancelled by hand, and
what they were to do, is for ``automation.cancellations``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from cinestream_platform.ledger import file_writes

if TYPE_CHECKING:
    from psycopg import Connection

FILE_REASON = "cancelled by hand: waits until it lands anew; cinestream reload KEY or materialize its raw table"
BUILD_REASON = "cancelled by hand: waits until its inputs change; materialize it"


@dataclass(frozen=True)
class HeldWork:
    """A partition of a table (or an extraction) that is not asked for while it would be made from ``inputs``."""

    source: str
    work: str
    partition_key: str
    inputs: str
    run_id: str


def unseen_runs(conn: Connection[Any], seen_by: str, run_ids: Sequence[str]) -> list[str]:
    """Those of these cancelled runs that ``seen_by`` has not dealt with."""
    return [
        run_id
        for (run_id,) in conn.execute(
            "SELECT run_id FROM unnest(%s::text[]) AS asked (run_id)"
            " WHERE NOT EXISTS (SELECT FROM ops.cancelled_run c WHERE (c.run_id, c.seen_by) = (asked.run_id, %s))",
            (list(run_ids), seen_by),
        )
    ]


def mark_seen(conn: Connection[Any], seen_by: str, run_ids: Iterable[str]) -> None:
    """Remember that ``seen_by`` has dealt with these runs; call it in the transaction that does."""
    for run_id in run_ids:
        conn.execute(
            "INSERT INTO ops.cancelled_run (run_id, seen_by) VALUES (%s, %s) ON CONFLICT DO NOTHING", (run_id, seen_by)
        )


def seen_since(conn: Connection[Any]) -> datetime:
    """From when on cancelled runs count: what was cancelled before this table was made was asked for again since."""
    row = conn.execute("SELECT min(seen_at) FROM ops.cancelled_run").fetchone()
    if row is None or row[0] is None:
        raise RuntimeError("ops.cancelled_run lacks its first row")
    since: datetime = row[0]
    return since


def hold_files(conn: Connection[Any], file_ids: Sequence[int], ended: datetime) -> int:
    """Let files wait whose load was cancelled, unless somebody asked for them since it ended; how many."""
    return file_writes.hold(conn, file_ids, ended, FILE_REASON)


def hold(conn: Connection[Any], works: Iterable[HeldWork]) -> None:
    """Let work wait for as long as its inputs are these."""
    conn.cursor().executemany(
        """
        INSERT INTO ops.held_work (source, work, partition_key, inputs, run_id) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (work, partition_key) DO UPDATE
            SET inputs = excluded.inputs, run_id = excluded.run_id, held_at = clock_timestamp()
        """,
        [(one.source, one.work, one.partition_key, one.inputs, one.run_id) for one in works],
    )


def held(conn: Connection[Any]) -> list[HeldWork]:
    """All that waits."""
    with conn.cursor(row_factory=class_row(HeldWork)) as cursor:
        return cursor.execute("SELECT source, work, partition_key, inputs, run_id FROM ops.held_work").fetchall()


def release(conn: Connection[Any], works: Iterable[HeldWork]) -> None:
    """Work that waits no longer: its inputs changed, or somebody did it by hand."""
    conn.cursor().executemany(
        "DELETE FROM ops.held_work WHERE (work, partition_key) = (%s, %s)",
        [(one.work, one.partition_key) for one in works],
    )


def release_source(conn: Connection[Any], source: str) -> None:
    """Somebody asked for something of a source: what was cancelled before is asked for again."""
    conn.execute("DELETE FROM ops.held_work WHERE source = %s", (source,))
