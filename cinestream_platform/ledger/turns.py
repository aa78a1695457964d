"""Files that gave way to others get their turn when those leave: duplicates, and snapshots that were replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection


def supersede(conn: Connection[Any], replaced: Mapping[int, int]) -> None:
    """Let loaded files give way to others (old to new), and their duplicates have their turn."""
    conn.execute(
        "UPDATE ops.landed_file f SET status = 'superseded', superseded_by = r.new"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS r (old, new) WHERE f.file_id = r.old",
        (list(replaced), list(replaced.values())),
    )
    release_duplicates(conn, list(replaced))


def release_duplicates(conn: Connection[Any], left: Sequence[int]) -> None:
    """Give files with the same content as these, which are no longer loaded, their turn."""
    conn.execute(
        """
        UPDATE ops.landed_file SET status = 'pending', duplicate_of = NULL, reason = NULL,
            attempts = 0, next_attempt_at = 'epoch'
        WHERE is_newest AND status = 'duplicate' AND duplicate_of = ANY (%s)
        """,
        (list(left),),
    )


def release_snapshots(conn: Connection[Any]) -> None:
    """Give the snapshot its turn that is the latest of its feed now that later ones have left.

    Only in a snapshot feed can the newest version of a key be superseded, namely by another key's.
    """
    conn.execute(
        """
        UPDATE ops.landed_file SET status = 'pending', superseded_by = NULL, reason = NULL,
            attempts = 0, next_attempt_at = 'epoch'
        WHERE file_id IN (
            SELECT DISTINCT ON (s.source, s.dataset, s.bucket) s.file_id FROM ops.landed_file s
            WHERE s.is_newest AND s.status = 'superseded' AND NOT EXISTS (
                SELECT FROM ops.landed_file o
                WHERE (o.source, o.dataset, o.bucket) = (s.source, s.dataset, s.bucket) AND (o.status = 'pending'
                    OR o.status IN ('loaded', 'duplicate')
                        AND (o.last_modified, o.key COLLATE "C") > (s.last_modified, s.key COLLATE "C")))
            ORDER BY s.source, s.dataset, s.bucket, s.last_modified DESC, s.key COLLATE "C" DESC
        )
        """
    )


def returning_sources(conn: Connection[Any]) -> set[str]:
    """Sources of files that were read before, gave way, and are due again: what replaces rows that have left.

    A build before their load would publish a table without them.
    """
    rows = conn.execute(
        "SELECT DISTINCT source FROM ops.landed_file WHERE status = 'pending' AND sha256 IS NOT NULL"
        " AND next_attempt_at <= clock_timestamp() AND cancelled_at IS NULL"
    ).fetchall()
    return {source for (source,) in rows}
