"""Reading delivered CSV files (RFC 4180) so that every physical record is typed or rejected, in bounded memory.

A file is read in blocks of whole lines. A block without quotes, NULs, bare carriage returns and broken UTF-8 is
framed by polars; any other one record by record with Python's csv module, which is some twenty times slower but tells
what is wrong where. Both yield the same records (tests/unit/lake/test_csv_reader.py).
What does not belong here: types and rules (``records``), stores (``store``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import polars as pl

from cinestream_platform.lake.blocks import (
    BLOCK_BYTES,
    BOM,
    MAX_LINE_BYTES,
    MAX_RAW_CHARS,
    REJECT_SCHEMA,
    Batch,
    Blocks,
    FileRefusedError,
    refuse_foreign_form,
)
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.records import split_records, with_nulls
from cinestream_platform.warehouse.table import Table

MAX_QUOTED_BYTES = 64 * 1024
"""A quoted field that is still open after so many bytes was never closed: reject its line, go on with the next."""


csv.field_size_limit(MAX_LINE_BYTES)  # its default of 131,072 would reject long texts for being quoted

FORMAT_RULES = {
    "record_field_count": "a record has as many fields as the header",
    "record_encoding": "a record is valid UTF-8",
    "record_nul": "a record holds no NUL byte",
    "record_quotes": "quotes are closed, doubled inside, and nothing follows a closing quote",
    "record_carriage_return": "a carriage return stands before a line feed or inside quotes",
}
"""Rules that any record of any CSV feed can break, with what they demand."""


@dataclass(frozen=True)
class _Record:
    line: int
    raw: str
    fields: list[str] | None
    rule: str | None = None


def read_csv(
    path: Path, feed: Feed, *, file_id: int, not_after: datetime, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Read a local copy of a delivered file.

    Yields:
        Batches of typed and rejected records, in the order of the file.

    Raises:
        FileRefusedError: The file is empty, or a column is missing, unknown or repeated.
    """
    with path.open("rb") as source:
        names = _read_header(source, feed)
        blocks = Blocks(source, block_bytes, first_line=2)
        for line, block in blocks:
            records, broken = _frame_block(block, line, names, blocks)
            nulled = with_nulls(records, feed)
            rows, rejected = split_records(nulled, feed.table, file_id=file_id, not_after=not_after)
            culprits = records[rejected["row"]]
            raws = culprits["raw"] if "raw" in records.columns else _rejoin(culprits, names)
            rejected = pl.concat([rejected.select("line", "rule", raw=raws.str.slice(0, MAX_RAW_CHARS)), broken])
            yield Batch(rows, rejected.sort("line"), not block.endswith(b"\n"))


def _rejoin(records: pl.DataFrame, names: list[str]) -> pl.Series:
    """The text of records that were framed without quotes: their fields, joined again."""
    return records.select(raw=pl.concat_str(pl.col(names).fill_null(""), separator=",")).to_series()


