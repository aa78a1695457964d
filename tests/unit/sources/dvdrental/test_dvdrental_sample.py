"""The rows of the dvdrental sample, before they reach a database; the traps again by rules written down here."""

import hashlib
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from cinestream_platform.samples.planting import SampleSizeError
from cinestream_platform.sources.dvdrental.sample.generator import rows_of

# Of all rows at scale 1.0 with seed 1: written down so that another machine or version of Python must give the same.
SHA256 = "fe197f78ac24766f8c5bf9f9f9f54e2e93882157788cd6d340ab9faa5cdc669e"
PUBLISHED = {
    **{"actor": 200, "address": 603, "category": 16, "city": 600, "country": 109, "customer": 599, "film": 1_000},
    **{"film_actor": 5_462, "film_category": 1_000, "inventory": 4_581, "language": 6, "payment": 14_596},
    **{"rental": 16_044, "staff": 2, "store": 2},
}
Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def full() -> Tables:
    return rows_of(1.0, 1)


@pytest.fixture(scope="module", params=[0.05, 0.37, 1.0, 3.0])
def tables(request: pytest.FixtureRequest) -> Tables:
    return rows_of(request.param, 7)


def test_the_same_seed_gives_the_same_rows_everywhere(full: Tables) -> None:
    assert hashlib.sha256(repr(full).encode()).hexdigest() == SHA256
    assert rows_of(0.05, 1) == rows_of(0.05, 1)
    assert rows_of(0.05, 1) != rows_of(0.05, 2)


def test_at_scale_one_every_table_has_the_published_number_of_rows(full: Tables) -> None:
    assert {table: len(rows) for table, rows in full.items()} == PUBLISHED


@pytest.mark.parametrize("scale", [0.0, 0.049, 50.1, float("nan"), -1.0])
def test_a_scale_out_of_bounds_is_refused(scale: float) -> None:
    with pytest.raises(SampleSizeError, match=r"can be made at 0.05 to 50"):
        rows_of(scale, 1)


def test_keys_are_distinct_and_have_the_published_gaps(full: Tables, tables: Tables) -> None:
    for table, rows in tables.items():
        keys = [row.get(f"{table}_id") or (row["film_id"], row.get("actor_id")) for row in rows]
        assert len(set(keys)) == len(keys), table
    assert full["rental"][-1]["rental_id"] == 16_049
    assert full["address"][-1]["address_id"] == 605
    assert [full["payment"][at]["payment_id"] for at in (0, -1)] == [17_503, 32_098]


def test_every_reference_leads_somewhere(tables: Tables) -> None:
    for table, rows in tables.items():
        for column in rows[0]:
            target = "staff" if column == "manager_staff_id" else column.removesuffix("_id")
            if column.endswith("_id") and target != table:
                known = {row[f"{target}_id"] for row in tables[target]}
                assert {row[column] for row in rows} <= known, (table, column)


def test_no_item_is_out_twice_at_a_time_and_only_one_never_is(tables: Tables) -> None:
    by_item = defaultdict(list)
    for rental in tables["rental"]:
        by_item[rental["inventory_id"]].append(rental)
    for rentals in by_item.values():
        for earlier, later in pairwise(rentals):
            assert earlier["return_date"] is not None
            assert earlier["rental_date"] < earlier["return_date"] <= later["rental_date"]
    assert len(by_item) == len(tables["inventory"]) - 1


def test_rentals_are_numbered_by_date_and_the_first_ones_are_not_paid(full: Tables) -> None:
    assert all(a["rental_date"] <= b["rental_date"] for a, b in pairwise(full["rental"]))
    paid = {payment["rental_id"] for payment in full["payment"]}
    assert {rental["rental_id"] for rental in full["rental"][:1_452]}.isdisjoint(paid)
    assert {rental["rental_id"] for rental in full["rental"][1_452:]} == paid


def test_one_rental_is_paid_five_times_by_five_customers(tables: Tables) -> None:
    customer_of = {rental["rental_id"]: rental["customer_id"] for rental in tables["rental"]}
    payers = defaultdict(set)
    for payment in tables["payment"]:
        payers[payment["rental_id"]].add(payment["customer_id"])
    assert Counter(map(len, payers.values())) == {1: len(payers) - 1, 5: 1}
    assert all(customer_of[rental] in customers for rental, customers in payers.items())


def test_two_actors_and_two_cities_share_a_name_and_no_more(full: Tables) -> None:
    actors = Counter((row["first_name"], row["last_name"]) for row in full["actor"])
    cities = Counter(row["city"] for row in full["city"])
    assert sorted(actors.values())[-2:] == [1, 2]
    assert sorted(cities.values())[-2:] == [1, 2]
    assert len({row["country"] for row in full["country"]}) == 109
    assert len({row["email"] for row in full["customer"]}) == 599


def test_absent_and_empty_texts_are_both_there_and_apart(tables: Tables) -> None:
    addresses = tables["address"]
    assert Counter(row["address2"] for row in addresses) == {None: 4, "": len(addresses) - 4}
    assert [sum(row[name] == "" for row in addresses) for name in ("postal_code", "phone", "district")] == [4, 2, 3]


def test_payments_are_two_years_after_their_rentals_and_half_by_other_staff(full: Tables) -> None:
    rentals = {rental["rental_id"]: rental for rental in full["rental"]}
    assert {payment["payment_date"].year for payment in full["payment"]} == {2007}
    assert {rental["rental_date"].year for rental in full["rental"]} == {2005, 2006}
    other = sum(payment["staff_id"] != rentals[payment["rental_id"]]["staff_id"] for payment in full["payment"])
    assert 6_500 < other < 8_000


def test_films_have_the_published_spread(full: Tables) -> None:
    films = full["film"]
    assert len({tuple(row["special_features"]) for row in films}) == 15
    assert {row["rental_rate"] for row in films} == set(map(Decimal, ("0.99", "2.99", "4.99")))
    assert len({row["title"] for row in films}) == 1_000
    roles = Counter(row["film_id"] for row in full["film_actor"])
    assert len(roles) == 997
    assert max(roles.values()) > 2 * min(roles.values())
