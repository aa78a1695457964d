"""The forms in which the upstream itself publishes Chinook: a SQLite database and a JSON file, of generated records."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from cinestream_platform.sources.chinook.sample.content import HEADERS
from cinestream_platform.sources.chinook.sample.generator import upstream_name
from cinestream_platform.sources.chinook.sample.shop import Record

MONEY = ("UnitPrice", "Total")
INTEGERS = ("ReportsTo", "Milliseconds", "Bytes", "Quantity")
"""Beside the columns whose names end in Id."""


def write_sqlite(tables: Mapping[str, Sequence[Record]], path: Path) -> None:
    """Write a new SQLite database as upstream's: its names, money as REAL, times as text with a blank.

    Args:
        tables: Dataset -> records, as ``chinook.good_records`` gives them.
        path: The file; it must not hold these tables yet.

    Raises:
        sqlite3.OperationalError: It does.
    """
    with closing(sqlite3.connect(path)) as db, db:
        for name, records in tables.items():
            columns = HEADERS[name].split(",")
            typed = ", ".join(f"[{column}] {_sqlite_type(column)}" for column in columns)
            db.execute(f"CREATE TABLE [{upstream_name(name)}] ({typed})")
            rows = ([_value(*pair) for pair in zip(columns, record, strict=True)] for record in records)
            places = ", ".join("?" * len(columns))
            db.executemany(f"INSERT INTO [{upstream_name(name)}] VALUES ({places})", rows)  # noqa: S608 -- our own names


def write_json(tables: Mapping[str, Sequence[Record]], path: Path) -> None:
    """Write one JSON object with a list per table as upstream's: money as float, times with a T, NULL as ``""``.

    Only the employee who reports to nobody has a real ``null`` there. ``tables`` is as in ``write_sqlite``.
    """
    content = {
        upstream_name(name): [
            {column: _json_value(column, text) for column, text in zip(HEADERS[name].split(","), record, strict=True)}
            for record in records
        ]
        for name, records in tables.items()
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def _sqlite_type(column: str) -> str:
    if column in MONEY:
        return "NUMERIC(10,2)"
    if column.endswith("Date"):
        return "DATETIME"
    return "INTEGER" if _is_integer(column) else "NVARCHAR(220)"


def _is_integer(column: str) -> bool:
    return column.endswith("Id") or column in INTEGERS


def _value(column: str, text: str) -> str | int | float | None:
    if not text:
        return None
    if column in MONEY:
        return float(text)
    return int(text) if _is_integer(column) else text


def _json_value(column: str, text: str) -> str | int | float | None:
    if column.endswith("Date"):
        return text.replace(" ", "T")
    return _value(column, text) if text or column == "ReportsTo" else ""
