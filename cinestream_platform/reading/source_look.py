"""A look at an operational database: whether anything has changed since, without reading what.

Three traces of each table: how many rows, the last change that its rows tell of, and how many rows were ever inserted,
updated and deleted (``pg_stat_user_tables``). The first two are of the session's snapshot. The third finds what they
miss (an update under a ``last_update`` that was dated ahead, one row for another), but comes up to a second later, also
counts what was rolled back, and begins anew after a crash: that costs an extraction that finds nothing, never too few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from cinestream_platform.declarations.feed import Feed

ACTIVITY = """
    WITH RECURSIVE part AS (
        SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = ANY (%s)
        UNION ALL
        SELECT part.relname, i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.oid
    )
    SELECT part.relname::text, sum(n_tup_ins)::text, sum(n_tup_upd)::text, sum(n_tup_del)::text
    FROM part LEFT JOIN pg_stat_user_tables s ON s.relid = part.oid GROUP BY 1"""


@dataclass(frozen=True)
class Look:
    """Table to rows, and a short text that changes when rows come, go or are updated."""

    rows: Mapping[str, int]
    fingerprint: str


def look(conn: Connection[Any], schema: str, feeds: Sequence[Feed]) -> Look:
    """Look at the feeds' tables."""
    counts = [
        SQL("SELECT {}::text, count(*), {} FROM {}").format(
            Literal(feed.table.name),
            SQL("max(last_update)::text" if any(c.name == "last_update" for c in feed.table.columns) else "NULL"),
            Identifier(schema, feed.table.name),
        )
        for feed in feeds
    ]
    counted = conn.execute(SQL(" UNION ALL ").join(counts)).fetchall()
    activity = conn.execute(ACTIVITY, (schema, [feed.table.name for feed in feeds])).fetchall()
    seen = repr((sorted(counted), sorted(activity)))
    return Look({table: rows for table, rows, _ in counted}, hashlib.sha256(seen.encode()).hexdigest()[:16])
