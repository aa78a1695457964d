"""What happens in a live dvdrental database: rentals, returns, moves; each in one transaction of its own.

What belongs here: changes for tests and demos, on a generated, restored or Pagila database alike. ``conn`` needs the
rights of a shop's clerk; the operational database's reader has none of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection


@contextmanager
def _transaction(conn: Connection[Any]) -> Iterator[None]:
    with conn.transaction():
        conn.execute(
            "SET LOCAL TimeZone = 'UTC'"
        )  # so that columns without a zone hold UTC, those with one the instant
        yield


def rent(conn: Connection[Any]) -> tuple[int, int]:
    """Somebody rents an item that is in stock, and pays at once: both rows appear together.

    Returns:
        The new ids of rental and payment.
    """
    with _transaction(conn):
        row = conn.execute(
            """
            WITH item AS (
                SELECT inventory_id, store_id, rental_rate FROM inventory JOIN film USING (film_id)
                WHERE NOT EXISTS (
                    SELECT FROM rental r WHERE r.inventory_id = inventory.inventory_id AND r.return_date IS NULL)
                ORDER BY random() LIMIT 1
            ), taken AS (
                INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)
                SELECT clock_timestamp(), inventory_id, customer_id, s.staff_id
                FROM item, (SELECT customer_id FROM customer ORDER BY random() LIMIT 1) c,
                    (SELECT staff_id FROM staff ORDER BY random() LIMIT 1) s
                RETURNING rental_id, customer_id, staff_id, rental_date
            )
            INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
            SELECT customer_id, staff_id, rental_id, rental_rate, rental_date FROM taken, item
            RETURNING rental_id, payment_id
            """
        ).fetchone()
    if row is None:
        raise LookupError("no item is in stock")
    rental_id, payment_id = row
    return int(rental_id), int(payment_id)


def give_back(conn: Connection[Any]) -> int:
    """The item that has been out the longest comes back; the rental's id."""
    with _transaction(conn):
        row = conn.execute(
            """
            UPDATE rental SET return_date = clock_timestamp() WHERE rental_id = (
                SELECT rental_id FROM rental WHERE return_date IS NULL ORDER BY rental_date, rental_id LIMIT 1)
            RETURNING rental_id
            """
        ).fetchone()
    if row is None:
        raise LookupError("no item is out")
    return int(row[0])


def move(conn: Connection[Any], customer_id: int, street: str) -> None:
    """A customer's address changes in place: another street, in the next city."""
    with _transaction(conn):
        moved = conn.execute(
            """
            UPDATE address SET address = %s,
                city_id = coalesce((SELECT min(city_id) FROM city WHERE city_id > address.city_id), 1)
            WHERE address_id = (SELECT address_id FROM customer WHERE customer_id = %s)
            """,
            (street, customer_id),
        )
    if moved.rowcount == 0:
        raise LookupError(f"there is no customer {customer_id}")
