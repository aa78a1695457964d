"""Files with several tables: each table has a key of its own, and no other key is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.automation.landing import sight
from cinestream_platform.catalog import placement_problem, table_keys
from cinestream_platform.declarations.bundle import FORMS, is_bundle_table, object_key
from cinestream_platform.lake.store import StoredObject
from cinestream_platform.sources.chinook.feeds import CUSTOMER, FEEDS, RELEASE
from tests.unit.reading import NOT_AFTER


def sighted(key: str) -> list[tuple[str, str, str | None]]:
    """(key, dataset, problem) of what the ledger is told of a listed object."""
    sightings = list(sight(StoredObject(key, "etag", 10, NOT_AFTER)))
    assert {s.source for s in sightings} == {"chinook"}
    return [(s.listed.key, s.dataset, s.problem) for s in sightings]


@pytest.mark.parametrize("name", ["chinook.sqlite", "a.sqlite3", "b.db", "ChinookData.JSON", "deep/c.json", "d#1.json"])
def test_a_bundle_is_seen_as_one_file_per_table(name):
    key = f"chinook/release/{name}"
    assert sighted(key) == [(f"{key}#{feed.dataset}", feed.dataset, None) for feed in FEEDS]
    assert table_keys(key) == [(f"{key}#{feed.dataset}", feed) for feed in FEEDS]
    assert table_keys(f"{key}#customer") == [(f"{key}#customer", CUSTOMER)]
    assert object_key(f"{key}#customer") == key


@given(st.text(st.sampled_from("ab.#_-"), min_size=1), st.sampled_from(FORMS), st.sampled_from(FEEDS))
def test_the_object_of_a_table_is_the_part_before_the_last_sign(name, form, feed):
    key = f"chinook/release/{name}{form}"
    [member] = [member for member, owner in RELEASE.table_keys(key) if owner is feed]
    assert object_key(member) == key
    assert is_bundle_table(member)
    assert not is_bundle_table(key) or "#" in name


@pytest.mark.parametrize(
    "key",
    [
        "chinook/customer/customer.csv",
        "chinook/customer/customer #2.csv",
        "chinook/customer/a.json/b#c.csv",
        "chinook/customer/a.csv#customer",
    ],
)
def test_other_keys_with_that_sign_are_files_of_their_own(key):
    assert (object_key(key), is_bundle_table(key)) == (key, False)
    assert sighted(key) == [(key, "customer", None)]
    assert table_keys(key) == [(key, CUSTOMER)]


@pytest.mark.parametrize("key", ["chinook/release/chinook.sqlite#customer", "chinook/customer/a.json#b.csv"])
def test_an_object_named_like_a_table_in_a_file_is_parked_under_a_key_that_no_table_has(key):
    [(entered, _, problem)] = sighted(key)
    assert entered == f"{key}#"
    assert not is_bundle_table(entered)
    assert "is how the ledger names a table inside a file; choose a name without #" in str(problem)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("chinook/release/Chinook_MySql.sql", "Chinook_MySql.sql is an SQL script"),
        ("chinook/customer/customer.SQL", "customer.SQL is an SQL script"),
        ("movielens/ratings/ratings.sql", "It is not run"),
        ("chinook/release/Chinook.xml", "takes files with all tables in them, ending in .sqlite, .sqlite3, .db, .json"),
        ("chinook/release/sqlite", "takes files with all tables in them"),
    ],
)
def test_what_cannot_be_read_as_tables_is_parked_as_one_file_with_the_reason(key, problem):
    assert problem in str(placement_problem(key))
    if key.startswith("chinook/release"):
        assert sighted(key) == [(key, "release", placement_problem(key))]
        assert table_keys(key) == [(key, None)]  # so that an operator can retract it


def test_a_table_that_no_bundle_has_is_no_key():
    assert table_keys("chinook/release/chinook.sqlite#nope") == [("chinook/release/chinook.sqlite#nope", None)]
