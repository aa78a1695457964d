"""A live operational database like the PostgreSQL Tutorial's dvdrental (or Pagila), generated, of any size.

What belongs here: filling an empty database with the 15 tables and their traps (rows that are odd but legal in the
published data), and dirt whose number is known. How such a database is extracted is the business of
``sources/dvdrental``; nothing here is imported by it. Live changes are in ``dvdrental_activity``.

Every value follows from the seed and the size, on any machine: only ``random.Random.random`` is used, which does not
change between versions. People, places and films are invented.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from math import sqrt
from random import Random
from typing import Any, Literal

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.sample import SampleCounts
from cinestream_platform.samples.planting import SampleSizeError, pick
from cinestream_platform.samples.words import ADJECTIVES, NOUNS
from cinestream_platform.sources.dvdrental.sample import content

Variant = Literal["dvdrental", "pagila"]
SMALLEST, LARGEST = 0.05, 50.0
"""Scales: below, the traps would not fit; above, keys of customers would not fit into smallint."""
_Row = dict[str, Any]


@dataclass(frozen=True)
class Sample(SampleCounts):
    """What was written, and what a correct extraction must find in it.

    Attributes:
        rows: Table -> rows, dirt counted.
        planted: Table -> kind of dirt -> rows that a correct load must reject; every other row is legal.
        traps: Legal rows that a careless load loses or counts twice, by name (``_TRAPS``).
    """

    traps: dict[str, int]


def generate(
    conn: Connection[Any], *, scale: float = 1.0, seed: int = 1, dirt: bool = True, variant: Variant = "dvdrental"
) -> Sample:
    """Create and fill the 15 tables in the connection's (empty) schema, in one transaction.

    Scale 1.0 has the numbers of rows of the published database: 599 customers, 1,000 films, 16,044 rentals. Customers,
    inventory, rentals and payments grow with the scale; films, actors and cities with its square root.

    Args:
        conn: A connection whose user may create types, functions and tables there.
        scale: 0.05 to 50.
        seed: Another seed gives other rows.
        dirt: Add the rows of ``dvdrental_content.DIRT``, one of each kind; all others are the same without.
        variant: "pagila" has timestamptz, an extra column of film, and payment partitioned by month.

    Raises:
        SampleSizeError: The scale is out of bounds.
    """
    tables = rows_of(scale, seed)
    traps = _counted_traps(tables)
    planted = {table: dict.fromkeys(kinds, 1) for table, kinds in content.DIRT.items()} if dirt else {}
    for table in planted:
        tables[table] += list(_dirty_rows(table, tables[table][-1]))
    with conn.transaction():
        conn.execute("SET LOCAL TimeZone = 'UTC'")
        conn.execute("SET LOCAL client_min_messages = warning")
        for script in ("dvdrental.sql", "pagila.sql") if variant == "pagila" else ("dvdrental.sql",):
            conn.execute(files("cinestream_platform.sources.dvdrental.sample").joinpath(script).read_bytes())
        for table, rows in tables.items():
            _copy(conn, table, rows)
    return Sample({table: len(rows) for table, rows in tables.items()}, planted, traps)


def rows_of(scale: float, seed: int) -> dict[str, list[_Row]]:
    """Table -> its legal rows, in an order in which references hold; the same for one scale and seed.

    Raises:
        SampleSizeError: The scale is out of bounds.
    """
    if not SMALLEST <= scale <= LARGEST:
        raise SampleSizeError(f"scale {scale} is out of bounds: a dvdrental can be made at {SMALLEST} to {LARGEST:g}")
    return _Shop(scale, seed).tables()


def _copy(conn: Connection[Any], table: str, rows: Sequence[_Row]) -> None:
    columns = list(rows[0])
    statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), SQL(", ").join(map(Identifier, columns)))
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(list(row.values()))
    if (key := f"{table}_id") in columns:
        conn.execute(
            SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}").format(
                table, key, Identifier(key), Identifier(table)
            )
        )


def _dirty_rows(table: str, good: _Row) -> Iterator[_Row]:
    """Copies of a good row with one thing wrong, under the next ids."""
    for number, differences in enumerate(content.DIRT[table].values(), start=1):
        yield {**good, f"{table}_id": good[f"{table}_id"] + number, **differences}


def _counted_traps(tables: Mapping[str, Sequence[_Row]]) -> dict[str, int]:
    """The traps, counted in the rows that are written, dirt not counted."""
    customer_of = {rental["rental_id"]: rental["customer_id"] for rental in tables["rental"]}
    paid = {payment["rental_id"] for payment in tables["payment"]}
    return {
        "rentals_without_return": sum(rental["return_date"] is None for rental in tables["rental"]),
        "rentals_without_payment": len(customer_of.keys() - paid),
        "payments_of_another_customer": sum(p["customer_id"] != customer_of[p["rental_id"]] for p in tables["payment"]),
        "payments_of_nothing": sum(payment["amount"] == content.FREE for payment in tables["payment"]),
        "films_without_inventory": len(tables["film"]) - len({item["film_id"] for item in tables["inventory"]}),
        "films_without_actor": len(tables["film"]) - len({role["film_id"] for role in tables["film_actor"]}),
        "items_never_rented": len(tables["inventory"]) - len({r["inventory_id"] for r in tables["rental"]}),
        "inactive_customers": sum(customer["active"] == 0 for customer in tables["customer"]),
    }


def _shared_out(total: int, among: int) -> list[int]:
    """Uneven numbers of at least 1 that add up to the total; even ones where there is less than 2 for each."""
    shares = [total * (i + 1) // among - total * i // among for i in range(among)]
    for pair in range(among // 2):
        moved = pair % max(1, total // among)
        shares[2 * pair] += moved
        shares[2 * pair + 1] -= moved
    return shares


def _place(number: int, *parts: Sequence[str]) -> str:
    """An invented name; another one for each number below the product of the parts' lengths."""
    name = ""
    for part in parts:
        number, at = divmod(number, len(part))
        name += part[at]
    return name


