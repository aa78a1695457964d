"""Extractions from operational databases in the ledger: each table that had changed becomes a version like a file's.

``ops.landed_file`` gets a row per table with the key ``<source>/<table>/<moment>``, so that raw rows, staleness,
lineage and counts are those of landed files; ``ops.extraction`` tells of the moment as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.ledger import file_writes, landed_files
from cinestream_platform.ledger.landed_files import LandedFile

BUCKET = "postgres"
"""Where the ledger says that these versions are: there is no object to fetch again."""


@dataclass(frozen=True)
class Known:
    """What is loaded of a table: the SHA-256 of what was extracted last, and how many versions count."""

    dataset: str
    sha256: str
    versions: int


def known_content(conn: Connection[Any], feeds: Sequence[Feed]) -> dict[str, Known]:
    """Dataset to what is loaded of it, of what is extracted together."""
    with conn.cursor(row_factory=class_row(Known)) as cursor:
        found = cursor.execute(
            "SELECT DISTINCT ON (dataset) dataset, sha256, count(*) OVER (PARTITION BY dataset) AS versions"
            " FROM ops.landed_file WHERE source = %s AND dataset = ANY (%s) AND bucket = %s AND status = 'loaded'"
            " ORDER BY dataset, last_modified DESC, file_id DESC",
            (*_place(feeds), BUCKET),
        ).fetchall()
    return {known.dataset: known for known in found}


def _place(feeds: Sequence[Feed]) -> tuple[str, list[str]]:
    """Source and datasets of what is extracted together."""
    return feeds[0].source, [feed.dataset for feed in feeds]


def begin(
    conn: Connection[Any], table: RawTable, moment: datetime, *, sha256: str, size: int, lake_path: str
) -> LandedFile:
    """Enter a table that is about to be written; never due, for only its own extraction can bring it."""
    key = f"{table.source}/{table.name}/{moment:%Y%m%dT%H%M%S.%fZ}"
    file_id = file_writes.enter_extracted(
        conn,
        source=table.source,
        dataset=table.name,
        bucket=BUCKET,
        key=key,
        sha256=sha256,
        size=size,
        moment=moment,
        lake_path=lake_path,
    )
    return landed_files.numbered(conn, file_id)


def abandon(conn: Connection[Any], feeds: Sequence[Feed]) -> None:
    """Give up what an extraction began and did not finish; the nightly housekeeping deletes what it left in the lake.

    Call it while holding the right to extract: whoever began these is gone.
    """
    file_writes.abandon(conn, *_place(feeds), BUCKET)


def forget(conn: Connection[Any], table: LandedFile) -> None:
    """Take back what ``begin`` entered: the table turned out to hold nothing new."""
    file_writes.forget(conn, table.file_id)


def known_rejects(conn: Connection[Any], loaded: Sequence[LandedFile]) -> pl.DataFrame:
    """``rule`` and ``raw`` of the rejected rows that came with these versions of a table."""
    found = conn.execute(
        "SELECT rule, raw FROM ops.rejected_row WHERE file_id = ANY (%s)", ([file.file_id for file in loaded],)
    ).fetchall()
    return pl.DataFrame(found, schema={"rule": pl.String(), "raw": pl.String()}, orient="row")


def time_watermark(conn: Connection[Any], table: RawTable, column: str, not_after: datetime) -> datetime | None:
    """The greatest time in a raw table's column that is not dated ahead; ``None`` where there is none."""
    statement = SQL("SELECT max({0}) FROM {1} WHERE {0} <= %s").format(
        Identifier(column), Identifier(table.schema, table.name)
    )
    row = conn.execute(statement, (not_after,)).fetchone()
    return row[0] if row else None


def key_watermark(conn: Connection[Any], table: RawTable, rows: int) -> int | None:
    """The key of a raw table that so many rows have a greater one than; else the least, ``None`` without rows.

    Few keys that are far beyond the others do not move it.
    """
    key, name = Identifier(table.row_key[0]), Identifier(table.schema, table.name)
    statement = SQL(
        "SELECT coalesce((SELECT {0} FROM {1} ORDER BY {0} DESC OFFSET %s LIMIT 1), (SELECT min({0}) FROM {1}))"
    ).format(key, name)
    row = conn.execute(statement, (rows,)).fetchone()
    return row[0] if row else None


@dataclass(frozen=True)
class KeyCounts:
    """Rows of the source's table by range of keys; ``from_bucket`` says from which on, ``None`` all."""

    dataset: str
    counts: Mapping[int, int]
    from_bucket: int | None


def known_keys(conn: Connection[Any], source: str, dataset: str) -> dict[int, int]:
    """Range of keys to rows at the last extraction."""
    return dict(
        conn.execute(
            "SELECT bucket, rows FROM ops.extracted_keys WHERE source = %s AND dataset = %s", (source, dataset)
        ).fetchall()
    )


def keep_keys(conn: Connection[Any], source: str, keys: KeyCounts) -> None:
    """Enter what was counted in the place of what was known; in the transaction that publishes the table."""
    conn.execute(
        "DELETE FROM ops.extracted_keys WHERE source = %s AND dataset = %s AND bucket >= coalesce(%s, bucket)",
        (source, keys.dataset, keys.from_bucket),
    )
    conn.execute(
        "INSERT INTO ops.extracted_keys SELECT %s, %s, * FROM unnest(%s::bigint[], %s::bigint[])",
        (source, keys.dataset, list(keys.counts.keys()), list(keys.counts.values())),
    )


@dataclass(frozen=True)
class Extraction:
    """One moment of a system: which one (``Moment.origin``), by which run, whole or not, what had changed.

    ``source`` is the system's name: that of its source, unless the source has several.
    """

    source: str
    origin: str
    taken_at: datetime
    source_clock: datetime
    run_id: str
    is_full: bool
    fingerprint: str
    tables_changed: Sequence[str]


def record(conn: Connection[Any], extraction: Extraction) -> None:
    """Enter an extraction; call it in the transaction that publishes its tables."""
    values: Mapping[str, Any] = vars(extraction) | {"tables_changed": list(extraction.tables_changed)}
    conn.execute(
        """
        INSERT INTO ops.extraction
            (source, origin, taken_at, source_clock, run_id, is_full, fingerprint, tables_changed)
        VALUES (%(source)s, %(origin)s, %(taken_at)s, %(source_clock)s, %(run_id)s, %(is_full)s, %(fingerprint)s,
            %(tables_changed)s)
        """,
        values,
    )


def last(conn: Connection[Any], system: str) -> Extraction | None:
    """The last extraction of a system; ``None`` if it never was extracted."""
    with conn.cursor(row_factory=class_row(Extraction)) as cursor:
        return cursor.execute(
            "SELECT source, origin, taken_at, source_clock, run_id, is_full, fingerprint, tables_changed"
            " FROM ops.extraction WHERE source = %s ORDER BY extraction_id DESC LIMIT 1",
            (system,),
        ).fetchone()
