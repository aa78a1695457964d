"""Reading delivered text without header and quotes, a record a line, in bounded memory (``feed.LineFormat``).

A field that a line lacks counts as empty. Where the format has sections, a line ``value:`` gives one column of all
lines below it, also over the borders of blocks. Such a line is not a record unless its value breaks a rule of that
column: then it is rejected, and so is every record below it. Any line with a colon and no comma counts as one, so that
records below a spoilt one are never taken for those of the section above.

Nearly all lines of a large file keep every rule: ``_judged_lines`` finds those with polars' CSV reader. The others, the
odd ones, are framed as the format says and named where they break a rule, which costs several times as much a line.
What does not belong here: types and rules (``records``), CSV (``csv_reader``).
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.feed import Feed, LineFormat
from cinestream_platform.declarations.file_form import FileRefusedError, Packing, refuse_foreign_form
from cinestream_platform.reading.blocks import (
    BLOCK_BYTES,
    BOM,
    MAX_RAW_CHARS,
    READ_AS_UTF8,
    READ_AS_WINDOWS_1252,
    REJECT_SCHEMA,
    Batch,
    Blocks,
)
from cinestream_platform.reading.csv_records import BLANKS, ENCODING, FIELD_COUNT, NUL
from cinestream_platform.reading.records import (
    TOLERATED,
    count_tolerated,
    first_broken,
    judged,
    split_records,
    typed_rows,
    with_nulls,
)
from cinestream_platform.reading.unpacking import Source, open_source

SECTION_END = ":"
SURPLUS = "surplus"
"""What a line holds beyond its fields."""
CHUNK_BYTES = 1024 * 1024
UTF_8, ISO_8859_1, WINDOWS_1252 = "utf-8", "iso8859-1", "cp1252"
"""As Python's codecs name them."""
READ_AS = {UTF_8: READ_AS_UTF8, WINDOWS_1252: READ_AS_WINDOWS_1252}
C1_CONTROLS = re.compile(rb"[\x80-\x9f]")
BROKEN_BYTES = re.compile("[\udc80-\udcff]+")
"""Bytes that are not UTF-8, as Python's ``surrogateescape`` shows them."""


