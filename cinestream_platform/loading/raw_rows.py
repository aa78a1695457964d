"""The rows of raw tables as Parquet in the lake: writing a file's rows, scanning them, and those that count.

``<lake>/raw/<source>/<table>/file-<file_id>-<run>-<attempt>/partition_key=<fact partition>/part-<n>.parquet``, or of
small files together ``<lake>/raw/<source>/<table>/<name>.parquet``, with ``partition_key`` as a column. Which of these
count, and for which files, is said by the ledger alone; others are garbage of crashed attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import Any

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.declarations.raw_table import RawHistory, RawTable
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger.deliveries import Input, touches
from cinestream_platform.ledger.lake_objects import SHARED, LakeObject
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading.contest import group_by_group, key_hash, ranked, repeated
from cinestream_platform.warehouse.groups import from_multirange

PARTITION_KEY = "partition_key"
EFFECTIVE_AT = "_effective_at"
ROWS_AT_A_TIME = 8_000_000
"""So many rows of a file wait in memory (some 300 MB of ratings) before they are written by partition."""
BYTES_AT_A_TIME = 400_000_000
"""Rows with long texts are written sooner."""
ROWS_PER_FRAME = 1_000_000
"""So many rows are read back at a time: whoever reads holds two frames, the one at hand and the next."""
OBJECT = "_object"
"""The name of the shared object that a row is in; null in a folder."""
ROWS_PER_GROUP = 50_000
"""Rows of a shared object that are read together: they are sorted by partition, so that others are passed over."""


class Spool:
    """A file's typed rows on local disk, in the layout in which they go to the lake."""

    def __init__(self, folder: Path, feed: Feed) -> None:
        self._folder, self._feed = folder, feed
        self._parts = 0
        self._waiting: list[pl.DataFrame] = []
        self.partition_rows: Counter[str] = Counter()
        self.groups: set[int] = set()

    def add(self, rows: pl.DataFrame) -> None:
        """Take one batch; it is written together with others, so that a partition's files are few and not tiny."""
        self._waiting.append(rows)
        if self._feed.grouped_by:
            self.groups.update(rows[self._feed.grouped_by].unique())
        size = sum(batch.estimated_size() for batch in self._waiting)
        if sum(batch.height for batch in self._waiting) >= ROWS_AT_A_TIME or size >= BYTES_AT_A_TIME:
            self.flush()

    def flush(self) -> None:
        """Write what waits, split by fact partition."""
        rows, self._waiting = pl.concat(self._waiting) if self._waiting else pl.DataFrame(), []
        self._parts += 1
        for key, part in self._split(rows):
            folder = self._folder / f"{PARTITION_KEY}={key}"
            folder.mkdir(parents=True, exist_ok=True)
            part.write_parquet(folder / f"part-{self._parts:05d}.parquet", compression="zstd", compression_level=1)
            self.partition_rows[key] += part.height

    def _split(self, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        if rows.is_empty():
            return
        if self._feed.event_time is None:
            yield WHOLE, rows
            return
        begins = rows[self._feed.event_time].dt.truncate(f"{self._feed.unit.months}mo")
        if begins.n_unique() == 1:  # dividing copies all rows
            yield self._feed.unit.key_of(begins[0].year, begins[0].month), rows
            return
        divided = rows.with_columns(begins.alias(PARTITION_KEY))
        for (begin,), part in divided.partition_by(PARTITION_KEY, include_key=False, as_dict=True).items():
            yield self._feed.unit.key_of(begin.year, begin.month), part

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return sum(self.partition_rows.values())

    def put(self, lake: ObjectStore, lake_path: str) -> None:
        """Copy everything that was written to the lake."""
        if self.paths:
            lake.put_folder(lake_path, self._folder)

    @property
    def paths(self) -> list[Path]:
        """Every Parquet file written, in order."""
        return sorted(self._folder.rglob("*.parquet"))

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows in the order of their files, some at a time in memory."""
        for path in self.paths:
            rows = pl.scan_parquet(path, hive_partitioning=False)
            for begin in range(0, rows.select(pl.len()).collect().item(), ROWS_PER_FRAME):
                yield rows.slice(begin, ROWS_PER_FRAME).collect()

    def scan(self) -> pl.LazyFrame:
        """The rows with their ``partition_key``."""
        return scan_spools(self._feed, [self])


def _scan(table: RawTable, locations: list[str], storage_options: dict[str, Any] | None) -> pl.LazyFrame:
    if not locations:
        return pl.LazyFrame(schema={**polars_schema(table), PARTITION_KEY: pl.String()})
    return pl.scan_parquet(
        locations,
        hive_partitioning=True,
        hive_schema={PARTITION_KEY: pl.String()},
        storage_options=storage_options,
        missing_columns="insert",
    ).select(*polars_schema(table), PARTITION_KEY)


@dataclass(frozen=True)
class Scope:
    """One partition of the table that is to be built."""

    unit: PartitionUnit
    partition_key: str


def scan_files(
    store: ObjectStore, table: RawTable, files: Sequence[LandedFile], scope: Scope | None = None
) -> pl.LazyFrame:
    """The raw rows of loaded files, those for one partition or all, with their own ``partition_key``."""
    folders, shared, wanted = [], set(), set()
    for file in files:
        keys = [key for key in file.partition_rows if scope is None or touches([key], scope.unit, scope.partition_key)]
        path = file.lake_path or ""
        if not path.endswith(SHARED):
            folders += [f"{path}/{PARTITION_KEY}={key}" for key in sorted(keys)]
        elif keys:
            shared.add((path, file.file_id))
            wanted.update(keys)
    rows = _scan(table, [store.location(f"{folder}/*.parquet") for folder in folders], store.storage_options())
    if not shared:
        return rows
    paths = sorted({path for path, _ in shared})
    together = _scan_shared(store, table, paths).filter(pl.col(PARTITION_KEY).is_in(sorted(wanted)))
    return pl.concat([rows, of_files(together, shared).drop(OBJECT)])


def scan_objects(store: ObjectStore, table: RawTable, objects: Sequence[LakeObject]) -> pl.LazyFrame:
    """All rows in these objects, with their ``partition_key`` and the ``_object``; also those that do not count."""
    folders = [
        store.location(f"{item.path}/{PARTITION_KEY}={key}/*.parquet")
        for item in objects
        if not item.is_shared
        for key in item.partitions
    ]
    rows = _scan(table, folders, store.storage_options()).with_columns(pl.lit(None, pl.String()).alias(OBJECT))
    shared = sorted(item.path for item in objects if item.is_shared)
    return pl.concat([rows, _scan_shared(store, table, shared)]) if shared else rows


def of_files(rows: pl.LazyFrame, owners: Iterable[tuple[str, int]]) -> pl.LazyFrame:
    """The rows of shared objects that belong to a file there: (path, file). A file may have moved to another."""
    schema: Any = {OBJECT: pl.String(), "_file_id": pl.Int64()}
    pairs = pl.LazyFrame([(object_name(path), file_id) for path, file_id in owners], schema=schema, orient="row")
    return rows.join(pairs, on=[OBJECT, "_file_id"], how="semi", maintain_order="left")


def object_keys(store: ObjectStore, lake_path: str) -> list[str]:
    """The keys of what there is at a path: a folder's, or the shared object's own."""
    return [lake_path] if lake_path.endswith(SHARED) else [item.key for item in store.list(f"{lake_path}/")]


def object_name(path: str) -> str:
    """By which the shared objects of a table are told apart."""
    return path.rpartition("/")[2]


def _scan_shared(store: ObjectStore, table: RawTable, paths: Sequence[str]) -> pl.LazyFrame:
    rows = pl.scan_parquet(
        [store.location(path) for path in paths],
        hive_partitioning=False,
        storage_options=store.storage_options(),
        schema={**polars_schema(table), PARTITION_KEY: pl.String()},
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast"),
        include_file_paths=OBJECT,
    )
    name = pl.col(OBJECT).str.replace_all("\\", "/", literal=True).str.split("/").list.last()
    return rows.select(*polars_schema(table), PARTITION_KEY, name.alias(OBJECT))


def scan_spools(feed: Feed, spools: Iterable[Spool]) -> pl.LazyFrame:
    """The rows of several files on local disk, with their ``partition_key``."""
    paths = [path for spool in spools for path in spool.paths]
    return _scan(feed.table, [escape(str(path)) for path in paths], None)


def put_together(rows: pl.DataFrame, lake: ObjectStore, lake_path: str, scratch: Path) -> None:
    """Store rows with their ``partition_key`` as a shared object; nothing if there are none."""
    if rows.is_empty():
        return
    scratch.parent.mkdir(parents=True, exist_ok=True)
    ordered = rows.sort(PARTITION_KEY, maintain_order=True)
    ordered.write_parquet(scratch, compression="zstd", compression_level=1, row_group_size=ROWS_PER_GROUP)
    lake.put_file(lake_path, scratch)


@dataclass
class RawRows:
    """The rows of a raw table that count, read from the lake: of every event the record that wins.

    ``files`` are the feed's loaded files in the order in which later ones win; they are what anything made from these
    rows was made from.
    """

    store: ObjectStore
    feed: Feed
    files: Sequence[LandedFile]

    @property
    def table(self) -> RawTable:
        """The raw table."""
        return self.feed.table

    @property
    def contested(self) -> bool:
        """Whether any record is beaten by another. If not, nothing needs to be compared."""
        return any(file.rows_repeated or file.rows_conflicting for file in self.files)

    def rows(self, scope: Scope | None = None) -> pl.LazyFrame:
        """The rows for one partition, or all; records that lost are left out.

        Of a table with write mode ``history`` the deliveries that count for the partition, and when each took effect
        (``_effective_at``).
        """
        counting = set(self.file_ids(scope))
        files = [file for file in self.files if file.file_id in counting]
        rows = scan_files(self.store, self.table, files, scope)
        if self.contested:
            rows = rows.join(self.losers.lazy(), on=["_file_id", "_line"], how="anti")
        if isinstance(self.table, RawHistory):
            schema: Any = {"_file_id": pl.Int64(), EFFECTIVE_AT: pl.Datetime("us", "UTC")}
            times = pl.LazyFrame([(f.file_id, f.effective_at) for f in self.files], schema=schema, orient="row")
            rows = rows.join(times, on="_file_id", how="left", maintain_order="left")
        return rows

    def as_input(self, *, is_whole: bool = False) -> Input:
        """The files as what decides which of them a partition is made from."""
        effective = {file.file_id: file.effective_at for file in self.files} if self.feed.holds_over_time else None
        return Input({file.file_id: file.partitions for file in self.files}, effective, is_whole)

    def file_ids(self, scope: Scope | None = None) -> list[int]:
        """The files that have a say in a partition, or in the whole table."""
        if scope is None:
            return sorted(file.file_id for file in self.files)
        return sorted(self._as_input.file_ids(scope.unit, scope.partition_key))

    @cached_property
    def _as_input(self) -> Input:
        return self.as_input()

    @cached_property
    def losers(self) -> pl.DataFrame:
        """``_file_id`` and ``_line`` of every record that another of the same event beats."""
        everything = scan_files(self.store, self.table, self.files)
        groups = {group for file in self.files for group in from_multirange(file.contested_groups)}
        schema = {name: polars_schema(self.table)[name] for name in ("_file_id", "_line")}
        return pl.concat(
            [
                pl.DataFrame(schema=schema),
                *(self._losers(everything.filter(here)) for here in group_by_group(self.feed, groups)),
            ]
        )

    def _losers(self, rows: pl.LazyFrame) -> pl.DataFrame:
        hashes = rows.select(key_hash(self.table)).collect(engine="streaming").to_series()
        candidates = rows.filter(key_hash(self.table).is_in(repeated(hashes).implode()))
        return ranked(candidates.collect(), self.table, self.files).filter(~pl.col("wins")).select("_file_id", "_line")
