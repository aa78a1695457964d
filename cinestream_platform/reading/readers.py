"""The one door to a delivered file's records: its key says which reader takes it, and whether it is packed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cinestream_platform.declarations.bundle import is_bundle_table
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import Shape, form_of_name
from cinestream_platform.reading.blocks import Batch
from cinestream_platform.reading.bundle_reader import read_bundle_table
from cinestream_platform.reading.csv_reader import read_csv
from cinestream_platform.reading.json_lines import read_json_lines
from cinestream_platform.reading.line_reader import read_lines
from cinestream_platform.reading.parquet_reader import read_parquet
from cinestream_platform.services.disk import Room


def read_records(
    path: Path, key: str, feed: Feed, *, file_id: int, not_after: datetime, room: Room | None = None
) -> Iterator[Batch]:
    """Read a local copy of the file with this key; ``room`` is asked while it is unpacked beside itself.

    Yields:
        Batches of typed and rejected records, in the order of the file.

    Raises:
        FileRefusedError: The file as a whole cannot be read.
    """
    if is_bundle_table(key):
        return read_bundle_table(path, feed, file_id=file_id, not_after=not_after)
    form = form_of_name(key)
    if form.shape is Shape.PARQUET:
        return read_parquet(path, feed, file_id=file_id, not_after=not_after, packing=form.packing, room=room)
    others = read_lines if feed.lines else read_csv
    read = read_json_lines if form.shape is Shape.JSON_LINES else others
    return read(path, feed, file_id=file_id, not_after=not_after, packing=form.packing)
