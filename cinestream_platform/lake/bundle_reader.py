"""Reading one table out of a file that holds several: SQLite, or a JSON object with a list of records per table.

NULL is SQLite's own NULL, or JSON's null or empty text; numbers are read as they are written, never as binary floats.
What does not belong here: types and rules (``records``), which tables a file should hold (``bundle``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from cinestream_platform.lake.blocks import MAX_LINE_BYTES, MAX_RAW_CHARS, REJECT_SCHEMA, Batch, FileRefusedError
from cinestream_platform.lake.csv_reader import folded, match_columns
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.records import split_records

BATCH_ROWS = 100_000
MAX_JSON_BYTES = 256 * 1024 * 1024
"""JSON is read as a whole and takes some ten times its size in memory."""
SQLITE_MAGIC = b"SQLite format 3\0"


def read_member(path: Path, feed: Feed, *, file_id: int, not_after: datetime) -> Iterator[Batch]:
    """Read the table of a feed out of a local copy of a bundle.

    Yields:
        Batches of typed and rejected records; ``line`` is the number of the record within its table, from 1.

    Raises:
        FileRefusedError: The file is neither SQLite nor JSON, or damaged; the table or one of its columns is missing.
    """
    with path.open("rb") as source:
        is_sqlite = source.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    header, rows = (_sqlite_rows if is_sqlite else _json_rows)(path, feed)
    names = match_columns(header, feed.table)
    schema: Any = {"line": pl.Int64(), "raw": pl.String(), **dict.fromkeys(names, pl.String())}
    numbered = enumerate(rows, start=1)
    while batch := list(islice(numbered, BATCH_ROWS)):
        judged = [(line, row, _flaw(row)) for line, row in batch]
        good = [(line, _raw(row), *row) for line, row, flaw in judged if flaw is None]
        bad = [(line, flaw, row if isinstance(row, str) else _raw(row)) for line, row, flaw in judged if flaw]
        records = pl.DataFrame(good, schema=schema, orient="row")
        typed, rejected = split_records(records, feed.table, file_id=file_id, not_after=not_after)
        raws = records[rejected["row"]]["raw"]
        broken = pl.DataFrame(bad, schema=REJECT_SCHEMA, orient="row")
        yield Batch(typed, pl.concat([rejected.select("line", "rule", raw=raws), broken]).sort("line"))


Row = tuple[str | None, ...] | str
"""The fields of a record as text; or, of one that is not valid UTF-8, what there is of it."""


def _raw(row: Iterable[str | None]) -> str:
    text = json.dumps(list(row), ensure_ascii=False)[:MAX_RAW_CHARS]
    return text.encode("utf-8", "backslashreplace").decode()


def _flaw(row: Row) -> str | None:
    """The rule of the format that a record breaks: Postgres stores neither NULs nor halves of surrogate pairs."""
    if isinstance(row, str):
        return "record_encoding"
    text = "".join(value for value in row if value)
    if "\0" in text:
        return "record_nul"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "record_encoding"
    return None


def _find(names: Iterable[str], feed: Feed) -> str:
    """The name under which a file holds the feed's table."""
    names = list(names)
    found = [name for name in names if folded(name) == folded(feed.table.name)]
    if len(found) != 1:
        problem = "is missing" if not found else "occurs twice"
        raise FileRefusedError(
            f"table `{feed.table.name}` {problem}; the file has {', '.join(names)[:500] or 'none'}. "
            "Fix the file and land it again."
        )
    return found[0]


def _sqlite_rows(path: Path, feed: Feed) -> tuple[list[str], Iterator[Row]]:
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    conn.text_factory = bytes
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LINE_BYTES)
    try:
        conn.execute("PRAGMA trusted_schema = OFF")
        tables = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'")
        name = _find((name.decode("utf-8", "replace") for (name,) in tables), feed)
        quoted = name.replace('"', '""')
        cursor = conn.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - a name from the file's own catalogue, quoted
        return [column[0] for column in cursor.description], _texts(conn, cursor)
    except sqlite3.Error as error:
        conn.close()
        raise FileRefusedError(f"the SQLite file is damaged: {error}. Land it again.") from error


def _texts(conn: sqlite3.Connection, cursor: sqlite3.Cursor) -> Iterator[Row]:
    with closing(conn):
        try:
            for row in cursor:
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


def _json_rows(path: Path, feed: Feed) -> tuple[list[str], Iterator[Row]]:
    if (size := path.stat().st_size) > MAX_JSON_BYTES:
        raise FileRefusedError(
            f"the JSON file has {size:,} bytes, more than {MAX_JSON_BYTES:,}. Land SQLite, or a CSV file a table."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        tables = json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_json_object)
    except (ValueError, RecursionError) as error:
        raise FileRefusedError(f"this is neither SQLite nor readable JSON ({error}). Land it again.") from error
    if not isinstance(tables, dict):
        raise FileRefusedError("the JSON file is no object with a list of records per table. Fix it and land it again.")
    records = tables[_find(tables, feed)]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise FileRefusedError(f"table `{feed.table.name}` is no list of objects. Fix the file and land it again.")
    declared = [column.source_name for column in feed.table.columns if column.source_name]
    header = list(dict.fromkeys(name for record in records for name in record)) or declared
    return header, (tuple(_json_text(record.get(name)) for name in header) for record in records)


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which every name occurs once: of two values neither is the right one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object has `{next(name for name in names if names.count(name) > 1)}` twice")
    return found


def _json_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
