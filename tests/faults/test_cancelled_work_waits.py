"""What somebody cancelled waits until its inputs change or somebody asks; what failed or was stopped goes on by itself."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import AssetKey, DagsterRun, DagsterRunStatus, RunRequest

from cinestream_platform.automation.jobs import build_job_name
from cinestream_platform.commands import status
from cinestream_platform.settings import get_settings
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv
from tests.support.shop import Shop

A, B = "movielens/ratings/a.csv", "movielens/ratings/b.csv"
EXTRACTION = "dvdrental_change_sensor"


def launched(platform: Platform, request: RunRequest, state: DagsterRunStatus) -> DagsterRun:
    """The run that the daemon makes of a request."""
    job = platform.defs.resolve_job_def(str(request.job_name))
    selection = frozenset(request.asset_selection) if request.asset_selection else None
    return platform.instance.create_run_for_job(
        job.get_subset(asset_selection=selection) if selection else job,
        run_config=dict(request.run_config),
        tags=dict(request.tags),
        status=state,
        asset_selection=selection,
    )


def cancel(platform: Platform, run: DagsterRun) -> None:
    """As the UI's Terminate; what is not running yet ends at once, what runs when its worker obeys."""
    platform.instance.report_run_canceling(run)
    platform.instance.report_run_canceled(run)


def asked_loads(platform: Platform) -> list[RunRequest]:
    return platform.tick("landing_sensor").run_requests


def asked_builds(platform: Platform) -> list[RunRequest]:
    return [
        run for run in platform.tick("staleness_sensor").run_requests if run.job_name == build_job_name("movielens")
    ]


