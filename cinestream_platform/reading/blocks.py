"""Delivered text in blocks of whole lines, and what reading any delivered file yields: batches of rows and rejects.

What belongs here: what the readers of CSV (``csv_reader``), of bare lines (``line_reader``) and of files with several
tables (``bundle_reader``) share. What does not: how a record is split into fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.reading.unpacking import Source

BLOCK_BYTES = 16 * 1024 * 1024
MIN_READ_BYTES = 64 * 1024
MAX_CELLS = 1_200_000
"""A block of very short lines ends after so many fields: in a frame the shortest takes 16 bytes, and several times so
while it is judged."""
MAX_LINE_BYTES = 8 * 1024 * 1024
"""A longer line is not a record; reading on would put the whole file into memory."""
MAX_RAW_CHARS = 10_000
"""So much of a rejected record's text is kept."""
BOM = b"\xef\xbb\xbf"

REJECT_SCHEMA = {"line": pl.Int64(), "rule": pl.String(), "raw": pl.String(), "found": pl.String()}
"""A rejected record: its first line, the rule, its text, and what ``reject_words`` may say of it: the beginning of the
offending field (never of a personal column), or the number of its fields."""
MAX_FOUND_CHARS = 100

READ_AS_UTF8, READ_AS_WINDOWS_1252 = "(read as UTF-8)", "(read as Windows-1252)"
REPEATED_HEADER = "(repeated header)"
FILE_WARNINGS = {
    READ_AS_UTF8: "files in UTF-8 where the feed declares another encoding",
    READ_AS_WINDOWS_1252: "files in Windows-1252 where the feed declares ISO-8859-1",
    REPEATED_HEADER: "lines that repeat the header, which are not records",
}
"""What else than a value may be accepted though it is not as declared."""
LAST_RECORD_REJECTED = "(last record rejected)"
"""Counted along with the warnings: a file without a last line end whose last record is rejected was probably cut."""


@dataclass(frozen=True)
class Batch:
    """Typed rows in the raw table's columns, and rejected records as ``REJECT_SCHEMA``.

    ``most_to_come`` is a number of records that what follows of the file cannot exceed. ``warnings`` counts what was
    accepted though it is not written as declared: values by the name of their column, the rest as in ``FILE_WARNINGS``.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    most_to_come: int
    ends_without_line_end: bool = False
    warnings: Mapping[str, int] = field(default_factory=dict)


class Blocks:
    """Blocks of whole lines with the number of their first line; what a block cannot finish is given back.

    A block has some ``size`` bytes at most, unless one line is longer, and lines of ``MAX_CELLS`` fields.
    """

    def __init__(self, source: Source, size: int, *, fields: int, first_line: int = 1) -> None:
        self._source, self._size = source, size
        self._aim = size  # bytes of the next block: fewer where lines are so short that the last had to end early
        self._most_lines = max(MAX_CELLS // fields, 1)
        self._rest = b""
        self._next_line = first_line
        self._given_lines = self._given_bytes = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while block := self._whole_lines():
            line, lines = self._next_line, block.count(b"\n")
            self._next_line += lines
            yield line, block

    @property
    def bytes_left(self) -> int:
        """How much of the source follows the last block, or the most that can."""
        return self._source.bytes_left + len(self._rest)

    def _whole_lines(self) -> bytes:
        data, is_end = self._read_on()
        end = self._end_of_lines(data, len(data) if is_end else data.rfind(b"\n") + 1)
        self._rest = data[end:]
        return data[:end] if self._rest else data

    def _read_on(self) -> tuple[bytes, bool]:
        """What was left, with as much more as makes a block and ends a line; and whether the source ends with it."""
        # More lines than were given back, or a record in them would never end.
        parts, size, ends_line = [self._rest], len(self._rest), self._rest.find(b"\n", self._given_bytes) >= 0
        enough = self._aim + self._given_bytes
        while not (ends_line and (size >= enough or len(parts) > 1)):
            chunk = self._source.read(max(enough - size, min(MIN_READ_BYTES, self._size)))
            if not chunk:
                return self._checked(b"".join(parts)), True
            parts.append(chunk)
            size += len(chunk)
            ends_line = ends_line or b"\n" in chunk
            if size > MAX_LINE_BYTES + self._given_bytes and not ends_line:
                break
        return self._checked(b"".join(parts)), False

    def _end_of_lines(self, data: bytes, end: int) -> int:
        """Where the last line ends of those that a block may have, before ``end``; the count halves the rest."""
        most = self._most_lines + self._given_lines
        self._given_lines = self._given_bytes = 0
        if end <= most or data.count(b"\n", 0, end) <= most:
            self._aim = min(self._size, self._aim * 5 // 4)
            return end
        begin = 0
        while end - begin > 1:
            middle = (begin + end) // 2
            lines = data.count(b"\n", begin, middle)
            if lines < most:
                begin, most = middle, most - lines
            else:
                end = middle
        self._aim = end
        return end

    def _checked(self, data: bytes) -> bytes:
        """Refuse a line that is too long, wherever blocks begin and end."""
        at = 0
        while len(data) - at > MAX_LINE_BYTES:
            end = data.rfind(b"\n", at, at + MAX_LINE_BYTES) + 1
            if not end:
                line = self._next_line + data.count(b"\n", 0, at)
                raise FileRefusedError(f"line {line:,} is longer than {MAX_LINE_BYTES:,} bytes. Is this a text file?")
            at = end
        return data

    def give_back(self, unread: bytes) -> bool:
        """Put the tail of the last block before the next one; False where no more will follow."""
        if not self._rest and not self._peek():
            return False
        self._given_lines, self._given_bytes = unread.count(b"\n"), len(unread)
        self._next_line -= self._given_lines
        self._rest = unread + self._rest
        return True

    def _peek(self) -> bool:
        self._rest = self._source.read(self._size)
        return bool(self._rest)
