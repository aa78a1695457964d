"""Reading tables of an operational Postgres as they were at one moment, each into a local CSV file.

All readers share one exported snapshot (https://www.postgresql.org/docs/18/functions-admin.html, "Snapshot
Synchronization Functions"): no payment comes without its rental, however busy the source is. COPY streams, so memory
does not grow with a table. What becomes of the files is decided as for any landed file (``csv_reader``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.sql import SQL, Composed, Identifier, Literal

from cinestream_platform import progress
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.increments import BUCKET_BITS, Increment
from cinestream_platform.lake.source_look import look
from cinestream_platform.lake.source_shape import drift, may_use, read_shape
from cinestream_platform.messages import describe
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.table import Column, Kind

NULL_TOKEN = "\\N:NULL:\\N"  # noqa: S105 - no secret
"""How NULL is written, so that an empty text stays one."""


class SourceDriftError(CineStreamError):
    """Tables or columns are not what is declared, or may not be read whole; nothing of the database is extracted."""


class SnapshotLostError(CineStreamError):
    """The session that holds the snapshot open has ended: it takes another attempt with another snapshot."""


@dataclass(frozen=True)
class SourceDatabase:
    """An operational database: where it is, in which schema, and the zone of its timestamps without one."""

    target: PostgresTarget
    schema: str
    time_zone: str


@dataclass(frozen=True)
class Snapshot:
    """One moment of a database that several readers can share while it is held open.

    ``origin`` is another one where the database or a table was made anew: increments on older rows mean nothing then.
    """

    name: str
    origin: str
    taken_at: datetime
    columns: Mapping[str, Mapping[str, str]]
    fingerprint: str
    rows: Mapping[str, int] = field(default_factory=dict)

    def unknown_columns(self, feeds: Sequence[Feed]) -> list[str]:
        """``table.column`` of what the source has beyond the declarations."""
        return [
            f"{feed.table.name}.{name}"
            for feed in feeds
            for name in self.columns[feed.table.name]
            if name not in {column.name for column in feed.table.columns}
        ]


SESSION = {"search_path": "pg_catalog", "row_security": "off"}
"""What the operational database alone needs: without row security Postgres refuses what it would filter in silence."""


@contextmanager
def _read_only(database: SourceDatabase) -> Iterator[Connection[Any]]:
    with connect(database.target, role=None, autocommit=False, any_encoding=True) as conn:
        for name, value in SESSION.items():
            conn.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
        conn.commit()
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        yield conn


@contextmanager
def _naming_drift(database: SourceDatabase) -> Iterator[None]:
    """Turn Postgres' refusal of a statement into drift: a table was changed, or a right taken away, meanwhile."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        raise _drifted(database, [describe(error)]) from error


def _drifted(database: SourceDatabase, problems: Sequence[str]) -> SourceDriftError:
    return SourceDriftError(
        f"{database.target}, schema {database.schema}: {'; '.join(problems)}. Nothing was extracted. Put it back in "
        "the source, or change the declaration in sources/."
    )


@contextmanager
def open_snapshot(database: SourceDatabase, feeds: Sequence[Feed]) -> Iterator[Snapshot]:
    """Hold one moment of the database open.

    Raises:
        SourceDriftError: The tables are not what is declared, or may not be read whole; the message names them all.
    """
    with _read_only(database) as conn:
        with _naming_drift(database):
            [(name, taken_at)] = conn.execute("SELECT pg_export_snapshot(), transaction_timestamp()").fetchall()
            columns = _columns(conn, database, feeds)
            origin, seen = _origin(conn, database, feeds), look(conn, database.schema, feeds)
        yield Snapshot(name, origin, taken_at, columns, seen.fingerprint, seen.rows)


def _origin(conn: Connection[Any], database: SourceDatabase, feeds: Sequence[Feed]) -> str:
    """Address of the database with a short text that changes when it or a table of it is made anew."""
    made = conn.execute(
        "SELECT oid::bigint FROM pg_database WHERE datname = current_database() UNION ALL SELECT c.oid::bigint"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = %s AND relname = ANY (%s)",
        (database.schema, [feed.table.name for feed in feeds]),
    ).fetchall()
    return f"{database.target}#{hashlib.sha256(repr(sorted(made)).encode()).hexdigest()[:16]}"


def _columns(conn: Connection[Any], database: SourceDatabase, feeds: Sequence[Feed]) -> dict[str, dict[str, str]]:
    """Table to column to type, domains as their base types.

    Raises:
        SourceDriftError: Tables or columns are missing, of another type or closed; the message names them all.
    """
    shape, reader = read_shape(conn, database.schema), database.target.user
    problems = drift(shape, feeds, reader)
    if not may_use(conn, database.schema):
        problems.insert(0, f"permission denied for the schema (GRANT USAGE ON SCHEMA {database.schema} TO {reader})")
    if problems:
        raise _drifted(database, problems)
    return {table: {name: column.type for name, column in found.columns.items()} for table, found in shape.items()}


