"""The PostgreSQL Tutorial's own archive gives the truths that were measured on it, and none of its traps is fallen into.

The numbers were measured apart from this project on the archive of 2019-05-12; one extraction and one build serve all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cinestream_platform.sources.dvdrental.load_database import load_archive
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.platform import Platform, platform_of

ROWS = {
    **{"actor": 200, "address": 603, "category": 16, "city": 600, "country": 109, "customer": 599, "film": 1_000},
    **{"film_actor": 5_462, "film_category": 1_000, "inventory": 4_581, "language": 6, "payment": 14_596},
    **{"rental": 16_044, "staff": 2, "store": 2},
}


def money(text: str) -> Decimal:
    return Decimal(text)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def dvdrental(
    dvdrental_files: Path,
    postgres: PostgresTarget,
    manifest_home: Path,
    calendar_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """The published archive restored, extracted and built; tests only read."""
    stores = tmp_path_factory.mktemp("dvdrental")
    with platform_of(postgres, "real_dvdrental", calendar_template, manifest_home, stores) as platform:
        load_archive(platform.settings, dvdrental_files / "dvdrental.tar", replace=True)
        platform.extract()
        platform.load_and_build()
        yield platform


def test_every_row_of_every_table_is_there_and_none_is_rejected(dvdrental: Platform) -> None:
    assert {name: dvdrental.scalar(f"SELECT count(*) FROM raw_dvdrental.{name}") for name in ROWS} == ROWS
    assert dvdrental.query("SELECT DISTINCT status, rows_rejected FROM ops.landed_file") == [("loaded", 0)]
    star = ("actor", "category", "film", "store", "staff", "inventory", "customer")
    assert {name: dvdrental.scalar(f"SELECT count(*) FROM dvddw.dim_{name}") for name in star} == {
        name: ROWS[name] for name in star
    }
    facts = ("fact_rental", "fact_payment", "transactions", "bridge_film_actor", "bridge_film_category")
    assert [dvdrental.scalar(f"SELECT count(*) FROM dvddw.{name}") for name in facts] == [
        *(16_044, 14_596, 14_596, 5_462, 1_000)
    ]
    for name in star:  # every id that a fact mentions is known
        assert dvdrental.scalar(f"SELECT count(*) FROM dvddw.dim_{name} WHERE is_inferred OR NOT is_in_source") == 0


def test_column_types_that_are_easy_to_lose_are_kept(dvdrental: Platform) -> None:
    types = dict(
        dvdrental.query(
            "SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'raw_dvdrental'::regnamespace AND attnum > 0"
        )
    )
    wanted = {
        **{"film.rating": "text", "film.release_year": "smallint", "film.special_features": "text[]"},
        **{"payment.amount": "numeric(5,2)", "film.rental_rate": "numeric(4,2)", "language.name": "text"},
        **{"payment.payment_date": "timestamp with time zone", "rental.return_date": "timestamp with time zone"},
        **{"customer.create_date": "date", "customer.activebool": "boolean", "customer.active": "integer"},
    }
    assert {name: types[f"raw_dvdrental.{name}"] for name in wanted} == wanted
    withheld = {"raw_dvdrental.film.fulltext", "raw_dvdrental.staff.password", "raw_dvdrental.staff.picture"}
    assert withheld.isdisjoint(types)
    assert dvdrental.query("SELECT max(octet_length(name)), min(name) FROM raw_dvdrental.language") == [(8, "English")]
    hashes = dvdrental.query("SELECT r.path FROM (SELECT to_jsonb(s)::text AS path FROM raw_dvdrental.staff s) r")
    assert all("8cb2237d0679ca88db6464eac60da96345513964" not in row for (row,) in hashes)


def test_payments_have_the_measured_sums_by_month_staff_store_category_and_customer(dvdrental: Platform) -> None:
    query = dvdrental.query
    [(total, least, most, first, last, lowest, highest, customers, rentals)] = query(
        "SELECT sum(amount), min(amount), max(amount), min(paid_at), max(paid_at), min(payment_id), max(payment_id),"
        " count(DISTINCT c.customer_id), count(DISTINCT rental_id)"
        " FROM dvddw.fact_payment JOIN dvddw.dim_customer c USING (customer_key)"
    )
    assert (total, least, most) == (money("61312.04"), money("0.00"), money("11.99"))
    assert (first, last) == (at("2007-02-14 21:21:59.996577"), at("2007-05-14 13:44:29.996577"))
    assert (lowest, highest, customers, rentals) == (17_503, 32_098, 599, 14_592)
    assert dvdrental.scalar("SELECT count(*) FROM dvddw.fact_payment WHERE amount = 0") == 24
    by = "SELECT {} AS part, count(*), sum(amount) FROM dvddw.fact_payment p {} GROUP BY 1 ORDER BY {}"
    assert query(by.format("date_key / 100", "", "1")) == [
        (200_702, 2_016, money("8351.84")),
        (200_703, 5_644, money("23886.56")),
        (200_704, 6_754, money("28559.46")),
        (200_705, 182, money("514.18")),
    ]
    assert query(by.format("staff_id", "JOIN dvddw.dim_staff USING (staff_key)", "1")) == [
        (1, 7_292, money("30252.12")),
        (2, 7_304, money("31059.92")),
    ]
    assert query(by.format("s.store_id", "JOIN dvddw.dim_store s USING (store_key)", "1")) == [
        (1, 7_211, money("30628.91")),
        (2, 7_385, money("30683.13")),
    ]
    category = "JOIN dvddw.bridge_film_category USING (film_key) JOIN dvddw.dim_category c USING (category_key)"
    assert query(by.format("c.name", category, "3 DESC LIMIT 3")) == [
        ("Sports", 1_081, money("4892.19")),
        ("Sci-Fi", 998, money("4336.01")),
        ("Animation", 1_065, money("4245.31")),
    ]
    assert query(by.format("customer_id", "JOIN dvddw.dim_customer USING (customer_key)", "3 DESC LIMIT 2")) == [
        (148, 45, money("211.55")),
        (526, 42, money("208.58")),
    ]


def test_rentals_have_the_measured_dates_and_months(dvdrental: Platform) -> None:
    assert dvdrental.query(
        "SELECT min(rented_at), max(rented_at), min(returned_at), max(returned_at) FROM dvddw.fact_rental"
    ) == [
        (
            *(at("2005-05-24 22:53:30"), at("2006-02-14 15:16:03")),
            *(at("2005-05-25 23:55:21"), at("2005-09-02 02:35:22")),
        )
    ]
    months = dvdrental.query("SELECT date_key / 100, count(*) FROM dvddw.fact_rental GROUP BY 1 ORDER BY 1")
    assert months == [(200_505, 1_156), (200_506, 2_311), (200_507, 6_709), (200_508, 5_686), (200_602, 182)]
    assert dvdrental.query(
        "SELECT title, count(*) FROM dvddw.fact_rental JOIN dvddw.dim_film USING (film_key) GROUP BY 1"
        " ORDER BY 2 DESC, 1 DESC LIMIT 2"
    ) == [("Bucket Brotherhood", 34), ("Rocketeer Mother", 33)]
    assert dvdrental.query("SELECT min(rental_id), max(rental_id) FROM dvddw.fact_rental") == [(1, 16_049)]


def test_films_have_the_measured_ratings_rates_lengths_and_features(dvdrental: Platform) -> None:
    ratings = dict(dvdrental.query("SELECT rating, count(*) FROM dvddw.dim_film GROUP BY 1"))
    assert ratings == {"G": 178, "PG": 194, "PG-13": 223, "R": 195, "NC-17": 210}
    assert dvdrental.query(
        "SELECT sum(length_minutes), sum(rental_rate), sum(replacement_cost), min(release_year), max(release_year),"
        " min(language), max(language) FROM dvddw.dim_film"
    ) == [(115_272, money("2980.00"), money("19984.00"), 2006, 2006, "English", "English")]
    rates = dict(dvdrental.query("SELECT rental_rate, count(*) FROM dvddw.dim_film GROUP BY 1"))
    assert rates == {money("0.99"): 341, money("2.99"): 323, money("4.99"): 336}
    features = dict(
        dvdrental.query("SELECT feature, count(*) FROM dvddw.dim_film, unnest(special_features) feature GROUP BY 1")
    )
    assert features == {"Behind the Scenes": 538, "Commentaries": 539, "Deleted Scenes": 503, "Trailers": 535}
    assert dvdrental.query(
        "SELECT min(cardinality(special_features)), max(cardinality(special_features)),"
        " count(DISTINCT special_features), count(*) FILTER (WHERE special_features IS NULL) FROM dvddw.dim_film"
    ) == [(1, 4, 15, 0)]


def test_open_rentals_are_open_and_unpaid_ones_are_there(dvdrental: Platform) -> None:
    opened = dvdrental.query(
        "SELECT rented_at, count(*) FROM dvddw.fact_rental WHERE is_open AND returned_at IS NULL"
        " AND return_date_key IS NULL AND duration_days IS NULL AND late_days IS NULL GROUP BY 1 ORDER BY 1"
    )
    assert opened == [(at("2005-08-21 00:30:32"), 1), (at("2006-02-14 15:16:03"), 182)]
    assert dvdrental.scalar("SELECT count(*) FROM dvddw.fact_rental WHERE is_open") == 183
    unpaid = dvdrental.query(
        "SELECT date_key / 100, count(*) FROM dvddw.fact_rental WHERE payment_count = 0 AND amount_paid = 0"
        " GROUP BY 1 ORDER BY 1"
    )
    assert unpaid == [(200_505, 1_156), (200_506, 296)]
    assert dvdrental.query("SELECT sum(payment_count), sum(amount_paid) FROM dvddw.fact_rental") == [
        (14_596, money("61312.04"))
    ]


def test_the_rental_with_five_payments_of_five_customers_is_one_rental(dvdrental: Platform) -> None:
    payments = dvdrental.query(
        "SELECT payment_id, p.customer_key, p.customer_key = r.customer_key FROM dvddw.fact_payment p"
        " JOIN dvddw.fact_rental r USING (rental_id) WHERE rental_id = 4591 ORDER BY 1"
    )
    ids, payers, is_the_renter = zip(*payments, strict=True)
    assert ids == (19_518, 25_162, 29_163, 31_069, 31_834)
    assert len(set(payers)) == 5
    assert sum(is_the_renter) == 1
    [(count, paid)] = dvdrental.query("SELECT payment_count, amount_paid FROM dvddw.fact_rental WHERE rental_id = 4591")
    assert count == 5
    assert paid == dvdrental.scalar("SELECT sum(amount) FROM raw_dvdrental.payment WHERE rental_id = 4591")
    other = "SELECT count(*) FROM dvddw.fact_payment p JOIN dvddw.fact_rental r USING (rental_id) WHERE "
    assert dvdrental.scalar(f"{other} p.customer_key <> r.customer_key") == 4
    assert dvdrental.scalar(f"{other} p.staff_key <> r.staff_key") == 7_325
    assert dvdrental.scalar(f"{other} p.date_key = r.date_key") == 0


def test_members_that_are_easily_lost_or_merged_are_there(dvdrental: Platform) -> None:
    query, scalar = dvdrental.query, dvdrental.scalar
    without = (
        "SELECT count(*) FROM dvddw.dim_film f WHERE NOT EXISTS (SELECT FROM dvddw.{} o WHERE o.film_key = f.film_key)"
    )
    assert scalar(without.format("dim_inventory")) == 42
    assert scalar(without.format("bridge_film_actor")) == 3
    assert (
        scalar(
            "SELECT count(*) FROM dvddw.dim_inventory i"
            " WHERE NOT EXISTS (SELECT FROM dvddw.fact_rental r WHERE r.inventory_key = i.inventory_key)"
        )
        == 1
    )
    assert scalar("SELECT count(DISTINCT inventory_key) FROM dvddw.fact_rental") == 4_580
    assert query("SELECT count(*), count(DISTINCT (first_name, last_name)) FROM dvddw.dim_actor") == [(200, 199)]
    assert scalar("SELECT count(*) FROM dvddw.dim_actor WHERE (first_name, last_name) = ('Susan', 'Davis')") == 2
    assert query("SELECT count(*), count(DISTINCT city) FROM raw_dvdrental.city") == [(600, 599)]
    assert scalar("SELECT count(*) FROM raw_dvdrental.city WHERE city = 'London'") == 2
    assert query("SELECT min(address_id), max(address_id) FROM raw_dvdrental.address") == [(1, 605)]


def test_an_empty_text_is_not_null(dvdrental: Platform) -> None:
    assert dvdrental.query(
        "SELECT count(*) FILTER (WHERE address2 IS NULL), count(*) FILTER (WHERE address2 = ''),"
        " count(*) FILTER (WHERE postal_code = ''), count(*) FILTER (WHERE phone = ''),"
        " count(*) FILTER (WHERE district = '') FROM raw_dvdrental.address"
    ) == [(4, 599, 4, 2, 3)]
    assert dvdrental.query("SELECT DISTINCT address2 FROM dvddw.dim_customer") == [("",)]


def test_a_customer_has_one_version_that_holds_also_for_rentals_before_he_was_entered(dvdrental: Platform) -> None:
    assert dvdrental.query(
        "SELECT count(*) FILTER (WHERE NOT is_active), count(*) FILTER (WHERE is_current),"
        " min(create_date)::text, max(create_date)::text, max(valid_from)::text, count(valid_to) FROM dvddw.dim_customer"
    ) == [(15, 599, "2006-02-14", "2006-02-14", "1900-01-01 00:00:00+00", 0)]
    assert dvdrental.query("SELECT DISTINCT activebool FROM raw_dvdrental.customer") == [(True,)]
    assert (
        dvdrental.scalar(
            "SELECT count(*) FROM dvddw.fact_rental JOIN dvddw.dim_customer USING (customer_key)"
            " WHERE rented_at::date < create_date"
        )
        == 15_862
    )


def test_transactions_and_prices_say_what_the_facts_say(dvdrental: Platform) -> None:
    assert dvdrental.query(
        "SELECT count(*), sum(t.amount) FROM dvddw.transactions t JOIN dvddw.fact_payment p"
        " ON (p.payment_id, p.date_key, p.amount, p.paid_at) = (t.transaction_id, t.date_key, t.amount, t.timestamp)"
        " JOIN dvddw.dim_customer c ON (c.customer_key, c.customer_id) = (p.customer_key, t.user_id)"
        " JOIN dvddw.dim_inventory i ON (i.inventory_key, i.inventory_id) = (p.inventory_key, t.stock_id)"
    ) == [(14_596, money("61312.04"))]
    assert dvdrental.query(
        "SELECT payment_id > 0 AS charged, count(*), sum(price) FROM dvddw.stock_prices GROUP BY 1 ORDER BY 1"
    ) == [
        (
            False,
            4_581,
            dvdrental.scalar("SELECT sum(rental_rate) FROM dvddw.dim_inventory JOIN dvddw.dim_film USING (film_key)"),
        ),
        (True, 14_596, money("61312.04")),
    ]
