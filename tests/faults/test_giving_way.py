"""Files that give way to others, and come back when those leave: what counts is what the landing zone shows."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from cinestream_platform.commands.files import NotLandableError, reload_key, retract_key
from cinestream_platform.ledger import corrections, file_writes
from cinestream_platform.publishing.raw import FileTransaction
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import Y2005, Y2018, Platform, csv_bytes, ratings_csv

A, B = "movielens/ratings/a.csv", "movielens/ratings/b.csv"


def movies(*titles: str) -> bytes:
    return csv_bytes("movieId,title,genres", [(n, title, "Drama") for n, title in enumerate(titles, start=1)])


def titles(platform: Platform) -> list[str]:
    return [title for (title,) in platform.query("SELECT title FROM raw_movielens.movies ORDER BY movie_id")]


def snapshots(platform: Platform, *contents: bytes) -> list[str]:
    """Land and load snapshots one after the other; their keys."""
    keys = [f"movielens/movies/m{n}.csv" for n in range(1, len(contents) + 1)]
    for key, content in zip(keys, contents, strict=True):
        platform.land(key, content)
        platform.load()
        time.sleep(0.02)  # they landed one after the other
    return keys


def test_a_file_overwritten_with_the_content_of_another_loses_its_old_rows(any_platform: Platform) -> None:
    platform = any_platform
    platform.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))
    platform.land(B, ratings_csv([(2, 2, "3.0", Y2018)]))
    platform.load_and_build()
    platform.land(A, ratings_csv([(2, 2, "3.0", Y2018)]))
    platform.load_and_build()

    assert platform.files() == [(A, "superseded"), (B, "loaded"), (A, "duplicate")]
    assert platform.query("SELECT user_id FROM raw_movielens.ratings") == [(2,)]
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 1
    platform.retract(B)  # now it is a.csv that holds the record
    platform.load_and_build()
    assert platform.query("SELECT user_id FROM raw_movielens.ratings") == [(2,)]


def test_a_reload_asked_for_during_the_load_of_the_file_waits_for_it_and_replaces_its_rows(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))
    write = FileTransaction.write

    def ask() -> None:
        with connect(platform.target) as conn:
            corrections.reload(conn, platform.landing.url, A)

    asking = threading.Thread(target=ask)

    def ask_meanwhile(*args: Any) -> None:
        asking.start()
        asking.join(0.5)
        assert asking.is_alive(), "the reload did not wait for the load"
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(FileTransaction, "write", ask_meanwhile)
        platform.load()
    asking.join(300)
    platform.load()

    assert platform.files() == [(A, "superseded"), (A, "loaded")]
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == 1


def test_snapshots_retracted_one_after_the_other_bring_back_the_first(platform: Platform) -> None:
    first, second, third = snapshots(platform, movies("a"), movies("a", "b"), movies("a", "b", "c"))
    platform.retract(third)
    platform.retract(second)  # before it was loaded again
    platform.load()
    assert titles(platform) == ["a"]
    assert dict(platform.files())[first] == "loaded"


def test_a_snapshot_comes_back_when_the_one_before_it_is_gone_from_the_landing_zone(platform: Platform) -> None:
    _, second, third = snapshots(platform, movies("a"), movies("a", "b"), movies("a", "b", "c"))
    platform.landing.delete([second])
    platform.retract(third)
    platform.load()
    platform.load()
    assert titles(platform) == ["a"]


def test_retracting_the_later_landing_of_a_snapshot_lets_the_one_between_count(platform: Platform) -> None:
    platform.land("movielens/movies/a.csv", movies("a"))
    time.sleep(0.02)
    platform.land("movielens/movies/c.csv", movies("a", "c"))
    time.sleep(0.02)
    platform.land("movielens/movies/b.csv", movies("a"))
    for _ in range(3):
        platform.load()
    assert titles(platform) == ["a"]
    platform.retract("movielens/movies/b.csv")
    platform.load()
    assert titles(platform) == ["a", "c"]


def test_a_retracted_file_that_lands_again_is_loaded_again(any_platform: Platform) -> None:
    platform, content = any_platform, ratings_csv([(1, 1, "4.0", Y2005)])
    platform.land(A, content)
    platform.load()
    platform.retract(A)
    time.sleep(1.1)  # S3 tells whole seconds
    platform.land(A, content)
    platform.load()
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == 1


def test_no_build_is_asked_for_while_a_file_that_gave_way_is_due(platform: Platform) -> None:
    """Else the table would be published without its rows until the file is loaded."""
    _, second = snapshots(platform, movies("a"), movies("a", "b"))
    platform.build()
    platform.retract(second)
    assert platform.tick("staleness_sensor").run_requests == []
    platform.load()
    assert platform.tick("staleness_sensor").run_requests


def test_a_key_that_no_feed_takes_is_neither_reloaded_nor_in_the_way_and_can_be_retracted(platform: Platform) -> None:
    stray = ["nosource/x/good.csv", "movielens/stray.csv"]
    for key in stray:
        platform.land(key, b"x")
    platform.scan()
    for key in stray:
        with pytest.raises(NotLandableError, match="stays parked"):
            reload_key(get_settings(), key)
    with connect(platform.target) as conn:  # as if its feed had been removed since
        for key in stray:
            file_writes.reload(conn, platform.ledger_row(key)["file_id"])
    platform.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))
    [request] = platform.tick("landing_sensor").run_requests
    assert request.job_name == "movielens_load"
    assert list(request.run_config["ops"]) == ["movielens__ratings"]
    for key in stray:
        assert "no rows loaded" in retract_key(get_settings(), key)[0]
    assert {status for key, status in platform.files() if key in stray} == {"retracted"}
