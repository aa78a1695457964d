"""Made-up rows of a DVD shop: what becomes of open, late, unpaid and shared rentals, and of customers who move."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.conformed.history import BEGINNING
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.raw_table import RawHistory
from cinestream_platform.declarations.table import Table
from cinestream_platform.reading.copied_rows import read_copied
from cinestream_platform.sources.dvdrental import feeds, raw_tables, transforms


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


OLD = at("2006-02-15 10:00")
FIRST, SECOND, THIRD = at("2026-01-01 02:00"), at("2026-01-02 02:00"), at("2026-01-03 02:00")
"""When extractions were made."""
DEFAULTS: dict[str, Any] = {
    **{"last_update": OLD, "staff_id": 1, "store_id": 1, "language_id": 1, "rental_duration": 3, "title": "A Film"},
    **{"rental_rate": Decimal("2.99"), "replacement_cost": Decimal("19.99"), "amount": Decimal("2.99")},
    **{"first_name": "Ada", "last_name": "Berg", "active": 1, "activebool": True, "create_date": OLD.date()},
    **{"address": "1 Lane", "address2": "", "district": "D", "phone": "", "email": None, "postal_code": None},
}


def raw(table: Table, *rows: dict[str, Any]) -> pl.LazyFrame:
    """Raw rows of a table; of a history each with ``at``, the extraction that brought it (the first)."""
    schema: dict[str, Any] = dict(polars_schema(table)) | {"partition_key": pl.String()}
    if isinstance(table, RawHistory):
        schema |= {"_effective_at": pl.Datetime("us", "UTC")}
    filled = []
    for line, row in enumerate(rows):
        values = DEFAULTS | {"_file_id": 1, "_line": line, "partition_key": "whole"} | row
        filled.append({name: values.get(name) for name in schema} | {"_effective_at": row.get("at", FIRST)})
    return pl.LazyFrame(filled, schema=schema)


RENTAL, PAYMENT, INVENTORY, FILM = raw_tables.RENTAL, raw_tables.PAYMENT, raw_tables.INVENTORY, raw_tables.FILM
COPIES = raw(INVENTORY, {"inventory_id": 7, "film_id": 70, "store_id": 2})
FILMS = raw(FILM, {"film_id": 70, "rental_duration": 3})
NOBODY = pl.LazyFrame({"customer_id": [9], "valid_from": [BEGINNING]}, schema_overrides={"customer_id": pl.Int32()})
NO_PAYMENT = raw(PAYMENT)


def rentals(*rows: dict[str, Any], payment: pl.LazyFrame = NO_PAYMENT, film: pl.LazyFrame = FILMS) -> pl.DataFrame:
    filled = ({"rental_id": n, "inventory_id": 7, "customer_id": 9} | row for n, row in enumerate(rows, start=1))
    return transforms.fact_rental(raw(RENTAL, *filled), payment, COPIES, film, NOBODY).collect().sort("rental_id")


# ---- facts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "back", "late", "days"),
    [
        ("2005-05-24 22:53:30", "2005-05-27 23:59:59", 0, "3.0462"),  # on the due day, however late in the evening
        ("2005-05-24 22:53:30", "2005-05-28 00:00:01", 1, "3.0462"),
        ("2005-05-24 00:00", "2005-05-24 12:00", 0, "0.5000"),
        ("2005-12-30 12:00", "2006-01-09 12:00", 7, "10.0000"),
        ("2005-05-24 12:00", "2005-05-23 12:00", 0, "-1.0000"),  # nonsense, but the source's: told, not hidden
    ],
)
def test_late_days_count_from_the_films_due_day(taken: str, back: str, late: int, days: str) -> None:
    found = rentals({"rental_date": at(taken), "return_date": at(back)}).row(0, named=True)
    assert (found["late_days"], found["duration_days"]) == (late, Decimal(days))
    assert (found["is_open"], found["return_date_key"]) == (False, int(f"{at(back):%Y%m%d}"))


def test_an_open_rental_has_no_return_no_duration_and_no_delay() -> None:
    found = rentals({"rental_date": at("2006-02-14 15:16:03"), "return_date": None}).row(0, named=True)
    assert found["is_open"] is True
    assert [found[name] for name in ("returned_at", "return_date_key", "duration_days", "late_days")] == [None] * 4
    assert (found["date_key"], found["customer_valid_from"]) == (20060214, BEGINNING)


def test_five_payments_are_counted_and_added_and_none_is_no_payment_of_nothing() -> None:
    paid = raw(
        PAYMENT,
        *({"payment_id": n, "rental_id": 1, "amount": Decimal(text)} for n, text in enumerate(("3.98", "0.00", "0.99", "0.99", "1.99"))),
        {"payment_id": 9, "rental_id": 3, "amount": Decimal("0.00")},
    )  # fmt: skip
    when = {"rental_date": at("2005-06-01"), "return_date": None}
    found = rentals(when, when, when, payment=paid)
    assert found.select("rental_id", "payment_count", "amount_paid").rows() == [
        (1, 5, Decimal("7.95")),
        (2, 0, Decimal("0.00")),
        (3, 1, Decimal("0.00")),
    ]
    assert found.schema["amount_paid"] == pl.Decimal(10, 2)


def test_the_film_s_newest_state_says_when_a_rental_was_due() -> None:
    film = raw(
        FILM,
        {"film_id": 70, "rental_duration": 3, "at": FIRST},
        {"film_id": 70, "rental_duration": 5, "at": SECOND, "_file_id": 2},
    )
    found = rentals({"rental_date": at("2005-06-01"), "return_date": at("2005-06-07")}, film=film)
    assert found.select("rental_id", "late_days").rows() == [(1, 1)]


def test_a_rental_of_an_unknown_copy_by_an_unknown_customer_stays() -> None:
    found = rentals({"rental_date": at("2005-06-01"), "inventory_id": 8, "customer_id": 33}).row(0, named=True)
    assert (found["inventory_id"], found["film_id"], found["store_id"]) == (8, None, None)
    assert found["customer_valid_from"] == BEGINNING


def test_a_payment_keeps_its_own_customer_and_staff_and_takes_the_copy_from_its_rental() -> None:
    rental = raw(
        RENTAL, {"rental_id": 1, "inventory_id": 7, "customer_id": 9, "staff_id": 1, "rental_date": at("2005-06-01")}
    )
    payment = raw(
        PAYMENT,
        {"payment_id": 1, "rental_id": 1, "customer_id": 10, "staff_id": 2, "payment_date": at("2007-02-14 23:30")},
        {"payment_id": 2, "rental_id": 99, "customer_id": 9, "staff_id": 1, "payment_date": at("2007-02-15")},
    )
    names = ("payment_id", "date_key", "customer_id", "staff_id", "inventory_id", "film_id", "store_id")
    found = transforms.fact_payment(payment, rental, COPIES, NOBODY).select(names).sort("payment_id").collect()
    assert found.rows() == [(1, 20070214, 10, 2, 7, 70, 2), (2, 20070215, 9, 1, None, None, None)]
    moves = transforms.transactions(payment, rental).sort("transaction_id").collect()
    assert moves.select("transaction_id", "user_id", "stock_id", "amount").rows() == [
        (1, 10, 7, Decimal("2.99")),
        (2, 9, None, Decimal("2.99")),
    ]


def test_prices_are_every_charge_and_every_rate_once_however_often_it_was_extracted() -> None:
    rental = raw(RENTAL, {"rental_id": 1, "inventory_id": 7, "customer_id": 9, "rental_date": at("2005-06-01")})
    payment = raw(
        PAYMENT,
        *({"payment_id": n, "rental_id": 1, "payment_date": at("2007-02-14"), "amount": Decimal(n)} for n in (1, 2)),
    )
    changed = at("2026-01-01 12:00")
    film = raw(
        FILM,
        {"film_id": 70, "at": FIRST},
        {"film_id": 70, "at": SECOND, "_file_id": 2, "last_update": changed, "rental_rate": Decimal("4.99")},
        {"film_id": 70, "at": THIRD, "_file_id": 3, "last_update": changed, "rental_rate": Decimal("4.99")},
    )
    found = transforms.stock_prices(payment, film, rental, COPIES).sort("timestamp", "payment_id").collect()
    assert found.select("stock_id", "timestamp", "payment_id", "price", "date_key").rows() == [
        (7, OLD, 0, Decimal("2.99"), 20060215),
        (7, at("2007-02-14"), 1, Decimal(1), 20070214),
        (7, at("2007-02-14"), 2, Decimal(2), 20070214),
        (7, changed, 0, Decimal("4.99"), 20260101),
    ]


SHOP_WITH_7_THEN_WITHOUT = raw(
    INVENTORY,
    *({"inventory_id": n, "film_id": 70, "store_id": 2} for n in (7, 8)),
    {"inventory_id": 8, "film_id": 70, "store_id": 2, "at": SECOND, "_file_id": 2},
)
"""Copy 7 has left the source before the second extraction."""


def rates(inventory: pl.LazyFrame, *film: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Copy, time and price of what was charged to nobody."""
    found = transforms.stock_prices(NO_PAYMENT, raw(FILM, *({"film_id": 70} | f for f in film)), raw(RENTAL), inventory)
    return found.sort("stock_id", "timestamp").select("stock_id", "timestamp", "price").collect().rows()


