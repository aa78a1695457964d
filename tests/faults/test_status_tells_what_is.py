"""What ``status`` and the views of schema ``platform`` say is so: of files, of runs that failed for them, of stale tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from dagster import AssetKey

from cinestream_platform.ledger import file_writes, landed_files, stale_look
from cinestream_platform.processes.runs import Runs, read_runs
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.dagster_storage import stored_instance
from tests.support.platform import Y2005, Y2018, Platform, ratings_csv

BAD = b"this,is,no\r\nfile,of,ratings\r\n"


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


def test_a_run_that_failed_for_its_files_alone_is_told_from_one_that_failed(
    platform: Platform, postgres: PostgresTarget, tmp_path: Path
) -> None:
    platform.land("movielens/ratings/bad.csv", BAD)
    platform.land("movielens/ratings/good.csv", ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.scan()
    with stored_instance(postgres, tmp_path) as (instance, conn):
        platform.instance = instance
        run = platform.load_files("movielens/ratings/bad.csv", "movielens/ratings/good.csv")
        assert not run.success
        assert sorted(platform.files()) == [
            ("movielens/ratings/bad.csv", "parked"),
            ("movielens/ratings/good.csv", "loaded"),
        ]
        assert read_runs(postgres, conn.info.dbname) == (False, Runs(failed_for_files=("movielens_load",)))
        conn.execute(
            "INSERT INTO event_logs (run_id, event, dagster_event_type, step_key, timestamp)"
            " VALUES (%s, '{}', 'STEP_FAILURE', 'movielens__movies', now())",
            (run.run_id,),
        )
        assert read_runs(postgres, conn.info.dbname) == (False, Runs(failed=("movielens_load",)))


def test_a_file_has_failed_when_an_attempt_did_and_not_while_the_first_goes_on(platform: Platform) -> None:
    platform.land("movielens/ratings/good.csv", ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.scan()
    failing = "SELECT files_failing, (SELECT count(*) FROM platform.file WHERE is_failing) FROM platform.health"
    with connect(platform.target) as conn:
        [file] = landed_files.pending(conn, "movielens", "ratings")
        file_writes.begin_attempts(conn, [file.file_id], "raw/x", backoff_seconds=0)
        assert platform.query(failing) == [(0, 0)]
        file_writes.fail(conn, file.file_id, "the store did not answer", attempts=3)
        assert platform.query(failing) == [(1, 1)]
        file_writes.fail(conn, file.file_id, "the store did not answer", attempts=1)
        assert platform.query(failing) == [(0, 0)]


def stale(platform: Platform) -> dict[str, tuple[int, datetime]]:
    return {
        table: (partitions, since)
        for table, partitions, since in platform.query(
            "SELECT table_name, partitions, stale_since FROM platform.stale_table"
        )
    }


def is_current(platform: Platform) -> bool:
    return bool(platform.scalar("SELECT stale_is_current FROM platform.health"))


def test_the_views_say_what_the_sensor_found_stale_and_whether_that_still_holds(platform: Platform) -> None:
    assert not is_current(platform)  # nobody has looked
    platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.load()
    platform.tick("staleness_sensor")
    first = stale(platform)
    assert is_current(platform)
    assert first["fact_ratings"][0] == 1
    assert not {name for name in first if "netflix" in name or "invoice" in name}, "of sources that have begun"
    with connect(platform.target) as conn:
        assert stale_look.current(conn)

    platform.land("movielens/ratings/b.csv", ratings_csv([(2, 1, 4.0, Y2018)]))
    platform.load()
    assert not is_current(platform)
    platform.tick("staleness_sensor")
    assert is_current(platform)
    assert stale(platform)["fact_ratings"] == (2, first["fact_ratings"][1]), "since the first look"

    for key in ("movielens/ratings/a.csv", "movielens/ratings/b.csv"):
        platform.retract(key)
    platform.tick("staleness_sensor")
    assert stale(platform) == {}
    assert platform.scalar("SELECT tables_stale FROM platform.health") == 0


def test_status_leaves_what_it_found_stale_and_needs_no_look_where_that_holds(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinestream_platform.commands import verdict

    platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.load()
    with connect(platform.target) as conn:
        found = verdict.gather(get_settings(), platform.target, conn, with_stale=True).stale
        assert found
        assert found["movielens_dw.fact_ratings"] == 1
        assert is_current(platform)
        monkeypatch.setattr(verdict, "_look_for_stale", lambda _: pytest.fail("nothing has changed"))
        monkeypatch.setattr(verdict, "read_runs", lambda *_: (True, Runs()))
        assert verdict.gather(get_settings(), platform.target, conn, with_stale=True).stale == found


def test_what_landed_and_what_was_loaded_of_it_stands_on_the_pages_of_the_assets(platform: Platform) -> None:
    platform.land("movielens/ratings/bad.csv", BAD)
    platform.land("movielens/ratings/good.csv", ratings_csv([(1, 1, 4.0, Y2005), (2, 1, 9.0, Y2005)]))
    [run] = platform.load()
    told = {}
    for key in (AssetKey(["movielens", "ratings"]), AssetKey(["landing", "movielens", "ratings"])):
        event = platform.instance.get_latest_materialization_event(key)
        assert event
        assert event.asset_materialization
        told |= {name: value.value for name, value in event.asset_materialization.metadata.items()}
    numbers = {"files_loaded": 1, "files_not_loaded": 1, "rows_loaded": 1, "rows_rejected": 1, "files": 2}
    assert {name: told.get(name) for name in numbers} == numbers
    [failure] = [event for event in run.all_events if event.is_step_failure]
    assert "1 of 2 files could not be loaded (the others are):" in str(failure.step_failure_data.error)