def read_fingerprint(database: SourceDatabase, feeds: Sequence[Feed]) -> str:
    """A short text that changes when rows come, go, or are updated (``source_look``): what a sensor asks for often.

    Raises:
        SourceDriftError: The tables are not what is declared, or may not be read whole; the message names them all.
    """
    with _read_only(database) as conn, _naming_drift(database):
        _columns(conn, database, feeds)
        return look(conn, database.schema, feeds).fingerprint


def _text(column: Column, source_type: str, time_zone: str) -> Composed:
    """A column as the text that ``csv_reader`` reads: instants in UTC, arrays as JSON, ``char(n)`` without padding."""
    name = Identifier(column.source_name or column.name)
    if source_type == "timestamp without time zone":
        return SQL("(({} AT TIME ZONE {}) AT TIME ZONE 'UTC')::text").format(name, Literal(time_zone))
    if source_type == "timestamp with time zone":
        return SQL("({} AT TIME ZONE 'UTC')::text").format(name)
    if column.type.kind is Kind.TEXT_ARRAY:
        return SQL("array_to_json({})::text").format(name)
    return SQL("{}::text").format(name)


@dataclass(frozen=True)
class TableCopy:
    """A table's rows in a local file."""

    path: Path
    sha256: str
    size: int


@contextmanager
def _at(database: SourceDatabase, snapshot: Snapshot) -> Iterator[Connection[Any]]:
    """A session that reads the snapshot.

    Raises:
        SnapshotLostError: Whoever held it open is gone.
        SourceDriftError: Postgres refuses a statement.
    """
    with _read_only(database) as conn:
        try:
            conn.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot.name)))
        except psycopg.DatabaseError as error:
            raise SnapshotLostError(f"{database.target}: {describe(error)}") from error
        with _naming_drift(database):
            yield conn


def count_keys(
    database: SourceDatabase, snapshot: Snapshot, feed: Feed, *, from_bucket: int | None = None
) -> dict[int, int]:
    """How many rows a table has in each range of keys (``increments``), in all or from one on (by the key's index)."""
    where = SQL("").format()
    if from_bucket is not None:
        where = SQL("WHERE {} >= {}").format(_key(feed), Literal(from_bucket << BUCKET_BITS))
    query = SQL("SELECT {}::bigint >> {}, count(*) FROM {} t {} GROUP BY 1").format(
        _key(feed), Literal(BUCKET_BITS), Identifier(database.schema, feed.table.name), where
    )
    with _at(database, snapshot) as conn:
        return dict(conn.execute(query).fetchall())


def _key(feed: Feed) -> Composed:
    """The column by whose ranges rows are counted."""
    return SQL("{}").format(Identifier("t", feed.table.natural_key[0]))


def copy_table(
    database: SourceDatabase, snapshot: Snapshot, feed: Feed, path: Path, *, increment: Increment | None = None
) -> TableCopy:
    """Write a table's rows as they were at the snapshot to a CSV file with a header, in the order of the natural key.

    Without an ``increment`` all of them.
    """
    columns = [column for column in feed.table.columns if column.source_name]
    types = snapshot.columns[feed.table.name]
    chosen = SQL(", ").join(
        SQL("{} AS {}").format(_text(c, types[c.source_name or ""], database.time_zone), Identifier(c.name))
        for c in columns
    )
    source = Identifier(database.schema, feed.table.name)
    where = SQL("").format()
    if increment is not None:
        margin = feed.increment_margin if types[feed.increment_by or ""].startswith("timestamp") else None
        where = increment.condition(_comparable(feed, types, database), margin, _key(feed))
    key = SQL(", ").join(Identifier("t", name) for name in feed.table.natural_key if not name.startswith("_"))
    query = SQL("COPY (SELECT {} FROM {} t {} ORDER BY {}) TO STDOUT (FORMAT csv, HEADER, NULL {})").format(
        chosen, source, where, key, Literal(NULL_TOKEN)
    )
    digest, size = hashlib.sha256(), 0
    with _at(database, snapshot) as conn, path.open("wb") as sink, conn.cursor().copy(query) as rows:
        for data in rows:
            progress.note(f"rows of {feed.table.name}")
            digest.update(data)
            size += sink.write(data)
    return TableCopy(path, digest.hexdigest(), size)


def _comparable(feed: Feed, types: Mapping[str, str], database: SourceDatabase) -> Composed:
    """The increment's column, as an instant where it is a time."""
    name = feed.increment_by or ""
    if types[name] == "timestamp without time zone":
        return SQL("({} AT TIME ZONE {})").format(Identifier("t", name), Literal(database.time_zone))
    return SQL("{}").format(Identifier("t", name))


PASSING_FAULTS = (psycopg.OperationalError, psycopg.InterfaceError, SnapshotLostError)
"""The source went away or was restarted: worth another attempt."""
