"""Counting a delivered file's records without reading them, for people who compare two files.

What does not belong here: which of the records are good (``orchestration.file_reading``).
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cinestream_platform.declarations.bundle import FORMS
from cinestream_platform.declarations.file_form import FileRefusedError, Packing, Shape, form_of_name
from cinestream_platform.lake.stored import CHUNK_BYTES
from cinestream_platform.reading.unpacking import Source, open_source


def count_records(path: Path, name: str, *, has_header: bool) -> int | None:
    """How many records a copy of a file of that name holds; ``None`` where that takes more than looking at it.

    Of text: lines, but for those inside quotes and the header.
    """
    form = form_of_name(name)
    is_parquet = form.shape is Shape.PARQUET
    if name.lower().endswith(FORMS) or (is_parquet and form.packing is not Packing.NONE):
        return None
    try:
        if is_parquet:
            return int(pq.read_metadata(path).num_rows)
        with open_source(path, form.packing) as source:
            is_text = form.shape is Shape.TEXT
            return max(_lines(source, quotes=is_text) - (has_header and is_text), 0)
    except (FileRefusedError, pa.ArrowException):
        return None


def _lines(source: Source, *, quotes: bool) -> int:
    """How many lines there are; with ``quotes``, those inside quotes are none."""
    ends, is_quoted, last = 0, False, b""
    while chunk := source.read(CHUNK_BYTES):
        parts = chunk.split(b'"') if quotes else [chunk]
        for part in parts[int(is_quoted) :: 2]:
            ends += part.count(b"\n")
        is_quoted ^= len(parts) % 2 == 0
        last = chunk[-1:]
    return ends + (last not in (b"", b"\n"))
