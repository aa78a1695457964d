"""Reading what COPY wrote of an operational database's table (text format with a header), so that every row counts.

In that format a row is a line: tabs, line ends and backslashes inside a value are escaped
(https://www.postgresql.org/docs/18/sql-copy.html, "Text Format"). So there are no quotes to close and no limit to a
line. The last field names the column whose value was too large to be copied. What belongs here: lines to rows and
rejected records. What does not: types and rules (``records``), writing the file (``postgres_connector``).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.reading.blocks import BLOCK_BYTES, MAX_CELLS, MAX_RAW_CHARS, REJECT_SCHEMA, Batch
from cinestream_platform.reading.csv_records import ENCODING, VALUE_SIZE
from cinestream_platform.reading.records import split_records

NULL = "\\N"
TOO_LARGE = "_too_large"
"""The last field: the name of the column whose value was left out, else NULL."""
ESCAPES = {
    "\\\\": "\\",
    "\\b": "\b",
    "\\f": "\f",
    "\\n": "\n",
    "\\r": "\r",
    "\\t": "\t",
    "\\v": "\v",
}
"""What COPY TO writes for these characters."""
NOT_UTF8 = b"\xff"
"""Put before a line that the source's encoding cannot be read in: no UTF-8 has it."""


def read_copied(
    path: Path, feed: Feed, *, file_id: int, not_after: datetime, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Read the rows of a table; batches of typed rows and rejected records, in the order of the file."""
    names = [column.name for column in feed.table.columns if column.source_name]
    most = max(MAX_CELLS // (len(names) + 1), 1)
    line, size = 2, path.stat().st_size
    with path.open("rb") as source:
        source.readline()
        while block := source.read(block_bytes):
            block += source.readline()
            records, broken = _frame(block, line, [*names, TOO_LARGE])
            line += block.count(b"\n")
            for part in records.iter_slices(most):
                rows, rejected, warnings = _judged(part, names, feed, file_id=file_id, not_after=not_after)
                rejected = pl.concat([rejected, broken]).sort("line")
                broken = broken.clear()
                yield Batch(rows, rejected, (size - source.tell()) // len(names), warnings=+warnings)
            if not broken.is_empty():
                yield Batch(_empty_rows(feed, file_id, not_after), broken, (size - source.tell()) // len(names))


def _judged(
    records: pl.DataFrame, names: Sequence[str], feed: Feed, *, file_id: int, not_after: datetime
) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    """Typed rows and rejected records as ``REJECT_SCHEMA``; a row without its too large value is one."""
    is_whole = records[TOO_LARGE].is_null()
    large = records.filter(~is_whole)
    records = records.filter(is_whole) if large.height else records
    rows, broken, warnings = split_records(records.drop(TOO_LARGE), feed.table, file_id=file_id, not_after=not_after)
    rejected = broken.select("line", "rule", _raw(records[broken["row"]], names), "found")
    beyond = large.select(
        "line", pl.lit(VALUE_SIZE).alias("rule"), _raw(large, names), pl.col(TOO_LARGE).alias("found")
    )
    return rows, pl.concat([rejected, beyond]), warnings


def _empty_rows(feed: Feed, file_id: int, not_after: datetime) -> pl.DataFrame:
    names = [column.name for column in feed.table.columns if column.source_name]
    nothing = pl.DataFrame(schema={"line": pl.Int64(), **dict.fromkeys(names, pl.String())})
    return split_records(nothing, feed.table, file_id=file_id, not_after=not_after).rows


def _raw(records: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """The beginning of records as CSV, NULL as COPY writes it."""
    fields = []
    for name in names:
        value = pl.col(name).str.slice(0, MAX_RAW_CHARS)
        is_quoted = value.str.contains('[",\r\n]') | (value == NULL)
        quoted = pl.concat_str(pl.lit('"'), value.str.replace_all('"', '""', literal=True), pl.lit('"'))
        fields.append(pl.when(is_quoted).then(quoted).otherwise(value).fill_null(NULL))
    raw = pl.concat_str(fields, separator=",").str.slice(0, MAX_RAW_CHARS)
    return records.select(raw=raw).to_series()


def _frame(block: bytes, line: int, names: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines' fields under their names with ``line``, and the lines that are not text."""
    nothing = pl.DataFrame(schema=REJECT_SCHEMA)
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        lines = block.split(b"\n")[:-1]
        good = [number for number, text in enumerate(lines) if _is_utf8(text)]
        bad = [(line + n, ENCODING, _shown(text), None) for n, text in enumerate(lines) if not _is_utf8(text)]
        frame = _fields(b"".join(lines[n] + b"\n" for n in good), names)
        numbers = pl.Series("line", [line + number for number in good], dtype=pl.Int64)
        return frame.with_columns(numbers), pl.DataFrame(bad, schema=REJECT_SCHEMA, orient="row")
    frame = _fields(block, names)
    return frame.with_columns(line=pl.int_range(line, line + frame.height, dtype=pl.Int64)), nothing


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: bytes) -> str:
    return text.removeprefix(NOT_UTF8)[: 4 * MAX_RAW_CHARS].decode("utf-8", "backslashreplace")[:MAX_RAW_CHARS]


def _fields(text: bytes, names: Sequence[str]) -> pl.DataFrame:
    """Whole lines as text columns.

    Raises:
        RuntimeError: They are not as COPY writes them.
    """
    lines = text.count(b"\n")
    if not lines:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String()))
    if not text.endswith(b"\n") or text.count(b"\t") != lines * (len(names) - 1):
        raise RuntimeError("the copy of a table on this machine's disk is damaged")
    frame = pl.read_csv(
        io.BytesIO(text),
        has_header=False,
        separator="\t",
        quote_char=None,
        schema=dict.fromkeys(names, pl.String()),
        null_values=NULL,
        empty_string_is_null=False,
    )
    if frame.height != lines:
        raise RuntimeError("the copy of a table on this machine's disk is damaged")
    escaped = [name for name in names if frame[name].str.contains("\\", literal=True).any()]
    return frame.with_columns(pl.col(escaped).str.replace_many(list(ESCAPES), list(ESCAPES.values())))
