"""Reading delivered CSV files (RFC 4180) so that every physical record is typed or rejected, in bounded memory.

A file is read in blocks of whole lines. A block without quotes, NULs, bare carriage returns and broken UTF-8 is
framed by polars; the others part by part, those parts with one of these record by record (``csv_records``). Both yield
the same records (tests/unit/reading/test_csv_reader.py).
What does not belong here: types and rules (``records``), stores (``store``).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import FileRefusedError, Packing, refuse_foreign_form
from cinestream_platform.declarations.table import Table
from cinestream_platform.messages import MAX_VALUE, form_of
from cinestream_platform.reading.blocks import (
    BLOCK_BYTES,
    BOM,
    MAX_RAW_CHARS,
    REJECT_SCHEMA,
    REPEATED_HEADER,
    Batch,
    Blocks,
)
from cinestream_platform.reading.csv_records import Framed, frame_records
from cinestream_platform.reading.records import split_records, with_nulls
from cinestream_platform.reading.unpacking import Source, open_source

MAX_HEADER_BYTES = 64 * 1024
PART_BYTES = 256 * 1024
"""So much is framed record by record at a time: as Python's objects a short record takes a hundred times its size."""
SHOWN_NAMES = 20
NAME = re.compile(r" *[A-Za-z_][A-Za-z0-9_ ]*")