def printed_status(capsys: pytest.CaptureFixture[str]) -> str:
    status.print_status(get_settings(), every_file=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("state", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_cancelled_load_waits_until_it_is_reloaded(
    platform: Platform,
    state: DagsterRunStatus,
    capsys: pytest.CaptureFixture[str],
) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    cancel(platform, launched(platform, request, state))
    platform.land(B, ratings_csv([(2, 1, 4.0, Y2018)]))

    [other] = asked_loads(platform)  # the file that landed since; the cancelled one is in no batch with others

    ids = dict(platform.query("SELECT key, file_id FROM ops.landed_file"))
    assert other.run_config["ops"]["movielens__ratings"]["config"]["file_ids"] == [ids[B]]
    assert "cancelled by hand: waits until it lands anew" in printed_status(capsys)
    platform.reload(A)
    [again] = asked_loads(platform)
    assert ids[A] in again.run_config["ops"]["movielens__ratings"]["config"]["file_ids"]
    assert "cancelled by hand" not in printed_status(capsys)


def test_a_file_that_was_reloaded_after_its_load_was_cancelled_is_not_held(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    cancel(platform, launched(platform, request, DagsterRunStatus.NOT_STARTED))

    platform.reload(A)  # before any sensor has seen the cancelled run

    assert len(asked_loads(platform)) == 1


def test_a_new_version_of_a_file_whose_load_was_cancelled_is_loaded(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    cancel(platform, launched(platform, request, DagsterRunStatus.STARTED))
    assert asked_loads(platform) == []

    platform.land(A, ratings_csv([(1, 1, 5.0, Y2005), (2, 1, 5.0, Y2005)]))

    assert len(asked_loads(platform)) == 1
    platform.load()
    assert platform.status(A) == ["superseded", "loaded"]


def test_somebody_who_materializes_the_raw_table_loads_what_waits(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    cancel(platform, launched(platform, request, DagsterRunStatus.NOT_STARTED))
    assert asked_loads(platform) == []
    assert platform.load() == []

    by_hand = platform.defs.resolve_job_def("movielens_load").execute_in_process(
        instance=platform.instance, asset_selection=[AssetKey(["movielens", "ratings"])]
    )

    assert by_hand.success
    assert platform.status(A) == ["loaded"]


def test_a_cancelled_load_by_hand_holds_what_it_was_to_load(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    platform.scan()
    by_hand = RunRequest(job_name="movielens_load", asset_selection=[AssetKey(["movielens", "ratings"])])
    cancel(platform, launched(platform, by_hand, DagsterRunStatus.STARTED))

    assert asked_loads(platform) == []


def test_a_run_that_was_stopped_with_the_platform_goes_on(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    run = launched(platform, request, DagsterRunStatus.STARTED)

    platform.instance.report_run_canceled(run)  # its worker got a signal; nobody asked for its end

    assert len(asked_loads(platform)) == 1


def test_a_run_that_is_ended_since_its_process_is_gone_has_failed_and_goes_on(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    run = launched(platform, request, DagsterRunStatus.STARTED)

    platform.instance.report_run_failed(run, "The run's process is gone.")

    assert len(asked_loads(platform)) == 1


def load_two_years(platform: Platform) -> None:
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005), (2, 1, 4.0, Y2018)]))
    platform.load()


def test_a_cancelled_build_waits_until_its_inputs_change(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    load_two_years(platform)
    cancelled: set[Any] = set()
    while found := asked_builds(platform):
        [request] = found
        work = (tuple(request.asset_selection or ()), tuple(sorted(request.tags.items())))
        assert work not in cancelled
        cancelled.add(work)
        cancel(platform, launched(platform, request, DagsterRunStatus.STARTED))

    assert cancelled
    assert "cancelled by hand" in str(platform.tick("staleness_sensor").skip_message)
    shown = printed_status(capsys)
    assert "cancelled by hand: waits until its inputs change" in shown
    assert "movielens/fact_ratings" in shown
    platform.land(B, ratings_csv([(3, 1, 4.0, Y2005)]))
    platform.load()
    [again] = asked_builds(platform)
    assert AssetKey(["movielens", "fact_ratings"]) in (again.asset_selection or ())


def test_what_a_cancelled_build_had_not_done_waits_although_the_rest_is_published(platform: Platform) -> None:
    load_two_years(platform)
    [request] = asked_builds(platform)
    run = launched(platform, request, DagsterRunStatus.STARTED)
    dims = [key for key in request.asset_selection or () if key.path[-1].startswith("dim_")]
    platform.run(dims)  # what it had done when it was cancelled
    cancel(platform, run)

    again = asked_builds(platform)

    done_or_waiting = {key for key in request.asset_selection or () if key.path[0] == "movielens"}
    spans = [request.tags.get("dagster/asset_partition_range_start")]
    for one in again:  # other years may be built, not what was cancelled
        assert one.tags.get("dagster/asset_partition_range_start") not in spans
        assert not set(dims) & done_or_waiting & set(one.asset_selection or ())


def test_somebody_who_materializes_what_waits_ends_the_waiting(platform: Platform) -> None:
    load_two_years(platform)
    for _ in range(5):
        for request in asked_builds(platform):
            cancel(platform, launched(platform, request, DagsterRunStatus.NOT_STARTED))
    assert asked_builds(platform) == []
    assert platform.scalar("SELECT count(*) FROM ops.held_work") > 0

    for _ in range(3):
        platform.build()

    asked_builds(platform)
    waiting = {work for (work,) in platform.query("SELECT work FROM ops.held_work")}
    assert not [work for work in waiting if work.startswith(("movielens/fact_", "movielens/dim_"))]


def test_a_reload_ends_the_waiting_of_its_sources_builds(platform: Platform) -> None:
    load_two_years(platform)
    for _ in range(5):
        for request in asked_builds(platform):
            cancel(platform, launched(platform, request, DagsterRunStatus.NOT_STARTED))
    platform.reload(A)
    platform.load()

    assert len(asked_builds(platform)) == 1


def test_a_cancelled_extraction_waits_until_the_source_changes(shop: Shop) -> None:
    platform = shop.platform
    [request] = platform.tick(EXTRACTION).run_requests
    cancel(platform, launched(platform, request, DagsterRunStatus.STARTED))

    waits = platform.tick(EXTRACTION)

    assert waits.run_requests == []
    assert "cancelled by hand" in str(waits.skip_message)
    assert platform.tick(EXTRACTION).run_requests == []
    with shop.clerk() as conn:
        conn.execute("UPDATE public.customer SET email = 'new@example.org', last_update = now() WHERE customer_id = 1")
    assert len(platform.tick(EXTRACTION).run_requests) == 1


def test_runs_that_were_cancelled_before_this_was_remembered_hold_nothing(platform: Platform) -> None:
    platform.land(A, ratings_csv([(1, 1, 4.0, Y2005)]))
    [request] = asked_loads(platform)
    cancel(platform, launched(platform, request, DagsterRunStatus.STARTED))
    platform.execute("UPDATE ops.cancelled_run SET seen_at = seen_at + interval '1 hour'")

    assert len(asked_loads(platform)) == 1
