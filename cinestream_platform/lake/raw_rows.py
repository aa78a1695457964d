"""The rows of raw tables as Parquet in the lake: writing a file's rows, scanning them, finding repeated events.

``<lake>/raw/<source>/<table>/file-<file_id>-<run>-<attempt>/partition_key=<fact partition>/part-<n>.parquet``.
Which of these folders count is said by the ledger alone; others are garbage of crashed attempts.
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

from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.warehouse.deliveries import Input, touches
from cinestream_platform.warehouse.frames import polars_schema
from cinestream_platform.warehouse.groups import from_multirange
from cinestream_platform.warehouse.ledger import LandedFile
from cinestream_platform.warehouse.raw_publish import Overlap
from cinestream_platform.warehouse.table import WHOLE, Kind, PartitionUnit, Table, WriteMode

PARTITION_KEY = "partition_key"
EFFECTIVE_AT = "_effective_at"
ROWS_AT_A_TIME = 8_000_000
"""So many rows of a file wait in memory (some 300 MB of ratings) before they are written by partition."""
BYTES_AT_A_TIME = 400_000_000
"""Rows with long texts are written sooner."""
GROUPS_AT_A_TIME = 1_000
"""Repeated events are looked for in so many groups at once (of the Netflix Prize: 5.7 million ratings)."""


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
        length = f"{self._feed.unit.months}mo"
        begins = rows.with_columns(pl.col(self._feed.event_time).dt.truncate(length).alias(PARTITION_KEY))
        for (begin,), part in begins.partition_by(PARTITION_KEY, include_key=False, as_dict=True).items():
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
        """The rows, one Parquet file in memory at a time."""
        return (pl.read_parquet(path, hive_partitioning=False) for path in self.paths)

    def scan(self) -> pl.LazyFrame:
        """The rows with their ``partition_key``."""
        return _scan(self._feed.table, [escape(str(path)) for path in self.paths], None)


def _scan(table: Table, locations: list[str], storage_options: dict[str, Any] | None) -> pl.LazyFrame:
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
    store: ObjectStore, table: Table, files: Sequence[LandedFile], scope: Scope | None = None
) -> pl.LazyFrame:
    """The raw rows of loaded files, those for one partition or all, with their own ``partition_key``."""
    folders = [
        f"{file.lake_path}/{PARTITION_KEY}={key}"
        for file in files
        for key in sorted(file.partition_rows)
        if scope is None or touches([key], scope.unit, scope.partition_key)
    ]
    return _scan(table, [store.location(f"{folder}/*.parquet") for folder in folders], store.storage_options())


def _key_hash(table: Table) -> pl.Expr:
    """64 bits of the natural key, for finding candidates only: a collision costs a look, never a row."""
    kinds = [table.column(name).type.kind for name in table.natural_key]
    if kinds == [Kind.INTEGER, Kind.INTEGER]:  # side by side, a quarter of the time of hashing them
        first, second = (pl.col(name).cast(pl.Int64) for name in table.natural_key)
        return (first * 2**32 + second).reinterpret(signed=False).alias("key_hash")
    return pl.struct(table.natural_key).hash().alias("key_hash")


def _repeated(hashes: pl.Series) -> pl.Series:
    """Values that occur more than once; sorting 64-bit numbers takes a third of a group_by's memory."""
    ordered = hashes.sort()
    return ordered.filter(ordered == ordered.shift(1)).unique()


def _ranked(rows: pl.LazyFrame, table: Table, files: Sequence[LandedFile]) -> pl.DataFrame:
    """Contested rows with ``wins`` (the row that counts) and ``is_equal`` (the same values as the winner).

    Of one event the greatest ``latest_by`` wins, then the file that landed later, then the later line.
    """
    order = pl.DataFrame(
        {"_file_id": [file.file_id for file in files], "landed": range(len(files))},
        schema={"_file_id": pl.Int64(), "landed": pl.Int64()},
    )
    by = [*((table.latest_by,) if table.latest_by else ()), "landed", "_line"]
    key = list(table.natural_key)
    values = [c.name for c in table.columns if c.name not in key and not c.name.startswith("_")]
    contested = rows.collect().join(order, on="_file_id", how="left").sort(by)
    contested = contested.filter(pl.len().over(key) > 1)
    same = [pl.col(name).eq_missing(pl.col(name).last().over(key)) for name in values]
    return contested.with_columns(
        wins=pl.int_range(pl.len()).over(key) == pl.len().over(key) - 1,
        is_equal=pl.all_horizontal(same) if same else pl.lit(True),
    )


