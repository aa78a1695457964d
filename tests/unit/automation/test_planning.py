"""From what is stale to the runs that are asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.automation.planning import BuildPlan, plan_builds
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.orchestration.staleness import Node
from tests.unit.ledger_model import NODES, Ledger, built, key


def runs(ledger: Ledger, source: str = "movielens") -> list[tuple[tuple[str, str] | None, list[str]]]:
    plan = plan_builds(source, NODES, ledger.state)
    return [(span, [asset.path[-1] for asset in assets]) for span, assets in plan.runs()]


def test_when_nothing_is_stale_nothing_is_asked_for():
    assert runs(built()) == []


def test_neighbouring_years_are_one_run_with_dims_in_the_first_and_marts_of_everything_in_the_last():
    ledger = built()
    ledger.load("ratings", "2004", "2005", "2012")
    assert runs(ledger) == [
        (("2004", "2005"), ["dim_user", "fact_ratings", "mart_years"]),
        (("2012", "2012"), ["fact_ratings", "mart_movies", "mart_years"]),
    ]


def test_years_that_are_up_to_eight_from_first_to_last_are_one_run_so_that_they_are_swapped_together():
    ledger = built()
    ledger.load("ratings", "2004", "2011")
    assert runs(ledger) == [(("2004", "2011"), ["dim_user", "fact_ratings", "mart_movies", "mart_years"])]


def test_a_new_dim_takes_the_marts_that_read_it_along():
    ledger = built()
    ledger.load("movies")
    assert runs(ledger) == [(None, ["dim_movie", "mart_movies"])]
    # The marts by year follow in the next plan, when the dim's publication is known.
    ledger.publish("dim_movie")
    ledger.publish("mart_movies")
    assert runs(ledger) == [(("2004", "2006"), ["mart_years"])]


@pytest.mark.parametrize("order", [1, -1])
def test_marts_of_marts_and_exports_go_with_the_marts_that_they_read(order: int):
    kpi = Node(key("mv_kpi"), "movielens_marts", PartitionUnit.WHOLE, True, (), (key("mart_movies"),))
    export = Node(key("export_kpi"), "movielens_exports", PartitionUnit.WHOLE, True, (), (kpi.key,))
    nodes = dict([*NODES.items(), (kpi.key, kpi), (export.key, export)][::order])
    ledger = built()
    assert plan_builds("movielens", nodes, ledger.state).runs() == [(None, [export.key, kpi.key])]
    ledger.load("movies")
    everything = [key(name) for name in ("dim_movie", "export_kpi", "mart_movies", "mv_kpi")]
    assert plan_builds("movielens", nodes, ledger.state).runs() == [(None, everything)]


def test_facts_with_other_years_are_asked_for_apart():
    ledger = built()
    ledger.load("ratings", "2004")
    ledger.load("tags", "2005")
    assert runs(ledger) == [
        (("2004", "2004"), ["dim_user", "fact_ratings", "mart_years"]),
        (("2005", "2005"), ["fact_tags", "mart_movies"]),
    ]


def test_a_mart_is_built_after_facts_that_are_built_over_another_range_and_not_from_half_of_them():
    """A build that was killed left these: the years of the fact that were done, and no mart."""
    ledger = Ledger()
    ledger.load("movies")
    ledger.load("ratings", "2004", "2005", "2006")
    for name in ("dim_date", "dim_movie", "dim_user"):
        ledger.publish(name)
    ledger.publish("fact_ratings", ["2004", "2006"])
    assert runs(ledger) == [
        (("2005", "2005"), ["fact_ratings"]),
        (("2004", "2006"), ["mart_movies", "mart_years"]),
    ]


def test_the_first_build_has_everything():
    ledger = Ledger()
    ledger.load("movies")
    ledger.load("ratings", "2005")
    [(span, assets)] = runs(ledger)
    assert span == ("2005", "2005")
    assert assets == ["dim_date", "dim_movie", "dim_user", "fact_ratings", "mart_movies", "mart_years"]


def test_a_first_build_at_once_takes_all_tables_of_the_source_and_of_shared_ones_what_is_stale():
    ledger = Ledger()
    ledger.load("ratings", "2004", "2018")
    ledger.load("tags", "2006")

    def at_once():
        [(span, assets)] = plan_builds("movielens", NODES, ledger.state, everything=True).runs()
        return span, {asset.path[-1] for asset in assets}

    own = {"dim_movie", "dim_user", "fact_ratings", "fact_tags", "mart_movies", "mart_years"}
    assert at_once() == (("2004", "2018"), own | {"dim_date"})
    ledger.publish("dim_date")  # with another source
    assert at_once() == (("2004", "2018"), own)


def test_a_year_that_has_not_begun_asks_for_nothing_again_and_again():
    ledger = built()
    ledger.load("ratings", "2999")
    ledger.publish("dim_user")
    assert runs(ledger) == []


def test_a_source_is_planned_without_the_others():
    ledger = built()
    ledger.load("ratings", "2005")
    assert runs(ledger, "netflix") == []


def test_a_source_of_which_nothing_was_ever_loaded_is_not_built_not_even_the_calendar():
    assert runs(Ledger()) == []
    ledger = Ledger()
    ledger.load("movies")
    assert [assets for _, assets in runs(ledger)] == [["dim_date", "dim_movie", "mart_movies"]]
    assert runs(ledger, "netflix") == []


def test_a_plan_without_years_is_one_run():
    assert BuildPlan().runs() == []
    assert BuildPlan(first={key("dim_a")}, last={key("mart_b")}).runs() == [(None, [key("dim_a"), key("mart_b")])]


loads = st.lists(
    st.tuples(st.sampled_from(["movies", "ratings", "tags"]), st.sets(st.sampled_from(["2004", "2005", "2008"]))),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(loads)
def test_doing_what_is_planned_ends_with_nothing_to_do_after_three_plans_at_most(files):
    ledger = built()
    for dataset, years in files:
        ledger.load(dataset, *(years if dataset != "movies" else ()))
    for _ in range(3):
        for span, names in runs(ledger):
            first, last = map(int, span or (0, -1))
            wanted = [str(year) for year in range(first, last + 1)]
            # In the order of dependencies, as Dagster runs them.
            for node in NODES.values():
                if (name := node.key.path[-1]) in names:
                    ledger.publish(name, wanted if node.is_partitioned else ["whole"])
    assert runs(ledger) == []
    assert ledger.stale() == {}
