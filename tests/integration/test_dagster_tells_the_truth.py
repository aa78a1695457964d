"""What Dagster marks as "unsynced" is what the ledger finds stale; and what it shows of tables is so."""

from __future__ import annotations

import pytest
from dagster import AssetKey
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from cinestream_platform.automation.planning import all_due
from cinestream_platform.catalog import CATALOG
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.orchestration.asset import system_key
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


def ledger_stale(platform: Platform, *, is_mart: bool, is_partitioned: bool) -> set[str]:
    """What the ledger finds stale of MovieLens' tables of this kind."""
    with connect(platform.target) as conn:
        due = all_due(platform.nodes, read_state(conn))
    return {
        key.to_user_string()
        for key, partitions in due.items()
        for node in [platform.nodes[key]]
        if partitions
        and key.path[0] == "movielens"
        and (node.is_mart, node.is_partitioned) == (is_mart, is_partitioned)
    }


def test_three_differences_between_unsynced_and_stale_are_dagsters(marts_platform: Platform) -> None:
    """As docs/architecture.md lists them: whoever makes Dagster tell more changes both."""
    platform = marts_platform
    platform.run([AssetKey(["conformed", "dim_date"])])
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv(RATINGS))
    platform.load_and_build(marts=True)

    platform.land("movielens/ratings/b.csv", ratings_csv([(2, 2, 4.0, Y2018)]))  # of a known user and film
    platform.load()
    assert "movielens/fact_ratings" in ledger_stale(platform, is_mart=False, is_partitioned=True)
    assert "movielens/fact_ratings" not in unsynced(platform)

    platform.build()
    # Made of the fact and of dim_movie, which has not changed. dim_user has: its last day of a rating is later.
    assert "movielens/mart_movie_ratings" in ledger_stale(platform, is_mart=True, is_partitioned=False)
    assert "movielens/mart_movie_ratings" not in unsynced(platform)
    platform.load_and_build(marts=True)
    assert (unsynced(platform), stale(platform)) == (set(), set())

    platform.land("movielens/links/links.csv", csv_bytes("movieId,imdbId,tmdbId", [(1, "0000001", 1)]))
    platform.load_and_build(marts=True)
    assert (unsynced(platform), stale(platform)) == ({"movielens/bridge_movie_genre"}, set())


def test_dagster_says_late_of_what_the_pages_say_it_of_and_nothing_else(marts_platform: Platform) -> None:
    graph = marts_platform.defs.resolve_asset_graph()
    policies = {
        key: policy
        for key in graph.get_all_asset_keys()
        if (policy := graph.get(key).freshness_policy_or_from_metadata)
    }
    systems = {system_key(system): source for source in CATALOG.sources for system in source.systems if source.rhythm}
    assert policies.keys() == systems.keys()
    for key, source in systems.items():
        assert policies[key].fail_window.to_timedelta() == source.rhythm
        assert policies[key].warn_window is None
