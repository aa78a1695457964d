"""The connector for PostgreSQL: tables of an operational database as they were at one moment, each into a local file.

All readers share one exported snapshot (https://www.postgresql.org/docs/18/functions-admin.html, "Snapshot
Synchronization Functions"): no payment comes without its rental, however busy the source is. COPY streams, so memory
does not grow with a table. What becomes of the files is decided by ``copied_rows`` and ``records``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel
from psycopg.sql import SQL, Composed, Identifier, Literal

from cinestream_platform import progress
from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.connector import Increment, Moment, SourceDriftError, TableCopy
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import describe
from cinestream_platform.reading.blocks import Batch
from cinestream_platform.reading.copied_rows import NOT_UTF8, TOO_LARGE, read_copied
from cinestream_platform.reading.increments import BUCKET_BITS, condition
from cinestream_platform.reading.source_look import look
from cinestream_platform.reading.source_shape import drift, may_use, read_shape
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""A larger text is left out and its row rejected: the server could not send it (a row has at most 1 GB), nor a machine
of ours hold a few of them."""


class SnapshotLostError(CineStreamError):
    """The session that holds the snapshot open has ended: it takes another attempt with another snapshot."""


@dataclass(frozen=True)
class PostgresConnector:
    """An operational database: where it is, in which schema, and the zone of its timestamps without one."""

    target: PostgresTarget
    schema: str
    time_zone: str

    @property
    def address(self) -> str:
        """The database's URL, without the password."""
        return str(self.target)

    @property
    def passing_faults(self) -> tuple[type[Exception], ...]:
        """The database went away or was restarted."""
        return (psycopg.OperationalError, psycopg.InterfaceError, SnapshotLostError, PostgresUnreachableError)

    def fingerprint(self, feeds: Sequence[Feed]) -> str:
        """A short text that changes when rows come, go, or are updated (``source_look``).

        Raises:
            SourceDriftError: The tables are not what is declared, or may not be read whole; the message names them all.
        """
        with _read_only(self) as conn, _naming_drift(self):
            _columns(conn, self, feeds)
            return look(conn, self.schema, feeds).fingerprint

    @contextmanager
    def read(self, feeds: Sequence[Feed]) -> Iterator[PostgresReader]:
        """Hold one moment of the database open.

        Raises:
            SourceDriftError: The tables are not what is declared, or may not be read whole; the message names them all.
        """
        with _read_only(self) as conn:
            with _naming_drift(self):
                [(name, taken_at)] = conn.execute("SELECT pg_export_snapshot(), transaction_timestamp()").fetchall()
                columns = _columns(conn, self, feeds)
                origin, seen = _origin(conn, self, feeds), look(conn, self.schema, feeds)
            yield PostgresReader(self, name, Moment(origin, taken_at, columns, seen.fingerprint, seen.rows))

    def typed(self, copied: Path, feed: Feed, *, file_id: int, not_after: datetime) -> Iterator[Batch]:
        """The rows of a copy, in the order of the file."""
        return read_copied(copied, feed, file_id=file_id, not_after=not_after)


