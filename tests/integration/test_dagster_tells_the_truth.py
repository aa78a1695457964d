"""What Dagster marks as "unsynced" is what the ledger finds stale; and what it shows of tables is so."""

from __future__ import annotations

import pytest
from dagster import AssetKey
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from cinestream_platform.automation.planning import all_due
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, csv_bytes, ratings_csv

RATINGS = [(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


def unsynced(platform: Platform) -> set[str]:
    """What Dagster marks, of all that was ever made."""
    graph = platform.defs.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(platform.instance, graph, LoadingContextForTest(platform.instance))
    return {
        key.to_user_string() for key in graph.executable_asset_keys if resolver.get_status(key) is StaleStatus.STALE
    }


def stale(platform: Platform) -> set[str]:
    """What the ledger finds stale, of what has no partitions (of partitions Dagster marks none by themselves)."""
    with connect(platform.target) as conn:
        due = all_due(platform.nodes, read_state(conn))
    nodes = platform.nodes
    return {
        key.to_user_string()
        for key, partitions in due.items()
        if partitions and key.path[0] == "movielens" and not nodes[key].is_partitioned and not nodes[key].is_mart
    }


def test_a_duplicate_marks_nothing_and_a_new_file_what_is_stale(marts_platform: Platform) -> None:
    platform = marts_platform
    platform.run([AssetKey(["conformed", "dim_date"])])
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv(RATINGS))
    platform.land("movielens/tags/a.csv", csv_bytes("userId,movieId,tag,timestamp", [(1, 1, "fun", Y2005)]))
    platform.load_and_build(marts=True)
    assert (unsynced(platform), stale(platform)) == (set(), set())

    platform.land("movielens/ratings/same.csv", ratings_csv(RATINGS))
    platform.load()
    assert platform.status("movielens/ratings/same.csv") == ["duplicate"]
    assert (unsynced(platform), stale(platform)) == (set(), set())

    platform.land("movielens/ratings/b.csv", ratings_csv([(3, 2, 4.0, Y2018)]))
    platform.load()
    assert stale(platform)
    assert unsynced(platform) == stale(platform)

    platform.load_and_build(marts=True)
    assert (unsynced(platform), stale(platform)) == (set(), set())

    raw = platform.instance.get_latest_materialization_event(AssetKey(["movielens", "ratings"]))
    assert raw is not None
    assert raw.asset_materialization is not None
    assert raw.asset_materialization.metadata["dagster/row_count"].value == 3
    fact = platform.instance.get_latest_data_version_record(
        AssetKey(["movielens", "fact_ratings"]), partition_key="2018"
    )
    assert fact is not None
    shown = fact.asset_materialization
    assert shown is not None
    assert (shown.metadata["dagster/row_count"].value, shown.metadata["dagster/partition_row_count"].value) == (3, 2)
    assert (shown.tags or {})["dagster/data_version"] == shown.metadata["content_hash"].value