def test_a_copy_that_left_keeps_the_rates_that_were_seen_before_it_was_missed_and_gets_no_later_ones() -> None:
    while_away = at("2026-01-02 12:00")
    later = {"at": THIRD, "_file_id": 3, "last_update": while_away, "rental_rate": Decimal("4.99")}
    assert rates(SHOP_WITH_7_THEN_WITHOUT, {}, later) == [
        (7, OLD, Decimal("2.99")),
        (8, OLD, Decimal("2.99")),
        (8, while_away, Decimal("4.99")),
    ]
    undated = later | {"last_update": OLD}  # the source changed the rate and not the time: its last rate counts
    assert rates(SHOP_WITH_7_THEN_WITHOUT, {}, undated) == [(7, OLD, Decimal("2.99")), (8, OLD, Decimal("4.99"))]


def test_a_copy_that_came_back_or_came_late_has_every_rate_of_its_film_once() -> None:
    back = raw(
        INVENTORY,
        {"inventory_id": 7, "film_id": 70},
        {"inventory_id": 8, "film_id": 70, "at": SECOND, "_file_id": 2},
        *({"inventory_id": n, "film_id": 70, "at": THIRD, "_file_id": 3} for n in (7, 8, 9)),
    )
    changed = at("2026-01-01 12:00")
    later = {"at": SECOND, "_file_id": 2, "last_update": changed, "rental_rate": Decimal("4.99")}
    assert rates(back, {}, later) == [
        (n, *rate) for n in (7, 8, 9) for rate in ((OLD, Decimal("2.99")), (changed, Decimal("4.99")))
    ]


