"""Entering in the ledger what a listing of the landing zone shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from psycopg import Connection

from cinestream_platform.ledger import file_writes
from cinestream_platform.messages import bounded
from cinestream_platform.warehouse import locks


class Listed(Protocol):
    """A version of an object as a listing of the landing zone shows it (``lake.store.StoredObject``)."""

    @property
    def key(self) -> str:
        """Its key."""
        ...

    @property
    def etag(self) -> str:
        """Tells versions of a key apart."""
        ...

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    @property
    def last_modified(self) -> datetime:
        """When this version was written."""
        ...


@dataclass(frozen=True)
class Sighting:
    """A listed version with the feed it belongs to, or the reason why it belongs to none."""

    listed: Listed
    source: str
    dataset: str
    problem: str | None = None


@dataclass(frozen=True)
class Arrival:
    """What is new of one feed: how many versions, their bytes, and the first and last of their keys."""

    source: str
    dataset: str
    files: int
    size_bytes: int
    first_key: str
    last_key: str


def register(conn: Connection[Any], bucket: str, sightings: Sequence[Sighting]) -> list[Arrival]:
    """Enter every listed version that the ledger does not know as the newest of its key; what is new, by feed.

    A version equals the newest known one if key and ETag do. A key that shows a new ETag gets a new row, also when
    an older version had that ETag: what counts is what the landing zone shows now. So does a retracted file
    that landed again. A version that was never loaded is superseded at once; a loaded one when its successor is loaded
    or found to be a duplicate.
    """
    with conn.transaction():
        locks.lock(conn, locks.LEDGER)
        conn.execute(
            "CREATE TEMP TABLE listing (source text, dataset text, key text, etag text, size_bytes bigint,"
            " last_modified timestamptz, problem text) ON COMMIT DROP"
        )
        with conn.cursor().copy("COPY listing FROM STDIN") as copy:
            for sighting in sightings:
                seen = sighting.listed
                copy.write_row(
                    (
                        sighting.source,
                        sighting.dataset,
                        seen.key,
                        seen.etag,
                        seen.size,
                        seen.last_modified,
                        sighting.problem and bounded(sighting.problem),
                    )
                )
        conn.execute(
            """
            CREATE TEMP TABLE news ON COMMIT DROP AS
            SELECT l.* FROM listing l
            LEFT JOIN ops.landed_file f ON f.bucket = %s AND f.key = l.key AND f.is_newest
            WHERE f.file_id IS NULL OR f.etag <> l.etag
                OR (f.status = 'retracted' AND f.last_modified < l.last_modified)
            """,
            (bucket,),
        )
        return [Arrival(*entered) for entered in file_writes.enter_listed(conn, bucket)]