@dataclass(frozen=True)
class PostgresReader:
    """A snapshot that is held open, under the name by which several sessions share it."""

    database: PostgresConnector
    name: str
    moment: Moment

    def count_keys(self, feed: Feed, *, from_bucket: int | None = None) -> dict[int, int]:
        """How many rows a table has in each range of keys (``increments``), in all or from one on (by its index)."""
        where = SQL("").format()
        if from_bucket is not None:
            where = SQL("WHERE {} >= {}").format(_key(feed), Literal(from_bucket << BUCKET_BITS))
        query = SQL("SELECT {}::bigint >> {}, count(*) FROM {} t {} GROUP BY 1").format(
            _key(feed), Literal(BUCKET_BITS), Identifier(self.database.schema, feed.table.name), where
        )
        with self._session() as conn:
            return dict(conn.execute(query).fetchall())

    def copy(self, feed: Feed, path: Path, *, increment: Increment | None = None) -> TableCopy:
        """Write a table's rows as they were at the snapshot for ``copied_rows``, in the order of the natural key.

        Without an ``increment`` all of them.
        """
        query = self._query(feed, increment)
        try:
            with self._session() as conn:
                return _write(conn, query, feed, path, None)
        except (psycopg.errors.UntranslatableCharacter, psycopg.errors.CharacterNotInRepertoire):
            with self._session() as conn:  # some value is not text: which, is found here
                [(encoding,)] = conn.execute("SELECT current_setting('server_encoding')").fetchall()
                conn.execute("SELECT set_config('client_encoding', %s, false)", (encoding,))
                return _write(conn, query, feed, path, "utf-8" if encoding == "SQL_ASCII" else conn.info.encoding)

    def _query(self, feed: Feed, increment: Increment | None) -> Composed:
        columns = [column for column in feed.table.columns if column.source_name]
        types = self.moment.columns[feed.table.name]
        chosen = SQL(", ").join(
            SQL("{} AS {}").format(_text(c, types[c.source_name or ""], self.database.time_zone), Identifier(c.name))
            for c in columns
        )
        source = Identifier(self.database.schema, feed.table.name)
        where = SQL("").format()
        if increment is not None:
            margin = feed.increment_margin if types[feed.increment_by or ""].startswith("timestamp") else None
            where = condition(increment, _comparable(feed, types, self.database), margin, _key(feed))
        key = SQL(", ").join(Identifier("t", name) for name in feed.table.row_key)
        return SQL("COPY (SELECT {}, {} AS {} FROM {} t {} ORDER BY {}) TO STDOUT (FORMAT text, HEADER)").format(
            chosen, _too_large(columns), Identifier(TOO_LARGE), source, where, key
        )

    @contextmanager
    def _session(self) -> Iterator[Connection[Any]]:
        """A session that reads the snapshot.

        Raises:
            SnapshotLostError: Whoever held it open is gone.
            SourceDriftError: Postgres refuses a statement.
        """
        with _read_only(self.database) as conn:
            try:
                conn.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(self.name)))
            except psycopg.DatabaseError as error:
                raise SnapshotLostError(f"{self.database.target}: {describe(error)}") from error
            with _naming_drift(self.database):
                yield conn


SESSION = {"search_path": "pg_catalog", "row_security": "off"}
"""What the operational database alone needs: without row security Postgres refuses what it would filter in silence."""


@contextmanager
def _read_only(database: PostgresConnector) -> Iterator[Connection[Any]]:
    with connect(database.target, role=None, autocommit=False, any_encoding=True) as conn:
        for name, value in SESSION.items():
            conn.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
        conn.commit()
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        yield conn