def _read_header(source: BinaryIO, feed: Feed) -> list[str]:
    """Read the first line; the table's column names in the file's order."""
    line = source.readline(MAX_LINE_BYTES).removeprefix(BOM)
    refuse_foreign_form(line, "CSV file in UTF-8")
    if not line.strip():
        raise FileRefusedError("the file is empty: it has no header line. Land a file with a header.")
    try:
        header = next(csv.reader([line.decode("utf-8").rstrip("\r\n")], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileRefusedError(
            f"the header line is not readable as UTF-8 CSV ({error}). Is this a CSV file?"
        ) from error
    return match_columns(header, feed.table)


def match_columns(header: list[str], table: Table) -> list[str]:
    """The table's names of delivered columns, which are matched without regard to case and underscores.

    Raises:
        FileRefusedError: A column is missing, unknown or repeated.
    """
    expected = [column.source_name for column in table.columns if column.source_name]
    wanted = {folded(column.source_name): column.name for column in table.columns if column.source_name}
    found = [folded(name) for name in header]
    problems = [f"column `{name}` is missing" for name in expected if folded(name) not in found]
    problems += [f"column `{name}` is not known" for name in header if folded(name) not in wanted]
    repeated = {folded for folded in found if found.count(folded) > 1}
    problems += [f"column `{name}` occurs twice" for name in header if folded(name) in repeated]
    if problems:
        has = ", ".join(header)[:500]
        hint = "" if set(wanted) & set(found) else "Is the first line a header, with commas between these names? "
        raise FileRefusedError(
            f"{'; '.join(dict.fromkeys(problems))}; the file has {has}; expected {', '.join(expected)}. {hint}"
            "Fix the file and land it again."
        )
    return [wanted[name] for name in found]


def folded(name: str) -> str:
    """The name without case and underscores."""
    return name.replace("_", "").casefold()


def _frame_block(block: bytes, line: int, names: list[str], blocks: Blocks) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The block's records as text columns, and those that cannot be split into fields."""
    if (frame := _frame_plain(block, line, names)) is not None:
        return frame, pl.DataFrame(schema=REJECT_SCHEMA)
    records = list(_frame_quoted(block, line, len(names), blocks))
    good = [record for record in records if record.fields is not None]
    columns = {name: [(record.fields or [])[i] for record in good] for i, name in enumerate(names)}
    frame = pl.DataFrame(
        {"line": [record.line for record in good], "raw": [record.raw for record in good], **columns},
        schema={"line": pl.Int64(), "raw": pl.String(), **dict.fromkeys(names, pl.String())},
    )
    bad = [(record.line, record.rule, record.raw[:MAX_RAW_CHARS]) for record in records if record.fields is None]
    return frame, pl.DataFrame(bad, schema=REJECT_SCHEMA, orient="row")


def _frame_plain(block: bytes, line: int, names: list[str]) -> pl.DataFrame | None:
    """Frame a block in which every line is a record; ``None`` where that is not certain.

    polars fills short lines with nulls in silence, so commas and lines are counted too.
    """
    if b'"' in block or b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return None
    if block.startswith(BOM):  # polars would strip it, but the file's own is gone with the header
        return None
    if block.endswith(b","):  # polars takes one field too many without complaint where the file ends with it empty
        return None
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if block.count(b",") != lines * (len(names) - 1):
        return None
    try:
        block.decode("utf-8")
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=False,
            schema=dict.fromkeys(names, pl.String()),
            quote_char=None,
            empty_string_is_null=False,
        )
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        return None
    if frame.height != lines:
        return None
    return frame.with_columns(line=pl.int_range(line, line + lines, dtype=pl.Int64))


def _frame_quoted(block: bytes, first_line: int, width: int, blocks: Blocks) -> Iterator[_Record]:
    """Frame a block record by record."""
    lines = io.BytesIO(block).readlines()  # bytes.splitlines would end lines at a bare carriage return too
    at = 0
    while at < len(lines):
        record, used = _frame_record(lines, at, first_line + at, width)
        if record is None:
            if blocks.give_back(b"".join(lines[at:])):
                return
            record, used = _reject(lines[at], first_line + at, "record_quotes"), 1
        if record.raw or record.rule:  # an empty line is no record
            yield record
        at += used


def _frame_record(lines: list[bytes], at: int, line: int, width: int) -> tuple[_Record | None, int]:
    """The record that begins at ``lines[at]`` and how many lines it takes; ``None`` where the block ends inside it."""
    if b'"' not in lines[at]:
        return _plain_record(lines[at], line, width), 1
    try:
        try:
            fields, used = _parse(lines[at : at + 1])
        except _StillOpenError:
            fields, used = _parse(taken := _take(lines, at))
    except _StillOpenError:
        if sum(map(len, taken)) < MAX_QUOTED_BYTES:
            return None, 0
        return _reject(lines[at], line, "record_quotes"), 1
    except UnicodeDecodeError:
        return _reject(lines[at], line, "record_encoding"), 1
    except csv.Error as error:
        return _reject(lines[at], line, "record_carriage_return" if "new-line" in str(error) else "record_quotes"), 1
    raw = b"".join(lines[at : at + used])
    if b"\0" in raw:
        return _reject(raw, line, "record_nul"), used
    if raw.endswith(b"\r\r\n"):  # csv skips any number of them
        return _reject(raw, line, "record_carriage_return"), used
    if len(fields) != width:
        return _reject(raw, line, "record_field_count"), used
    return _Record(line, _text(raw), fields), used


class _StillOpenError(Exception):
    """A quoted field goes on in the next line."""


def _parse(lines: list[bytes]) -> tuple[list[str], int]:
    """The fields of the first record and how many lines it takes."""
    reader = csv.reader((line.decode("utf-8") for line in lines), strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise _StillOpenError from error
        raise


def _take(lines: list[bytes], at: int) -> list[bytes]:
    """Lines from ``at`` on, as many as one record may take."""
    size, end = 0, at
    while end < len(lines) and size < MAX_QUOTED_BYTES:
        size += len(lines[end])
        end += 1
    return lines[at:end]


def _plain_record(raw: bytes, line: int, width: int) -> _Record:
    body = raw.removesuffix(b"\n").removesuffix(b"\r")
    if b"\0" in body:
        return _reject(raw, line, "record_nul")
    if b"\r" in body:
        return _reject(raw, line, "record_carriage_return")
    try:
        fields = body.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return _reject(raw, line, "record_encoding")
    if len(fields) != width and body:
        return _reject(raw, line, "record_field_count")
    return _Record(line, _text(raw), fields)


def _reject(raw: bytes, line: int, rule: str) -> _Record:
    return _Record(line, _text(raw), None, rule)


def _text(raw: bytes) -> str:
    """The record's text for people: bytes that are no UTF-8 and NULs (which Postgres cannot store) as escapes."""
    return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace").replace("\0", "\\x00")