def test_a_copy_that_was_corrected_has_the_rates_of_its_film_as_it_is_now() -> None:
    corrected = raw(
        INVENTORY,
        {"inventory_id": 7, "film_id": 70},
        {"inventory_id": 7, "film_id": 71, "at": SECOND, "_file_id": 2},
    )
    assert rates(corrected, {}, {"film_id": 71, "rental_rate": Decimal("0.99")}) == [(7, OLD, Decimal("0.99"))]


def test_what_was_rented_of_a_copy_or_film_that_left_stays_what_it_was() -> None:
    rental = raw(
        RENTAL,
        *(
            {"rental_id": n, "inventory_id": n, "customer_id": 9, "rental_date": at("2005-06-01"), "return_date": at("2005-06-07")}
            for n in (7, 8)
        ),
    )  # fmt: skip
    payment = raw(PAYMENT, *({"payment_id": n, "rental_id": n, "payment_date": at("2007-02-14")} for n in (7, 8)))
    film = raw(FILM, {"film_id": 70}, {"film_id": 71, "at": SECOND, "_file_id": 2})
    rented = transforms.fact_rental(rental, payment, SHOP_WITH_7_THEN_WITHOUT, film, NOBODY).sort("rental_id").collect()
    assert rented.select("rental_id", "film_id", "store_id", "late_days").rows() == [(7, 70, 2, 3), (8, 70, 2, 3)]
    paid = transforms.fact_payment(payment, rental, SHOP_WITH_7_THEN_WITHOUT, NOBODY).sort("payment_id").collect()
    assert paid.select("payment_id", "inventory_id", "film_id", "store_id").rows() == [(7, 7, 70, 2), (8, 8, 70, 2)]