def find_overlap(
    store: ObjectStore, feed: Feed, spool: Spool, file: LandedFile, others: Sequence[LandedFile]
) -> Overlap:
    """Which events of a new file occur more than once, in it or together with other loaded files.

    Args:
        store: The lake.
        feed: The feed of all these files.
        spool: The new file's rows.
        file: The new file.
        others: The files that stay loaded beside it (of a grouped feed at least those with common groups).
    """
    landed = sorted([*others, file], key=lambda f: (f.last_modified, f.key, f.file_id))
    rest = scan_files(store, feed.table, others)
    parts = [
        _overlap(spool.scan().filter(here), rest.filter(here) if others else None, feed, file, landed)
        for here in _group_by_group(feed, spool.groups)
    ]
    partitions: dict[int, frozenset[str]] = {}
    for file_id, touched in (item for part in parts for item in part.partitions.items()):
        partitions[file_id] = partitions.get(file_id, frozenset()) | touched
    return Overlap(
        sum(part.repeated for part in parts),
        sum(part.conflicting for part in parts),
        partitions,
        frozenset().union(*(part.groups for part in parts)),
    )


def _group_by_group(feed: Feed, groups: Iterable[int]) -> Iterator[pl.Expr]:
    """Conditions that take the rows of a bounded number of groups each; of a feed without groups all rows."""
    if feed.grouped_by is None:
        yield pl.lit(True)
        return
    ordered = sorted(groups)
    for begin in range(0, len(ordered), GROUPS_AT_A_TIME):
        some = ordered[begin : begin + GROUPS_AT_A_TIME]
        column = pl.col(feed.grouped_by)
        yield column.is_between(some[0], some[-1]) & column.is_in(pl.Series(some, dtype=pl.Int64).implode())


def _overlap(
    mine: pl.LazyFrame, rest: pl.LazyFrame | None, feed: Feed, file: LandedFile, landed: Sequence[LandedFile]
) -> Overlap:
    """The overlap of some rows of a new file with the same part of the others'."""
    table = feed.table
    hashes = mine.select(_key_hash(table)).collect().to_series()
    candidates = [_repeated(hashes)]
    if rest is not None and hashes.len():
        # implode: is_in with a plain Series of the same length would be ambiguous to polars.
        shared = rest.select(_key_hash(table)).filter(pl.col("key_hash").is_in(hashes.unique().implode()))
        candidates.append(shared.collect(engine="streaming").to_series().unique())
    contested = pl.concat(candidates).unique()
    if contested.is_empty():
        return Overlap()
    both = (mine if rest is None else pl.concat([rest, mine])).filter(_key_hash(table).is_in(contested.implode()))
    ranked = _ranked(both, table, landed)
    key = list(table.natural_key)
    is_mine = pl.col("_file_id") == file.file_id
    # Every record that loses is counted once, by the file that beat it: mine, and who won before mine came.
    rank = pl.int_range(pl.len()).over(key)
    won_before = rank == pl.when(~is_mine).then(rank).max().over(key)
    losers = ranked.filter(~pl.col("wins") & (is_mine | won_before.fill_null(False)))
    touched = ranked.filter(is_mine.any().over(key)).with_columns(
        years=pl.col(PARTITION_KEY).unique().implode().over(key)
    )
    per_file = touched.explode("years").group_by("_file_id").agg(pl.col("years").unique())
    return Overlap(
        repeated=int(losers["is_equal"].sum()),
        conflicting=losers.height - int(losers["is_equal"].sum()),
        partitions={file_id: frozenset(years) for file_id, years in per_file.iter_rows()} if feed.event_time else {},
        groups=frozenset(ranked[feed.grouped_by]) if feed.grouped_by else frozenset(),
    )


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
    def table(self) -> Table:
        """The raw table."""
        return self.feed.table

    @property
    def contested(self) -> bool:
        """Whether any record has to give way to another; without, nothing needs to be compared."""
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
        if self.table.mode is WriteMode.HISTORY:
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
                *(self._losers(everything.filter(here)) for here in _group_by_group(self.feed, groups)),
            ]
        )

    def _losers(self, rows: pl.LazyFrame) -> pl.DataFrame:
        hashes = rows.select(_key_hash(self.table)).collect(engine="streaming").to_series()
        candidates = rows.filter(_key_hash(self.table).is_in(_repeated(hashes).implode()))
        return _ranked(candidates, self.table, self.files).filter(~pl.col("wins")).select("_file_id", "_line")