@contextmanager
def _naming_drift(database: PostgresConnector) -> Iterator[None]:
    """Turn Postgres' refusal of a statement into drift: a table was changed, or a right taken away, meanwhile."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        raise _drifted(database, [describe(error)]) from error


def _drifted(database: PostgresConnector, problems: Sequence[str]) -> SourceDriftError:
    return SourceDriftError(
        f"{database.target}, schema {database.schema}: {'; '.join(problems)}. Nothing was extracted. Put it back in "
        "the source, or change the declaration in sources/."
    )


def _origin(conn: Connection[Any], database: PostgresConnector, feeds: Sequence[Feed]) -> str:
    """Address of the database with a short text that changes when it or a table of it is made anew."""
    made = conn.execute(
        "SELECT oid::bigint FROM pg_database WHERE datname = current_database() UNION ALL SELECT c.oid::bigint"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = %s AND relname = ANY (%s)",
        (database.schema, [feed.table.name for feed in feeds]),
    ).fetchall()
    return f"{database.target}#{hashlib.sha256(repr(sorted(made)).encode()).hexdigest()[:16]}"


def _columns(conn: Connection[Any], database: PostgresConnector, feeds: Sequence[Feed]) -> dict[str, dict[str, str]]:
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


def _text(column: Column, source_type: str, time_zone: str) -> Composed:
    """A column as text: instants in UTC, arrays as JSON, ``char(n)`` without padding; NULL where it is too large."""
    name = Identifier(column.source_name or column.name)
    if source_type == "timestamp without time zone":
        zoned = SQL("(({} AT TIME ZONE {}) AT TIME ZONE 'UTC')::text").format(name, Literal(time_zone))
        return SQL("CASE WHEN {} THEN {} ELSE {}::text END").format(_is_convertible(name), zoned, name)
    if source_type == "timestamp with time zone":
        return SQL("({} AT TIME ZONE 'UTC')::text").format(name)
    text = SQL("array_to_json({})::text" if column.type.kind is Kind.TEXT_ARRAY else "{}::text").format(name)
    size = _size(column)
    return SQL("CASE WHEN {} THEN NULL ELSE {} END").format(_is_too_large(size), text) if size else text


def _is_convertible(name: Identifier) -> Composed:
    """Whether a time without a zone is one in every zone: near the ends of what Postgres stores none is."""
    return SQL("({0} BETWEEN timestamp '4700-01-01 BC' AND timestamp '294270-01-01')").format(name)


def _size(column: Column) -> Composed | None:
    """Bytes of a value that may be of any size; of a text Postgres knows them without reading it."""
    name = Identifier(column.source_name or column.name)
    if column.type.kind is Kind.TEXT:
        return SQL("octet_length({}::text)").format(name)
    if column.type.kind is Kind.TEXT_ARRAY:
        return SQL("(SELECT sum(octet_length(e::text)) FROM unnest({}) e)").format(name)
    return None


def _is_too_large(size: Composed) -> Composed:
    return SQL("{} > {}").format(size, Literal(MAX_VALUE_BYTES))


def _too_large(columns: Sequence[Column]) -> Composed:
    """The name of the first column whose value is left out, else NULL."""
    sizes = [(column.name, size) for column in columns if (size := _size(column)) is not None]
    whens = [SQL("WHEN {} THEN {}").format(_is_too_large(size), Literal(name)) for name, size in sizes]
    if not whens:
        return SQL("NULL::text").format()
    return SQL("CASE {} END").format(SQL(" ").join(whens))


def _key(feed: Feed) -> Composed:
    """The column by whose ranges rows are counted."""
    return SQL("{}").format(Identifier("t", feed.table.row_key[0]))


def _write(conn: Connection[Any], query: Composed, feed: Feed, path: Path, codec: str | None) -> TableCopy:
    """Write what a COPY sends; with a ``codec`` converted from it, lines that cannot be with ``NOT_UTF8`` in front."""
    digest, size, rest = hashlib.sha256(), 0, b""
    with path.open("wb") as sink, conn.cursor().copy(query) as rows:
        for sent in rows:
            progress.note(f"rows of {feed.table.name}")
            data = bytes(sent)
            if codec is not None:
                *lines, rest = (rest + data).split(b"\n")
                data = b"".join(_converted(line, codec) + b"\n" for line in lines)
            digest.update(data)
            size += sink.write(data)
    return TableCopy(path, digest.hexdigest(), size)


def _converted(line: bytes, codec: str) -> bytes:
    try:
        return line.decode(codec).encode("utf-8")
    except UnicodeError:
        return NOT_UTF8 + line


def _comparable(feed: Feed, types: Mapping[str, str], database: PostgresConnector) -> Composed:
    """The increment's column, as an instant where it is a time."""
    name = feed.increment_by or ""
    if types[name] == "timestamp without time zone":
        column = Identifier("t", name)
        return SQL("CASE WHEN {} THEN {} AT TIME ZONE {} ELSE 'infinity' END").format(
            _is_convertible(column), column, Literal(database.time_zone)
        )
    return SQL("{}").format(Identifier("t", name))
