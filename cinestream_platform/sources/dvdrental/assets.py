"""The assets of dvdrental: which table is made from what."""

import polars as pl

from cinestream_platform.loading.extraction import Extracted, Extractor
from cinestream_platform.orchestration.asset import contract_asset, table_asset
from cinestream_platform.orchestration.extracted import extracted_assets
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.dvdrental import tables, transforms
from cinestream_platform.sources.dvdrental.database import source_database
from cinestream_platform.sources.dvdrental.source import SOURCE

relationship_report = report_asset(SOURCE)
predicted_prices = contract_asset(tables.PREDICTED_PRICES, SOURCE)


@extracted_assets(SOURCE, source_database)
def extraction(extractor: Extractor, *, full: bool) -> Extracted:
    """All tables as they were at one moment; nothing is written of those that had not changed."""
    return extractor.run(full=full)


@table_asset(tables.DIM_ACTOR, SOURCE)
def dim_actor(actor: pl.LazyFrame) -> pl.LazyFrame:
    """The actors of the last extraction."""
    return transforms.dim_actor(actor)


@table_asset(tables.DIM_CATEGORY, SOURCE)
def dim_category(category: pl.LazyFrame) -> pl.LazyFrame:
    """The categories of the last extraction."""
    return transforms.dim_category(category)


@table_asset(tables.DIM_FILM, SOURCE)
def dim_film(
    film: pl.LazyFrame, language: pl.LazyFrame, film_category: pl.LazyFrame, category: pl.LazyFrame
) -> pl.LazyFrame:
    """The films of the last extraction that found any changed, with language and categories."""
    return transforms.dim_film(film, language, film_category, category)


@table_asset(tables.DIM_STORE, SOURCE)
def dim_store(store: pl.LazyFrame, address: pl.LazyFrame, city: pl.LazyFrame, country: pl.LazyFrame) -> pl.LazyFrame:
    """The stores, with the places where they are."""
    return transforms.dim_store(store, address, city, country)


@table_asset(tables.DIM_STAFF, SOURCE)
def dim_staff(staff: pl.LazyFrame) -> pl.LazyFrame:
    """The members of staff of the last extraction."""
    return transforms.dim_staff(staff)


@table_asset(tables.DIM_INVENTORY, SOURCE)
def dim_inventory(inventory: pl.LazyFrame) -> pl.LazyFrame:
    """The copies of the last extraction."""
    return transforms.dim_inventory(inventory)


@table_asset(tables.DIM_CUSTOMER, SOURCE)
def dim_customer(
    customer: pl.LazyFrame, address: pl.LazyFrame, city: pl.LazyFrame, country: pl.LazyFrame
) -> pl.LazyFrame:
    """Versions of customers from all extractions that found customers, addresses or places changed."""
    return transforms.dim_customer(customer, address, city, country)


@table_asset(tables.BRIDGE_FILM_ACTOR, SOURCE)
def bridge_film_actor(film_actor: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the last extraction."""
    return transforms.bridge_film_actor(film_actor)


@table_asset(tables.BRIDGE_FILM_CATEGORY, SOURCE)
def bridge_film_category(film_category: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the last extraction."""
    return transforms.bridge_film_category(film_category)


@table_asset(tables.FACT_RENTAL, SOURCE)
def fact_rental(
    rental: pl.LazyFrame,
    payment: pl.LazyFrame,
    inventory: pl.LazyFrame,
    film: pl.LazyFrame,
    customer: pl.LazyFrame,
    address: pl.LazyFrame,
    city: pl.LazyFrame,
    country: pl.LazyFrame,
) -> pl.LazyFrame:
    """The rentals of a quarter, with all their payments and the customer as he was then."""
    customers = transforms.dim_customer(customer, address, city, country)
    return transforms.fact_rental(rental, payment, inventory, film, customers)


@table_asset(tables.FACT_PAYMENT, SOURCE)
def fact_payment(
    payment: pl.LazyFrame,
    rental: pl.LazyFrame,
    inventory: pl.LazyFrame,
    customer: pl.LazyFrame,
    address: pl.LazyFrame,
    city: pl.LazyFrame,
    country: pl.LazyFrame,
) -> pl.LazyFrame:
    """The payments of a quarter, with the copy that was rented and the customer as he was then."""
    customers = transforms.dim_customer(customer, address, city, country)
    return transforms.fact_payment(payment, rental, inventory, customers)


@table_asset(tables.TRANSACTIONS, SOURCE)
def transactions(payment: pl.LazyFrame, rental: pl.LazyFrame) -> pl.LazyFrame:
    """The payments of a quarter."""
    return transforms.transactions(payment, rental)


@table_asset(tables.STOCK_PRICES, SOURCE)
def stock_prices(
    payment: pl.LazyFrame, film: pl.LazyFrame, rental: pl.LazyFrame, inventory: pl.LazyFrame
) -> pl.LazyFrame:
    """What copies cost in a month, by payments and by films' rates."""
    return transforms.stock_prices(payment, film, rental, inventory)
