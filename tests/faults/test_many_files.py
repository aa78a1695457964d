"""Many small files: loaded together, each accounted for by itself, and none dearer because many are loaded already."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from cinestream_platform.automation.housekeeping import sweep_lake
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import lake_objects
from cinestream_platform.loading import compaction
from cinestream_platform.publishing.raw import FileTransaction
from cinestream_platform.sources.movielens.feeds import RATINGS
from cinestream_platform.warehouse.connection import connect
from tests.support import crash
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Y2005, Y2018, Platform, ratings_csv

Row = tuple[int, int, str, int]


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


def key_of(number: int) -> str:
    return f"movielens/ratings/{number:05}.csv"


def rows_of(number: int) -> list[Row]:
    """Three ratings, one of them of another year."""
    return [(number, 1, "4.0", Y2005), (number, 2, "3.5", Y2018), (number, 3, "1.0", Y2018 + number)]


def land(platform: Platform, numbers: range) -> list[str]:
    return [platform.land(key_of(number), ratings_csv(rows_of(number))) for number in numbers]


def raw(platform: Platform) -> list[Row]:
    return platform.query(
        "SELECT user_id, movie_id, rating::text, extract(epoch FROM timestamp)::bigint FROM raw_movielens.ratings"
        " ORDER BY 1, 2, 4"
    )


def facts(platform: Platform) -> list[Row]:
    return platform.query(
        "SELECT user_id, movie_id, rating::text, extract(epoch FROM rated_at)::bigint FROM movielens_dw.fact_ratings"
        " JOIN movielens_dw.dim_user USING (user_key) JOIN movielens_dw.dim_movie USING (movie_key) ORDER BY 1, 2, 4"
    )


def expected(numbers: range, *, without: tuple[int, ...] = ()) -> list[Row]:
    return sorted(row for number in numbers if number not in without for row in rows_of(number))


def stored(platform: Platform) -> set[str]:
    """Folders and objects of ratings in the lake."""
    return {"/".join(item.key.split("/")[:4]) for item in platform.lake.list("raw/movielens/ratings/")}


def objects(platform: Platform) -> list[str]:
    """Those that loaded files are said to be in."""
    with connect(platform.target) as conn:
        return [item.path for item in lake_objects.current(conn, "movielens", "ratings")]


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple[Any, ...]]:
    """The calls of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_one_bad_file_among_three_hundred_is_parked_and_the_others_are_loaded_by_one_transaction(
    any_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = any_platform
    numbers = range(1, 301)
    land(platform, numbers)
    platform.land(key_of(77), b"userId,movieId,rating\r\n77,1,4.0\r\n")
    platform.land(key_of(78), ratings_csv([*rows_of(78), *[(78, 4, "9.9", Y2005)] * 3]))
    commits = counted(monkeypatch, FileTransaction, "commit")
    puts = counted(monkeypatch, ObjectStore, "put_file")

    [run] = platform.load()

    assert not run.success
    assert (len(commits), len(puts)) == (1, 1)
    parked = dict(platform.query("SELECT key, reason FROM ops.landed_file WHERE status = 'parked'"))
    assert set(parked) == {key_of(77), key_of(78)}
    assert "column `timestamp` is missing" in parked[key_of(77)]
    assert platform.scalar("SELECT count(*) FROM ops.landed_file WHERE status = 'loaded' AND rows_loaded = 3") == 298
    assert raw(platform) == expected(numbers, without=(77, 78))
    assert platform.query("SELECT DISTINCT file_id FROM ops.rejected_row") == [
        (platform.ledger_row(key_of(78))["file_id"],)
    ]

    land(platform, range(77, 79))
    platform.load_and_build()
    assert facts(platform) == expected(numbers)


@pytest.mark.parametrize(
    "dying",
    [crash.die_in_raw_copy, crash.die_after_lake_upload, crash.die_before_raw_commit, crash.die_after_raw_commit],
)
def test_a_load_of_many_files_killed_at_any_point_loads_each_of_them_once(
    platform: Platform, environment: dict[str, str], dying: Callable[[], None]
) -> None:
    numbers = range(1, 13)
    land(platform, numbers)
    assert crash.run_in_child(environment, dying) == -signal.SIGKILL
    committed = dying is crash.die_after_raw_commit
    assert raw(platform) == (expected(numbers) if committed else [])

    platform.load_and_build()

    assert {status for _, status in platform.files()} == {"loaded"}
    assert raw(platform) == facts(platform) == expected(numbers)
    # What was tried by a process that was killed is tried file by file: another kill shows whose doing it is.
    assert len(objects(platform)) == (1 if committed else 12)
    with connect(platform.target) as conn:
        ledger_by_hand.let_two_days_pass(conn)
    sweep_lake(platform.target, platform.lake)
    assert stored(platform) == set(objects(platform))


def test_where_files_cannot_be_published_together_each_is_by_itself(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(platform, range(1, 6))
    write = FileTransaction.write

    def failing(self: Any, *args: Any) -> None:
        if len(self._files) > 1 or self._files[0].key == key_of(3):
            raise OSError("the disk is on fire")
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(FileTransaction, "write", failing)
        platform.load()

    assert raw(platform) == expected(range(1, 6), without=(3,))
    assert (platform.status(key_of(3)), platform.ledger_row(key_of(3))["attempts"]) == (["pending"], 1)
    assert platform.ledger_row(key_of(3))["reason"] == "OSError: the disk is on fire"
    platform.load()
    assert raw(platform) == expected(range(1, 6))


def test_files_with_the_same_content_that_are_loaded_together_count_once(platform: Platform) -> None:
    land(platform, range(1, 4))
    again = [platform.land(f"movielens/ratings/again-{n}.csv", ratings_csv(rows_of(1))) for n in (1, 2)]
    platform.load_and_build()

    assert {platform.status(key)[0] for key in again} <= {"duplicate", "loaded"}
    statuses = [status for _, status in platform.files()]
    assert (statuses.count("loaded"), statuses.count("duplicate")) == (3, 2)
    assert raw(platform) == facts(platform) == expected(range(1, 4))


def test_a_file_that_was_loaded_with_others_is_overwritten_retracted_and_reloaded_by_itself(platform: Platform) -> None:
    numbers = range(1, 8)
    land(platform, numbers)
    platform.load_and_build()
    assert len(objects(platform)) == 1

    platform.retract(key_of(2))
    platform.load_and_build()
    assert raw(platform) == facts(platform) == expected(numbers, without=(2,))

    platform.reload(key_of(2))  # its rows are in two objects from now on
    platform.land(key_of(3), ratings_csv([(3, 9, "5.0", Y2018)]))
    platform.land(key_of(4), ratings_csv([(4, 9, "5.0", Y2018)]))
    platform.load_and_build()

    assert platform.status(key_of(3)) == platform.status(key_of(4)) == ["superseded", "loaded"]
    now = sorted([*expected(numbers, without=(3, 4)), (3, 9, "5.0", Y2018), (4, 9, "5.0", Y2018)])
    assert raw(platform) == facts(platform) == now

    platform.land("movielens/ratings/later.csv", ratings_csv([(2, 2, "0.5", Y2018 + 1)]))
    platform.load_and_build()
    # Compared with the one record of that event that counts, not also with the one that it left behind.
    row = platform.ledger_row("movielens/ratings/later.csv")
    assert (row["rows_repeated"], row["rows_conflicting"]) == (0, 1)
    assert (2, 2, "0.5", Y2018 + 1) in facts(platform)
    assert len(facts(platform)) == len(now)


def load_one_by_one(platform: Platform, numbers: range) -> None:
    for key in land(platform, numbers):
        platform.scan()
        assert platform.load_files(key).success


def test_small_objects_are_written_together_and_everything_reads_the_same(
    any_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = any_platform
    monkeypatch.setattr(compaction, "MOST_OBJECTS", 3)
    numbers = range(1, 11)
    load_one_by_one(platform, numbers)
    assert len(objects(platform)) <= 4
    platform.retract(key_of(1))
    platform.build()
    assert facts(platform) == expected(numbers, without=(1,))

    platform.land("movielens/ratings/again.csv", ratings_csv([(5, 1, "4.0", Y2005), (6, 2, "0.5", Y2018 - 1)]))
    platform.load_and_build()
    row = platform.ledger_row("movielens/ratings/again.csv")
    assert (row["rows_repeated"], row["rows_conflicting"]) == (1, 1)  # it is compared with what was written together
    assert facts(platform) == expected(numbers, without=(1,))

    assert sweep_lake(platform.target, platform.lake) == 0  # a build may be reading them
    with connect(platform.target) as conn:
        ledger_by_hand.let_two_days_pass(conn)
    platform.execute("UPDATE ops.lake_leftover SET left_at = left_at - interval '2 days'")
    assert sweep_lake(platform.target, platform.lake) > 0
    assert stored(platform) >= set(objects(platform))
    platform.reload(key_of(2))
    platform.load_and_build()
    assert raw(platform) == sorted([*expected(numbers, without=(1,)), (5, 1, "4.0", Y2005), (6, 2, "0.5", Y2018 - 1)])
    assert facts(platform) == expected(numbers, without=(1,))


def test_a_process_killed_while_objects_are_written_together_leaves_all_as_it_was(
    platform: Platform, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_one_by_one(platform, range(1, 5))
    before = objects(platform)
    land(platform, range(5, 6))
    assert crash.run_in_child(environment, crash.die_in_compaction) == -signal.SIGKILL

    assert set(objects(platform)) >= set(before)
    left = stored(platform) - set(objects(platform))
    assert len(left) == 1
    platform.build()
    assert raw(platform) == facts(platform) == expected(range(1, 6))
    platform.execute("UPDATE ops.lake_leftover SET left_at = left_at - interval '2 days'")
    assert sweep_lake(platform.target, platform.lake) == 1
    assert stored(platform) == set(objects(platform))

    monkeypatch.setattr(compaction, "MOST_OBJECTS", 3)
    assert compaction.compact(platform.target, platform.lake, RATINGS) == 5
    assert len(objects(platform)) == 1
    platform.build()
    assert facts(platform) == expected(range(1, 6))


def test_a_file_is_compared_with_a_bounded_number_of_objects_however_many_are_loaded(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST_OBJECTS", 5)
    load_one_by_one(platform, range(1, 20))
    assert len(objects(platform)) <= 6
    assert raw(platform) == expected(range(1, 20))


def test_nothing_is_asked_of_the_lake_while_a_transaction_is_open(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer must not keep the raw table locked."""
    from cinestream_platform.loading import publish as publishing

    land(platform, range(1, 3))
    platform.load()
    platform.land(key_of(3), ratings_csv([(1, 1, "0.5", Y2005 + 1)]))
    seen: list[int] = []
    find = publishing.find_overlaps

    def looking(*args: Any) -> Any:
        seen.append(
            platform.scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND starts_with(state, 'idle in transaction')"
            )
        )
        return find(*args)

    monkeypatch.setattr(publishing, "find_overlaps", looking)
    platform.load()
    assert seen == [0]
    assert platform.ledger_row(key_of(3))["rows_conflicting"] == 1


def test_files_that_were_loaded_while_others_were_compared_are_compared_too(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinestream_platform.loading import publish as publishing

    a, b = (platform.land(key_of(n), ratings_csv([(1, 1, f"{n}.0", Y2005 + n)])) for n in (1, 2))
    platform.scan()
    find, times = publishing.find_overlaps, []

    def meanwhile(*args: Any) -> Any:
        found = find(*args)
        times.append(1)
        if len(times) == 1:
            assert Platform().load_files(b).success
        return found

    monkeypatch.setattr(publishing, "find_overlaps", meanwhile)
    assert platform.load_files(a).success
    assert {status for _, status in platform.files()} == {"loaded"}
    conflicts = [platform.ledger_row(key)["rows_conflicting"] for key in (a, b)]
    assert conflicts == [1, 0]
