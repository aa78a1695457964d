"""From extracted dvdrental rows to dims and facts: pure polars, no Dagster and no database.

Facts come out with natural ids (``inventory_id``, ``customer_id`` with the version's ``customer_valid_from`` …);
publishing replaces them by surrogate keys as the tables' references say.
"""

import polars as pl

from cinestream_platform.conformed.history import EFFECTIVE_AT, GONE_AT, aligned, as_of, last_known, newest, versions
from cinestream_platform.conformed.transforms import date_key, delivered

SECONDS_A_DAY = 86_400
FROM_RATE = 0
"""``payment_id`` of a price that nobody was charged."""


def dim_actor(actor: pl.LazyFrame) -> pl.LazyFrame:
    """The actors of the last extraction."""
    return actor.select("actor_id", "first_name", "last_name", *delivered())


def dim_category(category: pl.LazyFrame) -> pl.LazyFrame:
    """The categories of the last extraction."""
    return category.select("category_id", "name", *delivered())


def dim_film(
    film: pl.LazyFrame, language: pl.LazyFrame, film_category: pl.LazyFrame, category: pl.LazyFrame
) -> pl.LazyFrame:
    """The films of the last extraction that found any changed, with language and names of categories."""
    languages = language.select("language_id", language="name")
    names = film_category.join(category, on="category_id").select("film_id", "name")
    categories = names.group_by("film_id").agg(categories=pl.col("name").unique().sort())
    films = newest(film).join(languages, on="language_id", how="left").join(categories, on="film_id", how="left")
    return films.select(
        "film_id",
        "title",
        "description",
        "release_year",
        "language",
        "rating",
        "special_features",
        "categories",
        length_minutes="length",
        rental_duration_days="rental_duration",
        rental_rate="rental_rate",
        replacement_cost="replacement_cost",
        is_inferred=pl.lit(False),
        is_in_source=pl.lit(True),
    )


def _places(address: pl.LazyFrame, city: pl.LazyFrame, country: pl.LazyFrame, on: list[str]) -> pl.LazyFrame:
    """Addresses with the names of city and country; ``on`` are columns beside the ids that must be equal."""
    cities = city.select(*on, "city_id", "country_id", "city")
    countries = country.select(*on, "country_id", "country")
    return address.join(cities, on=[*on, "city_id"], how="left").join(countries, on=[*on, "country_id"], how="left")


def dim_store(store: pl.LazyFrame, address: pl.LazyFrame, city: pl.LazyFrame, country: pl.LazyFrame) -> pl.LazyFrame:
    """The stores of the last extraction, with the places where they are."""
    places = _places(newest(address), newest(city), newest(country), [])
    stores = newest(store).join(places.select("address_id", "district", "city", "country"), on="address_id", how="left")
    return stores.select("store_id", "manager_staff_id", "district", "city", "country", *delivered())


def dim_staff(staff: pl.LazyFrame) -> pl.LazyFrame:
    """The members of staff of the last extraction."""
    return staff.select(
        *("staff_id", "first_name", "last_name", "email", "username", "store_id"),
        is_active=pl.col("active"),
        is_inferred=pl.lit(False),
        is_in_source=pl.lit(True),
    )


def dim_inventory(inventory: pl.LazyFrame) -> pl.LazyFrame:
    """The copies of the last extraction, with ``film_id`` and ``store_id``."""
    return newest(inventory).select("inventory_id", "film_id", "store_id", *delivered())


def dim_customer(
    customer: pl.LazyFrame, address: pl.LazyFrame, city: pl.LazyFrame, country: pl.LazyFrame
) -> pl.LazyFrame:
    """Versions of customers from all extractions that found customers, addresses or places changed.

    A change is dated by the source where it says when it made it.
    """
    people, addresses, cities, countries = aligned(customer, address, city, country)
    changes = ["changed_customer", "changed_address"]
    places = _places(addresses.with_columns(changed_address="last_update"), cities, countries, ["_effective_at"])
    joined = people.with_columns(changed_customer="last_update", is_active=pl.col("active") == 1).join(
        places.drop("_file_id", "_line", "partition_key", "last_update"), on=["_effective_at", "address_id"], how="left"
    )
    described = joined.select(
        *("customer_id", "first_name", "last_name", "email", "address", "address2", "district", "city", "country"),
        *("postal_code", "phone", "store_id", "is_active", "create_date", "_effective_at", "_file_id", "_line"),
        _changed_at=pl.max_horizontal(changes),
    )
    return versions(described, "customer_id")


