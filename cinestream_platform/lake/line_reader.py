"""Reading delivered text without header and quotes, a record a line, in bounded memory (``feed.LineFormat``).

A field that a line lacks counts as empty. Where the format has sections, a line ``value:`` gives one column of all
lines below it, also over the borders of blocks; such a line is no record unless its value breaks a rule of that column:
then it is rejected, and so is every record below it. Any line with a colon and no comma counts as one, so that records
below a spoilt one are never taken for those of the section above.
What does not belong here: types and rules (``records``), CSV (``csv_reader``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from cinestream_platform.lake.blocks import (
    BLOCK_BYTES,
    BOM,
    MAX_RAW_CHARS,
    Batch,
    Blocks,
    FileRefusedError,
    refuse_foreign_form,
)
from cinestream_platform.lake.feed import Feed, LineFormat
from cinestream_platform.lake.records import broken_rules, split_records, with_nulls

SECTION_END = ":"
BROKEN_BYTES = re.compile("[\udc80-\udcff]+")
"""Bytes that are no UTF-8, as Python's ``surrogateescape`` shows them."""
BROKEN = {"line": pl.Int64(), "rule": pl.String()}
TOO_MANY, ENCODING, NUL = "record_field_count", "record_encoding", "record_nul"
"""The rules of the format, by the names that CSV has for them (``csv_reader.FORMAT_RULES``)."""


def read_lines(
    path: Path, feed: Feed, *, file_id: int, not_after: datetime, block_bytes: int = BLOCK_BYTES
) -> Iterator[Batch]:
    """Read a local copy of a delivered file.

    Yields:
        Batches of typed and rejected records, in the order of the file.

    Raises:
        FileRefusedError: The file is empty, or an archive.
        ValueError: The feed has no line format.
    """
    if (form := feed.lines) is None:
        raise ValueError(f"{feed.prefix} has no line format")
    section: str | None = None
    is_empty = True
    with path.open("rb") as source:
        for line, block in Blocks(source, block_bytes):
            if line == 1:
                block = block.removeprefix(BOM)
                refuse_foreign_form(block, "text file")
            is_empty = is_empty and not block.strip()
            lines, broken = _framed(block, line, feed)
            if form.section:
                lines, headers, section = _with_sections(lines, form.section, section)
                broken = pl.concat([broken, _broken_headers(headers, feed, form.section, not_after)])
            records = with_nulls(lines, feed)
            rows, rejected = split_records(records, feed.table, file_id=file_id, not_after=not_after)
            broken = pl.concat([broken, rejected.select("line", "rule")]).sort("line")
            yield Batch(rows, _with_raw(broken, block, line, form), not block.endswith(b"\n"))
    if is_empty:
        raise FileRefusedError("the file is empty. Land a file with records.")


