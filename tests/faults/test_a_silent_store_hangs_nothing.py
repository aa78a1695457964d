"""A store that does not answer: every call ends, nothing is locked meanwhile, other sources go on, and so does this."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import psycopg
import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus

from cinestream_platform.automation.housekeeping import sweep_lake
from cinestream_platform.catalog import CATALOG
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.orchestration.watchdog import EXIT_CODE, WORKER_TAG, watched
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.locks import living_runs
from tests.conftest import REGION, S3Server
from tests.support.crash import run_in_child, start_child
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, csv_bytes, ratings_csv
from tests.support.proxy import Kind, Proxy
from tests.support.stores import impatient

KINDS: tuple[Kind, ...] = ("stall", "stall in body", "reset", "truncate")
CONTENT = b"x" * 6_000_000  # more than a part of an upload
RATINGS, AGAIN, GENRE = "movielens/ratings/a.csv", "movielens/ratings/b.csv", "chinook/genre/genre.csv"
ENOUGH_SECONDS = 120


@pytest.fixture
def store(proxy: Proxy, s3_server: S3Server) -> ObjectStore:
    """A bucket behind the proxy with a Parquet file; no byte for a second is silence."""
    store = impatient(proxy, s3_server, "zone", retries=1)
    buffer = io.BytesIO()
    pl.DataFrame({"n": range(1000)}).write_parquet(buffer)
    obstore.put(store._store, "rows/a.parquet", buffer.getvalue())
    return store


def calls(store: ObjectStore, folder: Path) -> dict[str, Callable[[], object]]:
    """Every kind of call to a store that the platform makes."""
    small, large = folder / "small", folder / "large"
    small.write_bytes(b"x")
    large.write_bytes(CONTENT)
    [listed] = store.list("rows/")
    location, options = store.location("rows/*.parquet"), store.storage_options()
    return {
        "list": lambda: list(store.list()),
        "fetch": lambda: store.fetch(listed, folder / "copy"),
        "put": lambda: store.put_file("small", small),
        "put in parts": lambda: store.put_file("large", large),
        "delete": lambda: store.delete(["small", "large"]),
        "ensure": store.ensure,
        "scan": lambda: pl.scan_parquet(location, storage_options=options).collect(),
        "read": lambda: pl.read_parquet(store.location("rows/a.parquet"), storage_options=options),
    }


def ends(call: Callable[[], object]) -> BaseException | None:
    """What the call raises, within a generous time; a call that does not end fails the test."""
    raised: list[BaseException | None] = []

    def called() -> None:
        try:
            call()
            raised.append(None)
        except BaseException as error:  # polars raises what is not an Exception where Rust panics
            raised.append(error)

    thread = threading.Thread(target=called, daemon=True)
    thread.start()
    thread.join(ENOUGH_SECONDS)
    assert raised, "the call hangs"
    return raised[0]


NAMES = ("list", "fetch", "put", "put in parts", "delete", "ensure", "scan", "read")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_call_ends_however_the_store_fails_and_works_again_once_it_does(
    store: ObjectStore, proxy: Proxy, tmp_path: Path, name: str, kind: Kind
) -> None:
    call = calls(store, tmp_path)[name]
    with proxy.fault(kind, after_bytes=7):
        error = ends(call)
    # What has no body, or whose body nobody needs, is answered by its head.
    assert error is not None or (name in ("put", "ensure") and kind != "stall")
    assert ends(call) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_single_failure_is_not_noticed(
    store: ObjectStore, proxy: Proxy, tmp_path: Path, name: str, kind: Kind
) -> None:
    call = calls(store, tmp_path)[name]
    with proxy.fault(kind, times=1, after_bytes=7):
        assert ends(call) is None


@pytest.fixture
def behind_proxy(
    environment: dict[str, str], s3_server: S3Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """A platform whose landing zone and lake are in a bucket behind the proxy, with short limits."""
    bucket = s3_server.create_bucket()
    for name, value in {
        "CINESTREAM_LANDING_URL": f"s3://{bucket}/landing",
        "CINESTREAM_LAKE_URL": f"s3://{bucket}/lake",
        "CINESTREAM_S3_ENDPOINT_URL": proxy.endpoint,
        "CINESTREAM_S3_REGION": REGION,
        "CINESTREAM_S3_ACCESS_KEY_ID": s3_server.access_key,
        "CINESTREAM_S3_SECRET_ACCESS_KEY": s3_server.secret_key,
        "CINESTREAM_STORE_SILENCE_SECONDS": "3",
        "CINESTREAM_STORE_RETRIES": "1",
    }.items():
        monkeypatch.setenv(name, value)
        environment[name] = value
    get_settings.cache_clear()
    return Platform()


def land_ratings_and_genres(platform: Platform) -> None:
    platform.land(RATINGS, ratings_csv([(1, 1, 4.0, Y2005), (2, 1, 3.0, Y2018)]))
    platform.land(GENRE, csv_bytes("GenreId,Name", [(1, "Rock")]))
    platform.scan()


def load_ratings() -> None:
    """In a process of its own: the load of a source whose store stalls."""
    Platform().load_files(RATINGS)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENOUGH_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "request_", [r"^GET .*ratings/a\.csv", r"^PUT .*lake/raw/movielens", r"^HEAD .*ratings/a\.csv"]
)
def test_while_the_requests_of_one_source_stall_another_source_loads(
    behind_proxy: Platform, proxy: Proxy, environment: dict[str, str], request_: str
) -> None:
    land_ratings_and_genres(behind_proxy)
    with proxy.fault("stall", request_):
        stalled = start_child(environment, load_ratings)
        until(lambda: any(request.split(" ")[0] in request_ and "movielens" in request for request in proxy.requests))
        assert behind_proxy.load_files(GENRE).success
        assert behind_proxy.status(GENRE) == ["loaded"]
        stalled.join(ENOUGH_SECONDS)
        assert stalled.exitcode == 0, "the load ended by itself"
    assert behind_proxy.status(RATINGS) == ["pending"]
    assert behind_proxy.load_files(RATINGS).success
    assert behind_proxy.status(RATINGS) == ["loaded"]


OPEN = """
    SELECT application_name, state, left(query, 200) FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
      AND backend_type = 'client backend' AND query NOT LIKE '%pg_blocking_pids%'
