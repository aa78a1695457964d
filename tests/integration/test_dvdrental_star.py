"""The star of a live dvdrental database: versions of customers over several extractions, partitions, predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, UniqueViolation
from pydantic import SecretStr

from cinestream_platform.catalog import PREDICTIONS, TABLES
from cinestream_platform.sources.dvdrental.sample import activity
from cinestream_platform.sources.dvdrental.sample.generator import Sample
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.predictions import ensure_prediction_tables
from tests.support.platform import Platform
from tests.support.shop import Shop, built_shop

MOVER, IN_A_RENAMED_CITY, QUIET = 5, 9, 20
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass
class Story:
    """What happened at the source, and when; the warehouse has all of it."""

    shop: Shop
    rentals: dict[str, int]
    moved_at: list[datetime]
    renamed_between: tuple[datetime, datetime]
    first_keys: dict[int, int]

    @property
    def platform(self) -> Platform:
        return self.shop.platform


@pytest.fixture(scope="module")
def story(
    postgres: PostgresTarget,
    manifest_home: Path,
    calendar_template: str,
    generated_source: tuple[str, Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """A customer who moves twice and rents meanwhile; a city that is renamed; four extractions and two builds."""
    stores = tmp_path_factory.mktemp("story")
    with built_shop(postgres, "dvdrental_story", generated_source[0], calendar_template, manifest_home, stores) as shop:
        keys = dict(shop.platform.query("SELECT customer_id, customer_key FROM dvddw.dim_customer"))
        rentals, moved_at = {}, []
        with shop.clerk() as conn:
            rentals["before the first move"] = rent(conn)
            moved_at.append(move(conn, "1 First Lane"))
            rentals["between the first move and its extraction"] = rent(conn)
            shop.extract()
            rentals["after the extraction of the first move"] = rent(conn)
            move(conn, "2 Lane That Nobody Saw")
            moved_at.append(move(conn, "2 Second Lane"))
            rentals["after the second move"] = rent(conn)
            [before] = conn.execute("SELECT clock_timestamp()").fetchone() or [None]
            conn.execute(
                "UPDATE city SET city = 'Newtown' WHERE city_id = (SELECT city_id FROM customer"
                f" JOIN address USING (address_id) WHERE customer_id = {IN_A_RENAMED_CITY})"
            )
            shop.extract(full=True)
            [after] = conn.execute("SELECT clock_timestamp()").fetchone() or [None]
            activity.give_back(conn)
            shop.extract()
        shop.platform.build()
        yield Story(shop, rentals, moved_at, (before, after), keys)


def rent(conn: psycopg.Connection[Any]) -> int:
    """The mover takes the first item that is in, and pays at once; the rental."""
    with conn.transaction():
        [[rental]] = conn.execute(
            "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)"
            f" SELECT clock_timestamp(), min(inventory_id), {MOVER}, 1 FROM inventory i"
            " WHERE NOT EXISTS (SELECT FROM rental r WHERE r.inventory_id = i.inventory_id AND return_date IS NULL)"
            " RETURNING rental_id"
        ).fetchall()
        conn.execute(
            "INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)"
            f" SELECT {MOVER}, 2, {rental}, 0.99, clock_timestamp()"
        )
    return int(rental)


def move(conn: psycopg.Connection[Any], street: str) -> datetime:
    activity.move(conn, MOVER, street)
    [[moved]] = conn.execute(
        "SELECT a.last_update AT TIME ZONE 'UTC' FROM customer JOIN address a USING (address_id) WHERE customer_id = %s",
        (MOVER,),
    ).fetchall()
    assert isinstance(moved, datetime)
    return moved


def versions(platform: Platform, customer: int) -> list[tuple[Any, ...]]:
    return platform.query(
        "SELECT address, valid_from, valid_to, is_current FROM dvddw.dim_customer WHERE customer_id = %s ORDER BY valid_from",
        (customer,),
    )


def test_a_customer_who_moved_twice_has_exactly_three_versions_dated_by_the_source(story: Story) -> None:
    [original, *later] = versions(story.platform, MOVER)
    first, second = story.moved_at
    assert original[1:] == (BEGINNING, first, False)
    assert later == [("1 First Lane", first, second, False), ("2 Second Lane", second, None, True)]
    [(city, district)] = story.shop.rows(
        f"SELECT city, district FROM customer JOIN address USING (address_id) JOIN city USING (city_id) WHERE customer_id = {MOVER}"
    )
    assert story.platform.query(
        "SELECT city, district FROM dvddw.dim_customer WHERE customer_id = %s AND is_current", (MOVER,)
    ) == [(city, district)]


def test_facts_point_at_the_version_that_was_valid_at_the_event(story: Story) -> None:
    for fact, at in (("fact_rental", "rented_at"), ("fact_payment", "paid_at")):
        found = dict(
            story.platform.query(
                f"SELECT rental_id, address FROM dvddw.{fact} JOIN dvddw.dim_customer USING (customer_key)"
                " WHERE rental_id = ANY (%s)",
                (list(story.rentals.values()),),
            )
        )
        original = versions(story.platform, MOVER)[0][0]
        assert {when: found[rental] for when, rental in story.rentals.items()} == {
            "before the first move": original,
            "between the first move and its extraction": "1 First Lane",
            "after the extraction of the first move": "1 First Lane",
            "after the second move": "2 Second Lane",
        }
        wrong = (
            f"SELECT count(*) FROM dvddw.{fact} f JOIN dvddw.dim_customer USING (customer_key)"
            f" WHERE NOT ({at} >= valid_from AND ({at} < valid_to OR valid_to IS NULL))"
        )
        assert story.platform.scalar(wrong) == 0


def test_a_renamed_city_makes_a_version_of_every_customer_there_and_of_nobody_else(story: Story) -> None:
    people = story.shop.rows(
        "SELECT customer_id FROM customer JOIN address USING (address_id) JOIN city USING (city_id)"
        " WHERE city = 'Newtown'"
    )
    assert (IN_A_RENAMED_CITY,) in people
    several = "SELECT customer_id FROM dvddw.dim_customer GROUP BY 1 HAVING count(*) > 1"
    assert {customer for (customer,) in story.platform.query(several)} == {
        *(customer for (customer,) in people),
        MOVER,
    }
    [_, (_, begin, end, is_current)] = versions(story.platform, IN_A_RENAMED_CITY)
    before, after = story.renamed_between  # neither customer nor address says when: it counts from the extraction on
    assert before < begin < after
    assert (end, is_current) == (None, True)


def test_keys_are_kept_and_building_again_changes_nothing(story: Story) -> None:
    query = "SELECT customer_id, customer_key FROM dvddw.dim_customer WHERE valid_from = '1900-01-01'"
    assert dict(story.platform.query(query)) == story.first_keys
    hashes = story.platform.content_hashes()
    assert story.shop.extract().rows == {}
    assert story.platform.build() == []
    last = story.platform.last_publication()
    story.shop.extract(full=True)  # the increments give way to the whole
    story.platform.build()
    assert {changed for _, _, changed in story.platform.publications(last)} <= {False}
    assert story.platform.content_hashes() == hashes


def test_what_came_back_is_closed_and_what_is_out_is_open(story: Story) -> None:
    """A return changes a rental of a quarter that was built long before."""
    opened = "SELECT count(*) FROM rental WHERE return_date IS NULL AND rental_date < '2900-01-01'"
    [(out,)] = story.shop.rows(opened)
    assert story.platform.scalar("SELECT count(*) FROM dvddw.fact_rental WHERE is_open") == out
    [(rental,)] = story.shop.rows("SELECT rental_id FROM rental ORDER BY last_update DESC LIMIT 1")
    [(is_open, days, late)] = story.platform.query(
        "SELECT is_open, duration_days > 7000, late_days > 7000 FROM dvddw.fact_rental WHERE rental_id = %s", (rental,)
    )
    assert (is_open, days, late) == (False, True, True)


# ---- partitions and indexes ------------------------------------------------------------------------------------------


def children(platform: Platform, table: str) -> set[str]:
    return {
        name
        for (name,) in platform.query(
            "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = %s::regclass",
            (table,),
        )
    }


def test_transactions_lie_by_quarter_and_prices_by_month_and_each_part_has_the_declared_indexes(story: Story) -> None:
    paid = (
        "SELECT payment_date AS at FROM payment WHERE amount >= 0 AND amount <> 'NaN' AND payment_date < '2900-01-01'"
    )
    quarters = story.shop.rows(f"SELECT DISTINCT to_char(date_trunc('quarter', at), 'YYYY_MM') FROM ({paid}) p")
    months = story.shop.rows(
        f"SELECT DISTINCT to_char(at, 'YYYY_MM') FROM ({paid} UNION SELECT last_update FROM film WHERE film_id IN (SELECT film_id FROM inventory)) p"
    )
    assert children(story.platform, "dvddw.transactions") == {f"transactions_{quarter}" for (quarter,) in quarters}
    assert children(story.platform, "dvddw.stock_prices") == {f"stock_prices_{month}" for (month,) in months}
    assert {("2007_01",), ("2007_04",)} < set(quarters)
    assert {("2006_02",), ("2007_02",), ("2007_03",)} < set(months)
    for name, key in (
        ("transactions", "transaction_id, date_key"),
        ("stock_prices", "stock_id, timestamp, payment_id, date_key"),
    ):
        table = next(t for t in TABLES if t.source == "dvdrental" and t.name == name)
        wanted = {key, *(", ".join(index.columns) for index in table.indexes)}
        for child in children(story.platform, f"dvddw.{name}"):
            definitions = story.platform.query(
                "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass AND indisvalid",
                (f'dvddw."{child}"',),
            )
            found = {one.split("(", 1)[1].rstrip(")").replace('"', "") for (one,) in definitions}
            assert wanted <= found, child
    for name in ("transactions", "stock_prices"):
        outside = f"SELECT count(*) FROM dvddw.{name} WHERE date_key <> to_char(timestamp AT TIME ZONE 'UTC', 'YYYYMMDD')::int"
        assert story.platform.scalar(outside) == 0


def test_prices_are_what_was_charged_and_each_rate_that_the_source_set(story: Story) -> None:
    source = story.shop.rows
    [(payments, charged)] = source(
        "SELECT count(*), sum(amount) FROM payment WHERE amount >= 0 AND amount <> 'NaN' AND payment_date < '2900-01-01'"
    )
    [(copies, rates)] = source("SELECT count(*), sum(rental_rate) FROM inventory JOIN film USING (film_id)")
    assert story.platform.query(
        "SELECT payment_id > 0, count(*), sum(price) FROM dvddw.stock_prices GROUP BY 1 ORDER BY 1"
    ) == [(False, copies, rates), (True, payments, charged)]
    assert story.platform.query("SELECT count(*), sum(amount) FROM dvddw.transactions") == [(payments, charged)]


# ---- predictions -----------------------------------------------------------------------------------------------------


INSERT = "INSERT INTO ml.predicted_prices VALUES (1, '2026-01-01', 'model 1', {}, now())"
READ = "SELECT stock_id, predicted_price FROM ml.predicted_prices"


def attempt(platform: Platform, role: str, statement: str) -> list[tuple[Any, ...]]:
    """What a statement of a role's login gives; nothing stays."""
    target = replace(platform.target, user=f"cinestream_{role}", password=SecretStr(f"pw-{role}"))
    with psycopg.connect(target.conninfo()) as conn:
        cursor = conn.execute(statement.encode())
        rows = cursor.fetchall() if cursor.description else []
        conn.rollback()
    return rows


