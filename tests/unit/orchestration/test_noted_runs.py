"""What is noted of a run: what it is for, why, and how it ended."""

from __future__ import annotations

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus

from cinestream_platform.orchestration.noted_runs import outcome, what_of, why_of
from cinestream_platform.orchestration.run_tags import FILE_TAG, NOT_LOADED_TAG, WHY_TAG


def run(selection: frozenset[AssetKey] | None = None, **tags: str) -> DagsterRun:
    return DagsterRun(job_name="shop_build", asset_selection=selection, tags=tags)


@pytest.mark.parametrize(
    ("noted", "what", "why"),
    [
        (run(), "shop_build", "by hand"),
        (
            run(
                **{FILE_TAG: "shop/films/a.csv and 2 more", WHY_TAG: "3 files landed", "dagster/sensor_name": "landing"}
            ),
            "shop/films/a.csv and 2 more",
            "sensor landing: 3 files landed",
        ),
        (
            run(
                frozenset({AssetKey(["shop", "fact_sale"]), AssetKey(["shop", "dim_film"])}),
                **{
                    "dagster/asset_partition_range_start": "2004",
                    "dagster/asset_partition_range_end": "2006",
                    "dagster/schedule_name": "nightly",
                },
            ),
            "shop/dim_film, shop/fact_sale, 2004 to 2006",
            "schedule nightly",
        ),
    ],
)
def test_a_run_says_what_it_is_for_and_why(noted: DagsterRun, what: str, why: str) -> None:
    assert (what_of(noted), why_of(noted)) == (what, why)


@pytest.mark.parametrize(
    ("status", "failed", "needs_look"),
    [
        (DagsterRunStatus.STARTED, False, False),
        (DagsterRunStatus.CANCELING, True, False),
        (DagsterRunStatus.CANCELED, True, False),
        (DagsterRunStatus.FAILURE, True, True),
    ],
)
def test_a_cancelled_run_has_not_succeeded_and_needs_no_look(
    status: DagsterRunStatus, failed: bool, needs_look: bool
) -> None:
    with DagsterInstance.ephemeral() as instance:
        noted = instance.create_run_for_job(_job(), status=status)
        assert outcome(instance, noted.run_id) == (failed, needs_look)


@pytest.mark.parametrize(
    ("tagged", "needs_look"), [((), True), (("load_a",), True), (("load_a", "load_b"), False)], ids=str
)
def test_a_run_that_failed_for_files_alone_needs_no_look(tagged: tuple[str, ...], needs_look: bool) -> None:
    from dagster import Failure, job, op

    @op
    def load_a() -> None:
        raise Failure("files")

    @op
    def load_b() -> None:
        raise Failure("files")

    @job
    def loads() -> None:
        load_a()
        load_b()

    with DagsterInstance.ephemeral() as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        run_id = loads.execute_in_process(instance=instance, raise_on_error=False, run_config=quiet).run_id
        instance.add_run_tags(run_id, {f"{NOT_LOADED_TAG}{step}": "1" for step in tagged})
        assert outcome(instance, run_id) == (True, needs_look)


def _job():  # type: ignore[no-untyped-def]
    from dagster import job

    @job
    def nothing() -> None:
        pass

    return nothing
