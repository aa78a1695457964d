"""Reading JSON lines: an object a line, whose names are those of the columns, in any order; any may lack some.

Numbers are read as they are written, and null as the empty field of CSV, so that a record keeps and breaks the same
rules in both. What does not belong here: types and rules (``records``), JSON with several tables (``bundle_reader``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import FileRefusedError, Packing, refuse_foreign_form
from cinestream_platform.declarations.table import Table
from cinestream_platform.reading.blocks import BLOCK_BYTES, BOM, REJECT_SCHEMA, Batch, Blocks
from cinestream_platform.reading.csv_reader import PART_BYTES, folded, match_columns
from cinestream_platform.reading.csv_records import ENCODING, JSON, NAMES, NUL, Framed
from cinestream_platform.reading.json_tables import DECODER, RepeatedNameError
from cinestream_platform.reading.records import split_records, with_nulls
from cinestream_platform.reading.unpacking import open_source

WANTED = "file of JSON lines in UTF-8"
BLANKS = b" \t\r\n"
SCAN: Any = getattr(DECODER, "scan_once")  # noqa: B009  what raw_decode calls; the types do not know it


def read_json_lines(
    path: Path,
    feed: Feed,
    *,
    file_id: int,
    not_after: datetime,
    packing: Packing = Packing.NONE,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Batch]:
    """Read a local copy of a delivered file.

    Yields:
        Batches of typed and rejected records, in the order of the file.

    Raises:
        FileRefusedError: No line holds an object, or the first object has a name that is no column's; or as
            ``open_source``.
    """
    reader = _Reader(feed.table)
    with open_source(path, packing) as source:
        blocks = Blocks(source, block_bytes, fields=len(reader.columns))
        for line, block in blocks:
            if line == 1:
                block = block.removeprefix(BOM)
                refuse_foreign_form(block, WANTED)
            records, framed = reader.frame(block, line)
            nulled = with_nulls(records, feed)
            rows, rejected, warnings = split_records(nulled, feed.table, file_id=file_id, not_after=not_after)
            _add_text(framed, rejected, block, line)
            bad = pl.DataFrame(framed.bad, schema=REJECT_SCHEMA, orient="row").sort("line")
            to_come, is_cut = (blocks.bytes_left + 1) // reader.shortest, not block.endswith(b"\n")
            yield Batch(rows, bad, to_come, is_cut, warnings)
    if not reader.names:
        raise FileRefusedError(
            f"no line of the file holds a JSON object. Land a {WANTED}: one object per line, without a list around "
            "them."
        )


def _add_text(framed: Framed, rejected: pl.DataFrame, block: bytes, first_line: int) -> None:
    """Enter the records that break a rule with their text."""
    if rejected.is_empty():
        return
    lines = block.split(b"\n")
    for line, rule, found in rejected.select("line", "rule", "found").iter_rows():
        framed.reject(line, rule, lines[line - first_line], found)


class _Reader:
    """Splits lines into the fields of a table. ``names`` are the names seen in the file, each with its column."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._delivered = [column for column in table.columns if column.source_name]
        self._known = {folded(column.source_name or ""): column.name for column in self._delivered}
        self.columns = [column.name for column in self._delivered]
        self.names: dict[str, str] = {}

    @property
    def shortest(self) -> int:
        """Bytes of the shortest line that keeps the rules."""
        required = (folded(column.source_name or "") for column in self._delivered if not column.nullable)
        return len("{}\n") + sum(len(f'"{name}":1') for name in required)

    def frame(self, block: bytes, line: int) -> tuple[pl.DataFrame, Framed]:
        """The records of some lines as text columns, and those that are none."""
        schema: Any = {"line": pl.Int64(), **dict.fromkeys(self.columns, pl.String())}
        frames, framed, at = [pl.DataFrame(schema=schema)], Framed(), 0
        while at < len(block):
            end = block.find(b"\n", at + PART_BYTES) + 1 or len(block)
            part = block[at:end]
            numbers, rows = self._records(part, line, framed)
            columns = list(zip(*rows, strict=True)) or [()] * len(self.columns)
            frames.append(pl.DataFrame([numbers, *columns], schema=schema, orient="col"))
            at, line = end, line + part.count(b"\n")
        return pl.concat(frames), framed

    def _records(self, part: bytes, line: int, framed: Framed) -> tuple[list[int], list[list[str | None]]]:
        numbers, rows = [], []
        for number, raw in enumerate(part.split(b"\n"), line):
            body = raw.strip(BLANKS)
            if not body:  # an empty line is not a record
                continue
            record = _record(body)
            fields = record if isinstance(record, str) else self._fields(record)
            if isinstance(fields, str):
                framed.reject(number, fields, raw)
            else:
                numbers.append(number)
                rows.append(fields)
        return numbers, rows

    def _fields(self, record: Mapping[str, Any]) -> list[str | None] | str:
        """The fields in the table's order; or the rule that a name or a text breaks.

        Raises:
            FileRefusedError: This is the first object, which stands for the header, and has a name that is no
                column's.
        """
        if not self.names:
            self._take_names(list(record))
        values: dict[str, Any] = {}
        for name, value in record.items():
            column = self.names.get(name) or self._learn(name)
            if column is None or column in values:
                return NAMES
            try:
                values[column] = value if value is None or type(value) is str else _text(value)
            except RecursionError:  # lists in lists that could just be read
                return JSON
        fields = [values.get(column) for column in self.columns]
        return _flaw(fields) or fields

    def _take_names(self, first: Sequence[str]) -> None:
        present = {folded(name) for name in first}
        lacking = [column.source_name or "" for column in self._delivered]
        header = [*first, *(name for name in lacking if folded(name) not in present)]
        self.names = dict(zip(header, match_columns(header, self._table), strict=True))

    def _learn(self, name: str) -> str | None:
        column = self._known.get(folded(name))
        if column and len(self.names) < len(self.columns) * 8:  # spellings that differ in case and underscores
            self.names[name] = column
        return column


def _record(body: bytes) -> dict[str, Any] | str:
    """The object in a line, or the rule that the line breaks."""
    if b"\0" in body:
        return NUL
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return ENCODING
    try:
        record, end = SCAN(text, 0)
    except RepeatedNameError:
        return NAMES
    except (StopIteration, json.JSONDecodeError, RecursionError):
        return JSON
    return record if end == len(text) and isinstance(record, dict) else JSON


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _flaw(fields: Sequence[str | None]) -> str | None:
    """The rule of the format that a text breaks: Postgres stores neither NULs nor halves of surrogate pairs."""
    text = "".join(field for field in fields if field)
    if text.isascii():
        return NUL if "\0" in text else None
    try:
        text.encode()
    except UnicodeEncodeError:
        return ENCODING
    return NUL if "\0" in text else None
