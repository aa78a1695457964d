"""The rental database over time: what left it is not forgotten, and a build that waits is not misled by what comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey

from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.sources.dvdrental.sample import activity
from cinestream_platform.sources.dvdrental.sample.generator import Sample
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Platform
from tests.support.shop import Shop, built_shop

RATES = "SELECT timestamp, price FROM dvddw.stock_prices WHERE stock_id = %s AND payment_id = 0 ORDER BY 1"
NEVER_RENTED = """
    SELECT inventory_id, film_id FROM inventory i WHERE NOT EXISTS (
        SELECT FROM rental r WHERE r.inventory_id = i.inventory_id)
    AND (SELECT count(*) FROM inventory o WHERE o.film_id = i.film_id) > 1 ORDER BY 1 LIMIT 1"""
RENTED_AND_PAID = """
    SELECT inventory_id, rental_id, payment_id FROM rental JOIN payment p USING (rental_id)
    WHERE return_date IS NOT NULL AND p.amount >= 0 AND p.amount <> 'NaN' AND p.payment_date < '2900-01-01'
    AND rental_date BETWEEN '2000-01-01' AND '2900-01-01' ORDER BY 1 LIMIT 1"""


def leave(shop: Shop, copy: int) -> None:
    """The copy is deleted, and whatever the source has of it."""
    shop.execute(
        f"DELETE FROM payment WHERE rental_id IN (SELECT rental_id FROM rental WHERE inventory_id = {copy})",
        f"DELETE FROM rental WHERE inventory_id = {copy}",
        f"DELETE FROM inventory WHERE inventory_id = {copy}",
    )


def rows(platform: Platform, tables: tuple[str, ...]) -> dict[str, str]:
    """Table to a hash of its rows, but for when and from what it was published."""
    return {table: platform.row_hash(f"dvddw.{table}") for table in tables}


def of_rental(platform: Platform, rental: int, payment: int) -> list[tuple[Any, ...]]:
    """Film, store and delay of a rental, and of its payment."""
    return platform.query(
        "SELECT film_id, store_id, late_days FROM dvddw.fact_rental JOIN dvddw.dim_film USING (film_key)"
        " JOIN dvddw.dim_store USING (store_key) WHERE rental_id = %s UNION ALL"
        " SELECT film_id, store_id, NULL FROM dvddw.fact_payment JOIN dvddw.dim_film USING (film_key)"
        " JOIN dvddw.dim_store USING (store_key) WHERE payment_id = %s",
        (rental, payment),
    )


@pytest.fixture(scope="module")
def built(
    postgres: PostgresTarget,
    manifest_home: Path,
    calendar_template: str,
    generated_source: tuple[str, Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """Extracted and built once; the tests go on from one another's state, each with a copy or customer of its own."""
    stores = tmp_path_factory.mktemp("left")
    with built_shop(postgres, "dvdrental_left", generated_source[0], calendar_template, manifest_home, stores) as shop:
        yield shop


def test_a_copy_that_left_keeps_its_observed_rates_and_what_was_rented_of_it_its_film(built: Shop) -> None:
    """One story, since each build takes seconds."""
    platform = built.platform
    [(unrented, film)] = built.rows(NEVER_RENTED)
    [(rented, rental, payment)] = built.rows(RENTED_AND_PAID)
    [(sibling,)] = built.rows(
        f"SELECT min(inventory_id) FROM inventory WHERE film_id = {film} AND inventory_id <> {unrented}"
    )
    unrented_rates, rented_rates = platform.query(RATES, (unrented,)), platform.query(RATES, (rented,))
    sibling_rates, happened = platform.query(RATES, (sibling,)), of_rental(platform, rental, payment)
    assert len(unrented_rates) == len(rented_rates) == 1
    assert len(happened) == 2
    same = ("fact_rental", "fact_payment", "transactions", "dim_customer", "dim_store", "bridge_film_category")
    before = rows(platform, same)
    prices = platform.scalar("SELECT count(*) FROM dvddw.stock_prices")

    # A copy without rentals leaves, and the rate of its film is raised: who is there has one more rate, it has not.
    leave(built, unrented)
    built.execute(f"UPDATE film SET rental_rate = rental_rate + 1 WHERE film_id = {film}")
    [(siblings,)] = built.rows(f"SELECT count(*) FROM inventory WHERE film_id = {film}")
    built.extract()
    platform.build()
    assert platform.query(RATES, (unrented,)) == unrented_rates
    [first, (_, raised)] = platform.query(RATES, (sibling,))
    assert ([first], raised) == (sibling_rates, first[1] + 1)
    assert platform.scalar("SELECT count(*) FROM dvddw.stock_prices") == prices + siblings
    assert rows(platform, same) == before
    assert platform.query("SELECT inventory_id FROM dvddw.dim_inventory WHERE NOT is_in_source") == [(unrented,)]
    assert platform.build() == []

    # A copy leaves with its rentals, which only the next full extraction misses: meanwhile they stay what they were.
    leave(built, rented)
    built.extract()
    platform.build()
    assert platform.query(RATES, (rented,)) == rented_rates
    assert of_rental(platform, rental, payment) == happened
    built.extract(full=True)
    platform.build()
    assert of_rental(platform, rental, payment) == []
    assert platform.query(RATES, (rented,)) == rented_rates
    assert platform.query(RATES, (unrented,)) == unrented_rates
    charged = "SELECT count(*) FROM dvddw.stock_prices WHERE stock_id = %s AND payment_id > 0"
    assert platform.scalar(charged, (rented,)) == 0


