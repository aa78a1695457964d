"""What several stars compute alike, in pure polars."""

from datetime import date

import polars as pl

FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2049, 12, 31)


def date_key(timestamp: str) -> pl.Expr:
    """The UTC day of a timestamp as YYYYMMDD."""
    day = pl.col(timestamp).dt
    return (day.year() * 10_000 + day.month().cast(pl.Int32) * 100 + day.day()).cast(pl.Int32).alias("date_key")


def delivered() -> tuple[pl.Expr, pl.Expr]:
    """The end of a type-1 dim's row that the source delivers."""
    return pl.lit(False).alias("is_inferred"), pl.lit(True).alias("is_in_source")


def dim_date() -> pl.LazyFrame:
    """One row per day from 1950 to 2049."""
    day = pl.col("date").dt
    days = pl.LazyFrame({"date": pl.date_range(FIRST_DAY, LAST_DAY, eager=True)})
    return days.select(
        date_key=(day.year() * 10_000 + day.month().cast(pl.Int32) * 100 + day.day()).cast(pl.Int32),
        date=pl.col("date"),
        year=day.year().cast(pl.Int16),
        quarter=day.quarter().cast(pl.Int16),
        month=day.month().cast(pl.Int16),
        month_start=day.month_start(),
        day=day.day().cast(pl.Int16),
        day_of_week=day.weekday().cast(pl.Int16),
        iso_week=day.week().cast(pl.Int16),
        month_name=day.strftime("%B"),
        day_name=day.strftime("%A"),
        is_weekend=day.weekday() >= 6,
        iso_year=day.iso_year().cast(pl.Int16),
        week_start=day.truncate("1w"),
        month_end=day.month_end(),
        quarter_start=day.truncate("1q"),
        quarter_end=day.truncate("1q").dt.offset_by("1q").dt.offset_by("-1d"),
        year_month=day.strftime("%Y-%m"),
        same_day_last_year=day.offset_by("-1y"),
    )
