"""dbt's tests in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cinestream_platform.marts.project import manifest_path
from cinestream_platform.marts.test_words import described, short_name, with_short_names
from cinestream_platform.settings import Settings


def a_test(name: str, kind: str, **kwargs: object) -> dict[str, object]:
    mart = "model.cinestream.mart_genre_trends"
    return {"name": name, "attached_node": mart, "test_metadata": {"name": kind, "kwargs": kwargs}, "description": ""}


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (
            a_test("genre_trends_mean_within_the_scale", "in_range", column_name="mean", minimum=0.5, maximum=5),
            "Mean within the scale: mean is from 0.5 to 5.",
        ),
        (
            a_test("genre_trends_only_months_with_ratings", "in_range", column_name="n", minimum=1),
            "Only months with ratings: n is at least 1.",
        ),
        (
            a_test("genre_trends_is_in_dim", "relationships", column_name="k", to="source('a_dw', 'dim_b')"),
            "Is in dim: k names a row of a_dw.dim_b.",
        ),
        (a_test("genre_trends_every_rating_counts", "genre_months_reconcile"), "Every rating counts."),
        ({**a_test("genre_trends_x", "in_range"), "description": "Said in the project."}, "Said in the project."),
    ],
)
def test_a_test_is_its_name_and_what_it_compares(test: dict[str, object], words: str) -> None:
    assert described(test) == words


LONGEST = 50


def test_names_of_checks_are_short_and_each_mart_has_a_name_once(manifest_home: Path) -> None:
    manifest = json.loads(manifest_path(Settings(home=manifest_home)).read_bytes())
    tests = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "test"}
    shown = with_short_names(manifest)["nodes"]
    names = [(node["attached_node"], shown[unique_id]["name"]) for unique_id, node in tests.items()]
    assert len(set(names)) == len(names) > 100
    assert [name for _, name in names if len(name) > LONGEST] == []
    for unique_id, node in tests.items():
        assert len(shown[unique_id]["name"]) < len(node["name"]), "its mart is not in its name"
        assert shown[unique_id]["fqn"] == node["fqn"], "dbt selects by this"
    assert shown.keys() == manifest["nodes"].keys()


@pytest.mark.parametrize(
    ("mart", "name", "short"),
    [
        ("mart_kpi_category", "kpi_category_shares_add_up", "shares_add_up"),
        ("mart_netflix_movie_performance", "movie_performance_one_row_a_film", "one_row_a_film"),
        ("v_movie_performance", "v_movie_performance_one_row_a_rank", "one_row_a_rank"),
        ("v_daily_rating_summary", "daily_rating_summary_one_row_a_day", "one_row_a_day"),
        ("mv_kpi_global", "kpi_global_all_revenue_is_here", "all_revenue_is_here"),
        ("mart_other", "kpi_global_all_revenue_is_here", "kpi_global_all_revenue_is_here"),
    ],
)
def test_a_name_loses_that_of_its_mart(mart: str, name: str, short: str) -> None:
    test = {"name": name, "attached_node": f"model.cinestream.{mart}", "fqn": ["cinestream", "netflix", mart, name]}
    assert short_name(test) == short


def test_every_test_of_the_project_is_described(manifest_home: Path) -> None:
    nodes = json.loads(manifest_path(Settings(home=manifest_home)).read_bytes())["nodes"].values()
    tests = [node for node in nodes if node["resource_type"] == "test"]
    words = [described(test) for test in tests]
    assert len(words) > 100
    assert [text for text in words if len(text) < 10 or "None" in text] == []
