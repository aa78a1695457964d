"""Rows in the lake: written by year, read back, and of every event exactly one record counts."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger.lake_objects import LakeObject
from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading import contest, raw_rows
from cinestream_platform.loading.overlap import Newcomer, find_overlaps
from cinestream_platform.loading.raw_rows import RawRows, Scope, Spool, put_together, scan_files, scan_spools
from cinestream_platform.publishing.raw import Overlap
from cinestream_platform.sources.movielens.feeds import MOVIES, RATINGS, TAGS
from cinestream_platform.warehouse.groups import to_multirange
from tests.unit.reading import landed

NEW_YEAR = datetime(2005, 1, 1, tzinfo=UTC)
IN_2004, IN_2005 = NEW_YEAR - timedelta(seconds=1), NEW_YEAR
Event = tuple[int, int, str, datetime]


def in_year(year: str | None) -> Scope | None:
    return Scope(PartitionUnit.YEAR, year) if year else None


def rating_rows(events: Sequence[Event], file_id: int) -> pl.DataFrame:
    rows = [(u, m, Decimal(r), t, file_id, line) for line, (u, m, r, t) in enumerate(events, start=2)]
    return pl.DataFrame(rows, schema=polars_schema(RATINGS.table), orient="row")


def overlap_of(store: ObjectStore, feed: Feed, spool: Spool, file: LandedFile, others: Sequence[LandedFile]) -> Overlap:
    """The overlap of one file with others that have a folder each."""
    objects = [LakeObject(f.lake_path or "", sorted(f.partition_rows), 1) for f in others]
    found = find_overlaps(
        store, feed, [Newcomer(file, spool)], objects, lambda ids: [f for f in others if f.file_id in ids]
    )
    return found[file.file_id]


@dataclass
class Lake:
    """A lake in a folder with the ledger rows that loading would have made."""

    store: ObjectStore
    files: dict[int, LandedFile] = field(default_factory=dict)
    feed: Feed = RATINGS
    groups: dict[int, set[int]] = field(default_factory=dict)
    retracted: set[int] = field(default_factory=set)

    def spool(self, rows: pl.DataFrame, feed: Feed) -> Spool:
        spool = Spool(Path(tempfile.mkdtemp(dir=self.store.folder.parent)), feed)
        spool.add(rows)
        spool.flush()
        return spool

    def load(self, events: Sequence[Event], file_id: int, *, landed_at: int | None = None, key: str = "") -> Overlap:
        """Load a ratings file as ``orchestration.file_loading`` does."""
        spool = self.spool(rating_rows(events, file_id), self.feed)
        file = landed(
            file_id,
            lake_path=f"raw/movielens/ratings/file-{file_id}",
            last_modified=NEW_YEAR + timedelta(days=file_id if landed_at is None else landed_at),
            key=key or f"movielens/ratings/{file_id}.csv",
            partition_rows=dict(spool.partition_rows),
        )
        self.store.put_folder(file.lake_path or "", spool._folder)
        self.groups[file_id] = spool.groups
        # Of a feed with groups the ledger gives the files that share some.
        others = [
            other
            for other in self.files.values()
            if not self.feed.grouped_by or self.groups[other.file_id] & spool.groups
        ]
        overlap = overlap_of(self.store, self.feed, spool, file, others)
        file = replace(
            file,
            rows_repeated=overlap.repeated,
            rows_conflicting=overlap.conflicting,
            contested_groups=to_multirange(overlap.groups),
        )
        self.files[file_id] = replace(file, partitions=sorted(file.partition_rows))
        for other, partitions in overlap.partitions.items():
            merged = sorted({*self.files[other].partitions, *partitions})
            self.files[other] = replace(self.files[other], partitions=merged)
        return overlap

    def raw_rows(self) -> RawRows:
        counting = [file for file in self.files.values() if file.file_id not in self.retracted]
        order = sorted(counting, key=lambda f: (f.last_modified, f.key, f.file_id))
        return RawRows(self.store, self.feed, order)

    def winners(self, partition_key: str | None = None) -> set[tuple[int, int]]:
        return set(self.raw_rows().rows(in_year(partition_key)).select("_file_id", "_line").collect().rows())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(ObjectStore((tmp_path / "lake").as_uri()))


# ---- the spool -------------------------------------------------------------------------------------------------------


def test_rows_are_split_by_year_in_utc_and_read_back_equal(lake: Lake):
    events = [(1, 1, "3.5", IN_2004), (2, 1, "0.5", IN_2005), (3, 1, "5.0", IN_2005)]
    rows = rating_rows(events, 7)
    spool = lake.spool(rows, RATINGS)
    assert spool.partition_rows == Counter({"2005": 2, "2004": 1})
    assert [str(path.relative_to(spool._folder)) for path in spool.paths] == [
        "partition_key=2004/part-00001.parquet",
        "partition_key=2005/part-00001.parquet",
    ]
    back = spool.scan().collect().sort("_line")
    assert back.drop("partition_key").equals(rows)
    assert back["partition_key"].to_list() == ["2004", "2005", "2005"]


def test_batches_are_written_together_up_to_a_bound_and_none_is_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(raw_rows, "ROWS_AT_A_TIME", 2)
    spool = Spool(lake.store.folder.parent / "rows", RATINGS)
    for user in range(1, 4):
        spool.add(rating_rows([(user, 1, "3.5", IN_2005)], 7))
    spool.add(rating_rows([], 7))
    spool.flush()
    assert spool.partition_rows == {"2005": 3}
    assert [path.name for path in spool.paths] == ["part-00001.parquet", "part-00002.parquet"]
    assert sorted(spool.scan().collect()["user_id"]) == [1, 2, 3]


def test_a_table_without_years_is_one_partition(lake: Lake):
    rows = pl.DataFrame([(1, "Toy (1995)", "Drama", 7, 2)], schema=polars_schema(MOVIES.table), orient="row")
    spool = lake.spool(rows, MOVIES)
    assert spool.partition_rows == {"whole": 1}
    assert spool.scan().collect().rows() == [(1, "Toy (1995)", "Drama", 7, 2, "whole")]


@pytest.mark.parametrize("feed", [RATINGS, MOVIES])
def test_a_file_without_rows_has_no_partitions_and_still_has_a_schema(lake: Lake, feed: Feed):
    spool = lake.spool(pl.DataFrame(schema=polars_schema(feed.table)), feed)
    assert spool.partition_rows == {}
    assert spool.paths == []
    assert spool.scan().collect_schema() == {**polars_schema(feed.table), "partition_key": pl.String()}
    assert list(spool.frames()) == []


def test_the_frames_are_the_rows_in_the_tables_columns_and_types(lake: Lake):
    rows = rating_rows([(1, 1, "3.5", IN_2004), (2, 1, "0.5", IN_2005)], 7)
    frames = list(lake.spool(rows, RATINGS).frames())
    assert [frame.schema for frame in frames] == [polars_schema(RATINGS.table)] * 2
    assert pl.concat(frames).equals(rows)


def test_a_scan_is_limited_to_files_and_partition(lake: Lake):
    lake.load([(1, 1, "3.5", IN_2004), (1, 2, "3.5", IN_2005)], 1)
    lake.load([(2, 1, "3.5", IN_2005)], 2)
    first, second = lake.files.values()

    def users_of(files, partition_key=None):
        return sorted(scan_files(lake.store, RATINGS.table, files, in_year(partition_key)).collect()["user_id"])

    assert users_of([first, second]) == [1, 1, 2]
    assert users_of([first, second], "2005") == [1, 2]
    assert users_of([second], "2004") == []
    assert users_of([]) == []


def test_the_folder_of_the_lake_may_have_any_name(tmp_path: Path):
    lake = Lake(ObjectStore((tmp_path / "a [1] *b? {c} #x %20é" / "lake").as_uri()))
    lake.load([(1, 1, "3.5", IN_2004)], 1)
    lake.load([(1, 1, "4.0", IN_2005)], 2)
    assert lake.winners() == {(2, 2)}


# ---- events that occur more than once --------------------------------------------------------------------------------


def test_files_without_common_events_do_not_overlap(lake: Lake):
    assert lake.load([(1, 1, "3.5", IN_2005)], 1) == Overlap()
    assert lake.load([(1, 2, "3.5", IN_2005), (2, 1, "3.5", IN_2004)], 2) == Overlap()
    assert not lake.raw_rows().contested
    assert lake.winners() == {(1, 2), (2, 2), (2, 3)}


def test_an_equal_record_of_another_file_counts_once(lake: Lake):
    lake.load([(1, 1, "3.5", IN_2005)], 1)
    overlap = lake.load([(1, 1, "3.5", IN_2005), (9, 9, "1.0", IN_2004)], 2)
    assert overlap == Overlap(1, 0, {1: frozenset({"2005"}), 2: frozenset({"2005"})})
    assert lake.winners() == {(2, 2), (2, 3)}


def test_of_conflicting_records_the_latest_counts_also_if_its_file_landed_first(lake: Lake):
    lake.load([(1, 1, "5.0", IN_2005 + timedelta(days=9))], 1)
    overlap = lake.load([(1, 1, "3.5", IN_2005)], 2)
    assert (overlap.repeated, overlap.conflicting) == (0, 1)
    assert lake.winners() == {(1, 2)}


def test_at_the_same_second_the_file_that_landed_later_counts_whichever_was_loaded_first(tmp_path: Path):
    for order in ([1, 2], [2, 1]):
        lake = Lake(ObjectStore((tmp_path / f"first-{order[0]}").as_uri()))
        for file_id in order:
            lake.load([(1, 1, f"{file_id}.0", IN_2005)], file_id, landed_at=file_id)
        assert lake.winners() == {(2, 2)}


def test_files_that_landed_at_the_same_moment_are_ordered_by_key(lake: Lake):
    lake.load([(1, 1, "1.0", IN_2005)], 1, landed_at=3, key="movielens/ratings/b.csv")
    lake.load([(1, 1, "2.0", IN_2005)], 2, landed_at=3, key="movielens/ratings/a.csv")
    assert lake.winners() == {(1, 2)}


def test_within_a_file_the_later_line_counts_at_the_same_second(lake: Lake):
    overlap = lake.load([(1, 1, "3.5", IN_2005), (1, 1, "4.0", IN_2005), (1, 1, "4.0", IN_2005)], 1)
    assert (overlap.repeated, overlap.conflicting) == (1, 1)
    assert lake.winners() == {(1, 4)}


def test_an_event_that_moved_to_another_year_touches_both_years_of_both_files(lake: Lake):
    lake.load([(1, 1, "3.5", IN_2004), (5, 5, "1.0", IN_2004)], 1)
    overlap = lake.load([(1, 1, "3.5", IN_2005)], 2)
    assert overlap.partitions == {1: frozenset({"2004", "2005"}), 2: frozenset({"2004", "2005"})}
    assert (overlap.repeated, overlap.conflicting) == (0, 1)
    assert lake.winners("2004") == {(1, 3)}
    assert lake.winners("2005") == {(2, 2)}
    assert (
        lake.raw_rows().file_ids(in_year("2004"))
        == lake.raw_rows().file_ids(in_year("2005"))
        == lake.raw_rows().file_ids()
        == [1, 2]
    )


def test_a_year_is_made_from_the_files_that_touch_it(lake: Lake):
    lake.load([(1, 1, "3.5", IN_2004)], 1)
    lake.load([(2, 2, "3.5", IN_2005)], 2)
    assert lake.raw_rows().file_ids(in_year("2004")) == [1]
    assert lake.raw_rows().file_ids(in_year("2005")) == [2]
    assert lake.raw_rows().file_ids(in_year("1999")) == []


def test_the_same_tag_again_is_one_event_and_another_spelling_is_another(lake: Lake):
    schema = polars_schema(TAGS.table)
    tags = [(1, 1, "Noir", IN_2004, 1, 2), (1, 1, "noir", IN_2004, 1, 3), (1, 1, "Noir", IN_2005, 1, 4)]
    spool = lake.spool(pl.DataFrame(tags, schema=schema, orient="row"), TAGS)
    file = landed(1, key="movielens/tags/a.csv")
    assert overlap_of(lake.store, TAGS, spool, file, []) == Overlap(0, 1, {1: frozenset({"2004", "2005"})})


def test_a_snapshot_that_repeats_a_key_has_no_partitions_to_touch(lake: Lake):
    movies = [(1, "a", "x", 1, 2), (1, "a", "x", 1, 3), (1, "b", "x", 1, 4), (2, "c", "x", 1, 5)]
    spool = lake.spool(pl.DataFrame(movies, schema=polars_schema(MOVIES.table), orient="row"), MOVIES)
    file = landed(1, key="movielens/movies/a.csv")
    assert overlap_of(lake.store, MOVIES, spool, file, []) == Overlap(0, 2, {})


events = st.tuples(
    st.integers(1, 2),
    st.integers(1, 2),
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from([IN_2004, IN_2005, IN_2005 + timedelta(days=400)]),
)
# Each file with the position at which it is loaded; files land in the order of the list.
worlds = st.lists(st.lists(events, max_size=4), min_size=1, max_size=4).flatmap(
    lambda files: st.tuples(st.just(files), st.permutations(range(1, len(files) + 1)))
)


def records_by_event(files: dict[int, list[Event]]) -> dict[tuple[int, int], list[tuple[datetime, int, int, str]]]:
    """All records of each event, the one that counts last: (time, file, line, rating)."""
    found = defaultdict(list)
    for file_id, rows in files.items():
        for line, (user, movie, rating, at) in enumerate(rows, start=2):
            found[user, movie].append((at, file_id, line, rating))
    return {event: sorted(records) for event, records in found.items()}


def expected_overlap(file_id: int, files: dict[int, list[Event]]) -> Overlap:
    repeated = conflicting = 0
    partitions: dict[int, set[str]] = defaultdict(set)
    for records in records_by_event(files).values():
        owners = {record[1] for record in records}
        if file_id not in owners or len(records) == 1:
            continue
        *losers, winner = records
        for owner in owners:
            partitions[owner].update(str(record[0].year) for record in records)
        won_before = [record for record in records if record[1] != file_id][-1:]
        for loser in losers:
            if loser[1] == file_id or loser in won_before:
                same = (loser[0], loser[3]) == (winner[0], winner[3])
                repeated, conflicting = repeated + same, conflicting + (not same)
    return Overlap(repeated, conflicting, {owner: frozenset(years) for owner, years in partitions.items()})


@settings(max_examples=40, deadline=None)
@given(worlds)
@example(([[(1, 1, "1.0", IN_2004)], [(1, 1, "1.0", IN_2005)], [(1, 1, "2.0", IN_2004)]], [3, 1, 2]))
def test_winners_overlaps_and_touched_years_are_those_of_a_dict_whatever_the_order_of_loads(world):
    files, order = world
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(ObjectStore((Path(folder) / "lake").as_uri()))
        done: dict[int, list[Event]] = {}
        for file_id in order:
            done[file_id] = files[file_id - 1]
            assert lake.load(done[file_id], file_id) == expected_overlap(file_id, done)
        model = {records[-1] for records in records_by_event(done).values()}
        counted = sum((f.rows_repeated or 0) + (f.rows_conflicting or 0) for f in lake.files.values())
        assert counted == sum(map(len, files)) - len(model)  # every record that lost, once
        assert lake.winners() == {(file_id, line) for _, file_id, line, _ in model}
        for year in ("2004", "2005", "2006"):
            winners = {(file_id, line) for at, file_id, line, _ in model if str(at.year) == year}
            assert lake.winners(year) == winners
            # What staleness relies on: a year depends on no file but those that touch it.
            touching = [file for file in lake.raw_rows().files if year in file.partitions]
            alone = RawRows(lake.store, RATINGS, touching).rows(in_year(year))
            assert set(alone.select("_file_id", "_line").collect().rows()) == winners


@settings(max_examples=30, deadline=None)
@given(worlds, st.integers(0, 3))
def test_files_that_are_loaded_together_overlap_as_if_they_were_loaded_one_after_the_other(world, alone):
    files, order = world
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(ObjectStore((Path(folder) / "lake").as_uri()))
        done: dict[int, list[Event]] = {}
        for file_id in order[:alone]:
            done[file_id] = files[file_id - 1]
            lake.load(done[file_id], file_id)
        loaded = dict(lake.files)
        together = [
            Newcomer(
                landed(
                    file_id, last_modified=NEW_YEAR + timedelta(days=file_id), key=f"movielens/ratings/{file_id}.csv"
                ),
                lake.spool(rating_rows(files[file_id - 1], file_id), RATINGS),
            )
            for file_id in order[alone:]
        ]
        objects = [LakeObject(f.lake_path or "", sorted(f.partition_rows), 1) for f in loaded.values()]
        found = find_overlaps(
            lake.store, RATINGS, together, objects, lambda ids: [f for f in loaded.values() if f.file_id in ids]
        )
        for file_id in order[alone:]:
            done[file_id] = files[file_id - 1]
            assert found[file_id] == expected_overlap(file_id, done)


# ---- objects that files share ----------------------------------------------------------------------------------------


def test_of_a_shared_object_only_the_rows_of_the_files_that_are_said_to_be_there_are_read(lake: Lake):
    """A file that was retracted and loaded again has rows in two objects; those of the first count no more."""
    first, second = "raw/movielens/ratings/files-1.parquet", "raw/movielens/ratings/files-2.parquet"
    for path, rows in {
        first: [
            rating_rows([(1, 1, "1.0", IN_2004), (1, 2, "1.0", IN_2005)], 1),
            rating_rows([(2, 2, "2.0", IN_2005)], 2),
        ],
        second: [rating_rows([(1, 1, "1.0", IN_2004), (1, 2, "1.0", IN_2005)], 1)],
    }.items():
        spools = [lake.spool(part, RATINGS) for part in rows]
        put_together(scan_spools(RATINGS, spools).collect(), lake.store, path, lake.store.folder.parent / "x.parquet")
    one = landed(1, lake_path=second, partition_rows={"2004": 1, "2005": 1})
    two = landed(2, lake_path=first, partition_rows={"2005": 1})

    def read(files, partition_key=None):
        rows = scan_files(lake.store, RATINGS.table, files, in_year(partition_key))
        return sorted(rows.select("_file_id", "_line", "partition_key").collect().rows())

    assert read([one, two]) == [(1, 2, "2004"), (1, 3, "2005"), (2, 2, "2005")]
    assert read([one, two], "2005") == [(1, 3, "2005"), (2, 2, "2005")]
    assert read([two], "2004") == []
    assert read([two]) == [(2, 2, "2005")]


def test_an_empty_shared_object_is_not_written(lake: Lake, tmp_path: Path):
    empty = scan_spools(RATINGS, [lake.spool(rating_rows([], 1), RATINGS)]).collect()
    put_together(empty, lake.store, "raw/movielens/ratings/files-1.parquet", tmp_path / "x.parquet")
    assert list(lake.store.list()) == []


# ---- group by group --------------------------------------------------------------------------------------------------

GROUPED = replace(RATINGS, grouped_by="movie_id")


@settings(max_examples=30, deadline=None)
@given(worlds)
@example(
    ([[(1, 1, "1.0", IN_2004), (1, 2, "1.0", IN_2004)], [(1, 1, "1.0", IN_2005)], [(1, 2, "2.0", IN_2004)]], [3, 1, 2])
)
def test_film_by_film_the_same_overlaps_and_losers_are_found_as_at_once(world):
    files, order = world
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(contest, "GROUPS_AT_A_TIME", 1)
        at_once, by_film = (Lake(ObjectStore((Path(folder) / name / "lake").as_uri())) for name in ("once", "film"))
        by_film.feed = GROUPED
        done: dict[int, list[Event]] = {}
        for file_id in order:
            done[file_id] = files[file_id - 1]
            expected = at_once.load(done[file_id], file_id)
            contested = {
                movie
                for (_, movie), records in records_by_event(done).items()
                if len(records) > 1 and file_id in {record[1] for record in records}
            }
            found = by_film.load(done[file_id], file_id)
            assert found == replace(expected, groups=frozenset(contested))
        assert set(by_film.raw_rows().losers.rows()) == set(at_once.raw_rows().losers.rows())
        assert by_film.winners() == at_once.winners()
        for year in ("2004", "2005", "2006"):
            assert by_film.winners(year) == at_once.winners(year)
        for leaving in order:  # whichever is retracted
            left = records_by_event({file_id: rows for file_id, rows in done.items() if file_id != leaving})
            for lake in (at_once, by_film):
                lake.retracted = {leaving}
                assert lake.winners() == {(file_id, line) for *_, (_, file_id, line, _) in left.values()}


def test_only_the_films_of_a_file_are_looked_for_in_the_others(lake: Lake):
    lake.feed = GROUPED
    lake.load([(1, 1, "3.5", IN_2005), (1, 2, "3.5", IN_2005)], 1)
    assert lake.load([(1, 2, "3.5", IN_2005), (1, 3, "3.5", IN_2005)], 2).groups == {2}
    assert lake.spool(rating_rows([(1, 2, "3.5", IN_2005), (7, 3, "3.5", IN_2004)], 3), GROUPED).groups == {2, 3}
    assert lake.spool(rating_rows([(1, 2, "3.5", IN_2005)], 3), RATINGS).groups == set()
