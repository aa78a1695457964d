"""Writing ``ops.landed_file`` by hand, for tests alone: what no function of the ledger does, because nobody may.

Time that passes, a copy of a warehouse whose files lie elsewhere, what versions before wrote, and very many files at once.
Whatever the ledger can do itself, tests ask ``ledger.file_writes`` for.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection


def let_two_days_pass(conn: Connection[Any], status: str | None = None) -> None:
    """Attempts (of files in a state) were begun two days earlier: nobody waits that long for what is swept by age."""
    conn.execute(
        "UPDATE ops.landed_file SET next_attempt_at = next_attempt_at - interval '2 days'"
        " WHERE %s::text IS NULL OR status = %s",
        (status, status),
    )


def make_due(conn: Connection[Any], key: str) -> None:
    """A file that failed is due again at once, not after half a minute or more."""
    conn.execute("UPDATE ops.landed_file SET next_attempt_at = now() WHERE key = %s", (key,))


def land_an_hour_later(conn: Connection[Any]) -> None:
    """Everything landed an hour later than it did: the clock of a landing zone, or of a database, may go ahead."""
    conn.execute("UPDATE ops.landed_file SET last_modified = last_modified + interval '1 hour'")


def land_ten_years_ago(conn: Connection[Any]) -> None:
    """Everything landed so long ago that nothing of it is fresh."""
    conn.execute("UPDATE ops.landed_file SET last_modified = now() - interval '10 years'")


def lie_in(conn: Connection[Any], landing_url: str) -> None:
    """The files of a copied or restored warehouse lie in another landing zone."""
    conn.execute("UPDATE ops.landed_file SET bucket = %s", (landing_url,))


def enter_many(conn: Connection[Any], landing_url: str, count: int, landed: str = "now") -> None:
    """So many ratings files wait that nobody landed: landing them would take minutes."""
    conn.execute(
        "INSERT INTO ops.landed_file (file_id, source, dataset, bucket, key, etag, size_bytes, last_modified)"
        " SELECT 1000000 + n, 'movielens', 'ratings', %s, 'movielens/ratings/' || n, 'x', 1, %s::timestamptz"
        " FROM generate_series(1, %s) n",
        (landing_url, landed, count),
    )


def enter_parked(conn: Connection[Any], key: str, reason: str) -> None:
    """A parked file with a reason as versions before wrote them."""
    conn.execute(
        "INSERT INTO ops.landed_file (source, dataset, bucket, key, etag, size_bytes, last_modified, status, reason)"
        " VALUES ('s', 'd', 'b', %s, 'e', 1, now(), 'parked', %s)",
        (key, reason),
    )


def keep_newest_delivery(conn: Connection[Any], dataset: str) -> list[int]:
    """Older deliveries are superseded, as in versions before that kept one; their numbers."""
    rows = conn.execute(
        "UPDATE ops.landed_file f SET status = 'superseded', superseded_by = n.file_id"
        " FROM (SELECT max(file_id) AS file_id FROM ops.landed_file WHERE dataset = %s) n"
        " WHERE f.dataset = %s AND f.file_id < n.file_id RETURNING f.file_id",
        (dataset, dataset),
    )
    return [file_id for (file_id,) in rows]


def show_as(conn: Connection[Any], dataset: str, *, was: str, status: str, reason: str | None) -> None:
    """The files of a dataset look as if in another state, for what only shows states. Its rows stay."""
    conn.execute(
        "UPDATE ops.landed_file SET status = %s, reason = %s WHERE dataset = %s AND status = %s",
        (status, reason, dataset, was),
    )


def let_parked_wait(conn: Connection[Any]) -> None:
    """Parked files wait again, as they are: nothing is read."""
    conn.execute("UPDATE ops.landed_file SET status = 'pending' WHERE status = 'parked'")


def forget_everything(conn: Connection[Any]) -> None:
    """No file was ever seen: the next random example begins."""
    conn.execute("TRUNCATE ops.landed_file, ops.seen CASCADE")
