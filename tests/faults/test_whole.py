"""Whole: readers see a partition as it was or as it is, never half of it, never none of it, and never an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest

from cinestream_platform.ledger.publications import MadeFrom
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.publishing import partitions as partition_publish
from cinestream_platform.publishing.keys import KeyResolver
from cinestream_platform.publishing.partitions import PartitionPublisher, SwapBlockedError
from cinestream_platform.sources.movielens.tables import FACT_RATINGS
from tests.support.own_postgres import wait_until
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv
from tests.support.publishing import publish_partition
from tests.support.reader import Reader

OF_2018 = "SELECT count(*), coalesce(sum(rating), 0) FROM movielens_dw.fact_ratings WHERE date_key >= 20180101"
OF_ALL = "SELECT count(*), coalesce(sum(rating), 0) FROM movielens_dw.fact_ratings"
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_class c ON c.oid = relation WHERE NOT granted AND relname LIKE 'fact_ratings%%'"
    " AND mode = 'AccessExclusiveLock'"
)
"""Swaps that wait for their lock."""
WAITING_FOR = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{}'::regclass AND mode = 'AccessExclusiveLock'"
)
JOINED = (
    "SELECT count(*), coalesce(sum(rating), 0) FROM movielens_dw.dim_user JOIN movielens_dw.fact_ratings USING (user_key)"
    " JOIN movielens_dw.dim_movie USING (movie_key)"
)


def frame(platform: Platform, users: int, rating: str) -> pl.DataFrame:
    """Ratings of 2018 by so many users, with their keys."""
    natural = pl.DataFrame(
        {
            "user_id": pl.Series(range(1, users + 1), dtype=pl.Int32),
            "movie_id": pl.Series([1] * users, dtype=pl.Int32),
            "date_key": pl.Series([20180615] * users, dtype=pl.Int32),
            "rating": pl.Series([Decimal(rating)] * users, dtype=pl.Decimal(2, 1)),
            "rated_at": pl.Series([datetime(2018, 6, 15, tzinfo=UTC)] * users, dtype=pl.Datetime("us", "UTC")),
        }
    )
    return KeyResolver(platform.target, "test").resolve(FACT_RATINGS, natural)


@pytest.fixture
def star(platform: Platform) -> Platform:
    """A star with 10 ratings of 2005."""
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv((user, 1, 4.0, Y2005) for user in range(1, 11)))
    platform.load_and_build()
    return platform


def publish(platform: Platform, content: pl.DataFrame) -> None:
    publish_partition(platform.target, FACT_RATINGS, "2018", content, run_id="test", file_ids=(1,))


def test_readers_see_only_the_old_or_the_new_partition_while_it_is_republished(star: Platform) -> None:
    small, large = frame(star, 500, "2.0"), frame(star, 3_000, "4.5")
    publish(star, small)
    with (
        Reader(star.target, OF_2018) as year,
        Reader(star.target, OF_ALL, prepared=True) as everything,
        Reader(star.target, JOINED, prepared=True) as joined,
    ):
        readers, published = (year, everything, joined), 0
        while published < 6 or (not _errors(*readers) and min(reader.polls for reader in readers) <= 50):
            publish(star, small if published % 2 else large)
            published += 1

    values = {(500, Decimal("1000.0")), (3_000, Decimal("13500.0"))}
    assert year.seen == values
    assert everything.seen == joined.seen == {(count + 10, total + 40) for count, total in values}
    assert not _errors(*readers)


def _errors(*readers: Reader) -> list[str]:
    return [error for reader in readers for error in reader.errors]


@contextmanager
def long_transaction(platform: Platform, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A reader who has looked at the table and does not end the transaction."""
    conn = psycopg.connect(platform.target.conninfo())
    try:
        conn.execute(statement.encode()).fetchall()
        yield conn
    finally:
        conn.close()


def test_a_swap_waits_for_a_reader_with_a_long_transaction_and_lets_others_read_meanwhile(star: Platform) -> None:
    small, large = frame(star, 500, "2.0"), frame(star, 3_000, "4.5")
    publish(star, small)
    swap = threading.Thread(target=publish, args=(star, large))
    with long_transaction(star, OF_2018) as slow, Reader(star.target, OF_2018) as others:
        swap.start()
        for _ in range(3):  # it waits, gives others their turn, and waits again
            wait_until(lambda: star.scalar(WAITING) == 1)
            others.read_on(20)
        assert swap.is_alive()
        assert slow.execute(OF_2018.encode()).fetchone() == (500, Decimal("1000.0"))
        slow.rollback()
        swap.join(300)

    assert not swap.is_alive()
    assert star.query(OF_2018) == [(3_000, Decimal("13500.0"))]
    assert (others.errors, others.seen) == ([], {(500, Decimal("1000.0")), (3_000, Decimal("13500.0"))})


