"""Once: every version of every landed file is loaded exactly once, however it arrives, repeats, changes or fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import obstore
import pytest
from psycopg.sql import Identifier

from cinestream_platform.lake import folder
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import corrections, landed_files
from cinestream_platform.publishing.raw import FileTransaction
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect
from tests.support import crash
from tests.support import ledger as ledger_by_hand
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, csv_bytes, ratings_csv

A, B, C = "movielens/ratings/a.csv", "movielens/ratings/b.csv", "movielens/ratings/c.csv"
OLD = [(1, 1, "4.0", Y2005), (1, 2, "3.5", Y2018)]
NEW = [(1, 1, "1.0", Y2005), (1, 2, "3.5", Y2018), (2, 1, "5.0", Y2018)]
MOVIES_KEY = "movielens/movies/movies.csv"


def raw(platform: Platform) -> list[tuple[int, int, str, int]]:
    """The raw ratings in the words of the file."""
    return platform.query(
        "SELECT user_id, movie_id, rating::text, extract(epoch FROM timestamp)::bigint FROM raw_movielens.ratings"
        " ORDER BY 1, 2, 4"
    )


def facts(platform: Platform) -> list[tuple[int, int, str, int]]:
    """The published ratings in the words of the file."""
    return platform.query(
        "SELECT user_id, movie_id, rating::text, extract(epoch FROM rated_at)::bigint FROM movielens_dw.fact_ratings"
        " JOIN movielens_dw.dim_user USING (user_key) JOIN movielens_dw.dim_movie USING (movie_key) ORDER BY 1, 2, 4"
    )


def titles(platform: Platform) -> list[str]:
    return [title for (title,) in platform.query("SELECT title FROM raw_movielens.movies ORDER BY movie_id")]


def movies_csv(*titles: str) -> bytes:
    return csv_bytes("movieId,title,genres", [(n, title, "Drama") for n, title in enumerate(titles, 1)])


def set_age(platform: Platform, key: str, year: int) -> None:
    """Date a file of a landing folder on the first day of a year."""
    moment = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    os.utime(platform.landing.folder / key, (moment, moment))


# The same file again


def test_a_file_that_every_scan_lists_is_loaded_once(any_platform: Platform) -> None:
    any_platform.land(A, ratings_csv(OLD))

    assert [any_platform.scan() for _ in range(3)] == [1, 0, 0]
    any_platform.load_and_build()
    any_platform.load_and_build()

    assert any_platform.files() == [(A, "loaded")]
    assert raw(any_platform) == facts(any_platform) == OLD


def test_the_same_content_under_another_name_is_a_duplicate_and_adds_nothing(any_platform: Platform) -> None:
    any_platform.land(A, ratings_csv(OLD))
    any_platform.load_and_build()
    before = any_platform.last_publication()

    any_platform.land(B, ratings_csv(OLD))
    any_platform.load_and_build()

    assert any_platform.files() == [(A, "loaded"), (B, "duplicate")]
    row = any_platform.ledger_row(B)
    assert (row["duplicate_of"], row["sha256"]) == (
        any_platform.ledger_row(A)["file_id"],
        any_platform.ledger_row(A)["sha256"],
    )
    assert raw(any_platform) == facts(any_platform) == OLD
    assert any_platform.publications(before) == []


def test_two_equal_files_of_one_run_are_loaded_once(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.land(B, ratings_csv(OLD))
    platform.load()

    assert sorted(status for _, status in platform.files()) == ["duplicate", "loaded"]
    assert raw(platform) == OLD


def test_landing_the_same_bytes_again_under_the_same_name_changes_nothing(any_platform: Platform) -> None:
    any_platform.land(A, ratings_csv(OLD))
    any_platform.load()
    any_platform.land(A, ratings_csv(OLD))
    any_platform.load()

    assert set(any_platform.status(A)) <= {"loaded", "duplicate"}
    assert any_platform.status(A).count("loaded") == 1
    assert raw(any_platform) == OLD


# Overwritten


def test_an_overwritten_file_replaces_the_rows_of_its_older_version_and_back_again(any_platform: Platform) -> None:
    any_platform.land(A, ratings_csv(OLD))
    any_platform.load_and_build()

    any_platform.land(A, ratings_csv(NEW))
    any_platform.load_and_build()
    assert any_platform.status(A) == ["superseded", "loaded"]
    assert raw(any_platform) == facts(any_platform) == NEW

    any_platform.land(A, ratings_csv(OLD))
    any_platform.load_and_build()
    assert any_platform.status(A) == ["superseded", "superseded", "loaded"]
    assert raw(any_platform) == facts(any_platform) == OLD


def test_a_version_that_was_gone_again_before_it_was_loaded_leaves_the_first_one_loaded(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load()
    platform.land(A, ratings_csv(NEW))
    platform.scan()
    platform.land(A, ratings_csv(OLD))
    platform.load()

    assert platform.status(A) == ["loaded", "superseded", "duplicate"]
    assert raw(platform) == OLD

    platform.land(A, ratings_csv(NEW))
    platform.load()
    assert platform.status(A) == ["superseded", "superseded", "superseded", "loaded"]
    assert raw(platform) == NEW


def test_an_object_overwritten_between_listing_and_fetch_is_left_to_the_next_scan(
    any_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = ObjectStore.fetch

    def overwritten_before(store: ObjectStore, version: Any, target: Path) -> Any:
        any_platform.land(A, ratings_csv(NEW))
        return fetch(store, version, target)

    any_platform.land(A, ratings_csv(OLD))
    monkeypatch.setattr(ObjectStore, "fetch", overwritten_before)
    any_platform.load()
    assert any_platform.status(A) == ["pending"]
    assert any_platform.ledger_row(A)["attempts"] == 0  # nothing is wrong with the file
    assert raw(any_platform) == []

    monkeypatch.setattr(ObjectStore, "fetch", fetch)
    any_platform.load()
    assert any_platform.status(A) == ["superseded", "loaded"]
    assert raw(any_platform) == NEW


class Overwritten:
    """What obstore.get returns; after the first chunk of the stream ``overwrite`` is called."""

    def __init__(self, result: Any, overwrite: Callable[[], object]) -> None:
        self._result, self._overwrite = result, overwrite

    def stream(self, min_chunk_size: int) -> Iterator[Any]:
        chunks = iter(self._result.stream(min_chunk_size=1))
        yield next(chunks)
        self._overwrite()
        yield from chunks


def overwrite_while_it_is_read(patch: pytest.MonkeyPatch, overwrite: Callable[[], object]) -> None:
    """Call ``overwrite`` when a part of the next object, in a bucket or a folder, has been read."""
    get = obstore.get
    patch.setattr(obstore, "get", lambda *args, **more: Overwritten(get(*args, **more), overwrite))

    opened = folder.open_in
    patch.setattr(folder, "open_in", lambda *args: Interrupted(opened(*args), overwrite))


class Interrupted:
    """An opened file; after its first byte ``overwrite`` is called."""

    def __init__(self, file: FileIO, overwrite: Callable[[], object]) -> None:
        self._file, self._overwrite = file, overwrite

    def read(self, size: int) -> bytes:
        if self._file.tell():
            return self._file.read(size)
        first = self._file.read(1)
        self._overwrite()
        return first

    def fileno(self) -> int:
        return self._file.fileno()

    def __enter__(self) -> Interrupted:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def test_an_object_overwritten_while_it_is_read_is_left_to_the_next_scan(
    any_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_platform.land(A, ratings_csv(OLD))
    with monkeypatch.context() as patch:
        overwrite_while_it_is_read(patch, lambda: any_platform.land(A, ratings_csv(NEW)))
        any_platform.load()
    assert any_platform.status(A) == ["pending"]
    assert raw(any_platform) == []

    any_platform.load()
    assert any_platform.status(A) == ["superseded", "loaded"]
    assert raw(any_platform) == NEW


def test_a_file_written_in_place_while_it_is_read_is_left_to_the_next_scan(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's writer need not rename: half of the one and half of the other content would be read."""
    size = 3_000_000
    first, second = (ratings_csv((n, movie, "4.0", Y2005) for n in range(1, size // 20)) for movie in (1, 2))
    assert len(first) == len(second)
    platform.land(A, first)
    with monkeypatch.context() as patch:
        overwrite_while_it_is_read(patch, lambda: (platform.landing.folder / A).write_bytes(second))
        platform.load()
    assert raw(platform) == []

    platform.load()
    assert platform.query("SELECT DISTINCT movie_id FROM raw_movielens.ratings") == [(2,)]
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == size // 20 - 1


# In whatever order


def test_files_that_arrive_within_one_second_are_all_loaded(any_platform: Platform) -> None:
    """A scan in the same second saw the first of them already; a high-water mark would skip the others."""
    for number, key in enumerate((A, B, C)):
        any_platform.land(key, ratings_csv([(number + 1, 1, "4.0", Y2005)]))
        if any_platform.landing.is_folder:
            set_age(any_platform, key, 2020)
        any_platform.load()

    assert any_platform.files() == [(A, "loaded"), (B, "loaded"), (C, "loaded")]
    assert [user for user, *_ in raw(any_platform)] == [1, 2, 3]


def test_a_late_file_that_is_older_than_all_loaded_ones_is_loaded(platform: Platform) -> None:
    platform.land(B, ratings_csv(OLD))
    platform.load()
    platform.land(A, ratings_csv([(9, 9, "2.0", Y2005)]))
    set_age(platform, A, 2001)
    # A rating may not be later than the file's arrival: that is when we first saw it, not what its date claims.
    platform.load()

    assert platform.files() == [(B, "loaded"), (A, "loaded")]
    assert raw(platform) == [*OLD, (9, 9, "2.0", Y2005)]


def test_scans_at_the_same_time_enter_each_file_once(any_platform: Platform) -> None:
    keys = [
        any_platform.land(f"movielens/ratings/{n:02}.csv", ratings_csv([(n, 1, "4.0", Y2005)])) for n in range(1, 21)
    ]
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(any_platform.scan())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [0, 0, 0, 20]
    assert sorted(any_platform.files()) == [(key, "pending") for key in keys]


def test_two_processes_that_scan_and_load_at_the_same_time_load_each_file_once(
    platform: Platform, environment: dict[str, str]
) -> None:
    users = range(1, 13)
    for n in users:
        platform.land(f"movielens/ratings/{n:02}.csv", ratings_csv([(n, 1, "4.0", Y2005), (n, 2, "4.5", Y2018)]))
    platform.land("movielens/ratings/again.csv", ratings_csv([(1, 1, "4.0", Y2005), (1, 2, "4.5", Y2018)]))

    children = [crash.start_child(environment, crash.load) for _ in range(2)]
    for child in children:
        child.join(300)
    assert [child.exitcode for child in children] == [0, 0]
    platform.load()  # a process that found a file taken left it to the other

    statuses = [status for _, status in platform.files()]
    assert (statuses.count("loaded"), statuses.count("duplicate"), len(statuses)) == (12, 1, 13)
    assert [row[:2] for row in raw(platform)] == [(n, movie) for n in users for movie in (1, 2)]
    runs = platform.scalar("SELECT count(DISTINCT run_id) FROM ops.landed_file WHERE status = 'loaded'")
    assert runs <= 2


# What fails


def test_a_file_that_fails_is_retried_ever_later_then_parked_and_loaded_when_an_operator_asks(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINESTREAM_LOAD_BACKOFF_SECONDS", "30")
    get_settings.cache_clear()
    fetch = ObjectStore.fetch

    def broken(store: ObjectStore, version: Any, target: Path) -> Any:
        if version.key == A:
            raise OSError("the disk is on fire")
        return fetch(store, version, target)

    platform.land(A, ratings_csv(OLD))
    platform.land(B, ratings_csv([(9, 9, "2.0", Y2005)]))
    waits = []
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "fetch", broken)
        for _ in range(3):
            results = platform.load()
            assert [result.success for result in results] == [False]
            assert platform.load() == []  # not yet due again
            row = platform.ledger_row(A)
            waits.append(
                platform.scalar(
                    "SELECT round(extract(epoch FROM next_attempt_at - clock_timestamp()) / 10) * 10"
                    " FROM ops.landed_file WHERE key = %s",
                    (A,),
                )
            )
            assert row["reason"] == "OSError: the disk is on fire"
            with connect(platform.target) as conn:
                ledger_by_hand.make_due(conn, A)
    assert [int(wait) for wait in waits] == [30, 60, 120]
    assert (platform.status(A), platform.ledger_row(A)["attempts"]) == (["parked"], 3)
    assert platform.status(B) == ["loaded"]
    assert platform.load() == []  # parked is parked

    platform.reload(A)
    platform.load()
    assert platform.status(A) == ["loaded"]
    assert raw(platform) == [*OLD, (9, 9, "2.0", Y2005)]


def test_keys_that_belong_to_no_feed_or_are_outside_the_grammar_are_parked_with_the_reason(
    any_platform: Platform,
) -> None:
    wrong = {
        "movielens/rating/a.csv": "no feed takes files below movielens/rating/",
        "movie_lens/ratings/a.csv": "no feed takes files below movie_lens/ratings/",
        "loose.csv": "a key has the form <source>/<dataset>/<file>",
        # moto takes no newline, a folder no empty segment.
        "movielens/ratings/new\nline.csv"
        if any_platform.landing.is_folder
        else "movielens/ratings//a.csv": "the key has",
    }
    for key in wrong:
        if any_platform.landing.is_folder:
            path = any_platform.landing.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ratings_csv(OLD))
        else:
            session = any_platform.landing._s3.boto3_session()
            client = session.client("s3", endpoint_url=any_platform.settings.s3_endpoint_url)
            bucket, _, prefix = any_platform.landing.url.removeprefix("s3://").partition("/")
            client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=ratings_csv(OLD))
    any_platform.land(A, ratings_csv(OLD))
    any_platform.load()

    assert any_platform.status(A) == ["loaded"]
    reasons = dict(any_platform.query("SELECT key, reason FROM ops.landed_file WHERE status = 'parked'"))
    assert set(reasons) == set(wrong)
    for key, reason in wrong.items():
        assert reason in reasons[key]
    assert raw(any_platform) == OLD


def test_a_file_deleted_before_it_was_read_is_gone_and_loaded_when_it_comes_back(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.scan()
    (platform.landing.folder / A).unlink()
    platform.load()
    assert platform.status(A) == ["gone"]

    platform.land(A, ratings_csv(OLD))
    platform.load()
    assert platform.status(A) == ["gone", "loaded"]
    assert raw(platform) == OLD


def test_a_loaded_file_can_be_retracted_also_when_its_newer_version_vanished_unread(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load()
    platform.land(A, ratings_csv(NEW))
    platform.scan()
    (platform.landing.folder / A).unlink()
    platform.load()
    assert platform.status(A) == ["loaded", "gone"]

    platform.retract(A)
    assert platform.status(A) == ["retracted", "gone"]
    assert raw(platform) == []


# Asked for by an operator


def test_a_reload_gives_the_same_rows_once_and_republishes_nothing(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load_and_build()
    before, oids = platform.last_publication(), platform.partition_oids("fact_ratings")

    platform.reload(A)
    platform.load_and_build()

    assert platform.status(A) == ["superseded", "loaded"]
    assert raw(platform) == facts(platform) == OLD
    assert platform.partition_oids("fact_ratings") == oids
    assert not any(changed for *_, changed in platform.publications(before))


def test_a_retracted_file_leaves_raw_and_facts_and_can_come_back(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.land(B, ratings_csv([(9, 9, "2.0", Y2005)]))
    platform.load_and_build()

    platform.retract(A)
    platform.load_and_build()
    assert platform.status(A) == ["retracted"]
    assert raw(platform) == facts(platform) == [(9, 9, "2.0", Y2005)]

    platform.reload(A)
    platform.load_and_build()
    assert platform.status(A) == ["loaded"]
    assert raw(platform) == facts(platform) == [*OLD, (9, 9, "2.0", Y2005)]


def test_the_duplicate_of_a_retracted_file_takes_its_place(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load_and_build()
    platform.land(B, ratings_csv(OLD))
    platform.load_and_build()

    platform.retract(A)
    platform.load_and_build()

    assert platform.files() == [(A, "retracted"), (B, "loaded")]
    assert raw(platform) == facts(platform) == OLD


def test_the_duplicate_of_an_overwritten_file_takes_its_place(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load()
    platform.land(B, ratings_csv(OLD))
    platform.load()

    platform.land(A, ratings_csv([(9, 9, "2.0", Y2005)]))
    platform.load_and_build()
    platform.load_and_build()

    assert platform.files() == [(A, "superseded"), (B, "loaded"), (A, "loaded")]
    assert raw(platform) == facts(platform) == [*OLD, (9, 9, "2.0", Y2005)]


def retract_directly(platform: Platform, key: str) -> None:
    with connect(platform.target) as conn:
        corrections.retract(conn, platform.landing.url, key, Identifier("raw_movielens", "ratings"))


def test_a_file_whose_twin_is_retracted_at_that_moment_does_not_become_its_duplicate(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.load()
    platform.land(B, ratings_csv(OLD))
    loaded_twin = landed_files.loaded_twin

    def retracted_after(*args: Any, **options: Any) -> int | None:
        twin = loaded_twin(*args, **options)
        retract_directly(platform, A)
        return twin

    with monkeypatch.context() as patch:
        patch.setattr(landed_files, "loaded_twin", retracted_after)
        platform.load()
    platform.load()

    assert platform.files() == [(A, "retracted"), (B, "loaded")]
    assert raw(platform) == OLD


def test_a_retraction_during_the_load_of_the_same_file_waits_for_it_and_takes_its_rows(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land(A, ratings_csv(OLD))
    write = FileTransaction.write
    retraction = threading.Thread(target=retract_directly, args=(platform, A))

    def retract_meanwhile(*args: Any) -> None:
        retraction.start()
        retraction.join(0.5)
        assert retraction.is_alive(), "the retraction did not wait for the load"
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(FileTransaction, "write", retract_meanwhile)
        platform.load()
    retraction.join(300)

    assert platform.status(A) == ["retracted"]
    assert raw(platform) == []


# Snapshots: of movies.csv only the newest counts


def test_the_newest_snapshot_replaces_all_rows_and_retracting_it_brings_back_the_one_before(
    any_platform: Platform,
) -> None:
    keys = [f"movielens/movies/{day}.csv" for day in ("monday", "tuesday", "wednesday")]
    for key in keys:
        any_platform.land(key, movies_csv(f"{key} (1995)"))
        any_platform.load()
    assert [status for _, status in any_platform.files()] == ["superseded", "superseded", "loaded"]
    assert titles(any_platform) == [f"{keys[2]} (1995)"]

    any_platform.retract(keys[2])
    any_platform.load_and_build()
    assert [status for _, status in any_platform.files()] == ["superseded", "loaded", "retracted"]
    assert titles(any_platform) == [f"{keys[1]} (1995)"]
    assert any_platform.query("SELECT title FROM movielens_dw.dim_movie") == [(keys[1],)]

    any_platform.retract(keys[1])
    any_platform.load()
    assert titles(any_platform) == [f"{keys[0]} (1995)"]


def test_a_retracted_older_snapshot_does_not_come_back(platform: Platform) -> None:
    keys = [f"movielens/movies/{day}.csv" for day in ("monday", "tuesday", "wednesday")]
    for key in keys:
        platform.land(key, movies_csv(f"{key} (1995)"))
        platform.load()

    platform.retract(keys[1])
    platform.load()
    assert titles(platform) == [f"{keys[2]} (1995)"]
    platform.retract(keys[2])
    platform.load()
    assert titles(platform) == [f"{keys[0]} (1995)"]


def test_an_older_snapshot_that_is_loaded_later_does_not_replace_the_newest(platform: Platform) -> None:
    old, new = "movielens/movies/old.csv", "movielens/movies/new.csv"
    platform.land(new, movies_csv("New (2018)"))
    set_age(platform, new, 2018)
    platform.load()
    platform.land(old, movies_csv("Old (2005)"))
    set_age(platform, old, 2005)
    platform.load()

    assert platform.files() == [(new, "loaded"), (old, "superseded")]
    assert titles(platform) == ["New (2018)"]
    platform.retract(new)
    platform.load()
    assert platform.files() == [(new, "retracted"), (old, "loaded")]
    assert titles(platform) == ["Old (2005)"]


def test_a_snapshot_older_than_the_last_arrival_of_the_loaded_content_does_not_replace_it(platform: Platform) -> None:
    """The content of 2005 landed again in 2018: that of 2010 comes between them and never counts."""
    for key, title, year in (("a", "X", 2005), ("c", "X", 2018), ("b", "Y", 2010)):
        platform.land(f"movielens/movies/{key}.csv", movies_csv(f"{title} (1995)"))
        set_age(platform, f"movielens/movies/{key}.csv", year)
        platform.load()
        assert titles(platform) == ["X (1995)"]

    assert [status for _, status in platform.files()] == ["loaded", "duplicate", "superseded"]


def test_an_empty_snapshot_is_refused_and_the_table_keeps_its_rows(any_platform: Platform) -> None:
    any_platform.land(MOVIES_KEY, MOVIES)
    any_platform.load()

    any_platform.land(MOVIES_KEY, b"movieId,title,genres\r\n")
    [result] = any_platform.load()

    assert not result.success
    assert any_platform.status(MOVIES_KEY) == ["loaded", "parked"]
    assert "would empty the table" in any_platform.ledger_row(MOVIES_KEY)["reason"]
    assert len(titles(any_platform)) == 3


def test_the_loader_is_given_only_the_files_that_its_run_is_for(platform: Platform) -> None:
    platform.land(A, ratings_csv(OLD))
    platform.land(B, ratings_csv([(9, 9, "2.0", Y2005)]))
    platform.scan()
    assert platform.load_files(B).success

    assert dict(platform.files()) == {A: "pending", B: "loaded"}