def read_csv(
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
        FileRefusedError: The file is empty, or a column is missing, unknown or repeated; or as ``open_source``.
    """
    with open_source(path, packing) as source:
        names = match_columns(read_header(source), feed.table)
        blocks = Blocks(source, block_bytes, fields=len(names), first_line=2)
        shortest = _shortest_record(feed)
        for line, block in blocks:
            records, broken = _frame_block(block, line, names, blocks)
            nulled = with_nulls(records, feed)
            rows, rejected, warnings = split_records(nulled, feed.table, file_id=file_id, not_after=not_after)
            rejected, repeated = _without_headers(rejected, records, names, feed.table)
            warnings[REPEATED_HEADER] += repeated
            raws = _texts(records[rejected["row"]], names).str.slice(0, MAX_RAW_CHARS)
            rejected = pl.concat([rejected.select("line", "rule", raws.alias("raw"), "found"), broken])
            to_come, is_cut = (blocks.bytes_left + 1) // shortest, not block.endswith(b"\n")
            yield Batch(rows, rejected.sort("line"), to_come, is_cut, +warnings)


def _shortest_record(feed: Feed) -> int:
    """Bytes of the shortest record that keeps the rules: a character of each required field, commas, a line end."""
    columns = [column for column in feed.table.columns if column.source_name]
    required = sum(not column.nullable for column in columns)
    return max(required + len(columns), 2)


def _without_headers(
    rejected: pl.DataFrame, records: pl.DataFrame, names: Sequence[str], table: Table
) -> tuple[pl.DataFrame, int]:
    """The rejected records that are no repeated header, and how many are one: files are often joined with ``cat``.

    A header is always rejected as a record, since every table has a column that is not text. One with the columns in
    another order stays rejected: what follows may be in that order.
    """
    headers = {name: folded(table.column(name).source_name or "") for name in names}
    found = pl.Series([], dtype=pl.Int64) if rejected.is_empty() else rejected["row"]
    for name, header in headers.items():  # after the first column hardly any are left
        text = records[name].gather(found)
        if name == names[0]:  # a byte order mark of the second file, before a quote
            text = text.str.strip_prefix(BOM.decode()).str.strip_chars('"')
        found = found.filter(
            (text.str.replace_all("_", "", literal=True).str.to_lowercase() == header).fill_null(False)
        )
        if found.is_empty():
            return rejected, 0
    return rejected.filter(~pl.col("row").is_in(found.implode())), found.len()


def _texts(records: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """The text of records: of those that were framed without quotes their fields, joined again."""
    joined = pl.concat_str(pl.col(names).fill_null(""), separator=",")
    return records.select(raw=pl.coalesce("raw", joined) if "raw" in records.columns else joined).to_series()


def read_header(source: Source) -> list[str]:
    """Read the first line; the names in it, in the file's order.

    Raises:
        FileRefusedError: The file is empty, or not a CSV file.
    """
    line = source.readline(MAX_HEADER_BYTES).removeprefix(BOM)
    refuse_foreign_form(line, "CSV file in UTF-8")
    if not line.strip():
        raise FileRefusedError("the file is empty: it has no header line. Land a file with a header.")
    if line.lstrip().startswith((b"{", b"[")):
        raise FileRefusedError(
            "this is JSON, not a CSV file in UTF-8. Land it as JSON lines, one object per line, under a name that "
            "ends in .jsonl."
        )
    if len(line) == MAX_HEADER_BYTES:
        raise FileRefusedError(f"the first line is longer than {MAX_HEADER_BYTES:,} bytes. Is it a header?")
    try:
        return next(csv.reader([line.decode("utf-8").rstrip("\r\n")], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        wrong = "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise FileRefusedError(
            f"the header line is not readable as UTF-8 CSV ({wrong}). Is this a CSV file?"
        ) from error


def match_columns(header: list[str], table: Table, *, supposed: Sequence[str] = ()) -> list[str]:
    """The table's names of delivered columns, which are matched without regard to case and underscores.

    ``supposed`` are names that the header has though the file does not.

    Raises:
        FileRefusedError: A column is missing, unknown or repeated.
    """
    expected = [column.source_name for column in table.columns if column.source_name]
    wanted = {folded(column.source_name): column.name for column in table.columns if column.source_name}
    found = Counter(folded(name) for name in header)
    problems = [f"column `{name}` is missing" for name in expected if folded(name) not in found]
    unknown = [name for name in header if folded(name) not in wanted]
    twice = [name for name in header if found[folded(name)] > 1 and folded(name) in wanted]
    # Names of a header may be shown. A line of data that stands in its place may hold anything.
    is_header = 2 * len(wanted.keys() & found.keys() - set(map(folded, supposed))) >= len(wanted)
    if unknown and is_header:
        problems += [f"column `{_shown(name)}` is not known" for name in unknown[:SHOWN_NAMES]]
        problems += [f"{len(unknown) - SHOWN_NAMES:,} more are not known"] if len(unknown) > SHOWN_NAMES else []
    elif unknown:
        problems.append(f"unknown names in the first line: {len(unknown):,} of {len(header) - len(supposed):,}")
    problems += [f"column `{name}` occurs twice" for name in twice[:SHOWN_NAMES]]
    if problems:
        hint = "" if is_header or supposed else "Is the first line a header, with commas between these names? "
        raise FileRefusedError(
            f"{'; '.join(dict.fromkeys(problems))}; expected {', '.join(expected)}. {hint}Fix the file and land it "
            "again."
        )
    return [wanted[folded(name)] for name in header]


def _shown(name: str) -> str:
    """An unknown name, if it is one; of anything else, which may be a value, the form."""
    return name[:MAX_VALUE] if NAME.fullmatch(name) else form_of(name[:MAX_VALUE])


def folded(name: str) -> str:
    """The name without case and underscores."""
    return name.replace("_", "").casefold()


def _frame_block(block: bytes, line: int, names: list[str], blocks: Blocks) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The block's records as text columns, and those that cannot be split into fields."""
    if (frame := _frame_plain(block, line, names)) is not None:
        return frame, pl.DataFrame(schema=REJECT_SCHEMA)
    schema = {"line": pl.Int64(), "raw": pl.String(), **dict.fromkeys(names, pl.String())}
    good, bad = [pl.DataFrame(schema=schema)], [pl.DataFrame(schema=REJECT_SCHEMA)]
    at, size, is_end = 0, PART_BYTES, False
    while at < len(block):
        end = block.find(b"\n", at + size) + 1 or len(block)
        part = block[at:end]
        if (frame := _frame_plain(part, line, names)) is not None:
            good.append(frame)
            at, line = end, line + frame.height
            continue
        framed = frame_records(part, line, len(names), is_end=is_end)
        good.append(_good_records(framed, schema))
        bad.append(pl.DataFrame(framed.bad, schema=REJECT_SCHEMA, orient="row"))
        at, line = at + framed.size, line + framed.lines
        if at < end == len(block):  # the block ends inside a record
            if blocks.give_back(block[at:]):
                break
            is_end = True
        size = PART_BYTES if framed.size else 2 * size
    return pl.concat(good, how="diagonal"), pl.concat(bad)


def _good_records(framed: Framed, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    columns = {
        "line": [line for line, _, _ in framed.good],
        "raw": [raw for _, raw, _ in framed.good],
        **{name: [fields[i] for _, _, fields in framed.good] for i, name in enumerate(list(schema)[2:])},
    }
    return pl.DataFrame(columns, schema=schema)


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