def read_lines(
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
        FileRefusedError: The file is empty, or another form than its name says; or as ``open_source``.
        ValueError: The feed has no line format.
    """
    if feed.lines is None:
        raise ValueError(f"{feed.prefix} has no line format")
    is_empty = True
    form, warnings = _form_of(path, packing, feed.lines)
    reader = _Reader(feed, form, file_id, not_after)
    with open_source(path, packing) as source:
        blocks = Blocks(source, block_bytes, fields=len(_columns(feed)))
        for line, block in blocks:
            if line == 1:
                block = block.removeprefix(BOM)
                refuse_foreign_form(block, "text file")
            is_empty = is_empty and not block.strip()
            rows, rejected, tolerated = reader.split(_Lines(block, line))
            to_come, is_cut = (blocks.bytes_left + 1) // reader.shortest, not block.endswith(b"\n")
            yield Batch(rows, rejected, to_come, is_cut, warnings | tolerated)
            warnings = Counter()
    if is_empty:
        raise FileRefusedError("the file is empty. Land a file with records.")


def _form_of(path: Path, packing: Packing, form: LineFormat) -> tuple[LineFormat, Counter[str]]:
    """The format with the encoding that the file is in, and a warning where it is not the declared one.

    A byte order mark decides. Without one, text that is valid UTF-8 with characters of several bytes is UTF-8: by
    chance such bytes hardly ever stand for letters of another encoding. Bytes that ISO-8859-1 has control characters
    for are Windows-1252, as browsers read them: its quotation marks, dashes and the euro are nothing else. Only feeds
    of another encoding than UTF-8 are read twice.
    """
    declared = codecs.lookup(form.encoding).name
    if declared == UTF_8:
        return form, Counter()
    with open_source(path, packing) as source:
        begin = source.read(len(BOM))
        if begin == BOM:
            return replace(form, encoding=UTF_8), Counter()
        found = _encoding_of(source, begin, declared)
    return (form, Counter()) if found == declared else (replace(form, encoding=found), Counter({READ_AS[found]: 1}))


def _encoding_of(source: Source, begin: bytes, declared: str) -> str:
    """The encoding of this and what follows."""
    decoder, is_utf8, is_ascii, has_controls = codecs.getincrementaldecoder(UTF_8)(), True, True, False
    chunk = begin
    while chunk and (is_utf8 or not has_controls):
        if not chunk.isascii():
            is_ascii = False
            has_controls = has_controls or C1_CONTROLS.search(chunk) is not None
        is_utf8 = is_utf8 and _goes_on(decoder, chunk)
        chunk = source.read(CHUNK_BYTES)
    if is_utf8 and not is_ascii and _goes_on(decoder, b"", final=True):
        return UTF_8
    return WINDOWS_1252 if has_controls and declared == ISO_8859_1 else declared


def _goes_on(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    """Whether the chunk goes on with valid text."""
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class _Lines:
    """Lines that follow one another, and the number of the first."""

    text: bytes
    first: int

    @cached_property
    def ends(self) -> Any:
        """Where each line ends."""
        ends = np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord("\n"))
        return ends if self.text.endswith(b"\n") or not self.text else np.append(ends, len(self.text))

    @property
    def numbers(self) -> pl.Series:
        """The number of each."""
        return pl.int_range(self.first, self.first + len(self.ends), dtype=pl.Int64, eager=True).alias("line")

    def at(self, positions: pl.Series) -> bytes:
        """Those at some positions, from 0."""
        if positions.len() == len(self.ends):
            return self.text
        where = positions.to_numpy()
        begins = np.append(0, self.ends + 1)[where]
        return b"".join(self.text[a:b] + b"\n" for a, b in zip(begins, self.ends[where], strict=True))


@dataclass
class _Reader:
    """Reads block after block; ``section`` is the text of the section that is open where the next block begins."""

    feed: Feed
    form: LineFormat
    file_id: int
    not_after: datetime
    section: str | None = None

    @property
    def shortest(self) -> int:
        """Bytes of the shortest line that keeps the rules: required fields of one character, commas, a line end."""
        return max(2 * sum(not column.nullable for column in _fields(self.feed, self.form)), 2)

    def split(self, block: _Lines) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
        """What a block holds: typed rows, rejected records, and how many values were tolerated, by column."""
        lines = _judged_lines(block, self.feed, self.form, self.not_after)
        records, broken, text = self._odd(block, lines)
        if self.form.section:
            column = self.feed.table.column(self.form.section)
            sections = self._sections(block.first, _split_headers(records, column)[1], column)
            bad = lines["is_bad"].sum()
            lines = _in_sections(lines, sections, column)
            if lines["is_bad"].sum() > bad:  # what stands below spoilt headers
                records, broken, text = self._odd(block, lines)
            records = _split_headers(records, column)[0].join_asof(sections.select("line", column.name), on="line")
            opened = sections.filter(pl.col("line") >= block.first)
            broken = pl.concat([broken, opened.select("line", "rule", "found")])
        rows = typed_rows(lines, _columns(self.feed), file_id=self.file_id)
        nulled = with_nulls(records, self.feed)
        more, rejected, warnings = split_records(
            nulled, self.feed.table, file_id=self.file_id, not_after=self.not_after
        )
        if more.height:
            rows = pl.concat([rows, more]).sort("_line")
        broken = pl.concat([broken.drop_nulls("rule"), rejected.select("line", "rule", "found")]).sort("line")
        return rows, _with_raw(broken, text), count_tolerated(lines) + warnings

    def _odd(self, block: _Lines, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Of the bad lines: the records, what breaks the format as ``line`` and ``rule``, and their text."""
        bad = lines["is_bad"].arg_true()
        text = _decoded(block.at(bad), lines["line"][bad], self.form.encoding)
        return *_framed(text, [column.name for column in _fields(self.feed, self.form)], self.form), text

    def _sections(self, first_line: int, headers: pl.DataFrame, column: Column) -> pl.DataFrame:
        """The section that is open and those that are opened: ``line``, text, broken ``rule``, or else ``value``."""
        before = pl.DataFrame({"line": [first_line - 1], column.name: [self.section]}, schema=headers.schema)
        sections = pl.concat([before, headers])
        self.section = sections[column.name][-1]
        nulled = sections.with_columns(pl.when(pl.col(column.name) != "").then(column.name).alias(column.name))
        found = judged(nulled, [column], self.feed.table, not_after=self.not_after)
        rules = first_broken(found, [column], self.feed.table, not_after=self.not_after)
        value = pl.when(~pl.col("is_bad")).then(f"parsed_{column.name}").alias("value")
        return found.select("line", column.name, value).join(
            rules.select("line", "rule", "found"), on="line", how="left", maintain_order="left"
        )


def _columns(feed: Feed) -> list[Column]:
    return [column for column in feed.table.columns if column.source_name]


def _fields(feed: Feed, form: LineFormat) -> list[Column]:
    """The columns that stand in the lines."""
    return [column for column in _columns(feed) if column.name != form.section]


def _judged_lines(lines: _Lines, feed: Feed, form: LineFormat, not_after: datetime) -> pl.DataFrame:
    """Of each line the number, the parsed fields, and ``is_bad`` unless it is surely a record that keeps every rule.

    The CSV reader overlooks a carriage return at the end of a field and a comma at that of a line: both are counted. It
    shows bytes that are not UTF-8 as another character, which no value but a text holds.
    """
    fields = _fields(feed, form)
    unread = lines.numbers.to_frame().with_columns(
        *(pl.lit(None, pl.Int64()).alias(f"parsed_{column.name}") for column in _columns(feed)), is_bad=pl.lit(True)
    )
    if form.last_takes_rest or any(column.type.kind is Kind.TEXT for column in fields):
        return unread
    if lines.text.count(b"\r") != lines.text.count(b"\r\n"):
        return unread
    names = [*(column.name for column in fields), SURPLUS]
    frame = pl.read_csv(
        io.BytesIO(",".join(names).encode() + b"\n" + lines.text),
        schema=dict.fromkeys(names, pl.String()),
        quote_char=None,
        empty_string_is_null=False,
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
    )
    if frame.height != len(lines.ends):
        return unread
    is_bad = pl.col("is_bad") | (pl.col(SURPLUS) != "")
    found = judged(frame.with_columns(lines.numbers), fields, feed.table, not_after=not_after)
    found = found.select("line", pl.col(f"^(parsed_|{TOLERATED}).*$"), is_bad=is_bad)
    bad = found["is_bad"].arg_true()
    commas = lines.text.count(b",") - lines.at(bad).count(b",")
    return found if commas == (len(fields) - 1) * (found.height - bad.len()) else unread


def _decoded(text: bytes, numbers: pl.Series, encoding: str) -> pl.DataFrame:
    """Lines as ``line``, ``raw``, and ``rule`` where bytes are none in the encoding, which are shown as escapes."""
    undecodable: list[int] = []
    try:
        decoded = text.decode(encoding)
    except UnicodeDecodeError:
        decoded, undecodable = text.decode(encoding, "backslashreplace"), _undecodable(text, encoding)
    raw = pl.Series([decoded.removesuffix("\n")], dtype=pl.String).str.split("\n").explode().str.strip_suffix("\r")
    rule = pl.Series([None], dtype=pl.String).new_from_index(0, numbers.len()).scatter(undecodable, ENCODING)
    return pl.DataFrame({"line": numbers, "raw": raw.head(numbers.len()), "rule": rule})


def _undecodable(text: bytes, encoding: str) -> list[int]:
    """The lines (from 0) with bytes that are none in the encoding."""
    marked = text.decode(encoding, "surrogateescape")
    found, line, at = [], 0, 0
    for match in BROKEN_BYTES.finditer(marked):
        line, at = line + marked.count("\n", at, match.start()), match.start()
        found.append(line)
    return found


def _framed(lines: pl.DataFrame, names: list[str], form: LineFormat) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines as ``line`` and fields; ``line``, ``rule`` and ``found`` of those that break the format.

    Empty lines, and lines of blanks, are none.
    """
    fields = names if form.last_takes_rest else [*names, SURPLUS]
    rules = [pl.col("rule"), pl.when(pl.col("raw").str.contains("\0", literal=True)).then(pl.lit(NUL))]
    if not form.last_takes_rest:
        rules.append(pl.when(pl.col(SURPLUS).is_not_null()).then(pl.lit(FIELD_COUNT)))
    framed = (
        lines.lazy()
        .filter(pl.col("raw").str.strip_chars(BLANKS.decode()) != "")
        .with_columns(pl.col("raw").str.splitn(",", len(fields)).struct.rename_fields(fields).alias("fields"))
        .unnest("fields")
        .with_columns(rule=pl.coalesce(rules))
        .collect()
    )
    is_broken = pl.col("rule").is_not_null()
    count = pl.when(pl.col("rule") == FIELD_COUNT).then(pl.col("raw").str.count_matches(",", literal=True) + 1)
    broken = framed.filter(is_broken).select("line", "rule", found=count.cast(pl.String))
    return framed.filter(~is_broken).select("line", *names), broken


def _with_raw(broken: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """``line``, ``rule`` and ``found`` with the lines' text, NULs (which Postgres cannot store) as escapes."""
    raw = pl.col("raw").str.replace_all("\0", "\\x00", literal=True).str.slice(0, MAX_RAW_CHARS)
    with_raw = broken.join(lines.select("line", raw), on="line", how="left", maintain_order="left")
    return with_raw.select(*REJECT_SCHEMA)


def _split_headers(records: pl.DataFrame, column: Column) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records, and the lines that open sections as ``line`` and the section's text.

    A section is opened by a line with a colon in its first field and no other field.
    """
    first, *others = (name for name in records.columns if name != "line")
    opens = pl.all_horizontal(pl.col(others).fill_null("") == "") & pl.col(first).str.contains(
        SECTION_END, literal=True
    )
    text = pl.col(first).str.strip_suffix(SECTION_END).alias(column.name)
    return records.filter(~opens), records.filter(opens).select("line", text)


def _in_sections(lines: pl.DataFrame, sections: pl.DataFrame, column: Column) -> pl.DataFrame:
    """The judged lines with the value of their section; bad where it has none."""
    begins = np.append((sections["line"] - lines["line"][0]).clip(0).to_numpy(), lines.height)
    of_line = np.repeat(np.arange(sections.height), np.diff(begins))
    value = sections["value"].gather(of_line).alias(f"parsed_{column.name}")
    return lines.with_columns(value, is_bad=pl.col("is_bad") | value.is_null())
