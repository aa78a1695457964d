"""Which events of new files occur more than once: in them, or together with what is loaded.

What is loaded is looked for in the lake's objects, of which there are few, and not file by file: what a small file
costs does not depend on how many are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawHistory, RawTable
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger.file_results import Overlap
from cinestream_platform.ledger.lake_objects import SHARED, LakeObject
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading.contest import group_by_group, key_hash, ranked, repeated
from cinestream_platform.loading.raw_rows import OBJECT, PARTITION_KEY, Spool, object_name, scan_objects, scan_spools

LookUp = Callable[[Iterable[int]], Sequence[LandedFile]]
"""Gives those of these files that stay loaded beside the new ones."""


@dataclass(frozen=True)
class Newcomer:
    """A file that is about to be loaded, and its rows."""

    file: LandedFile
    spool: Spool


def find_overlaps(
    store: ObjectStore, feed: Feed, newcomers: Sequence[Newcomer], others: Sequence[LakeObject], look_up: LookUp
) -> dict[int, Overlap]:
    """The overlap of each new file, as if they were loaded one after the other in this order.

    Args:
        store: The lake.
        feed: The feed of all these files.
        newcomers: The new files.
        others: The objects with the rows of loaded files (of a grouped feed at least those with common groups).
        look_up: The loaded files of which contested rows are, for the order in which they landed.
    """
    mine = scan_spools(feed, [new.spool for new in newcomers]).with_columns(pl.lit(None, pl.String()).alias(OBJECT))
    # Deliveries of a history stand beside one another: no other file has a record of the same event.
    compared = others and not isinstance(feed.table, RawHistory)
    rest = scan_objects(store, feed.table, others) if compared else None
    found = {new.file.file_id: Overlap() for new in newcomers}
    groups = set().union(*(new.spool.groups for new in newcomers))
    for here in group_by_group(feed, groups):
        rows = _contested(mine.filter(here), None if rest is None else rest.filter(here), feed.table)
        if rows.is_empty():
            continue
        known = look_up(set(rows["_file_id"]) - set(found))
        rows = _counting(rows, known, set(found))
        for file_id, overlap in _one_after_the_other(rows, [new.file for new in newcomers], known, feed):
            found[file_id] = _joined(found[file_id], overlap)
    return found


def _contested(mine: pl.LazyFrame, rest: pl.LazyFrame | None, table: RawTable) -> pl.DataFrame:
    """The rows of all events that occur more than once; a few more where hashes collide."""
    hashes = mine.select(key_hash(table)).collect().to_series()
    candidates = [repeated(hashes)]
    if rest is not None and hashes.len():
        # implode: is_in with a plain Series of the same length would be ambiguous to polars.
        shared = rest.select(key_hash(table)).filter(pl.col("key_hash").is_in(hashes.unique().implode()))
        candidates.append(shared.collect(engine="streaming").to_series().unique())
    contested = pl.concat(candidates).unique()
    if contested.is_empty():
        return mine.clear().collect()
    both = mine if rest is None else pl.concat([rest, mine])
    return both.filter(key_hash(table).is_in(contested.implode())).collect()


def _counting(rows: pl.DataFrame, known: Sequence[LandedFile], new: set[int]) -> pl.DataFrame:
    """Without rows of files that have left, or whose rows are elsewhere by now."""
    places = [
        (file.file_id, object_name(path) if (path := file.lake_path or "").endswith(SHARED) else None) for file in known
    ]
    pairs = pl.DataFrame(
        [*places, *((file_id, None) for file_id in new)],
        schema={"_file_id": pl.Int64(), OBJECT: pl.String()},
        orient="row",
    )
    return rows.join(pairs, on=["_file_id", OBJECT], how="semi", nulls_equal=True)


def _one_after_the_other(
    rows: pl.DataFrame, files: Sequence[LandedFile], known: Sequence[LandedFile], feed: Feed
) -> Iterator[tuple[int, Overlap]]:
    """(file, overlap) of each new file that has any, beside what is loaded and the new files before it."""
    concerned = set(rows["_file_id"])
    landed = sorted([*known, *files], key=lambda f: (f.last_modified, f.key, f.file_id))
    key = list(feed.table.natural_key)
    later = {file.file_id for file in files}
    for file in files:
        later.discard(file.file_id)
        if file.file_id not in concerned:
            continue
        seen = rows
        if len(files) > 1:
            seen = rows.filter(~pl.col("_file_id").is_in(sorted(later)))
            own = seen.filter(pl.col("_file_id") == file.file_id).select(key).unique()
            seen = seen.join(own, on=key, how="semi", nulls_equal=True)
        yield file.file_id, _overlap(ranked(seen, feed.table, landed), feed, file.file_id)


def _overlap(rows: pl.DataFrame, feed: Feed, file_id: int) -> Overlap:
    """The overlap of a file, from the ranked rows of its contested events."""
    key = list(feed.table.natural_key)
    is_mine = pl.col("_file_id") == file_id
    # Every record that loses is counted once, by the file that beat it: mine, and who won before mine came.
    rank = pl.int_range(pl.len()).over(key)
    won_before = rank == pl.when(~is_mine).then(rank).max().over(key)
    losers = rows.filter(~pl.col("wins") & (is_mine | won_before.fill_null(False)))
    touched = rows.filter(is_mine.any().over(key)).with_columns(
        years=pl.col(PARTITION_KEY).unique().implode().over(key)
    )
    per_file = touched.explode("years").group_by("_file_id").agg(pl.col("years").unique())
    return Overlap(
        repeated=int(losers["is_equal"].sum()),
        conflicting=losers.height - int(losers["is_equal"].sum()),
        partitions={owner: frozenset(years) for owner, years in per_file.iter_rows()} if feed.event_time else {},
        groups=frozenset(rows[feed.grouped_by]) if feed.grouped_by else frozenset(),
    )


def _joined(one: Overlap, other: Overlap) -> Overlap:
    """Of some groups and of others."""
    partitions = dict(one.partitions)
    for file_id, touched in other.partitions.items():
        partitions[file_id] = partitions.get(file_id, frozenset()) | touched
    return Overlap(
        one.repeated + other.repeated, one.conflicting + other.conflicting, partitions, one.groups | other.groups
    )
