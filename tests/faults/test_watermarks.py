"""One row dated ahead, or with a key far beyond the others, hides nothing that comes after it."""

from __future__ import annotations

import pytest
from psycopg.sql import SQL, Identifier

from tests.support.shop import Shop

SENSOR = "dvdrental_change_sensor"
AHEAD = """INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id, last_update)
    SELECT now(), 1, 1, 1, now() + interval '{}' RETURNING rental_id"""
THEN = """WITH new AS (
    INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id, last_update)
    VALUES (now(), 2, 2, 1, now()) RETURNING rental_id)
    INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
    SELECT 2, 1, rental_id, 4.99, now() FROM new RETURNING rental_id, payment_id"""


def test_rows_after_one_that_is_dated_ahead_are_found_and_so_is_what_becomes_of_it(shop: Shop) -> None:
    shop.extract()
    [(ahead,)] = shop.rows(AHEAD.format("12 hours"))
    shop.rows(AHEAD.format("70 years"))  # rejected: dated more than a day ahead
    assert shop.extract().rows == {"rental": (1, 1)}
    for _ in range(2):
        [(rental, payment)] = shop.rows(THEN)
        assert shop.extract().rows == {"rental": (1, 0), "payment": (1, 0)}
        assert rental in shop.current("rental")["rental_id"]
        assert payment in shop.current("payment")["payment_id"]
    assert shop.extract().rows == {}

    # Its clock was mended: the state that was read last holds, though it is dated before the other.
    shop.execute(
        "ALTER TABLE rental DISABLE TRIGGER USER",
        f"UPDATE rental SET return_date = now(), last_update = now() WHERE rental_id = {ahead}",
    )
    assert shop.extract().rows == {"rental": (1, 0)}
    assert shop.current("rental").filter(rental_id=ahead)["return_date"].null_count() == 0


def test_keys_after_some_that_are_far_beyond_the_others_are_found(shop: Shop) -> None:
    shop.extract()
    [(least,)] = shop.rows("SELECT min(payment_id) FROM payment")
    far = """INSERT INTO payment SELECT {} , customer_id, staff_id, rental_id, 1.5, payment_date
        FROM generate_series(1, {}) AS n, (SELECT * FROM payment LIMIT 1) AS one"""
    shop.execute(far.format("1999999999 + n", 1))
    assert shop.extract().rows == {"payment": (1, 0)}
    [(_, payment)] = shop.rows(THEN)
    assert shop.extract().rows == {"rental": (1, 0), "payment": (1, 0)}
    assert payment in shop.current("payment")["payment_id"]

    shop.execute(far.format("1500000000 + n", 1_200))  # more than the margin
    assert shop.extract().rows == {"payment": (1_200, 0)}
    shop.rows(THEN)
    assert shop.extract().rows == {"rental": (1, 0), "payment": (1, 0)}
    shop.execute(far.format(f"{least} - n", 3), far.format("-5 - n", 1))  # before all others
    assert shop.extract().rows == {"payment": (3, 1)}
    assert shop.extract().rows == {}
    assert shop.current("payment").height == shop.counts()["payment"] - len(
        shop.platform.query(
            "SELECT FROM ops.rejected_row JOIN ops.landed_file USING (file_id) WHERE dataset = 'payment'"
        )
    )


def test_a_rental_that_comes_with_an_old_date_is_found_by_its_key(shop: Shop) -> None:
    shop.extract()
    [(rental,)] = shop.rows(AHEAD.format("-3 years"))
    assert shop.extract().rows == {"rental": (1, 0)}
    assert rental in shop.current("rental")["rental_id"]


def test_a_clock_that_was_set_back_makes_the_next_extraction_read_all(shop: Shop) -> None:
    shop.extract()
    shop.platform.execute("UPDATE ops.extraction SET source_clock = source_clock + interval '1 hour'")
    assert shop.extract().is_full
    assert not shop.extract().is_full


def test_the_look_sees_an_update_under_a_date_ahead_and_one_row_for_another(shop: Shop) -> None:
    shop.execute("ALTER TABLE staff DISABLE TRIGGER USER", "UPDATE staff SET last_update = now() + interval '3 hours'")
    shop.extract()
    assert shop.platform.tick(SENSOR).run_requests == []
    shop.execute("UPDATE staff SET username = 'ada', last_update = now() WHERE staff_id = 1")
    assert len(shop.platform.tick(SENSOR).run_requests) == 1
    assert set(shop.extract().rows) == {"staff"}
    [(actor, film)] = shop.rows("SELECT actor_id, film_id FROM film_actor LIMIT 1")
    shop.execute(
        f"DELETE FROM film_actor WHERE actor_id = {actor} AND film_id = {film}",
        f"""INSERT INTO film_actor SELECT {actor}, film_id, '2006-02-15' FROM film
            WHERE film_id <> {film} AND film_id NOT IN (SELECT film_id FROM film_actor WHERE actor_id = {actor}) LIMIT 1""",
    )
    assert len(shop.platform.tick(SENSOR).run_requests) == 1


@pytest.mark.parametrize("dataset", ["rental", "payment"])
def test_what_is_known_of_the_keys_is_what_the_source_has(shop: Shop, dataset: str) -> None:
    counts = SQL("SELECT {0} >> 10, count(*) FROM {1} GROUP BY 1 ORDER BY 1").format(
        Identifier(f"{dataset}_id"), Identifier(dataset)
    )
    known = f"SELECT bucket, rows FROM ops.extracted_keys WHERE dataset = '{dataset}' ORDER BY 1"
    for change in ("SELECT 1", "DELETE FROM payment WHERE payment_id % 3 = 0", THEN, THEN):
        shop.execute(change)
        shop.extract()
        assert shop.platform.query(known) == shop.rows(counts.as_string())
