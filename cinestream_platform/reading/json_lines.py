"""Reading JSON lines: an object a line, whose names are those of the columns, in any order; any may lack some.

Numbers are read as they are written, and null as the empty field of CSV, so that a record keeps and breaks the same
rules in both. Most lines of a file are written alike, with the same names in the same order: polars cuts the fields out
of these by one pattern, which leaves every text as it is. All others, and any line that the pattern does not fit, are
read by Python's decoder, about ten times slower. Both find the same (tests/unit/reading/test_json_lines.py).
What does not belong here: types and rules (``records``), JSON with several tables (``bundle_reader``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
FIRST_BYTES = 4096
"""So much is read by Python's decoder at a time until an object is found, after which the others are cut."""
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_VALUE = rf'(?:"([^"\\\x00-\x1f]*)"|({_NUMBER}|true|false)|null)'
"""A value as JSON has it, but no text with escapes: its text, or what it is else."""
_GAP = r"[ \t\r]*"
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
        self._alike, self._order = "", list[str]()

    @property
    def shortest(self) -> int:
        """Bytes of the shortest line that keeps the rules."""
        required = (folded(column.source_name or "") for column in self._delivered if not column.nullable)
        return len("{}\n") + sum(len(f'"{name}":1') for name in required)

    def frame(self, block: bytes, line: int) -> tuple[pl.DataFrame, Framed]:
        """The records of some lines as text columns, and those that are none."""
        frames, framed, at, is_text = [pl.DataFrame(schema=self._schema)], Framed(), 0, True
        while at < len(block):
            if self._alike and is_text:
                if (cut := self._cut(block[at:], line)) is not None:
                    frames.append(cut[0])
                    frames += self._decoded(cut[1], framed)
                    break
                is_text = False  # the whole block is read by the decoder
            end = block.find(b"\n", at + (PART_BYTES if self.names else FIRST_BYTES)) + 1 or len(block)
            part = block[at:end]
            frames += self._decoded(enumerate(part.split(b"\n"), line), framed)
            at, line = end, line + part.count(b"\n")
        return pl.concat(frames).sort("line"), framed

    @property
    def _schema(self) -> Any:
        return {"line": pl.Int64(), **dict.fromkeys(self.columns, pl.String())}

    def _cut(self, lines: bytes, first_line: int) -> tuple[pl.DataFrame, Iterator[tuple[int, bytes]]] | None:
        """The records of lines that are written as ``_take_names`` saw one, and the other lines with their numbers.

        ``None`` where the lines are not UTF-8.
        """
        try:
            texts = pl.Series("text", [lines]).cast(pl.String)
        except pl.exceptions.PolarsError:
            return None
        frame = texts.str.split("\n").explode().to_frame().with_row_index("line", first_line)
        fields = pl.col("text").str.extract_groups(self._alike).alias("fields")
        frame = frame.select(pl.col("line").cast(pl.Int64), "text", fields)
        is_alike = pl.col("fields").struct.field("1").is_not_null()  # the opening brace
        found = {
            column: pl.coalesce(pl.col("fields").struct.field(f"{2 * at + 2}", f"{2 * at + 3}"))
            for at, column in enumerate(self._order)
        }
        lacking = {column: pl.lit(None, pl.String()) for column in self.columns if column not in found}
        alike = frame.filter(is_alike).select("line", **found, **lacking).select("line", *self.columns)
        others = frame.filter(~is_alike & (pl.col("text").str.strip_chars(BLANKS.decode()) != ""))
        return alike, ((number, text.encode()) for number, text in others.select("line", "text").iter_rows())

    def _decoded(self, lines: Iterable[tuple[int, bytes]], framed: Framed) -> Iterator[pl.DataFrame]:
        """The records of any lines, some of them at a time: as Python's objects they take much memory."""
        numbers, rows, size = list[int](), list[list[str | None]](), 0
        for number, raw in lines:
            body = raw.strip(BLANKS)
            if not body:  # an empty line is not a record
                continue
            record = _record(body)
            fields = record if isinstance(record, str) else self._fields(record)
            if isinstance(fields, str):
                framed.reject(number, fields, raw)
                continue
            numbers.append(number)
            rows.append(fields)
            size += len(raw)
            if size > PART_BYTES:
                yield self._frame(numbers, rows)
                numbers, rows, size = [], [], 0
        yield self._frame(numbers, rows)

    def _frame(self, numbers: list[int], rows: list[list[str | None]]) -> pl.DataFrame:
        columns = list(zip(*rows, strict=True)) or [()] * len(self.columns)
        return pl.DataFrame([numbers, *columns], schema=self._schema, orient="col")

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
        names = [column.source_name or "" for column in self._delivered]
        lacking = [name for name in names if folded(name) not in present]
        header = [*first, *lacking]
        self.names = dict(zip(header, match_columns(header, self._table, supposed=lacking), strict=True))
        self._order = [self.names[name] for name in first]
        members = rf"{_GAP},{_GAP}".join(rf'"{re.escape(name)}"{_GAP}:{_GAP}{_VALUE}' for name in first)
        self._alike = rf"^{_GAP}(\{{){_GAP}{members}{_GAP}\}}{_GAP}$"

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
