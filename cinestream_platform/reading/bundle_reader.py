"""Reading one table out of a file that holds several: SQLite, or a JSON object with a list of records per table.

NULL is SQLite's own NULL, or JSON's null or empty text; numbers are read as they are written, never as binary floats.
What does not belong here: types and rules (``records``), which tables a file should hold (``bundle``), how JSON is
walked (``json_tables``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from cinestream_platform.declarations.column import Column
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import SQLITE_MAGIC, FileRefusedError
from cinestream_platform.messages import MAX_VALUE
from cinestream_platform.reading.blocks import (
    BLOCK_BYTES,
    MAX_CELLS,
    MAX_LINE_BYTES,
    MAX_RAW_CHARS,
    REJECT_SCHEMA,
    Batch,
)
from cinestream_platform.reading.csv_reader import SHOWN_NAMES, folded, match_columns
from cinestream_platform.reading.csv_records import ENCODING, NUL
from cinestream_platform.reading.json_tables import JsonTables, NoObjectError, NotJsonError, RepeatedNameError
from cinestream_platform.reading.records import split_records

BATCH_ROWS = 100_000
MAX_COLUMNS = 1_000
SQLITE_HEAD_BYTES = 20
WAL_VERSION = 2
"""Write or read version, bytes 18 and 19 of the file, in WAL mode: https://www.sqlite.org/fileformat.html."""


class Rows(Protocol):
    """The records of a table, and how many may still come."""

    @property
    def header(self) -> list[str]:
        """Names of their fields."""
        ...

    @property
    def most_to_come(self) -> int:
        """A number that the records to come cannot exceed."""
        ...

    def __iter__(self) -> Iterator[Row]: ...


