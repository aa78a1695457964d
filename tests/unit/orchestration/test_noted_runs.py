"""What is noted of a run: what it is for, why, and how it ended."""

from __future__ import annotations

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus

from cinestream_platform.orchestration.noted_runs import has_failed, what_of, why_of
from cinestream_platform.orchestration.run_tags import FILE_TAG, WHY_TAG


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


@pytest.mark.parametrize(("status", "failed"), [(DagsterRunStatus.STARTED, False), (DagsterRunStatus.CANCELING, True)])
def test_a_cancelled_run_has_not_succeeded(status: DagsterRunStatus, failed: bool) -> None:
    with DagsterInstance.ephemeral() as instance:
        noted = instance.create_run_for_job(_job(), status=status)
        assert has_failed(instance, noted.run_id) is failed


def _job():  # type: ignore[no-untyped-def]
    from dagster import job

    @job
    def nothing() -> None:
        pass

    return nothing
