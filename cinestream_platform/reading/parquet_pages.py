"""What the pages of a Parquet file unpack to, read from their headers before anything is unpacked.

A page of a few bytes can say that it unpacks to gigabytes, and a reader then takes that much memory at once; the sums
in the file's footer may say something else. So each header is looked at (Thrift's compact protocol, of which only the
numbers are wanted). What does not belong here: what is in the pages (``parquet_reader``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from cinestream_platform.declarations.file_form import FileRefusedError

MAX_PAGE_BYTES = 64 * 1024 * 1024
"""Writers make pages of 1 MB; some one a column and row group."""
MAX_PAGES_BYTES = 128 * 1024 * 1024
"""Of each column a page and a dictionary are in memory at once."""
HEADER_BYTES = 64 * 1024
DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY = 6, 7
_DEEP = 8


@dataclass(frozen=True)
class Page:
    """One page, by its header."""

    is_dictionary: bool
    packed: int
    unpacked: int
    values: int
    encoding: int

    @property
    def bytes_per_value(self) -> float:
        """The most that a value may take on average. A value that repeats the one before it may be as long as all."""
        if self.encoding == DELTA_BYTE_ARRAY:
            return self.unpacked
        return self.unpacked / max(self.values, 1)


def bytes_per_row(file: BinaryIO, row_group: Any) -> float:
    """The most bytes that a row of a row group may take, on average over a page.

    Raises:
        FileRefusedError: A page, or the pages that are in memory at once, are too large; or the file is damaged.
    """
    total, in_memory = 0.0, 0
    for index in range(row_group.num_columns):
        largest = {True: 0, False: 0}
        per_value, is_delta = 0.0, False
        for page in _pages(file, row_group.column(index)):
            size = max(page.packed, page.unpacked)
            largest[page.is_dictionary] = max(largest[page.is_dictionary], size)
            if not page.is_dictionary:
                per_value = max(per_value, page.bytes_per_value)
                is_delta = is_delta or page.encoding in (DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY)
            if size > MAX_PAGE_BYTES:
                raise FileRefusedError(
                    f"a page of the Parquet file unpacks to {size:,} bytes, over {MAX_PAGE_BYTES:,}. Write it with "
                    "pages of 1 MB."
                )
        # Texts of such a column are not read as numbers that point at them: each may be as long as its dictionary.
        per_value = max(per_value, largest[True]) if is_delta else per_value
        total, in_memory = total + per_value, in_memory + sum(largest.values())
    if in_memory > MAX_PAGES_BYTES:
        raise FileRefusedError(
            f"pages of the Parquet file that are read together unpack to {in_memory:,} bytes, over "
            f"{MAX_PAGES_BYTES:,}. Write it with pages of 1 MB."
        )
    return total


def _pages(file: BinaryIO, chunk: Any) -> Iterator[Page]:
    begin = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < begin:
        begin = chunk.dictionary_page_offset
    at, end = begin, begin + chunk.total_compressed_size
    while at < end:
        file.seek(at)
        header = _Compact(file.read(min(HEADER_BYTES, end - at)))
        try:
            fields = header.struct()
            page = _page(fields)
        except (IndexError, KeyError, TypeError, RecursionError):
            raise FileRefusedError("the Parquet file is damaged: a page has no header. Land it again.") from None
        yield page
        at += header.at + page.packed


def _page(fields: dict[int, Any]) -> Page:
    unpacked, packed = fields[2], fields[3]
    if unpacked < 0 or packed < 0:
        raise KeyError("a negative size")
    if 7 in fields:
        return Page(True, packed, unpacked, fields[7][1], 0)
    data = fields.get(5) or fields.get(8)
    if data is None:  # an index page
        return Page(False, packed, unpacked, 1, 0)
    return Page(False, packed, unpacked, data[1], data[2 if 5 in fields else 4])


class _Compact:
    """Reads a struct of Thrift's compact protocol: numbers and structs in it are kept, all else passed over."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _DEEP:
            raise RecursionError
        fields: dict[int, Any] = {}
        last = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 0x0F
            last = last + delta if delta else self._signed()
            fields[last] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._unsigned())
        if kind in (9, 10):
            head = self._byte()
            count = self._unsigned() if head >> 4 == 15 else head >> 4
            return [self._value(head & 0x0F, depth + 1) for _ in range(min(count, HEADER_BYTES))] and None
        if kind == 12:
            return self.struct(depth + 1)
        raise KeyError(kind)  # page headers have no maps

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
