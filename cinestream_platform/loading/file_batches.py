"""Which files are loaded together: small ones, of which a transaction each would cost more than their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import form_of_name
from cinestream_platform.declarations.raw_table import RawEvents
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.warehouse import raw_files

SMALL_BYTES = 256 * 1024
"""A file up to this size is loaded together with others."""
BATCH_FILES, BATCH_BYTES = 500, 16 * 1024 * 1024
"""At most so many files, of so many bytes, are loaded together."""


def file_batches(feed: Feed, files: Iterable[LandedFile]) -> Iterator[list[LandedFile]]:
    """The files in their order, neighbours together where they may be.

    Alone is a large file, or one that may be large once unpacked; one that was tried before, since if the process is
    killed again it was that file's doing; and
    any file of a table of which one file may replace all others.
    """
    batch: list[LandedFile] = []
    for file in files:
        if batch and not _fits(feed, file, batch):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _fits(feed: Feed, file: LandedFile, batch: list[LandedFile]) -> bool:
    return (
        isinstance(feed.table, RawEvents)
        and _is_small(file)
        and _is_small(batch[0])
        and len(batch) < BATCH_FILES
        and sum(other.size_bytes for other in batch) + file.size_bytes <= BATCH_BYTES
    )


def _is_small(file: LandedFile) -> bool:
    # A row takes more than a byte: a file that is to be a partition of its raw table is never small. Not so where it is
    # packed: a few bytes may hold millions of rows, and rows of small files are in memory together.
    return (
        form_of_name(file.key).is_plain_text
        and file.size_bytes <= min(SMALL_BYTES, raw_files.OWN_PARTITION_FROM)
        and not file.attempts
    )
