"""Counting a delivered file's records without reading them, for people who compare two files.

What does not belong here: which of the records are good (``orchestration.file_reading``).
"""

from __future__ import annotations

from typing import BinaryIO

from cinestream_platform.lake.bundle import FORMS
from cinestream_platform.lake.stored import CHUNK_BYTES


def count_records(source: BinaryIO, name: str, *, has_header: bool) -> int | None:
    """How many records a file of that name holds; ``None`` where that is not known without reading it as its feed does.

    Of text: lines, but for those inside quotes and the header.
    """
    if name.lower().endswith(FORMS):
        return None
    ends, is_quoted, last = 0, False, b""
    while chunk := source.read(CHUNK_BYTES):
        parts = chunk.split(b'"')
        for part in parts[int(is_quoted) :: 2]:
            ends += part.count(b"\n")
        is_quoted ^= len(parts) % 2 == 0
        last = chunk[-1:]
    lines = ends + (last not in (b"", b"\n"))
    return max(lines - has_header, 0)
