"""Reading bytes as a delivered file, and ledger rows and feeds for tests that have no Postgres."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.reading import unpacking
from cinestream_platform.reading.blocks import BLOCK_BYTES, REJECT_SCHEMA, Batch
from cinestream_platform.reading.csv_reader import read_csv
from cinestream_platform.reading.line_reader import read_lines
from cinestream_platform.reading.readers import read_records

NOT_AFTER = datetime(2020, 1, 2, tzinfo=UTC)
NOT_AFTER_SECONDS = int(NOT_AFTER.timestamp())


class InMemoryFile:
    """What ``read_csv`` needs of a path."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._content)


@dataclass(frozen=True)
class Reading:
    """All batches of a file together."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    batches: list[Batch]

    @property
    def records(self) -> list[tuple[Any, ...]]:
        """Typed rows without their origin."""
        return self.rows.drop("_file_id", "_line").rows()

    @property
    def lines(self) -> list[int]:
        """The line on which each typed row begins."""
        return self.rows["_line"].to_list()

    @property
    def rejects(self) -> list[tuple[int, str, str]]:
        """(line, rule, raw) of each rejected record."""
        return self.rejected.select("line", "rule", "raw").rows()

    @property
    def warnings(self) -> Counter[str]:
        """What was accepted though it is not written as declared."""
        return sum((Counter(batch.warnings) for batch in self.batches), Counter())

    @property
    def ends_without_line_end(self) -> bool:
        return self.batches[-1].ends_without_line_end if self.batches else False


def read(content: bytes, feed: Feed, *, block_bytes: int = BLOCK_BYTES, file_id: int = 7) -> Reading:
    """Read these bytes as a file of the feed."""
    path: Any = InMemoryFile(content)
    reader = read_lines if feed.lines else read_csv
    return _reading(reader(path, feed, file_id=file_id, not_after=NOT_AFTER, block_bytes=block_bytes), feed)


def read_path(path: Path, feed: Feed, *, file_id: int = 7) -> Reading:
    """Read a file on disk."""
    reader = read_lines if feed.lines else read_csv
    return _reading(reader(path, feed, file_id=file_id, not_after=NOT_AFTER), feed)


def read_form(content: bytes, feed: Feed, ending: str, folder: Path, *, most_ratio: int | None = None) -> Reading:
    """Read these bytes as a file whose name has this ending."""
    path = folder / f"object{ending}"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        if most_ratio:
            patch.setattr(unpacking, "MAX_RATIO", most_ratio)
        key = f"{feed.prefix}a{ending}"
        return _reading(read_records(path, key, feed, file_id=7, not_after=NOT_AFTER), feed)


def _reading(batches: Any, feed: Feed) -> Reading:
    from cinestream_platform.declarations.frames import polars_schema

    found = list(batches)
    rows = pl.concat([pl.DataFrame(schema=polars_schema(feed.table)), *(batch.rows for batch in found)])
    return Reading(rows, pl.concat([pl.DataFrame(schema=REJECT_SCHEMA), *(b.rejected for b in found)]), found)


def landed(
    file_id: int,
    *,
    lake_path: str = "",
    last_modified: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    key: str = "movielens/ratings/a.csv",
    partition_rows: dict[str, int] | None = None,
    partitions: Sequence[str] = (),
    repeated: int = 0,
    conflicting: int = 0,
) -> LandedFile:
    """A ledger row of a loaded file."""
    return LandedFile(
        file_id=file_id,
        source="movielens",
        dataset=key.split("/")[1],
        bucket="file:///landing",
        key=key,
        etag=f"etag-{file_id}",
        size_bytes=1,
        last_modified=last_modified,
        first_seen_at=last_modified,
        status="loaded",
        attempts=1,
        lake_path=lake_path,
        partition_rows=partition_rows or {},
        partitions=list(partitions),
        rows_repeated=repeated,
        rows_conflicting=conflicting,
    )
