"""Of several records of one event, which counts: hashes to find them by, and the order in which they win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from cinestream_platform.declarations.column import Kind
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.ledger.landed_files import LandedFile

GROUPS_AT_A_TIME = 1_000
"""Repeated events are looked for in so many groups at once (5.7 million rows each of 100 million)."""


def key_hash(table: RawTable) -> pl.Expr:
    """64 bits of the natural key, for finding candidates only: a collision costs a look, never a row."""
    kinds = [table.column(name).type.kind for name in table.natural_key]
    if kinds == [Kind.INTEGER, Kind.INTEGER]:  # side by side, a quarter of the time of hashing them
        first, second = (pl.col(name).cast(pl.Int64) for name in table.natural_key)
        return (first * 2**32 + second).reinterpret(signed=False).alias("key_hash")
    return pl.struct(table.natural_key).hash().alias("key_hash")


def repeated(hashes: pl.Series) -> pl.Series:
    """Values that occur more than once; sorting 64-bit numbers takes a third of a group_by's memory."""
    ordered = hashes.sort()
    return ordered.filter(ordered == ordered.shift(1)).unique()


def ranked(rows: pl.DataFrame, table: RawTable, files: Sequence[LandedFile]) -> pl.DataFrame:
    """Contested rows with ``wins`` (the row that counts) and ``is_equal`` (the same values as the winner).

    Of one event the greatest ``latest_by`` wins, then the file that landed later, then the later line. ``files`` are
    in the order in which they landed.
    """
    order = pl.DataFrame(
        {"_file_id": [file.file_id for file in files], "landed": range(len(files))},
        schema={"_file_id": pl.Int64(), "landed": pl.Int64()},
    )
    by = [*((table.latest_by,) if table.latest_by else ()), "landed", "_line"]
    key = list(table.natural_key)
    values = [c.name for c in table.columns if c.name not in key and not c.name.startswith("_")]
    contested = rows.join(order, on="_file_id", how="left").sort(by)
    contested = contested.filter(pl.len().over(key) > 1)
    same = [pl.col(name).eq_missing(pl.col(name).last().over(key)) for name in values]
    return contested.with_columns(
        wins=pl.int_range(pl.len()).over(key) == pl.len().over(key) - 1,
        is_equal=pl.all_horizontal(same) if same else pl.lit(True),
    )


def group_by_group(feed: Feed, groups: Iterable[int]) -> Iterator[pl.Expr]:
    """Conditions that take the rows of a bounded number of groups each; of a feed without groups all rows."""
    if feed.grouped_by is None:
        yield pl.lit(True)
        return
    ordered = sorted(groups)
    for begin in range(0, len(ordered), GROUPS_AT_A_TIME):
        some = ordered[begin : begin + GROUPS_AT_A_TIME]
        column = pl.col(feed.grouped_by)
        yield column.is_between(some[0], some[-1]) & column.is_in(pl.Series(some, dtype=pl.Int64).implode())
