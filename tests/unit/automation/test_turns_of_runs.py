"""Which queued runs may start, by the limits of dagster.yaml and the tags of the jobs."""

from pathlib import Path

import yaml
from dagster import DagsterRun
from dagster._utils.tags import TagConcurrencyLimitsCounter

from cinestream_platform.automation.jobs import JOBS, SOURCE_TAG, build_job_names, load_job_name
from cinestream_platform.catalog import SOURCES

CONFIG = yaml.safe_load((Path(__file__).parents[3] / "dagster.yaml").read_text())


def run_of(job_name: str) -> DagsterRun:
    [job] = [job for job in JOBS if job.name == job_name]
    return DagsterRun(job_name=job_name, tags=dict(job.tags))


def test_the_runs_of_a_source_take_turns_and_those_of_another_need_not_wait():
    limits = CONFIG["concurrency"]["runs"]["tag_concurrency_limits"]
    for source in SOURCES:
        queue = TagConcurrencyLimitsCounter(limits, [run_of(load_job_name(source))])
        assert all(queue.is_blocked(run_of(name)) for name in (load_job_name(source), *build_job_names(source)))
        assert not any(queue.is_blocked(run_of(load_job_name(other))) for other in SOURCES if other != source)


def test_every_job_of_a_source_says_whose_it_is():
    assert {job.tags.get(SOURCE_TAG) for job in JOBS} == set(SOURCES)


def test_sensors_tick_side_by_side():
    assert CONFIG["sensors"]["use_threads"]
    assert CONFIG["sensors"]["num_workers"] >= 5  # one for each sensor
