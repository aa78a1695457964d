"""The ratings as files for recommenders: what the assets are, and what is in the lake for a month."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.marts.user_item_matrix import (
    CHECK,
    FOLDER,
    dimensions_key,
    matrix_key,
    month_file,
    totals_written,
    user_item_assets,
    write,
)
from cinestream_platform.orchestration.partitions import partitions_of
from cinestream_platform.sources.netflix.source import SOURCE
from cinestream_platform.sources.netflix.tables import FACT_RATINGS

MATRIX, DIMENSIONS = matrix_key(SOURCE.name), dimensions_key(SOURCE.name)
MONTH = pl.DataFrame(
    {"customer_key": [1, 1, 2], "movie_key": [3, 4, 3], "rating": [5, 1, 2], "date": [date(2005, 12, 1)] * 3},
    schema={"customer_key": pl.Int32, "movie_key": pl.Int32, "rating": pl.Int8, "date": pl.Date},
)


@pytest.fixture
def lake(tmp_path: Path) -> ObjectStore:
    store = ObjectStore((tmp_path / "lake").as_uri())
    store.ensure()
    return store


def test_the_months_follow_the_fact_and_the_keys_their_dims() -> None:
    assert SOURCE.user_item_matrix
    months, keys = user_item_assets(SOURCE, SOURCE.user_item_matrix)
    assert months.partitions_def is partitions_of(FACT_RATINGS.partitioning)
    assert months.backfill_policy == dg.BackfillPolicy.single_run()
    assert months.asset_deps[MATRIX] == {dg.AssetKey(["netflix", "fact_ratings"])}
    assert keys.partitions_def is None
    assert keys.asset_deps[DIMENSIONS] == {dg.AssetKey(["netflix", name]) for name in ("dim_customer", "dim_movie")}
    for made in (months, keys):
        [spec] = made.specs
        assert spec.group_name == "netflix_exports"
        assert spec.kinds == {"parquet", "export"}
        assert [check.name for check in made.check_specs] == [CHECK]


def test_a_month_reads_back_as_it_was_written(lake: ObjectStore) -> None:
    write(lake, month_file("2005-12"), MONTH)
    assert totals_written(lake, "2005-12", "rating") == (3, 8)
    path = lake.folder / "exports" / "user_item_matrix" / "month=2005-12" / "ratings.parquet"
    assert pl.read_parquet(path, hive_partitioning=False).equals(MONTH)


def test_a_month_without_ratings_has_no_file(lake: ObjectStore) -> None:
    write(lake, month_file("2005-12"), MONTH)
    for _ in range(2):  # also where there is none
        write(lake, month_file("2005-12"), MONTH.clear())
        assert totals_written(lake, "2005-12", "rating") == (0, 0)
        assert [stored.key for stored in lake.list(FOLDER)] == []


def test_all_months_are_read_by_one_pattern(lake: ObjectStore) -> None:
    for month in ("2005-11", "2005-12"):
        write(lake, month_file(month), MONTH)
    write(lake, f"{FOLDER}/movies.parquet", pl.DataFrame({"movie_key": [3, 4]}))
    everything = pl.scan_parquet(lake.location(f"{FOLDER}/month=*/ratings.parquet"), hive_partitioning=True)
    assert everything.group_by("month").len().sort("month").collect().rows() == [("2005-11", 3), ("2005-12", 3)]
