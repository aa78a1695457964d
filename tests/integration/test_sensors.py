"""The sensors, evaluated as the daemon evaluates them: what they ask for, and what they do not ask for twice."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from dagster import AssetKey, DagsterRun, DagsterRunStatus, RunRequest

from cinestream_platform.automation.jobs import SOURCE_TAG, build_job_name, load_job_name
from cinestream_platform.automation.reaper import is_ours
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.locks import run_session
from tests.support import ledger as ledger_by_hand
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv

A, B, MOVIES_KEY = "movielens/ratings/a.csv", "movielens/ratings/b.csv", "movielens/movies/movies.csv"


@pytest.fixture
def database_template(prepared_template: str) -> str:
    """What is asked for first is the calendar too."""
    return prepared_template


def requested_files(request: RunRequest) -> dict[str, list[int]]:
    return {op: config["config"]["file_ids"] for op, config in request.run_config["ops"].items()}


def execute(platform: Platform, request: RunRequest) -> bool:
    """Run what was requested, in this process."""
    job = platform.defs.resolve_job_def(str(request.job_name))
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(
        instance=platform.instance,
        asset_selection=list(request.asset_selection or []),
        tags=dict(request.tags),
        run_config={**quiet, **request.run_config},
        raise_on_error=False,
    ).success


def test_the_landing_sensor_asks_for_one_run_that_names_the_files(any_platform: Platform) -> None:
    any_platform.land(MOVIES_KEY, MOVIES)
    any_platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    any_platform.land(B, ratings_csv([(2, 1, 4.0, Y2018)]))

    result = any_platform.tick("landing_sensor")

    ids = dict(any_platform.query("SELECT key, file_id FROM ops.landed_file"))
    [request] = result.run_requests
    assert request.job_name == load_job_name("movielens")
    files = {op: sorted(file_ids) for op, file_ids in requested_files(request).items()}
    assert files == {"movielens__movies": [ids[MOVIES_KEY]], "movielens__ratings": sorted([ids[A], ids[B]])}
    assert set(request.asset_selection) == {AssetKey(["movielens", "movies"]), AssetKey(["movielens", "ratings"])}
    arrived = [
        (event.asset_key.path[-1], *(event.metadata[name].value for name in ("files", "first_key", "last_key")))
        for event in result.asset_events
    ]
    assert arrived == [("movies", 1, MOVIES_KEY, MOVIES_KEY), ("ratings", 2, A, B)]  # one event a feed

    assert execute(any_platform, request)
    assert {status for _, status in any_platform.files()} == {"loaded"}
    after = any_platform.tick("landing_sensor")
    assert (after.run_requests, after.asset_events) == ([], [])
    assert "Nothing new" in after.skip_message


def test_two_evaluations_before_the_run_exists_ask_with_the_same_run_key(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))

    first, second = (platform.tick("landing_sensor").run_requests for _ in range(2))

    assert [request.run_key for request in first] == [request.run_key for request in second]
    assert len(first) == 1


def test_a_file_that_failed_is_asked_for_with_another_run_key_until_it_is_parked(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is on fire")

    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    keys = []
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "fetch", broken)
        while requests := platform.tick("landing_sensor").run_requests:
            keys.append(requests[0].run_key)
            assert not execute(platform, requests[0])
    assert len(set(keys)) == len(keys) == platform.settings.load_attempts
    assert platform.status(A) == ["parked"]

    platform.reload(A)
    [request] = platform.tick("landing_sensor").run_requests
    assert request.run_key not in keys  # Dagster would drop it in silence
    assert execute(platform, request)
    assert platform.status(A) == ["loaded"]


@pytest.mark.parametrize("ended", [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_a_file_whose_run_died_before_it_was_touched_is_asked_for_with_another_run_key(
    platform: Platform, ended: DagsterRunStatus
) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = platform.tick("landing_sensor").run_requests
    create_run(platform, request, ended)

    [again] = platform.tick("landing_sensor").run_requests

    assert again.run_key != request.run_key
    assert requested_files(again) == requested_files(request)


def create_run(platform: Platform, request: RunRequest, status: DagsterRunStatus) -> None:
    platform.instance.create_run_for_job(
        platform.defs.resolve_job_def(str(request.job_name)),
        run_config=request.run_config,
        tags=dict(request.tags),
        status=status,
        asset_selection=frozenset(request.asset_selection or []),
    )


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_files_of_an_unfinished_run_are_not_asked_for_again_but_newer_ones_are(
    platform: Platform, status: DagsterRunStatus
) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = platform.tick("landing_sensor").run_requests
    create_run(platform, request, status)
    assert platform.tick("landing_sensor").run_requests == []

    platform.land(B, ratings_csv([(2, 1, 4.0, Y2005)]))
    [newer] = platform.tick("landing_sensor").run_requests

    assert requested_files(newer) == {"movielens__ratings": [platform.ledger_row(B)["file_id"]]}


def test_the_tags_of_a_run_for_very_many_files_fit_the_index_of_dagsters_postgres(platform: Platform) -> None:
    """A tag of more than 2,704 bytes cannot be stored: the sensor would fail at every tick."""
    with connect(platform.target) as conn:
        ledger_by_hand.enter_many(conn, platform.landing.url, 6_000)

    [request] = platform.tick("landing_sensor").run_requests

    assert len(requested_files(request)["movielens__ratings"]) == platform.settings.files_per_run
    assert max(len(key) + len(value) for key, value in request.tags.items()) < 2_000
    create_run(platform, request, DagsterRunStatus.STARTED)
    [rest] = platform.tick("landing_sensor").run_requests
    assert set(requested_files(rest)["movielens__ratings"]).isdisjoint(requested_files(request)["movielens__ratings"])
    create_run(platform, rest, DagsterRunStatus.NOT_STARTED)
    assert platform.tick("landing_sensor").run_requests == []  # one that runs and one that waits are enough


def test_a_source_with_a_long_queue_does_not_keep_another_sources_file_waiting(platform: Platform) -> None:
    with connect(platform.target) as conn:
        ledger_by_hand.enter_many(conn, platform.landing.url, 20_000, landed="2020-01-01")
    for _ in range(2):
        [request] = platform.tick("landing_sensor").run_requests
        create_run(platform, request, DagsterRunStatus.NOT_STARTED)
    platform.land("chinook/genre/genre.csv", b"GenreId,Name\r\n1,Rock\r\n")

    [request] = platform.tick("landing_sensor").run_requests

    assert request.job_name == load_job_name("chinook")
    tags = [platform.defs.resolve_job_def(load_job_name(source)).tags for source in ("chinook", "movielens")]
    assert [tag[SOURCE_TAG] for tag in tags] == ["chinook", "movielens"]  # by which their runs take turns


def wanted(request: RunRequest) -> tuple[str, set[str]]:
    """Range and star assets of a requested build; marts are not of interest here."""
    assert request.job_name == build_job_name("movielens")
    first = request.tags.get("dagster/asset_partition_range_start")
    last = request.tags.get("dagster/asset_partition_range_end")
    names = {key.path[-1] for key in request.asset_selection or [] if not key.path[-1].startswith("mart_")}
    return f"{first}-{last}", names


def builds(platform: Platform) -> list[tuple[str, set[str]]]:
    """Everything that the staleness sensor asks for until nothing is stale, one after the other."""
    done = []
    while requests := platform.tick("staleness_sensor").run_requests:
        [request] = requests
        assert platform.tick("staleness_sensor").run_requests == requests  # asking changes nothing
        done.append(wanted(request))
        assert execute(platform, request)
    return done


def test_the_staleness_sensor_asks_for_exactly_the_stale_partitions_one_run_after_the_other(
    marts_platform: Platform,
) -> None:
    marts_platform.land(MOVIES_KEY, MOVIES)
    marts_platform.land(A, ratings_csv([(1, 1, 4.0, Y2005), (1, 2, 4.0, Y2018)]))
    marts_platform.load()
    dims = {"dim_date", "dim_movie", "dim_genre", "bridge_movie_genre", "dim_user"}
    assert builds(marts_platform)[:2] == [("2005-2005", {*dims, "fact_ratings"}), ("2018-2018", {"fact_ratings"})]

    marts_platform.land(B, ratings_csv([(2, 1, 4.0, Y2018)]))
    marts_platform.load()
    stale = [(span, names) for span, names in builds(marts_platform) if names]
    assert stale == [("2018-2018", {"dim_user", "fact_ratings"})]


def test_while_a_build_is_unfinished_the_staleness_sensor_waits(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.load()
    [request] = platform.tick("staleness_sensor").run_requests
    create_run(platform, request, DagsterRunStatus.STARTED)

    assert platform.tick("staleness_sensor").run_requests == []


def test_a_build_that_fails_is_asked_for_again_after_longer_and_longer_waits(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.load()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("cinestream_platform.publishing.publish.publish_table", fail)
    now = time.time()
    monkeypatch.setattr("cinestream_platform.automation.build_sensor.time.time", lambda: now)
    for wait in (10, 20, 40):
        [request] = platform.tick("staleness_sensor").run_requests
        assert not execute(platform, request)
        assert platform.tick("staleness_sensor").run_requests == []
        now += wait + 30  # the run's own time

    platform.land(B, ratings_csv([(2, 1, 4.0, Y2018)]))  # other inputs: perhaps they build
    platform.load()
    now -= 60
    assert platform.tick("staleness_sensor").run_requests


def test_a_run_whose_process_is_gone_is_failed_and_others_are_left_alone(platform: Platform) -> None:
    job = platform.defs.resolve_job_def("housekeeping")
    dead, living = (platform.instance.create_run_for_job(job, status=DagsterRunStatus.STARTED).run_id for _ in range(2))
    with connect(platform.target, name=run_session(living)), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cinestream_platform.automation.reaper.GRACE", timedelta(seconds=-60))
        platform.tick("dead_run_sensor")
        statuses = {run_id: platform.instance.get_run_by_id(run_id).status for run_id in (dead, living)}
    assert statuses == {dead: DagsterRunStatus.FAILURE, living: DagsterRunStatus.STARTED}


@pytest.mark.parametrize(
    ("job_name", "assets", "ours"),
    [
        ("movielens_load", None, True),
        ("housekeeping", None, True),
        ("relationship_reports", None, True),
        ("__ASSET_JOB", ["movielens/dim_user", "conformed/dim_date"], True),
        ("__ASSET_JOB", ["elsewhere/table"], False),
        ("__ASSET_JOB", None, False),
        ("somebody_elses", None, False),
    ],
)
def test_runs_of_our_jobs_and_of_our_assets_are_ours(job_name: str, assets: list[str] | None, ours: bool) -> None:
    selection = frozenset(AssetKey(asset.split("/")) for asset in assets) if assets else None
    assert is_ours(DagsterRun(job_name, asset_selection=selection)) is ours