def bridge_film_actor(film_actor: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the last extraction, each once."""
    return film_actor.select("film_id", "actor_id").unique()


def bridge_film_category(film_category: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the last extraction, each once."""
    return film_category.select("film_id", "category_id").unique()


def _copies(inventory: pl.LazyFrame) -> pl.LazyFrame:
    """One row per copy, also one that has left: what was rented of it stays that film's and that store's."""
    return last_known(inventory, "inventory_id").select("inventory_id", "film_id", "store_id", GONE_AT)


def _paid(payment: pl.LazyFrame) -> pl.LazyFrame:
    """Number and sum of payments of each rental that has any."""
    return payment.group_by("rental_id").agg(payment_count=pl.len().cast(pl.Int32), amount_paid=pl.col("amount").sum())


def fact_rental(
    rental: pl.LazyFrame, payment: pl.LazyFrame, inventory: pl.LazyFrame, film: pl.LazyFrame, customers: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per rental: those without return or payment too.

    Late are days after the day of rental plus the film's rental duration, by calendar days (UTC).
    """
    durations = last_known(film, "film_id").select("film_id", "rental_duration")
    copies = _copies(inventory).join(durations, on="film_id", how="left")
    rented = as_of(
        rental.select("rental_id", "rental_date", "return_date", "inventory_id", "customer_id", "staff_id"),
        customers.select("customer_id", "valid_from"),
        "customer_id",
        at="rental_date",
        version="customer_valid_from",
    )
    taken, back = pl.col("rental_date"), pl.col("return_date")
    late = (back.dt.date() - taken.dt.date()).dt.total_days() - pl.col("rental_duration")
    days = ((back - taken).dt.total_microseconds() / (SECONDS_A_DAY * 1_000_000)).round(4)
    found = rented.join(copies, on="inventory_id", how="left").join(_paid(payment), on="rental_id", how="left")
    return found.select(
        "rental_id",
        date_key("rental_date"),
        date_key("return_date").alias("return_date_key"),
        *("customer_id", "customer_valid_from", "inventory_id", "film_id", "store_id", "staff_id"),
        rented_at=taken,
        returned_at=back,
        is_open=back.is_null(),
        duration_days=days.cast(pl.Decimal(10, 4)),
        late_days=late.clip(lower_bound=0).cast(pl.Int32),
        payment_count=pl.col("payment_count").fill_null(0),
        amount_paid=pl.col("amount_paid").fill_null(0).cast(pl.Decimal(10, 2)),
    )


def fact_payment(
    payment: pl.LazyFrame, rental: pl.LazyFrame, inventory: pl.LazyFrame, customers: pl.LazyFrame
) -> pl.LazyFrame:
    """One row per payment, with the copy that the rental was of."""
    rented = rental.select("rental_id", "inventory_id").join(_copies(inventory), on="inventory_id", how="left")
    paid = as_of(
        payment.select("payment_id", "rental_id", "customer_id", "staff_id", "payment_date", "amount"),
        customers.select("customer_id", "valid_from"),
        "customer_id",
        at="payment_date",
        version="customer_valid_from",
    )
    return paid.join(rented, on="rental_id", how="left").select(
        "payment_id",
        date_key("payment_date"),
        *("rental_id", "customer_id", "customer_valid_from", "inventory_id", "film_id", "store_id", "staff_id"),
        paid_at=pl.col("payment_date"),
        amount=pl.col("amount"),
    )


def transactions(payment: pl.LazyFrame, rental: pl.LazyFrame) -> pl.LazyFrame:
    """The payments of a quarter, in the terms of the company's design."""
    return payment.join(rental.select("rental_id", "inventory_id"), on="rental_id", how="left").select(
        date_key("payment_date"),
        transaction_id="payment_id",
        user_id="customer_id",
        stock_id="inventory_id",
        amount="amount",
        timestamp="payment_date",
    )


def stock_prices(
    payment: pl.LazyFrame, film: pl.LazyFrame, rental: pl.LazyFrame, inventory: pl.LazyFrame
) -> pl.LazyFrame:
    """What copies cost in a month: charged by a payment, or the rate that the source set for their film.

    A copy that has left keeps the rates that were seen before it was missed.
    """
    charged = payment.join(rental.select("rental_id", "inventory_id"), on="rental_id").select(
        date_key("payment_date"),
        stock_id="inventory_id",
        timestamp="payment_date",
        payment_id="payment_id",
        price="amount",
    )
    seen = pl.col(EFFECTIVE_AT)
    rates = film.group_by("film_id", "last_update", "rental_rate").agg(_first=seen.min(), _last=seen.max())
    # The same state of a film comes with every extraction; a film changed twice at one instant has its last rate.
    rated = (
        _copies(inventory)
        .join(rates, on="film_id")
        .filter(pl.col(GONE_AT).is_null() | (pl.col("_first") < pl.col(GONE_AT)))
        .sort("_last")
        .unique(["inventory_id", "last_update"], keep="last", maintain_order=True)
        .select(
            date_key("last_update"),
            stock_id="inventory_id",
            timestamp="last_update",
            payment_id=pl.lit(FROM_RATE, pl.Int32),
            price=pl.col("rental_rate").cast(pl.Decimal(5, 2)),
        )
    )
    return pl.concat([charged, rated])