def _person(number: int) -> tuple[str, str]:
    """First and last name; another pair for each number below 2,000."""
    turn, first = divmod(number, len(content.FIRST_NAMES))
    return content.FIRST_NAMES[first], content.LAST_NAMES[(turn * 41 + first) % len(content.LAST_NAMES)]


def _ids(count: int, gaps: int) -> Iterator[int]:
    """Ids from 1 on that leave out as many numbers, evenly spread."""
    every = count // (gaps + 1)
    return (number + min(gaps, (number - 1) // every) for number in range(1, count + 1))


class _Shop:
    """The rows of one sample, table by table; each needs those before it."""

    def __init__(self, scale: float, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311 -- sample data must repeat
        self.customers = round(599 * scale)
        self.items = round(4_581 * scale)
        self.rentals = round(16_044 * scale)
        self.unpaid = round(1_452 * scale)
        self.out = round(182 * scale)
        self.inactive = max(1, round(15 * scale))
        self.films = round(1_000 * sqrt(scale))
        self.unstocked = max(1, round(42 * sqrt(scale)))
        self.roles = round(5_462 * sqrt(scale))
        self.actors = round(200 * sqrt(scale))
        self.cities = round(600 * sqrt(scale))

    def tables(self) -> dict[str, list[_Row]]:
        """Table -> rows."""
        film, address, inventory = list(self._film()), list(self._address()), list(self._inventory())
        rental = self._rental()
        return {
            "country": [
                {"country_id": n + 1, "country": _place(n * 7 % 120, content.STARTS, content.COUNTRY_ENDS)}
                | {"last_update": content.CHANGED}
                for n in range(109)
            ],
            "city": list(self._city()),
            "address": address,
            "language": self._named("language", content.LANGUAGES),
            "category": self._named("category", content.CATEGORIES),
            "actor": list(self._actor()),
            "film": film,
            "film_actor": list(self._film_actor()),
            "film_category": [
                {"film_id": n, "category_id": 1 + int(self.rng.random() * len(content.CATEGORIES))}
                | {"last_update": content.CHANGED}
                for n in range(1, self.films + 1)
            ],
            "staff": list(self._staff(address)),
            "store": [
                {"store_id": n, "manager_staff_id": n, "address_id": n, "last_update": content.CHANGED} for n in (1, 2)
            ],
            "customer": list(self._customer(address)),
            "inventory": inventory,
            "rental": rental,
            "payment": list(self._payment(rental, inventory, film)),
        }

    def _named(self, table: str, names: Iterable[str]) -> list[_Row]:
        return [
            {f"{table}_id": number, "name": name, "last_update": content.CHANGED}
            for number, name in enumerate(names, start=1)
        ]

    def _city(self) -> Iterator[_Row]:
        """The last but one has the name of the first, in another country."""
        for n in range(self.cities):
            number = 0 if n == self.cities - 2 else n * 1_009 % 4_608  # all 24 * 12 * 16 names, in a scattered order
            yield {
                "city_id": n + 1,
                "city": _place(number, content.STARTS, content.MIDDLES, content.CITY_ENDS),
                "country_id": 1 + n * 13 % 109,
                "last_update": content.CHANGED,
            }

    def _address(self) -> Iterator[_Row]:
        """Two for the stores, two for the staff, then the customers'; ids with two gaps."""
        count = self.customers + 4
        for number, key in enumerate(_ids(count, 2)):
            yield {
                "address_id": key,
                "address": f"{1 + int(self.rng.random() * 1_999)} {pick(self.rng, NOUNS)} "
                f"{pick(self.rng, content.STREETS)}",
                "address2": None if number < 4 else "",  # both are nothing, and not the same
                "district": ""
                if number in (5, 6, 7)
                else _place(int(self.rng.random() * 288), content.STARTS, content.MIDDLES),
                "city_id": 1 + number % self.cities,
                "postal_code": "" if number < 4 else f"{int(self.rng.random() * 100_000):05d}",
                "phone": "" if number in (2, 3) else f"{int(self.rng.random() * 10**12):012d}",
                "last_update": content.CHANGED,
            }

    def _actor(self) -> Iterator[_Row]:
        """The last has the name of the first."""
        for n in range(self.actors):
            first, last = _person(0 if n == self.actors - 1 else n)
            yield {"actor_id": n + 1, "first_name": first, "last_name": last, "last_update": content.CHANGED}

    def _film(self) -> Iterator[_Row]:
        pairs = len(ADJECTIVES) * len(NOUNS)
        for n in range(self.films):
            series, pair = n // pairs, n * 7 % pairs  # 7 shares no divisor with 1,640
            title = f"{ADJECTIVES[pair % len(ADJECTIVES)]} {NOUNS[pair // len(ADJECTIVES)]}"
            chosen = 1 + n % 15  # every combination of features but none
            yield {
                "film_id": n + 1,
                "title": f"{title} {series + 1}" if series else title,
                "description": f"A {pick(self.rng, ADJECTIVES)} Tale of a {pick(self.rng, NOUNS)} And a "
                f"{pick(self.rng, NOUNS)} who must Find a {pick(self.rng, NOUNS)} in "
                f"{_place(int(self.rng.random() * 120), content.STARTS, content.COUNTRY_ENDS)}",
                "release_year": 2006,
                "language_id": 1,
                "rental_duration": 3 + int(self.rng.random() * 5),
                "rental_rate": pick(self.rng, content.PRICES),
                "length": 46 + int(self.rng.random() * 140),
                "replacement_cost": Decimal(9 + int(self.rng.random() * 21)) + Decimal("0.99"),
                "rating": pick(self.rng, content.RATINGS),
                "last_update": content.CHANGED,
                "special_features": [name for bit, name in enumerate(content.FEATURES) if chosen >> bit & 1],
            }

    def _film_actor(self) -> Iterator[_Row]:
        """Three films have no actor."""
        cast = self.films - 3
        for film, wanted in enumerate(_shared_out(self.roles, cast), start=1):
            first = int(self.rng.random() * self.actors)
            for role in range(wanted):
                actor = (first + role * 3) % self.actors + 1
                yield {"actor_id": actor, "film_id": film, "last_update": content.CHANGED}

    def _staff(self, addresses: Sequence[_Row]) -> Iterator[_Row]:
        for number, first in ((1, "Nele"), (2, "Jorin")):
            yield {
                "staff_id": number,
                "first_name": first,
                "last_name": "Ashdown",
                "address_id": addresses[number + 1]["address_id"],
                "email": f"{first}.Ashdown@example.org",
                "store_id": number,
                "active": True,
                "username": first,
                "password": f"{int(self.rng.random() * 2**53):040x}",
                "last_update": content.CHANGED,
                "picture": b"\x89PNG\r\n\x1a\n" if number == 1 else None,
            }

    def _customer(self, addresses: Sequence[_Row]) -> Iterator[_Row]:
        """Some are inactive by the number and active by the boolean."""
        every = self.customers // self.inactive
        for n in range(self.customers):
            first, last = _person(n)
            yield {
                "customer_id": n + 1,
                "store_id": 1 + int(self.rng.random() * 2),
                "first_name": first,
                "last_name": last,
                "email": f"{first}.{last}.{n + 1}@example.org".lower(),
                "address_id": addresses[n + 4]["address_id"],
                "activebool": True,
                "create_date": content.CUSTOMERS_CREATED,
                "last_update": content.CUSTOMERS_CHANGED,
                "active": 0 if n % every == every // 2 and n // every < self.inactive else 1,
            }

    def _inventory(self) -> Iterator[_Row]:
        """Some films are not in stock."""
        key = 0
        for film, copies in enumerate(_shared_out(self.items, self.films - self.unstocked), start=1):
            for _ in range(copies):
                key += 1
                yield {
                    "inventory_id": key,
                    "film_id": film,
                    "store_id": 1 + int(self.rng.random() * 2),
                    "last_update": content.CHANGED,
                }

    def _rental(self) -> list[_Row]:
        """In the order of their dates; ids have five gaps. No item is out twice at a time; the last never is."""
        rows = [self._rented(content.STILL_OUT, 1 + n, None) for n in range(self.out)]
        rows.append(self._rented(content.FORGOTTEN, self.items - 1, None))
        for item, times in enumerate(_shared_out(self.rentals - len(rows), self.items - 2), start=1):
            slot = content.RENTAL_SECONDS // times
            for turn in range(times):
                start = slot * turn + int(self.rng.random() * (slot - content.LONGEST_SECONDS))
                kept = 72_000 + int(self.rng.random() * (content.LONGEST_SECONDS - 72_000))
                began = content.FIRST_RENTAL + timedelta(seconds=start)
                rows.append(self._rented(began, item, began + timedelta(seconds=kept)))
        rows.sort(key=lambda row: (row["rental_date"], row["inventory_id"]))
        return [{"rental_id": key, **row} for key, row in zip(_ids(len(rows), 5), rows, strict=True)]

    def _rented(self, start: datetime, item: int, returned: datetime | None) -> _Row:
        return {
            "rental_date": start,
            "inventory_id": item,
            "customer_id": 1 + int(self.rng.random() * self.customers),
            "return_date": returned,
            "staff_id": 1 + int(self.rng.random() * 2),
            "last_update": content.CHANGED,
        }

    def _payment(self, rentals: Sequence[_Row], inventory: Sequence[_Row], films: Sequence[_Row]) -> Iterator[_Row]:
        """By customer and date. The first rentals are not paid; one is paid five times, by five customers."""
        paid = [self._paid(rental, films[inventory[rental["inventory_id"] - 1]["film_id"] - 1]) for rental in rentals]
        paid = paid[self.unpaid :]
        shared = paid[len(paid) // 3]
        for number in range(1, 5):
            other = (shared["customer_id"] - 1 + number) % self.customers + 1
            paid.append({**shared, "customer_id": other, "staff_id": 1 + number % 2})
        paid.sort(key=lambda row: (row["customer_id"], row["payment_date"], row["rental_id"]))
        for key, row in enumerate(paid, start=content.FIRST_PAYMENT_ID):
            yield {"payment_id": key, **row}

    def _paid(self, rental: _Row, film: _Row) -> _Row:
        amount = film["rental_rate"]
        if rental["return_date"] is not None:
            late = (rental["return_date"] - rental["rental_date"]).days - film["rental_duration"]
            amount = min(content.DEAREST, amount + content.LATE_FEE * max(0, late))
        elif rental["inventory_id"] % 7 == 1:
            amount = content.FREE
        still_out = rental["rental_date"] == content.STILL_OUT
        return {
            "customer_id": rental["customer_id"],
            "staff_id": 1 + int(self.rng.random() * 2),
            "rental_id": rental["rental_id"],
            "amount": amount,
            "payment_date": rental["rental_date"] + (content.STILL_OUT_PAID_AFTER if still_out else content.PAID_AFTER),
        }
