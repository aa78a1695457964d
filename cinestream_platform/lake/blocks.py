"""Delivered text in blocks of whole lines, and what reading any delivered file gives: batches of rows and rejects.

What belongs here: what the readers of CSV (``csv_reader``), of bare lines (``line_reader``) and of files with several
tables (``bundle_reader``) share. What does not: how a record is split into fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

BLOCK_BYTES = 16 * 1024 * 1024
MAX_LINE_BYTES = 8 * 1024 * 1024
"""A longer line is no record; reading on would put the whole file into memory."""
MAX_RAW_CHARS = 10_000
"""So much of a rejected record's text is kept."""
BOM = b"\xef\xbb\xbf"

FOREIGN_FORMS = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""What is landed by mistake, by its first bytes."""

REJECT_SCHEMA = {"line": pl.Int64(), "rule": pl.String(), "raw": pl.String()}


class FileRefusedError(ValueError):
    """The file as a whole cannot be read; the message names the culprit and the remedy.

    Names from the file may hold what Postgres cannot store (NUL, half of a surrogate pair): it is shown as escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True)
class Batch:
    """Typed rows in the raw table's columns, and rejected records as ``REJECT_SCHEMA``."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    ends_without_line_end: bool = False


def refuse_foreign_form(begin: bytes, wanted: str) -> None:
    """Refuse what is landed by mistake.

    Args:
        begin: The first bytes of the file, without a byte order mark.
        wanted: What the feed takes.

    Raises:
        FileRefusedError: It begins like an archive or like text in another encoding.
    """
    for magic, form in FOREIGN_FORMS.items():
        if begin.startswith(magic):
            raise FileRefusedError(f"this is {form} and no {wanted}. Land the unpacked {wanted}.")


class Blocks:
    """Blocks of whole lines with the number of their first line; what a block cannot finish is given back."""

    def __init__(self, source: BinaryIO, size: int, *, first_line: int = 1) -> None:
        self._source, self._size = source, size
        self._rest = b""
        self._next_line = first_line

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while block := self._whole_lines():
            line, lines = self._next_line, block.count(b"\n")
            self._next_line += lines
            yield line, block

    def _whole_lines(self) -> bytes:
        data = self._rest
        while chunk := self._source.read(self._size):
            data += chunk
            end = data.rfind(b"\n") + 1
            if end:
                self._rest = data[end:]
                return self._checked(data[:end])
            self._checked(data)
        self._rest = b""
        return self._checked(data)

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
        self._next_line -= unread.count(b"\n")
        self._rest = unread + self._rest
        return True

    def _peek(self) -> bool:
        self._rest = self._source.read(self._size)
        return bool(self._rest)
