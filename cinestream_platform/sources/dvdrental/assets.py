"""The assets of dvdrental: which table is made from what. The parameters of a transform name its inputs."""

import polars as pl

from cinestream_platform.orchestration.asset import contract_asset, operational_assets_of, table_asset
from cinestream_platform.orchestration.extracted import extracted_assets_of
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.dvdrental import tables, transforms
from cinestream_platform.sources.dvdrental.source import SOURCE

operational_assets = operational_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)
extractions = extracted_assets_of(SOURCE)
predicted_prices = contract_asset(tables.PREDICTED_PRICES, SOURCE)


dim_actor = table_asset(tables.DIM_ACTOR, SOURCE)(transforms.dim_actor)
dim_category = table_asset(tables.DIM_CATEGORY, SOURCE)(transforms.dim_category)
dim_film = table_asset(tables.DIM_FILM, SOURCE)(transforms.dim_film)
dim_store = table_asset(tables.DIM_STORE, SOURCE)(transforms.dim_store)
dim_staff = table_asset(tables.DIM_STAFF, SOURCE)(transforms.dim_staff)
dim_inventory = table_asset(tables.DIM_INVENTORY, SOURCE)(transforms.dim_inventory)
dim_customer = table_asset(tables.DIM_CUSTOMER, SOURCE)(transforms.dim_customer)
bridge_film_actor = table_asset(tables.BRIDGE_FILM_ACTOR, SOURCE)(transforms.bridge_film_actor)
bridge_film_category = table_asset(tables.BRIDGE_FILM_CATEGORY, SOURCE)(transforms.bridge_film_category)


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


transactions = table_asset(tables.TRANSACTIONS, SOURCE)(transforms.transactions)
stock_prices = table_asset(tables.STOCK_PRICES, SOURCE)(transforms.stock_prices)