def test_a_warehouse_that_kept_one_delivery_of_copies_goes_on_and_keeps_them_from_then_on(built: Shop) -> None:
    """The state before raw kept every delivery: older ones are superseded, and their rows are gone."""
    platform = built.platform
    [(copy,)] = built.rows("INSERT INTO inventory (film_id, store_id) VALUES (1, 1) RETURNING inventory_id")
    built.extract()
    with connect(platform.target) as conn, conn.transaction():
        older = ledger_by_hand.keep_newest_delivery(conn, "inventory")
        conn.execute("DELETE FROM raw_dvdrental.inventory WHERE _file_id = ANY (%s)", (older,))
    platform.build()
    rates = platform.query(RATES, (copy,))
    assert rates
    hashes = platform.content_hashes()
    assert platform.build() == []
    assert platform.run([AssetKey(["dvdrental", "dim_inventory"])]).success
    assert platform.content_hashes() == hashes

    leave(built, copy)
    built.extract()
    platform.build()
    assert platform.query(RATES, (copy,)) == rates
    loaded = "SELECT count(*) FROM ops.landed_file WHERE dataset = 'inventory' AND status = 'loaded'"
    assert platform.scalar(loaded) == 2


# ---- a delivery that comes while a build waits -----------------------------------------------------------------------

CUSTOMER = 2
NEW_RENTAL = f"""
    WITH new AS (
        INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)
        VALUES (clock_timestamp(), 2, {CUSTOMER}, 1) RETURNING rental_id)
    INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
    SELECT {CUSTOMER}, 1, rental_id, 4.99, clock_timestamp() FROM new
    RETURNING rental_id, extract(year FROM payment_date)::int, extract(month FROM payment_date)::int"""
VERSIONS = f"SELECT customer_key, address FROM dvddw.dim_customer WHERE customer_id = {CUSTOMER} ORDER BY valid_from"
POINTING = """
    SELECT address FROM dvddw.fact_rental JOIN dvddw.dim_customer USING (customer_key) WHERE rental_id = %s UNION ALL
    SELECT address FROM dvddw.fact_payment JOIN dvddw.dim_customer USING (customer_key) WHERE rental_id = %s"""
NOT_ONE_CURRENT = """
    SELECT customer_id FROM dvddw.dim_customer GROUP BY 1
    HAVING count(*) FILTER (WHERE is_current) <> 1 OR bool_or(address IS NULL AND NOT is_inferred)"""


def test_facts_asked_for_before_an_extraction_came_point_at_customers_that_are_published(built: Shop) -> None:
    platform = built.platform
    [(_, old)] = before = platform.query(VERSIONS)
    with built.clerk() as conn:
        activity.move(conn, CUSTOMER, "1 Queue Lane")
    [(rental, year, month)] = built.rows(NEW_RENTAL)
    built.extract()

    quarter = PartitionUnit.QUARTER.key_of(year, month)
    facts = [AssetKey(["dvdrental", name]) for name in ("fact_rental", "fact_payment")]
    done = platform.run(facts, (quarter, quarter))  # as it was asked for: without dim_customer

    assert platform.query(VERSIONS) == before
    assert platform.query(POINTING, (rental, rental)) == [(old,), (old,)]
    assert platform.query(NOT_ONE_CURRENT) == []
    of_versions = [c for c in done.get_asset_check_evaluations() if c.check_name == "one_version_at_a_time"]
    assert [check.passed for check in of_versions] == [True, True]

    # What it left out is seen to be missing.
    platform.build()
    assert [address for _, address in platform.query(VERSIONS)] == [old, "1 Queue Lane"]
    assert platform.query(POINTING, (rental, rental)) == [("1 Queue Lane",), ("1 Queue Lane",)]
    assert platform.query(NOT_ONE_CURRENT) == []
    assert platform.build() == []