def test_scientists_write_predictions_analysts_and_engineers_read_them_and_others_do_neither(story: Story) -> None:
    platform = story.platform
    attempt(platform, "ml_engineer", INSERT.format("2.99"))
    assert attempt(platform, "ml_engineer", f"{INSERT.format('2.99')} RETURNING stock_id") == [(1,)]
    for role in ("data_analyst", "data_engineer"):
        assert attempt(platform, role, READ) == []
        for statement in (INSERT.format("2.99"), "DELETE FROM ml.predicted_prices", "TRUNCATE ml.predicted_prices"):
            with pytest.raises(InsufficientPrivilege):
                attempt(platform, role, statement)
    for statement in (READ, INSERT.format("2.99")):
        with pytest.raises(InsufficientPrivilege):
            attempt(platform, "dashboard_reader", statement)
    with pytest.raises(CheckViolation):
        attempt(platform, "ml_engineer", INSERT.format("-1"))
    with pytest.raises(UniqueViolation):
        attempt(platform, "ml_engineer", f"{INSERT.format('1')}; {INSERT.format('2')}")
    with psycopg.connect(platform.target.conninfo(), autocommit=True) as conn:
        conn.execute("SET ROLE data_engineer")
        assert ensure_prediction_tables(conn, PREDICTIONS) == []  # made once
