"""The sensors, evaluated as the daemon evaluates them: what they ask for, and what they do not ask for twice."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import AssetKey, DagsterRunStatus, RunRequest, build_sensor_context

from cinestream_platform.automation.jobs import build_job_name, load_job_name
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.orchestration.resources import Stores, Warehouse
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv

A, B, MOVIES_KEY = "movielens/ratings/a.csv", "movielens/ratings/b.csv", "movielens/movies/movies.csv"


def tick(platform: Platform, sensor: str) -> Any:
    """One evaluation."""
    with build_sensor_context(
        instance=platform.instance,
        repository_def=platform.defs.get_repository_def(),
        resources={"warehouse": Warehouse(), "stores": Stores()},
    ) as context:
        return platform.defs.resolve_sensor_def(sensor).evaluate_tick(context)


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

    result = tick(any_platform, "landing_sensor")

    ids = dict(any_platform.query("SELECT key, file_id FROM ops.landed_file"))
    [request] = result.run_requests
    assert request.job_name == load_job_name("movielens")
    files = {op: sorted(file_ids) for op, file_ids in requested_files(request).items()}
    assert files == {"movielens__movies": [ids[MOVIES_KEY]], "movielens__ratings": sorted([ids[A], ids[B]])}
    assert set(request.asset_selection) == {AssetKey(["movielens", "movies"]), AssetKey(["movielens", "ratings"])}
    arrived = {(event.asset_key.path[-1], event.metadata["key"].value) for event in result.asset_events}
    assert arrived == {("movies", MOVIES_KEY), ("ratings", A), ("ratings", B)}

    assert execute(any_platform, request)
    assert {status for _, status in any_platform.files()} == {"loaded"}
    after = tick(any_platform, "landing_sensor")
    assert (after.run_requests, after.asset_events) == ([], [])
    assert "Nothing new" in after.skip_message


def test_two_evaluations_before_the_run_exists_ask_with_the_same_run_key(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))

    first, second = (tick(platform, "landing_sensor").run_requests for _ in range(2))

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
        while requests := tick(platform, "landing_sensor").run_requests:
            keys.append(requests[0].run_key)
            assert not execute(platform, requests[0])
    assert len(set(keys)) == len(keys) == platform.settings.load_attempts
    assert platform.status(A) == ["parked"]

    platform.reload(A)
    [request] = tick(platform, "landing_sensor").run_requests
    assert request.run_key not in keys  # Dagster would drop it in silence
    assert execute(platform, request)
    assert platform.status(A) == ["loaded"]


@pytest.mark.parametrize("ended", [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_a_file_whose_run_died_before_it_was_touched_is_asked_for_with_another_run_key(
    platform: Platform, ended: DagsterRunStatus
) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = tick(platform, "landing_sensor").run_requests
    create_run(platform, request, ended)

    [again] = tick(platform, "landing_sensor").run_requests

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
    [request] = tick(platform, "landing_sensor").run_requests
    create_run(platform, request, status)
    assert tick(platform, "landing_sensor").run_requests == []

    platform.land(B, ratings_csv([(2, 1, 4.0, Y2005)]))
    [newer] = tick(platform, "landing_sensor").run_requests

    assert requested_files(newer) == {"movielens__ratings": [platform.ledger_row(B)["file_id"]]}


def test_the_tags_of_a_run_for_very_many_files_fit_the_index_of_dagsters_postgres(platform: Platform) -> None:
    """A tag of more than 2,704 bytes cannot be stored: the sensor would fail at every tick."""
    platform.query(
        "INSERT INTO ops.landed_file (file_id, source, dataset, bucket, key, etag, size_bytes, last_modified)"
        " SELECT 1000000 + n, 'movielens', 'ratings', %s, 'movielens/ratings/' || n, 'x', 1, now()"
        " FROM generate_series(1, 1000) n RETURNING 1",
        (platform.landing.url,),
    )

    [request] = tick(platform, "landing_sensor").run_requests

    assert len(requested_files(request)["movielens__ratings"]) == platform.settings.files_per_run
    assert max(len(key) + len(value) for key, value in request.tags.items()) < 2_000
    create_run(platform, request, DagsterRunStatus.STARTED)
    [rest] = tick(platform, "landing_sensor").run_requests
    assert set(requested_files(rest)["movielens__ratings"]).isdisjoint(requested_files(request)["movielens__ratings"])


def star_requests(platform: Platform) -> list[tuple[str | None, set[str]]]:
    """Range and star assets of every requested build; marts are not of interest here."""
    wanted = []
    for request in tick(platform, "staleness_sensor").run_requests:
        assert request.job_name == build_job_name("movielens")
        first = request.tags.get("dagster/asset_partition_range_start")
        last = request.tags.get("dagster/asset_partition_range_end")
        names = {key.path[-1] for key in request.asset_selection if not key.path[-1].startswith("mart_")}
        wanted.append((f"{first}-{last}", names))
    return wanted


def test_the_staleness_sensor_asks_for_exactly_the_stale_partitions_and_for_nothing_when_nothing_is_stale(
    platform: Platform,
) -> None:
    platform.land(MOVIES_KEY, MOVIES)
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005), (1, 2, 4.0, Y2018)]))
    platform.load()
    dims = {"dim_date", "dim_movie", "dim_genre", "bridge_movie_genre", "dim_user"}
    assert star_requests(platform) == [("2005-2005", {*dims, "fact_ratings"}), ("2018-2018", {"fact_ratings"})]
    assert star_requests(platform) == star_requests(platform)  # asking changes nothing
    platform.build()
    assert star_requests(platform) == [("2005-2005", set()), ("2018-2018", set())]  # its marts, which are not built

    platform.land(B, ratings_csv([(2, 1, 4.0, Y2018)]))
    platform.load()
    stale = [(span, names) for span, names in star_requests(platform) if names]
    assert stale == [("2005-2005", {"dim_user"}), ("2018-2018", {"fact_ratings"})]
    platform.build()

    assert all(not names for _, names in star_requests(platform))


def test_while_a_build_is_unfinished_the_staleness_sensor_waits(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.load()
    [request] = tick(platform, "staleness_sensor").run_requests
    create_run(platform, request, DagsterRunStatus.STARTED)

    assert tick(platform, "staleness_sensor").run_requests == []
