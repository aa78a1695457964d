"""Framing CSV record by record with Python's csv module: some twenty times slower than a frame, but it says what is
wrong where.

What does not belong here: which part of a file is read so (``csv_reader``), types and rules (``records``).
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import accumulate

from cinestream_platform.reading.blocks import MAX_LINE_BYTES, MAX_RAW_CHARS

BLANKS = b" \t"
"""A line that holds nothing else is not a record."""
MAX_QUOTED_BYTES = 64 * 1024
"""A quoted field that is still open after so many bytes was never closed: reject its line, go on with the next."""

csv.field_size_limit(MAX_LINE_BYTES)  # its default of 131,072 would reject long texts for being quoted

FIELD_COUNT, ENCODING, NUL, QUOTES, CARRIAGE_RETURN = (
    "record_field_count",
    "record_encoding",
    "record_nul",
    "record_quotes",
    "record_carriage_return",
)
JSON, NAMES, VALUE_SIZE = "record_json", "record_names", "record_value_size"
FORMAT_RULES = {
    FIELD_COUNT: "a record has as many fields as the header",
    ENCODING: "a record is valid UTF-8",
    NUL: "a record holds no NUL byte",
    QUOTES: "quotes are closed, doubled inside, and nothing follows a closing quote",
    CARRIAGE_RETURN: "a carriage return stands before a line feed or inside quotes",
    JSON: "a line of JSON lines is one object",
    NAMES: "an object has names of columns only, and none twice",
    VALUE_SIZE: "a value that is extracted has at most 64 MB",
}
"""Rules that any record of any feed can break by its form, with what they demand."""


@dataclass
class Framed:
    """Records of some lines: good ones as (line, text, fields), bad ones as ``REJECT_SCHEMA``.

    ``lines`` is how many lines they took, ``size`` how many bytes.
    """

    good: list[tuple[int, str, list[str]]] = field(default_factory=list)
    bad: list[tuple[int, str, str, str | None]] = field(default_factory=list)
    lines: int = 0
    size: int = 0

    def reject(self, line: int, rule: str, raw: bytes, found: str | None = None) -> None:
        """Enter a bad record."""
        self.bad.append((line, rule, _text(raw)[:MAX_RAW_CHARS], found))


def frame_records(text: bytes, first_line: int, width: int, *, is_end: bool) -> Framed:
    """Frame lines that begin with a record.

    A record that the lines do not close is left to the next, unless this is the end of the file.
    """
    if not text.replace(b"\r\n", b"\n").strip(BLANKS + b"\n"):  # no records, and there may be millions
        return Framed(lines=text.count(b"\n"), size=len(text))
    lines = io.BytesIO(text).readlines()  # bytes.splitlines would end lines at a bare carriage return too
    framed, quotes = Framed(), _Quotes(lines)
    while framed.lines < len(lines):
        used = _frame_record(framed, quotes, first_line + framed.lines, width)
        if not used and not is_end:
            break
        if not used:
            framed.reject(first_line + framed.lines, QUOTES, lines[framed.lines])
        framed.lines += used or 1
    framed.size = quotes.ends[framed.lines - 1] if framed.lines else 0
    return framed


def _frame_record(framed: Framed, quotes: _Quotes, line: int, width: int) -> int:
    """Enter the record that begins after those framed, and say how many lines it takes; 0 where they end inside it."""
    at, lines = framed.lines, quotes.lines
    if b'"' not in lines[at]:
        _frame_plain(framed, lines[at], line, width)
        return 1
    begin, fields = _parse(lines[at])
    if begin in ERRORS:
        framed.reject(line, ERRORS[begin], lines[at])
        return 1
    used = 1
    if begin is _End.OPEN:
        last, end = quotes.closing(at + 1), quotes.window(at)
        if last >= end:
            if end == len(lines) and quotes.size(at, end) < MAX_QUOTED_BYTES:
                return 0
            framed.reject(line, QUOTES, lines[at])
            return 1
        if quotes.end_of(last) in ERRORS:
            framed.reject(line, ERRORS[quotes.end_of(last)], lines[at])
            return 1
        used = last + 1 - at
        fields = next(csv.reader((part.decode("utf-8") for part in lines[at : last + 1]), strict=True))
    raw = b"".join(lines[at : at + used])
    if b"\0" in raw:
        framed.reject(line, NUL, raw)
    elif raw.endswith(b"\r\r\n"):  # csv skips any number of them
        framed.reject(line, CARRIAGE_RETURN, raw)
    elif len(fields) != width:
        framed.reject(line, FIELD_COUNT, raw, str(len(fields)))
    else:
        framed.good.append((line, _text(raw), fields))
    return used


def _frame_plain(framed: Framed, raw: bytes, line: int, width: int) -> None:
    """Enter a line without quotes; an empty one, or one of blanks, is not a record."""
    body = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not body.strip(BLANKS):
        return
    rule, fields = _split(body)
    if rule:
        framed.reject(line, rule, raw)
    elif len(fields) != width:
        framed.reject(line, FIELD_COUNT, raw, str(len(fields)))
    else:
        framed.good.append((line, _text(raw), fields))


def _split(body: bytes) -> tuple[str | None, list[str]]:
    """The rule that a line without quotes breaks, or its fields."""
    if b"\0" in body:
        return NUL, []
    if b"\r" in body:
        return CARRIAGE_RETURN, []
    try:
        return None, body.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return ENCODING, []


class _End(Enum):
    """How a line ends: with its record, inside a quoted field, or not at all since it breaks a rule."""

    CLOSED = auto()
    OPEN = auto()
    ENCODING = auto()
    QUOTES = auto()
    CARRIAGE_RETURN = auto()


ERRORS = {_End.ENCODING: ENCODING, _End.QUOTES: QUOTES, _End.CARRIAGE_RETURN: CARRIAGE_RETURN}


def _parse(line: bytes, before: str = "") -> tuple[_End, list[str]]:
    """How a line ends after some text, and its fields."""
    try:
        # A quote as the next line closes what is open at the end of this one.
        reader = csv.reader((before + line.decode("utf-8"), '"'), strict=True)
        fields = next(reader)
    except UnicodeDecodeError:
        return _End.ENCODING, []
    except csv.Error as error:
        return (_End.CARRIAGE_RETURN if "new-line" in str(error) else _End.QUOTES), []
    return (_End.OPEN if reader.line_num > 1 else _End.CLOSED), fields


class _Quotes:
    """Where quoted fields end that are open before a line.

    That depends on no record above, so each line is looked at once, however many records are open there: framing takes
    time in proportion to the text also where no quote is ever closed.
    """

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.ends = list(accumulate(map(len, lines)))
        self._from, self._closing, self._end = 1, 0, _End.OPEN

    def closing(self, at: int) -> int:
        """The first line from ``at`` on that does not leave the field open; the number of lines where none does."""
        if not self._from <= at <= self._closing:
            self._from = self._closing = at
            while self._closing < len(self.lines) and (end := self._continued(self._closing)) is _End.OPEN:
                self._closing += 1
            self._end = end if self._closing < len(self.lines) else _End.OPEN
        return self._closing

    def end_of(self, at: int) -> _End:
        """How the line ends that ``closing`` has found."""
        if at != self._closing:
            raise ValueError(f"line {at} is not the one that was found, {self._closing}")
        return self._end

    def _continued(self, at: int) -> _End:
        """How a line ends before which a quoted field is open."""
        return _parse(self.lines[at], '"')[0]

    def window(self, at: int) -> int:
        """Where the lines end that one record may take from ``at`` on."""
        begin = self.ends[at] - len(self.lines[at])
        return min(bisect_left(self.ends, begin + MAX_QUOTED_BYTES) + 1, len(self.lines))

    def size(self, begin: int, end: int) -> int:
        """Bytes of these lines."""
        return self.ends[end - 1] - self.ends[begin] + len(self.lines[begin])


def _text(raw: bytes) -> str:
    """The record's text for people: bytes that are not UTF-8 and NULs (which Postgres cannot store) as escapes."""
    return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace").replace("\0", "\\x00")
