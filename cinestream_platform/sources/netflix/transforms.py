"""From raw rows of the Netflix Prize to its dims and facts: pure polars, no Dagster and no database."""

import polars as pl

from cinestream_platform.conformed.transforms import date_key, delivered

KEY_SHIFT = 2**32
"""Customers are numbered below 2^31, so that film and customer share 64 bits."""


def dim_movie(movie_titles: pl.LazyFrame) -> pl.LazyFrame:
    """Films of movie_titles; films that only ratings mention are inferred members."""
    return movie_titles.select("movie_id", "title", release_year=pl.col("year_of_release")).with_columns(*delivered())


def dim_customer(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """Customers with first and last day and the number of their ratings."""
    return (
        ratings.group_by("customer_id")
        .agg(
            first_rating_date=pl.col("date").min(),
            last_rating_date=pl.col("date").max(),
            total_ratings=pl.len().cast(pl.Int32),
        )
        .with_columns(*delivered())
    )


def fact_ratings(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The ratings of a month."""
    return ratings.select(
        date_key("date"),
        "customer_id",
        "movie_id",
        "rating",
        rating_key=pl.col("movie_id").cast(pl.Int64) * KEY_SHIFT + pl.col("customer_id"),
    )


def fact_customer_months(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """What customers rated in a month: number and sum of ratings, first and last day."""
    days = ratings.select("customer_id", "rating", date_key("date"))
    return (
        days.group_by("customer_id", month=pl.col("date_key") // 100)
        .agg(
            rating_count=pl.len().cast(pl.Int32),
            rating_sum=pl.col("rating").cast(pl.Int32).sum(),
            first_date_key=pl.col("date_key").min(),
            last_date_key=pl.col("date_key").max(),
        )
        .select(pl.exclude("month"), date_key=pl.col("month") * 100 + 1)
    )
