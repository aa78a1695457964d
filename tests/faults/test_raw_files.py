"""A large file is a partition of its raw table: frozen, replaced whole, and gone with the file."""

from __future__ import annotations

import pytest

from cinestream_platform.warehouse import raw_files
from cinestream_platform.warehouse.connection import connect
from tests.support.netflix import ratings_txt, raw
from tests.support.platform import Platform

LARGE, SMALL = "netflix/ratings/combined_data_1.txt", "netflix/ratings/mv_0000009.txt"
MANY = {1: [(customer, 1 + customer % 5, "2003-01-05") for customer in range(1, 31)]}
FEW = {9: [(1, 4, "2003-01-06"), (2, 5, "2003-01-07")]}
CORRECTED = {1: [(customer, 5, "2003-02-05") for customer in range(1, 41)]}


@pytest.fixture
def loaded(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A large and a small file."""
    monkeypatch.setattr(raw_files, "OWN_PARTITION_FROM", 20)
    platform.land(LARGE, ratings_txt(MANY))
    platform.land(SMALL, ratings_txt(FEW))
    platform.load()
    return platform


def partitions(platform: Platform) -> dict[str, int]:
    """Partition of the raw table to its rows."""
    names = platform.query(
        "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
        " WHERE inhparent = 'raw_netflix.ratings'::regclass"
    )
    return {name: platform.scalar(f"SELECT count(*) FROM raw_netflix.{name}") for (name,) in names}


def file_id(platform: Platform, key: str) -> int:
    return platform.ledger_row(key)["file_id"]


def test_a_large_file_has_a_partition_and_small_ones_share_one(loaded: Platform):
    own = f"ratings_file_{file_id(loaded, LARGE)}"
    assert partitions(loaded) == {own: 30, "ratings_small_files": 2}
    assert len(raw(loaded)) == 32
    with connect(loaded.target) as conn:
        from cinestream_platform.sources.netflix.tables import RATINGS

        assert raw_files.rows_by_file(conn, RATINGS) == {file_id(loaded, LARGE): 30, file_id(loaded, SMALL): 2}


def test_its_rows_are_frozen_so_that_an_older_snapshot_sees_them_too(loaded: Platform):
    with connect(loaded.target, autocommit=False) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT count(*) FROM ops.publication").fetchone() is not None
        loaded.land("netflix/ratings/combined_data_2.txt", ratings_txt({2: MANY[1]}))
        loaded.load()
        assert reader.execute("SELECT count(*) FROM raw_netflix.ratings").fetchone() == (62,)


def test_it_holds_every_check_of_the_table(loaded: Platform):
    own = f"raw_netflix.ratings_file_{file_id(loaded, LARGE)}"
    assert loaded.scalar(
        f"SELECT count(*) FROM pg_constraint WHERE conrelid = '{own}'::regclass AND contype = 'c'"
    ) == loaded.scalar(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'raw_netflix.ratings'::regclass AND contype = 'c'"
    )


def test_a_corrected_large_file_takes_the_place_of_its_partition(loaded: Platform):
    before = file_id(loaded, LARGE)
    loaded.land(LARGE, ratings_txt(CORRECTED))
    loaded.load()
    after = file_id(loaded, LARGE)
    assert partitions(loaded) == {f"ratings_file_{after}": 40, "ratings_small_files": 2}
    assert before != after
    assert loaded.status(LARGE) == ["superseded", "loaded"]


def test_a_large_file_that_became_small_leaves_no_partition(loaded: Platform):
    loaded.land(LARGE, ratings_txt({1: MANY[1][:3]}))
    loaded.load()
    assert partitions(loaded) == {"ratings_small_files": 5}


def test_a_retracted_large_file_takes_its_partition_along(loaded: Platform):
    loaded.retract(LARGE)
    assert partitions(loaded) == {"ratings_small_files": 2}


def test_where_somebody_reads_the_table_the_rows_leave_one_by_one(loaded: Platform):
    own = f"ratings_file_{file_id(loaded, LARGE)}"
    with connect(loaded.target, autocommit=False) as reader:
        assert reader.execute("SELECT count(*) FROM raw_netflix.ratings").fetchone() == (32,)
        loaded.retract(LARGE)
        assert partitions(loaded) == {own: 0, "ratings_small_files": 2}