def read_bundle_table(path: Path, feed: Feed, *, file_id: int, not_after: datetime) -> Iterator[Batch]:
    """Read the table of a feed out of a local copy of a bundle.

    Yields:
        Batches of typed and rejected records; ``line`` is the number of the record within its table, from 1.

    Raises:
        FileRefusedError: The file is neither SQLite nor JSON, or damaged; the table or one of its columns is missing.
    """
    with path.open("rb") as source:
        head = source.read(SQLITE_HEAD_BYTES)
    is_sqlite = head.startswith(SQLITE_MAGIC)
    if is_sqlite and WAL_VERSION in head[18:20]:
        raise FileRefusedError(
            "the SQLite file is in WAL mode: its last commits may stand in the file <name>-wal beside it, which is "
            'not read. Run `sqlite3 <file> "PRAGMA journal_mode = DELETE"` where it is written, and land it again.'
        )
    rows: Rows = SqliteRows(path, feed) if is_sqlite else JsonRows(path, feed)
    names = match_columns(rows.header, feed.table)
    schema: Any = {"line": pl.Int64(), "raw": pl.String(), **dict.fromkeys(names, pl.String())}
    for batch in _batches(rows, min(BATCH_ROWS, MAX_CELLS // len(names))):
        judged = [(line, row, _flaw(row)) for line, row in batch]
        good = [(line, _raw(row), *row) for line, row, flaw in judged if flaw is None]
        bad = [(line, flaw, row if isinstance(row, str) else _raw(row), None) for line, row, flaw in judged if flaw]
        records = pl.DataFrame(good, schema=schema, orient="row")
        typed, rejected, warnings = split_records(records, feed.table, file_id=file_id, not_after=not_after)
        raws = records[rejected["row"]]["raw"]
        broken = pl.DataFrame(bad, schema=REJECT_SCHEMA, orient="row")
        rejected = pl.concat([rejected.select("line", "rule", raws.alias("raw"), "found"), broken])
        yield Batch(typed, rejected.sort("line"), rows.most_to_come, warnings=warnings)


def _batches(rows: Rows, most_rows: int) -> Iterator[list[tuple[int, Row]]]:
    """Records with their numbers, so many at a time that they take a bounded part of the memory."""
    batch: list[tuple[int, Row]] = []
    size = 0
    for line, row in enumerate(rows, start=1):
        batch.append((line, row))
        size += len(row) if isinstance(row, str) else sum(len(value) for value in row if value)
        if len(batch) == most_rows or size > BLOCK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


Row = tuple[str | None, ...] | str
"""The fields of a record as text; or, of one that is not valid UTF-8, what there is of it."""


def _raw(row: Iterable[str | None]) -> str:
    text = json.dumps(list(row), ensure_ascii=False)[:MAX_RAW_CHARS]
    return text.encode("utf-8", "backslashreplace").decode()


def _flaw(row: Row) -> str | None:
    """The rule of the format that a record breaks: Postgres stores neither NULs nor halves of surrogate pairs."""
    if isinstance(row, str):
        return ENCODING
    text = "".join(value for value in row if value)
    if "\0" in text:
        return NUL
    try:
        text.encode()
    except UnicodeEncodeError:
        return ENCODING
    return None


def _find(names: list[str], feed: Feed, *, shown: bool) -> str:
    """The name under which a file holds the feed's table; other names are ``shown`` where they are a schema's."""
    found = [name for name in names if folded(name) == folded(feed.table.name)]
    if len(found) != 1:
        problem = "is missing" if not found else "occurs twice"
        tables = found or (names if shown else [])
        shown_names = ", ".join(name[:MAX_VALUE] for name in tables[:SHOWN_NAMES])
        has = shown_names or (f"{len(names):,} of other names" if names else "none")
        raise FileRefusedError(
            f"table `{feed.table.name}` {problem}; the file has {has}. Fix the file and land it again."
        )
    return found[0]


class SqliteRows:
    """The records of a table in an SQLite file."""

    def __init__(self, path: Path, feed: Feed) -> None:
        self._conn = conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        conn.text_factory = bytes
        conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LINE_BYTES)
        try:
            conn.execute("PRAGMA trusted_schema = OFF")
            tables = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'")
            name = _find([name.decode("utf-8", "replace") for (name,) in tables], feed, shown=True)
            quoted = name.replace('"', '""')
            # Names from the file's own catalogue, quoted.
            self._cursor = conn.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
            [(self.most_to_come,)] = conn.execute(f'SELECT count(*) FROM "{quoted}" NOT INDEXED')  # noqa: S608
        except sqlite3.Error as error:
            conn.close()
            raise FileRefusedError(f"the SQLite file is damaged: {error}. Land it again.") from error
        self.header = [column[0] for column in self._cursor.description]

    def __iter__(self) -> Iterator[Row]:
        """Each record.

        Raises:
            FileRefusedError: A page is damaged, or a value too large.
        """
        with closing(self._conn):
            try:
                for row in self._cursor:
                    self.most_to_come -= 1
                    try:
                        yield tuple(_sqlite_text(value) for value in row)
                    except UnicodeDecodeError:
                        yield repr(row)[:MAX_RAW_CHARS]
            except sqlite3.Error as error:
                raise FileRefusedError(f"the SQLite file is damaged: {error}. Land it again.") from error


def _sqlite_text(value: bytes | float | None) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8") if isinstance(value, bytes) else repr(value)


class JsonRows:
    """The records of a table in a JSON file, which is read twice: for the names of all fields, and for the records."""

    def __init__(self, path: Path, feed: Feed) -> None:
        self._path, self._feed = path, feed
        self._tables: JsonTables | None = None
        self._waiting = 0
        required = [folded(column.name) for column in _delivered(feed) if not column.nullable]
        self._shortest = len("{},") + sum(len(f'"{name}":1,') for name in required)
        try:
            self._name, self.header = self._survey()
        except RepeatedNameError as error:
            known = {folded(name) for name in (feed.table.name, *(c.source_name or "" for c in _delivered(feed)))}
            what = f"`{error.name}`" if folded(error.name) in known else "a name"
            raise FileRefusedError(
                f"this is neither SQLite nor readable JSON (an object has {what} twice). Land it again."
            ) from error
        except NoObjectError:
            raise FileRefusedError(
                "the JSON file is not an object with a list of records per table. Fix it and land it again."
            ) from None
        except (NotJsonError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise FileRefusedError(f"this is neither SQLite nor readable JSON ({why}). Land it again.") from None

    def _survey(self) -> tuple[str, list[str]]:
        """The name of the table and the fields of its records, of which any may lack some."""
        names, fields, are_objects = [], dict[str, Any](), True
        with self._path.open("rb") as source:
            for name, parts in JsonTables(source, self._path.stat().st_size).members():
                names.append(name)
                if folded(name) != folded(self._feed.table.name):
                    continue
                are_objects = are_objects and parts is not None
                for part in parts or ():
                    are_objects = are_objects and all(isinstance(record, dict) for record in part)
                    for record in part if are_objects else ():
                        fields.update(record)
                    if len(fields) > MAX_COLUMNS:
                        raise FileRefusedError(f"the records of table `{name}` have more than {MAX_COLUMNS:,} fields.")
        table = _find(names, self._feed, shown=False)
        if not are_objects:
            raise FileRefusedError(
                f"table `{self._feed.table.name}` is not a list of objects. Fix the file and land it again."
            )
        return table, list(fields) or [column.source_name or "" for column in _delivered(self._feed)]

    @property
    def most_to_come(self) -> int:
        """A number that the records to come cannot exceed."""
        left = self._tables.bytes_left if self._tables else self._path.stat().st_size
        return self._waiting + (left + 1) // self._shortest

    def __iter__(self) -> Iterator[Row]:
        """Each record, once ``header`` is known."""
        with self._path.open("rb") as source:
            self._tables = JsonTables(source, self._path.stat().st_size)
            parts = next(parts for name, parts in self._tables.members() if name == self._name)
            for part in parts or ():
                self._waiting = len(part)
                for record in part:
                    self._waiting -= 1
                    yield tuple(_json_text(record.get(name)) for name in self.header)


def _delivered(feed: Feed) -> list[Column]:
    return [column for column in feed.table.columns if column.source_name]


def _json_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