"""
"""All but the look, every other second, for readers who stand in the way: it is beside the work and holds nothing."""


@pytest.fixture
def open_transactions(behind_proxy: Platform, proxy: Proxy) -> Iterator[list[tuple[Any, ...]]]:
    """What was open in Postgres at the moment of any request to the store; the test runs one thing at a time."""
    found: list[tuple[Any, ...]] = []
    with psycopg.connect(behind_proxy.target.conninfo(), autocommit=True) as conn:
        lock = threading.Lock()

        def look(request: str) -> None:
            with lock:
                found.extend((request, *row) for row in conn.execute(OPEN))

        proxy.on_request = look
        yield found
        proxy.on_request = lambda _: None


def test_no_request_to_a_store_is_made_while_a_transaction_is_open(
    behind_proxy: Platform, proxy: Proxy, open_transactions: list[tuple[Any, ...]]
) -> None:
    """The guard of the rule: every kind of work, each alone."""
    behind_proxy.land(RATINGS, ratings_csv([(1, 1, 4.0, Y2005), (2, 1, 3.0, Y2005)]))
    behind_proxy.land(AGAIN, ratings_csv([(1, 1, 4.0, Y2005), (2, 1, 5.0, Y2005)]))  # repeated and conflicting events
    behind_proxy.land("movielens/movies/movies.csv", MOVIES)
    behind_proxy.tick("landing_sensor")
    for key in (RATINGS, AGAIN, "movielens/movies/movies.csv"):
        assert behind_proxy.load_files(key).success
    assert behind_proxy.ledger_row(AGAIN)["rows_conflicting"] == 1
    behind_proxy.build()
    behind_proxy.reload(RATINGS)
    assert behind_proxy.load_files(RATINGS).success
    behind_proxy.retract(AGAIN)
    behind_proxy.build()
    sweep_lake(behind_proxy.target, behind_proxy.lake)

    assert len(proxy.requests) > 20
    assert open_transactions == []


def watched_child(environment: dict[str, str], action: Callable[[], None]) -> int:
    """Run something in a process that Dagster would have started for it; 2 s of silence are too much."""
    return run_in_child(environment | {"CINESTREAM_RUN_SILENCE_SECONDS": "2"}, action)


def run_of_its_own() -> DagsterRun:
    return DagsterRun(job_name="movielens_load", run_id=os.environ.get("RUN_ID", "1" * 8), tags={WORKER_TAG: "{}"})


def say_nothing() -> None:
    with watched(run_of_its_own(), None, start_and_prepare(CATALOG, get_settings()), get_settings()):
        time.sleep(ENOUGH_SECONDS)


def wait_for_postgres() -> None:
    target = start_and_prepare(CATALOG, get_settings())
    with watched(run_of_its_own(), None, target, get_settings()), connect(target) as conn:
        conn.execute("SELECT pg_sleep(8)")


def wait_for_a_lock_of_somebody_idle() -> None:
    target = start_and_prepare(CATALOG, get_settings())
    with connect(target, autocommit=False) as idle, connect(target) as conn:
        idle.execute("LOCK TABLE ops.landed_file")
        with watched(run_of_its_own(), None, target, get_settings()):
            conn.execute("SELECT count(*) FROM ops.landed_file")


def wait_for_a_lock_of_somebody_who_works() -> None:
    target = start_and_prepare(CATALOG, get_settings())
    with connect(target) as busy, connect(target) as conn:
        thread = threading.Thread(target=busy.execute, args=(b"LOCK TABLE ops.landed_file; SELECT pg_sleep(8)",))
        thread.start()
        time.sleep(0.5)
        with watched(run_of_its_own(), None, target, get_settings()):
            conn.execute("SELECT count(*) FROM ops.landed_file")


def take_too_long() -> None:
    from cinestream_platform import progress

    with watched(run_of_its_own(), None, start_and_prepare(CATALOG, get_settings()), get_settings()):
        while True:
            progress.note("something moves")
            time.sleep(0.1)


def not_a_run_of_its_own() -> None:
    with watched(
        DagsterRun(job_name="movielens_load"), None, start_and_prepare(CATALOG, get_settings()), get_settings()
    ):
        time.sleep(8)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (say_nothing, EXIT_CODE),
        (wait_for_a_lock_of_somebody_idle, EXIT_CODE),
        (wait_for_postgres, 0),
        (wait_for_a_lock_of_somebody_who_works, 0),
        (not_a_run_of_its_own, 0),
    ],
)
def test_a_silent_run_ends_and_one_that_postgres_works_for_does_not(
    platform: Platform, environment: dict[str, str], action: Callable[[], None], code: int
) -> None:
    assert watched_child(environment, action) == code


def test_a_run_that_is_not_silent_ends_at_the_limit(platform: Platform, environment: dict[str, str]) -> None:
    assert watched_child(environment | {"CINESTREAM_RUN_LIMIT_HOURS": "0.001"}, take_too_long) == EXIT_CODE


def load_as_a_run_of_its_own() -> None:
    """A load as Dagster's worker does it, with an instance that outlives it."""
    from cinestream_platform.automation.jobs import load_job_name

    with DagsterInstance.local_temp(os.environ["INSTANCE_FOLDER"]) as instance:
        Platform().defs.resolve_job_def(load_job_name("movielens")).execute_in_process(
            instance=instance,
            run_id=os.environ["RUN_ID"],
            asset_selection=[AssetKey(["movielens", "ratings"])],
            tags={WORKER_TAG: "{}"},
        )


