"""Which tables are stale follows from the ledger alone, and exactly."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.ledger.publications import LedgerState, Published
from cinestream_platform.orchestration.partitions import YEARS as ALL_YEARS
from cinestream_platform.orchestration.partitions import partition_keys
from cinestream_platform.orchestration.staleness import (
    Node,
    current_upstream,
    made_from,
    stale_partitions,
    wanted_inputs,
)
from tests.unit.ledger_model import MARTS, NODES, READERS, WHOLE, Ledger, built, key

YEARS = ("2004", "2005", "2006")
BY_YEAR = ("fact_ratings", "fact_tags")


def test_before_anything_landed_only_computed_tables_are_missing():
    assert Ledger().stale() == {"dim_date": [WHOLE]}


def test_nothing_is_stale_when_all_is_made_from_what_is_loaded():
    assert built().stale() == {}


def test_a_new_file_makes_its_readers_stale_facts_in_the_years_that_it_touches():
    ledger = built()
    ledger.load("ratings", "2006", "1999")
    assert ledger.stale() == {"dim_user": [WHOLE], "fact_ratings": ["1999", "2006"]}


def test_a_dim_is_stale_by_any_of_its_feeds():
    for dataset in ("movies", "links"):
        ledger = built()
        ledger.load(dataset)
        assert ledger.stale() == {"dim_movie": [WHOLE]}


def test_a_file_without_rows_makes_its_dims_stale_and_no_year():
    ledger = built()
    ledger.load("ratings")
    assert ledger.stale() == {"dim_user": [WHOLE]}


def test_a_superseded_file_makes_the_years_of_both_versions_stale():
    ledger = built()
    ledger.unload("ratings", 4)
    ledger.load("ratings", "2006", "2007")
    assert ledger.stale() == {"dim_user": [WHOLE], "fact_ratings": ["2005", "2006", "2007"]}


def test_a_retracted_only_file_leaves_its_year_stale_until_it_is_published_empty():
    ledger = built()
    ledger.unload("tags", 5)
    assert ledger.stale() == {"dim_user": [WHOLE], "fact_tags": ["2005"]}
    ledger.publish_all()
    assert ledger.stale() == {}


def test_an_event_that_another_file_moved_makes_its_old_year_stale():
    ledger = built()
    new = ledger.load("ratings", "2006")
    ledger.touch("ratings", 3, "2006")
    ledger.touch("ratings", new, "2004")
    assert ledger.stale_tables()["fact_ratings"] == ["2004", "2006"]


def test_a_partition_that_somebody_dropped_is_stale_and_nothing_else():
    ledger = built()
    ledger.drop_partition("fact_ratings", "2005")
    assert ledger.stale() == {"fact_ratings": ["2005"]}


def test_marts_follow_what_was_published_by_year_where_they_can():
    ledger = built()
    ledger.load("ratings", "2006")
    ledger.publish("fact_ratings")
    assert ledger.stale() == {"dim_user": [WHOLE], "mart_movies": [WHOLE], "mart_years": ["2006"]}
    ledger.load("movies")
    ledger.publish("dim_movie")
    assert ledger.stale()["mart_years"] == list(YEARS)


def test_a_mart_is_not_stale_when_its_inputs_were_published_unchanged():
    ledger = built()
    ledger.load("ratings", "2006")
    ledger.publish("fact_ratings", changed=False)
    ledger.publish("dim_user")
    assert ledger.stale() == {}


def test_another_sources_files_make_nothing_stale():
    ledger = built()
    ledger.state.files["netflix", "ratings"] = {99: frozenset({"2005"})}
    assert ledger.stale() == {}


loads = st.lists(
    st.tuples(st.sampled_from(sorted(READERS)), st.sets(st.sampled_from(YEARS))).map(
        lambda load: (load[0], load[1] if load[0] in ("ratings", "tags") else set())
    ),
    max_size=6,
)


def filled(files) -> Ledger:
    ledger = Ledger()
    for dataset, years in files:
        ledger.load(dataset, *years)
    return ledger


@given(loads, st.booleans())
def test_after_publishing_everything_nothing_is_stale(files, changed):
    ledger = filled(files)
    ledger.publish_all(changed=changed)
    assert ledger.stale() == {}


def expected(dataset: str, years: set[str]) -> dict[str, list[str]]:
    tables = {name: sorted(years) if name in BY_YEAR else [WHOLE] for name in READERS[dataset]}
    return {name: partitions for name, partitions in tables.items() if partitions}


@given(loads, st.sampled_from(sorted(READERS)), st.sets(st.sampled_from([*YEARS, "2010"])))
def test_one_more_file_makes_exactly_the_tables_and_years_that_read_it_stale(files, dataset, years):
    ledger = filled(files)
    ledger.publish_all()
    years = years if dataset in ("ratings", "tags") else set()
    ledger.load(dataset, *years)
    assert ledger.stale() == expected(dataset, years)


@given(loads.filter(bool), st.data())
def test_one_file_less_makes_exactly_the_tables_and_years_that_read_it_stale(files, data):
    ledger = filled(files)
    ledger.publish_all()
    number = data.draw(st.integers(1, len(files)))
    dataset, years = files[number - 1]
    ledger.unload(dataset, number)
    assert ledger.stale() == expected(dataset, years)


@given(loads, st.data())
def test_building_stops_by_itself(files, data):
    """Whatever order tables are built in, each is built at most twice: no update runs for ever."""
    ledger = filled(files)
    names = ["dim_date", "dim_movie", "dim_user", *BY_YEAR, *MARTS]
    for _ in range(2):
        for name in data.draw(st.permutations(names)):
            ledger.publish(name)
    assert ledger.stale() == {}


# ---- facts that read deliveries of people, tables without times, and a table as a whole --------------------------------

SALES = Node(
    key("fact_sales", "shop"),
    "shop_dw",
    PartitionUnit.YEAR,
    False,
    ("sale", "line", "person", "film"),
    histories=frozenset({"person"}),
    whole=frozenset({"film"}),
)
SALE, LINE, PERSON_2023, PERSON_2024, PERSON_2026, FILM = 1, 2, 3, 4, 5, 6


def shop(**without: int) -> LedgerState:
    files: dict[tuple[str, str], dict[int, frozenset[str]]] = {
        ("shop", "sale"): {SALE: frozenset({"2022", "2024", "2025"})},
        ("shop", "line"): {LINE: frozenset({WHOLE})},
        ("shop", "person"): dict.fromkeys((PERSON_2023, PERSON_2024, PERSON_2026), frozenset({WHOLE})),
        ("shop", "film"): {FILM: frozenset({"2023"})},
    }
    for dataset, file_id in without.items():
        del files["shop", dataset][file_id]
    effective = {n: datetime(year, 5, 1, tzinfo=UTC) for n, year in ((3, 2023), (4, 2024), (5, 2026))}
    return LedgerState(files, {}, effective | dict.fromkeys((SALE, LINE, FILM), datetime(2020, 1, 1, tzinfo=UTC)))


def built_shop() -> LedgerState:
    state = shop()
    published = {
        year: Published(files, (), 1, True) for year, files in made_from(SALES, ("2022", "2024", "2025"), state).items()
    }
    return replace(state, published={SALES.relation: published})


def test_a_year_is_made_from_its_events_what_has_no_time_what_is_read_whole_and_the_deliveries_that_hold_in_it():
    state = shop()
    assert made_from(SALES, ("2022", "2023", "2024"), state) == {
        "2022": (SALE, LINE, PERSON_2023, FILM),
        "2023": (),  # a film's year is none of a sale
        "2024": (SALE, LINE, PERSON_2023, PERSON_2024, PERSON_2026, FILM),
    }
    assert stale_partitions(SALES, {}, state) == ["2022", "2024", "2025"]
    assert stale_partitions(SALES, {}, built_shop()) == []


def test_a_delivery_makes_the_years_stale_from_the_one_of_the_delivery_before_it_on():
    published = built_shop().published
    state = shop()
    state.files["shop", "person"][7] = frozenset({WHOLE})
    late = replace(state, published=published, effective=state.effective | {7: datetime(2025, 6, 1, tzinfo=UTC)})
    assert stale_partitions(SALES, {}, late) == ["2024", "2025"]
    early = replace(late, effective=late.effective | {7: datetime(2021, 6, 1, tzinfo=UTC)})
    assert stale_partitions(SALES, {}, early) == ["2022", "2024", "2025"]
    assert stale_partitions(SALES, {}, replace(shop(person=PERSON_2024), published=published)) == ["2024", "2025"]


def test_files_without_times_and_tables_read_whole_make_every_year_stale():
    published = built_shop().published
    for dataset, file_id in (("line", LINE), ("film", FILM)):
        assert stale_partitions(SALES, {}, replace(shop(**{dataset: file_id}), published=published)) == [
            *("2022", "2024", "2025"),
        ]


# ---- tables that are made from other tables of the star, and perhaps from raw tables too -------------------------------

OWN = Node(
    key("fact_own"),
    "movielens_dw",
    PartitionUnit.YEAR,
    False,
    ("tags",),
    (key("fact_ratings"),),
    partition_keys=partition_keys(ALL_YEARS),
)
OF_TABLES = replace(OWN, datasets=())
OF_WHOLE = replace(OF_TABLES, whole=frozenset({"fact_ratings"}))
IN_ONE_PIECE = replace(OF_TABLES, unit=PartitionUnit.WHOLE, partition_keys=())


def stale_own(ledger: Ledger, node: Node) -> list[str]:
    return stale_partitions(node, NODES | {node.key: node}, ledger.state)


def publish_own(ledger: Ledger, node: Node) -> None:
    """Publish what is stale, from what there is now; ``file_ids`` of a table of tables are those behind them."""
    for partition in stale_own(ledger, node):
        files = made_from(node, [partition], ledger.state)[partition] if node.datasets else (1, 2, 3)
        ledger.publications += 1
        upstream = current_upstream(node, partition, NODES, ledger.state)
        found = Published(files, upstream, ledger.publications, True)
        ledger.state.published.setdefault(node.relation, {})[partition] = found


def built_with(node: Node) -> Ledger:
    ledger = built()
    publish_own(ledger, node)
    assert stale_own(ledger, node) == []
    return ledger


def test_a_table_of_other_tables_waits_for_the_first_publication_of_one():
    ledger = Ledger()
    ledger.load("ratings", "2005")
    ledger.load("tags", "2005")
    for node in (OWN, OF_TABLES, IN_ONE_PIECE):
        assert stale_own(ledger, node) == []
    ledger.publish("fact_ratings")
    assert [stale_own(ledger, node) for node in (OWN, OF_TABLES, IN_ONE_PIECE)] == [["2005"], ["2005"], [WHOLE]]


def test_a_table_of_other_tables_is_stale_where_they_changed():
    for node, stale in ((OWN, ["2005"]), (OF_TABLES, ["2005"]), (OF_WHOLE, list(YEARS)), (IN_ONE_PIECE, [WHOLE])):
        ledger = built_with(node)
        if node is OF_WHOLE:
            ledger.state.published[node.relation] = {
                year: Published((), current_upstream(node, year, NODES, ledger.state), 1, True) for year in YEARS
            }
        before = wanted_inputs(node, "2005" if node.is_partitioned else WHOLE, NODES, ledger.state)
        ledger.publish("fact_ratings", ["2005"], changed=False)
        assert stale_own(ledger, node) == []
        ledger.publish("fact_ratings", ["2005"])
        assert stale_own(ledger, node) == stale
        assert wanted_inputs(node, "2005" if node.is_partitioned else WHOLE, NODES, ledger.state) != before


def test_a_table_of_raw_and_other_tables_is_stale_by_both():
    ledger = built_with(OWN)
    ledger.load("tags", "2004", "2010")
    assert stale_own(ledger, OWN) == ["2004", "2010"]  # also a year in which nobody rated
    publish_own(ledger, OWN)
    ledger.unload("tags", 5)
    assert stale_own(ledger, OWN) == ["2005"]
    publish_own(ledger, OWN)
    ledger.publish("fact_ratings", ["2006"])
    assert stale_own(ledger, OWN) == ["2006"]
    publish_own(ledger, OWN)
    assert stale_own(ledger, OWN) == []