# ---- dims ------------------------------------------------------------------------------------------------------------


def test_a_film_lists_its_categories_in_order_and_its_features_as_they_are() -> None:
    film = raw(
        FILM,
        {"film_id": 1, "special_features": ["Trailers", None, 'a "b"']},
        {"film_id": 2, "special_features": []},
        {"film_id": 3},
    )
    language = raw(raw_tables.LANGUAGE, {"language_id": 1, "name": "English"})
    pairs = raw(
        raw_tables.FILM_CATEGORY, *({"film_id": 1, "category_id": n} for n in (2, 1)), {"film_id": 2, "category_id": 1}
    )
    names = raw(raw_tables.CATEGORY, {"category_id": 1, "name": "Action"}, {"category_id": 2, "name": "Zoo"})
    found = transforms.dim_film(film, language, pairs, names).sort("film_id").collect()
    assert found.select("special_features", "categories", "language").rows() == [
        (["Trailers", None, 'a "b"'], ["Action", "Zoo"], "English"),
        ([], ["Action"], "English"),
        (None, None, "English"),
    ]


def test_the_copies_are_those_that_the_source_has() -> None:
    assert transforms.dim_inventory(SHOP_WITH_7_THEN_WITHOUT).collect()["inventory_id"].to_list() == [8]


def customers(
    customer: list[dict[str, Any]],
    address: list[dict[str, Any]],
    city: list[dict[str, Any]] | None = None,
    country: list[dict[str, Any]] | None = None,
) -> list[tuple[Any, ...]]:
    """Versions: address, city, country, is_active, valid_from, valid_to, is_in_source."""
    found = transforms.dim_customer(
        raw(raw_tables.CUSTOMER, *({"customer_id": 9, "address_id": 1} | row for row in customer)),
        raw(raw_tables.ADDRESS, *({"address_id": 1, "city_id": 1} | row for row in address)),
        raw(raw_tables.CITY, *(city or [{"city_id": 1, "country_id": 1, "city": "Wien"}])),
        raw(raw_tables.COUNTRY, *(country or [{"country_id": 1, "country": "Austria"}])),
    ).collect()
    assert found.filter(pl.col("is_current") != pl.col("valid_to").is_null()).is_empty()
    names = ("address", "city", "country", "is_active", "valid_from", "valid_to", "is_in_source")
    return found.sort("customer_id", "valid_from").select(names).rows()


def test_a_move_between_two_extractions_begins_when_the_address_was_changed() -> None:
    moved = at("2026-01-01 18:00")
    address = [{}, {"address": "2 Road", "last_update": moved, "at": SECOND, "_file_id": 2}]
    assert customers([{}], address) == [
        ("1 Lane", "Wien", "Austria", True, BEGINNING, moved, True),
        ("2 Road", "Wien", "Austria", True, moved, None, True),
    ]


def test_what_is_dated_by_nobody_begins_with_the_extraction_that_found_it() -> None:
    """Neither customer nor address changed: the city was renamed, then its country."""
    city = [
        {"city_id": 1, "country_id": 1, "city": "Wien"},
        {"city_id": 1, "country_id": 1, "city": "Vienna", "at": SECOND, "_file_id": 2, "last_update": at("2026-01-01 07:00")},
    ]  # fmt: skip
    country = [
        {"country_id": 1, "country": "Austria"},
        {"country_id": 1, "country": "Österreich", "at": THIRD, "_file_id": 3},
    ]
    assert customers([{}], [{}], city, country) == [
        ("1 Lane", "Wien", "Austria", True, BEGINNING, SECOND, True),
        ("1 Lane", "Vienna", "Austria", True, SECOND, THIRD, True),
        ("1 Lane", "Vienna", "Österreich", True, THIRD, None, True),
    ]