def test_a_load_that_hangs_beyond_all_limits_is_ended_and_its_file_loaded_by_the_next(
    behind_proxy: Platform, proxy: Proxy, environment: dict[str, str], tmp_path: Path
) -> None:
    land_ratings_and_genres(behind_proxy)
    run_id = "00000000-0000-4000-8000-000000000001"
    own = {"RUN_ID": run_id, "INSTANCE_FOLDER": str(tmp_path), "CINESTREAM_STORE_SILENCE_SECONDS": "1000"}
    with proxy.fault("stall", r"^GET .*ratings/a\.csv"):
        assert watched_child(environment | own, load_as_a_run_of_its_own) == EXIT_CODE

    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.FAILURE
        messages = [record.message for record in instance.all_logs(run_id)]
    assert any("Nothing was heard of this run" in message for message in messages)
    with connect(behind_proxy.target) as conn:
        until(lambda: run_id not in living_runs(conn))
    assert behind_proxy.load_files(RATINGS).success
    assert behind_proxy.status(RATINGS) == ["loaded"]


def test_a_listing_that_stalls_fails_the_tick_and_the_next_one_sees_the_files(
    behind_proxy: Platform, proxy: Proxy
) -> None:
    land_ratings_and_genres(behind_proxy)
    with proxy.fault("stall", "list-type=2"):
        error = ends(lambda: behind_proxy.tick("landing_sensor"))
    assert error is not None
    assert len(behind_proxy.tick("landing_sensor").run_requests) == 2
