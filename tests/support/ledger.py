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


def enter_parked(conn: Connection[Any], key: str, reason: str, *, source: str = "s", dataset: str = "d") -> None:
    """A parked file with a key and a reason that this version would not write: an older one did, or somebody means harm."""
    conn.execute(
        "INSERT INTO ops.landed_file (source, dataset, bucket, key, etag, size_bytes, last_modified, status, reason)"
        " VALUES (%s, %s, 'b', %s, 'e', 1, now(), 'parked', %s)",
        (source, dataset, key, reason),
    )


def remove(conn: Connection[Any], key: str) -> None:
    """What a test entered by hand goes again."""
    conn.execute("DELETE FROM ops.landed_file WHERE key = %s", (key,))


def enter_delivery(conn: Connection[Any], place: int, records: int, rejected: int) -> None:
    """A loaded delivery of links with these counts; by ``place`` they are loaded one after the other."""
    conn.execute(
        "INSERT INTO ops.landed_file (source, dataset, bucket, key, etag, size_bytes, last_modified, status,"
        " rows_read, rows_loaded, rows_rejected, loaded_at) VALUES ('movielens', 'links', '', %s, '', 1, now(),"
        " 'loaded', %s, %s, %s, now() + %s * interval '1 second')",
        (str(place), records, records - rejected, rejected, place),
    )


def reject_nothing(conn: Connection[Any]) -> None:
    """Of what is loaded no record was rejected."""
    conn.execute("UPDATE ops.landed_file SET rows_rejected = 0, rows_read = rows_loaded WHERE status = 'loaded'")


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