def _framed(block: bytes, first_line: int, feed: Feed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The block's lines as ``line`` and their fields; ``line`` and ``rule`` of those that break the format.

    Empty lines are left out.
    """
    form = feed.lines or LineFormat()
    names = [c.name for c in feed.table.columns if c.source_name and c.name != form.section]
    if (plain := _frame_plain(block, first_line, names, form)) is not None:
        return plain, pl.DataFrame(schema=BROKEN)
    text, undecodable = _decoded(block, form.encoding)
    fields = pl.col("raw").str.splitn(",", len(names) + (not form.last_takes_rest))
    framed = (
        pl.LazyFrame({"raw": _lines_of(text)})
        .with_columns(line=pl.int_range(pl.len()) + first_line)
        .filter(pl.col("raw") != "")
        .with_columns(fields.struct.rename_fields([*names, *([] if form.last_takes_rest else ["surplus"])]).alias("f"))
        .unnest("f")
        .with_columns(rule=_format_rule(form, undecodable, first_line, has_nul=b"\0" in block))
        .collect()
    )
    is_broken = pl.col("rule").is_not_null()
    return framed.filter(~is_broken).select("line", *names), framed.filter(is_broken).select("line", "rule")


def _frame_plain(block: bytes, first_line: int, names: list[str], form: LineFormat) -> pl.DataFrame | None:
    """Frame a block with polars' CSV reader, five times as fast; ``None`` where that might read it differently.

    It refuses surplus fields and broken UTF-8, fills short lines with empty fields, and overlooks a comma at its end.
    """
    if form.last_takes_rest or form.encoding != "utf-8" or b"\0" in block or block.endswith(b","):
        return None
    if block.count(b"\r") != block.count(b"\r\n"):
        return None
    if any(begin in block for begin in (b"\n\n", b"\n\r\n", b"\n,")) or block.startswith((b"\n", b"\r\n", b",")):
        return None  # an empty line is no record, one of commas is
    header = ",".join(names).encode() + b"\n"
    try:
        frame = pl.read_csv(
            io.BytesIO(header + block),
            schema=dict.fromkeys(names, pl.String()),
            quote_char=None,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:
        return None
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if frame.height != lines:
        return None
    return frame.with_columns(line=pl.int_range(first_line, first_line + lines, dtype=pl.Int64))


def _lines_of(text: str) -> pl.Series:
    """The lines without their ends."""
    return pl.Series([text.removesuffix("\n")]).str.split("\n").explode().str.strip_suffix("\r")


def _with_raw(broken: pl.DataFrame, block: bytes, first_line: int, form: LineFormat) -> pl.DataFrame:
    """``line`` and ``rule`` with the lines' text, NULs (which Postgres cannot store) as escapes."""
    if broken.is_empty():
        return broken.with_columns(raw=pl.lit("", pl.String))
    text, _ = _decoded(block, form.encoding)
    raw = _lines_of(text).gather(broken["line"] - first_line)
    return broken.with_columns(raw=raw.str.replace_all("\0", "\\x00", literal=True).str.slice(0, MAX_RAW_CHARS))


def _decoded(block: bytes, encoding: str) -> tuple[str, list[int]]:
    """The text, and the lines (from 0) with bytes that are none in the encoding: these are shown as escapes."""
    try:
        return block.decode(encoding), []
    except UnicodeDecodeError:
        marked = block.decode(encoding, "surrogateescape")
    found, line, at = [], 0, 0
    for match in BROKEN_BYTES.finditer(marked):
        line, at = line + marked.count("\n", at, match.start()), match.start()
        found.append(line)
    return block.decode(encoding, "backslashreplace"), found


def _format_rule(form: LineFormat, undecodable: list[int], first_line: int, *, has_nul: bool) -> pl.Expr:
    """The rule of the format that a line breaks, or NULL."""
    rules = [pl.lit(None, pl.String)]
    if undecodable:
        lines = pl.Series([line + first_line for line in undecodable], dtype=pl.Int64).implode()
        rules.append(pl.when(pl.col("line").is_in(lines)).then(pl.lit(ENCODING)))
    if has_nul:
        rules.append(pl.when(pl.col("raw").str.contains("\0", literal=True)).then(pl.lit(NUL)))
    if not form.last_takes_rest:
        rules.append(pl.when(pl.col("surplus").is_not_null()).then(pl.lit(TOO_MANY)))
    return pl.coalesce(rules)


def _with_sections(
    lines: pl.DataFrame, column: str, before: str | None
) -> tuple[pl.DataFrame, pl.DataFrame, str | None]:
    """The records with the value of their section, the lines that open sections, and the last section's value.

    Args:
        lines: ``line`` and fields. A section is opened by a line with a colon in its first field and no other field.
        column: Its name.
        before: The section that is open where the lines begin.
    """
    first, *others = (name for name in lines.columns if name != "line")
    short = (lines[others[-1]].fill_null("") == "").arg_true()  # few, which are looked at more closely
    headers = (
        lines[short]
        .with_columns(row=short)
        .filter(
            pl.all_horizontal(pl.col(others).fill_null("") == ""), pl.col(first).str.contains(SECTION_END, literal=True)
        )
    )
    headers = headers.with_columns(pl.col(first).str.strip_suffix(SECTION_END).alias(column))
    # 0 is the section that was open before; every header opens the next.
    values = pl.concat([pl.Series([before], dtype=pl.String), headers[column].rename("")])
    opens = pl.Series([0], dtype=pl.UInt32).new_from_index(0, lines.height).scatter(headers["row"], 1)
    marked = lines.with_columns(values.gather(opens.cum_sum()).alias(column))
    return marked.filter(opens == 0), headers.select("line", column), values[-1]


def _broken_headers(headers: pl.DataFrame, feed: Feed, column: str, not_after: datetime) -> pl.DataFrame:
    """``line`` and ``rule`` of the lines that open a section with a value that breaks a rule."""
    nulled = headers.with_columns(pl.when(pl.col(column) != "").then(column).alias(column))
    return broken_rules(nulled, feed.table.column(column), feed.table, not_after=not_after).select("line", "rule")