def test_a_customer_who_takes_another_address_and_one_who_is_touched_without_a_change() -> None:
    addresses = [{}, {"address_id": 2, "address": "5 Alley"}]
    moved, touched = at("2026-01-01 09:00"), at("2026-01-02 09:00")
    customer = [
        {},
        {"address_id": 2, "last_update": moved, "at": SECOND, "_file_id": 2},
        {"address_id": 2, "last_update": touched, "at": THIRD, "_file_id": 3},
    ]
    assert customers(customer, addresses) == [
        ("1 Lane", "Wien", "Austria", True, BEGINNING, moved, True),
        ("5 Alley", "Wien", "Austria", True, moved, None, True),
    ]


def test_a_customer_without_a_date_of_change_and_one_changed_at_the_very_moment_of_an_extraction() -> None:
    inactive = {"active": 0, "at": SECOND, "_file_id": 2}
    for changed, begin in ((None, SECOND), (FIRST, SECOND), (SECOND, SECOND), (at("2026-01-05"), SECOND)):
        found = customers([{"last_update": changed}, inactive | {"last_update": changed}], [{"last_update": OLD}])
        assert [version[3:6] for version in found] == [(True, BEGINNING, begin), (False, begin, None)]


def test_a_customer_who_is_gone_keeps_his_last_version_and_is_marked() -> None:
    customer = [{}, {"customer_id": 10, "at": FIRST}, {"customer_id": 10, "at": SECOND, "_file_id": 2}]
    assert [version[4:] for version in customers(customer, [{}])] == [(BEGINNING, None, False), (BEGINNING, None, True)]


def test_extractions_that_come_in_any_order_of_numbers_give_the_same_versions() -> None:
    def extracted(first: int, second: int) -> list[tuple[Any, ...]]:
        later = {"address": "2 Road", "last_update": at("2026-01-01 18:00"), "at": SECOND, "_file_id": second}
        return customers([{}], [later, {"_file_id": first}])

    assert extracted(1, 2) == extracted(2, 1)


# ---- the declaration of what is extracted ----------------------------------------------------------------------------


def test_only_what_grows_is_read_in_increments_and_kept_by_month() -> None:
    growing = {feed.dataset: (feed.increment_by, feed.event_time, feed.unit) for feed in EXTRACTS if feed.increment_by}
    assert growing == {
        "rental": ("last_update", "rental_date", PartitionUnit.MONTH),
        "payment": ("payment_id", "payment_date", PartitionUnit.MONTH),
    }
    assert len(EXTRACTS) == len(set(feeds.EXTRACTS)) == 15


def test_an_extracted_file_tells_null_from_an_empty_text_and_from_the_word(tmp_path: Any) -> None:
    """What COPY writes: NULL as the token, an empty text as nothing."""
    feed = next(feed for feed in EXTRACTS if feed.dataset == "film")
    names = [column.name for column in feed.table.columns if column.source_name]
    rest = "\t".join(["2006", "1", "3", "2.99", "90", "19.99", "PG", "2006-02-15 10:00:00"])
    lines = (
        "\t".join([*names, "_too_large"]),
        rf'1<NULL<\N<{rest}<["a, \\"b\\"",null,""]<\N',
        rf"2<Title<<{rest}<[]<\N",
        rf'3<a "b", c<<{rest}<\N<\N',
        rf"4<<<{rest}<\N<\N",
        rf'5<Two dimensions<<{rest}<[["a"],["b"]]<\N',
    )
    path = tmp_path / "film.copy"
    path.write_text("\n".join(lines).replace("<", "\t") + "\n", encoding="utf-8")
    [batch] = read_copied(path, feed, file_id=1, not_after=FIRST)
    assert batch.rows.select("title", "description", "special_features").rows() == [
        ("NULL", None, ['a, "b"', None, ""]),
        ("Title", "", []),
        ('a "b", c', "", None),
    ]
    assert batch.rejected.select("rule").rows() == [("title_blank",), ("special_features_type",)]