def test_a_swap_that_is_blocked_for_too_long_gives_up_and_the_old_partition_stays(
    star: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = frame(star, 500, "2.0"), frame(star, 3_000, "4.5")
    publish(star, small)
    before = star.last_publication()
    monkeypatch.setattr(partition_publish, "SWAP_SECONDS", 0.5)
    with long_transaction(star, OF_2018), pytest.raises(SwapBlockedError, match=r"\(process \d+\) held locks for"):
        publish(star, large)
    assert star.query(OF_2018) == [(500, Decimal("1000.0"))]
    assert star.publications(before) == []

    publish(star, large)
    assert star.query(OF_2018) == [(3_000, Decimal("13500.0"))]
    assert star.leftovers() == []


def test_a_repeatable_read_transaction_that_began_before_a_swap_sees_the_old_or_the_new_partition(
    star: Platform,
) -> None:
    """As pg_dump and some BI tools read: the snapshot is taken before the table is locked."""
    small, large = frame(star, 500, "2.0"), frame(star, 3_000, "4.5")
    publish(star, small)
    with psycopg.connect(star.target.conninfo()) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute("SELECT 1")
        publish(star, large)
        assert conn.execute(OF_2018.encode()).fetchone() in {(500, Decimal("1000.0")), (3_000, Decimal("13500.0"))}


def test_two_publishes_of_one_partition_at_the_same_time_leave_one_of_them_whole(star: Platform) -> None:
    small, large = frame(star, 500, "2.0"), frame(star, 3_000, "4.5")
    with Reader(star.target, OF_2018) as reader:
        threads = [threading.Thread(target=publish, args=(star, content)) for content in (small, large, small, large)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    values = {(500, Decimal("1000.0")), (3_000, Decimal("13500.0"))}
    assert (reader.errors, reader.seen - {(0, Decimal(0))} <= values) == ([], True)  # 0: before the first of them
    assert star.query(OF_2018)[0] in values
    [(rows,)] = star.query("SELECT rows FROM ops.publication WHERE is_latest AND partition_key = '2018'")
    assert rows == star.query(OF_2018)[0][0]
    assert star.leftovers() == []


def leave_unfinished(platform: Platform, content: pl.DataFrame) -> None:
    """What a run that was killed before its swap leaves: a staged partition with its foreign keys."""
    with PartitionPublisher(platform.target, FACT_RATINGS, "killed") as publisher:
        [turn] = publisher.turns(["2018"])
        publisher.build(turn, content, made_from=MadeFrom((1,)))
    assert platform.leftovers() != []


def dimensions() -> list[str]:
    """Those of the fact, in the order in which everybody locks them."""
    return sorted({reference.table.qualified_name for reference in FACT_RATINGS.references})


@pytest.mark.parametrize("held", range(2))
def test_whoever_removes_an_unfinished_build_locks_the_dimensions_in_the_order_of_all_others(
    star: Platform, held: int
) -> None:
    """Else two builds side by side can wait for one another for ever, and Postgres ends one of them."""
    leave_unfinished(star, frame(star, 500, "2.0"))
    build = threading.Thread(target=publish, args=(star, frame(star, 3_000, "4.5")))
    names = dimensions()
    with psycopg.connect(star.target.conninfo()) as other:
        other.execute(f"LOCK TABLE {names[held]} IN SHARE ROW EXCLUSIVE MODE".encode())  # as a new foreign key does
        build.start()
        wait_until(lambda: star.scalar(WAITING_FOR.format(names[held])) == 1)
        for name in names[held + 1 :]:
            other.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE NOWAIT".encode())
    build.join(300)

    assert not build.is_alive()
    assert star.query(OF_2018) == [(3_000, Decimal("13500.0"))]
    assert star.leftovers() == []


def test_an_unfinished_build_is_removed_when_readers_of_a_dimension_have_ended_and_others_read_meanwhile(
    star: Platform,
) -> None:
    leave_unfinished(star, frame(star, 500, "2.0"))
    of_dim = "SELECT count(*) FROM movielens_dw.dim_user"
    build = threading.Thread(target=publish, args=(star, frame(star, 3_000, "4.5")))
    with long_transaction(star, of_dim) as slow, Reader(star.target, of_dim) as others:
        build.start()
        for _ in range(3):  # it waits, gives others their turn, and waits again
            wait_until(lambda: star.scalar(WAITING_FOR.format("movielens_dw.dim_user")) == 1)
            others.read_on(20)
        assert build.is_alive()
        slow.rollback()
        build.join(300)

    assert not build.is_alive()
    assert others.errors == []
    assert star.query(OF_2018) == [(3_000, Decimal("13500.0"))]
    assert star.leftovers() == []


def test_a_reader_of_raw_and_dims_sees_only_whole_loads_of_an_overwritten_file(platform: Platform) -> None:
    key = "movielens/ratings/a.csv"
    contents = [ratings_csv((user, 1, 4.0, Y2005) for user in range(1, users)) for users in (1_001, 3_001)]
    platform.land(key, contents[0])
    platform.load_and_build()
    with (
        Reader(platform.target, "SELECT count(*) FROM raw_movielens.ratings") as raw,
        Reader(platform.target, "SELECT count(*) FROM movielens_dw.dim_user") as users,
        Reader(platform.target, "SELECT count(*) FROM movielens_dw.fact_ratings") as facts,
    ):
        for content in (contents[1], contents[0]):
            platform.land(key, content)
            platform.load_and_build()
            for reader in (raw, users, facts):
                reader.read_on()

    assert not _errors(raw, users, facts)
    assert raw.seen == facts.seen == {(1_000,), (3_000,)}
    assert users.seen == {(1_000,), (3_000,)}


def test_a_rating_that_moves_to_another_year_is_counted_once_at_any_time(star: Platform) -> None:
    """Both years change: readers see both as they were, or both as they are."""
    moved = "movielens/ratings/b.csv"
    star.land(moved, ratings_csv([(99, 1, 3.0, Y2005)]))
    star.load_and_build()
    with Reader(star.target, OF_ALL, prepared=True) as everything:
        for when in (Y2018, Y2005, Y2018, Y2005):
            star.land(moved, ratings_csv([(99, 1, 3.0, when)]))
            star.load()
            star.run([asset_key(FACT_RATINGS)], ("2005", "2018"))
        assert everything.polls > 0
    assert _errors(everything) == []
    assert set(everything.seen) == {(11, Decimal("43.0"))}
