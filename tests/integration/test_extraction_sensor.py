"""When a database is extracted: once a change, not while an extraction runs, and wholly once a day."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from dagster import DagsterRunStatus, RunRequest, build_schedule_context

from cinestream_platform.automation.catch_up import extract_databases
from cinestream_platform.automation.extraction import is_extracted
from cinestream_platform.automation.jobs import load_job_name
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES
from cinestream_platform.sources.dvdrental.sample import activity
from cinestream_platform.sources.dvdrental.source import RENTAL_SHOP
from tests.support.shop import Shop

SENSOR = "dvdrental_change_sensor"


def execute(shop: Shop, request: RunRequest) -> Any:
    """Run what was requested, in this process."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return shop.platform.defs.resolve_job_def(load_job_name("dvdrental")).execute_in_process(
        instance=shop.platform.instance,
        tags=dict(request.tags),
        run_config={**quiet, **request.run_config},
        raise_on_error=False,
    )


def extractions(shop: Shop) -> list[tuple[bool, list[str]]]:
    return shop.platform.query("SELECT is_full, tables_changed FROM ops.extraction ORDER BY extraction_id")


def test_the_sensor_asks_once_for_what_changed_and_the_schedule_for_everything(shop: Shop) -> None:
    [first] = shop.platform.tick(SENSOR).run_requests
    assert first.job_name == "dvdrental_load"
    done = execute(shop, first)
    assert done.success
    assert {event.asset_key.path[-1] for event in done.get_asset_materialization_events()} == set(SOURCE_TABLES)
    quiet = shop.platform.tick(SENSOR)
    assert (quiet.run_requests, quiet.skip_message) == ([], "Nothing has changed.")

    with shop.clerk() as conn:
        activity.rent(conn)
    [second] = shop.platform.tick(SENSOR).run_requests
    job = shop.platform.defs.resolve_job_def("dvdrental_load")
    run = shop.platform.instance.create_run_for_job(job, tags=dict(second.tags), status=DagsterRunStatus.STARTED)
    running = shop.platform.tick(SENSOR)
    assert (running.run_requests, running.skip_message) == ([], "An extraction is running.")
    shop.platform.instance.delete_run(run.run_id)
    done = execute(shop, second)
    assert {event.asset_key.path[-1] for event in done.get_asset_materialization_events()} == {"rental", "payment"}
    assert shop.platform.tick(SENSOR).run_requests == []

    catch_up = {"settings": shop.platform.settings, "target": shop.platform.target, "sources": ["dvdrental"]}
    assert extract_databases(shop.platform.defs, shop.platform.instance, **catch_up) == []
    for change in ("DELETE FROM film_actor WHERE film_id = 1", "UPDATE staff SET active = false WHERE staff_id = 2"):
        shop.execute(change)
        assert len(shop.platform.tick(SENSOR).run_requests) == 1, change
        assert not is_extracted(RENTAL_SHOP, shop.platform.settings, shop.platform.target)
        shop.extract()
    shop.execute("UPDATE payment SET amount = 0.01 WHERE payment_id = 17600")  # leaves no trace in the row
    assert len(shop.platform.tick(SENSOR).run_requests) == 1
    assert shop.extract().rows == {}  # beyond the margin: for the next full extraction to see
    assert shop.platform.tick(SENSOR).run_requests == []

    schedule = shop.platform.defs.resolve_schedule_def("dvdrental_full_extraction")
    [nightly] = schedule.evaluate_tick(build_schedule_context(instance=shop.platform.instance)).run_requests
    assert execute(shop, nightly).success
    [(is_full, tables), *later] = extractions(shop)
    assert (is_full, sorted(tables)) == (True, sorted(SOURCE_TABLES))
    assert later == [
        (False, ["rental", "payment"]),
        (False, ["film_actor"]),
        (False, ["staff"]),
        (False, []),
        (True, ["rental", "payment"]),
    ]


def test_without_a_database_the_sensor_says_what_to_do_and_a_drifted_one_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CINESTREAM_DVDRENTAL_DATABASE", "nowhere")
        get_settings.cache_clear()
        result = shop.platform.tick(SENSOR)
    get_settings.cache_clear()
    assert result.run_requests == []
    assert 'database "nowhere" does not exist' in result.skip_message
    assert "Run cinestream load-source dvdrental" in result.skip_message

    shop.execute("ALTER TABLE payment DROP COLUMN amount")
    drifted = shop.platform.tick(SENSOR)
    assert (drifted.run_requests, "column payment.amount is missing" in drifted.skip_message) == ([], True)
    failed = shop.platform.defs.resolve_job_def("dvdrental_load").execute_in_process(
        instance=shop.platform.instance, raise_on_error=False
    )
    [step] = [event for event in failed.all_events if event.is_step_failure]
    assert "column payment.amount is missing. Nothing was extracted" in str(step.step_failure_data.user_failure_data)
    assert shop.ledger() == []


def test_an_extraction_that_fails_is_asked_for_again_after_longer_and_longer_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.execute("UPDATE payment SET amount = -1 WHERE payment_id % 10 = 0")
    now = time.time()
    monkeypatch.setattr("cinestream_platform.automation.build_sensor.time.time", lambda: now)
    for wait in (10, 20):
        [request] = shop.platform.tick(SENSOR).run_requests
        assert not execute(shop, request).success
        result = shop.platform.tick(SENSOR)
        assert (result.run_requests, result.skip_message) == ([], "The extraction of this state failed lately.")
        now += wait + timedelta(seconds=30).seconds  # the run's own time
    now -= 60
    with shop.clerk() as conn:
        activity.rent(conn)  # another state: perhaps it is better
    assert len(shop.platform.tick(SENSOR).run_requests) == 1
    assert shop.published()[1:] == ([], 0)
