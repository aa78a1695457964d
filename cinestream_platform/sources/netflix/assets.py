"""The assets of the Netflix Prize: which table is made from what."""

from collections.abc import Iterator

import polars as pl

from cinestream_platform.orchestration.asset import landing_asset, raw_asset, table_asset
from cinestream_platform.orchestration.file_loading import FileLoader, Report
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.netflix import feeds, tables, transforms

landing_assets = [landing_asset(feed) for feed in feeds.FEEDS]
relationship_report = report_asset(tables.SOURCE)


@raw_asset(feeds.MOVIE_TITLES)
def movie_titles(loader: FileLoader) -> Iterator[Report]:
    """The newest movie_titles file replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.RATINGS)
def ratings(loader: FileLoader) -> Iterator[Report]:
    """Both layouts, in any number of files; a film may be in several, and each rating of it counts once."""
    return loader.load_pending()


@table_asset(tables.DIM_MOVIE)
def dim_movie(movie_titles: pl.LazyFrame) -> pl.LazyFrame:
    """Films of movie_titles; films that only ratings mention are inferred members."""
    return transforms.dim_movie(movie_titles)


@table_asset(tables.DIM_CUSTOMER)
def dim_customer(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """Customers with totals of what they rated."""
    return transforms.dim_customer(ratings)


@table_asset(tables.FACT_RATINGS)
def fact_ratings(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The ratings of a month."""
    return transforms.fact_ratings(ratings)


@table_asset(tables.FACT_CUSTOMER_MONTHS)
def fact_customer_months(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """What customers rated in a month."""
    return transforms.fact_customer_months(ratings)
