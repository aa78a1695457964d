"""What a filter of polars becomes in SQL: never less than the rows that it keeps."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from cinestream_platform.warehouse.predicates import condition

TYPES: dict[str, pl.DataType] = {
    "n": pl.Int32(),
    "price": pl.Decimal(5, 2),
    "day": pl.Date(),
    "at": pl.Datetime("us", "UTC"),
    "title": pl.String(),
    "is_late": pl.Boolean(),
    "mean": pl.Float64(),
}
N, DAY, TITLE, LATE = pl.col("n"), pl.col("day"), pl.col("title"), pl.col("is_late")
NEW_YEAR = datetime(2006, 1, 1, tzinfo=UTC)


def said(predicate: pl.Expr) -> str | None:
    """The condition of a filter as polars hands it to a source, after its optimizer."""
    found: list[Any] = []

    def source(_: Any, given: pl.Expr | None, *__: Any) -> Any:
        found.append(condition(given, TYPES))
        yield pl.DataFrame(schema=TYPES)

    register_io_source(source, schema=TYPES).filter(predicate).collect()
    return None if found == [None] else found[0].as_string()


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (N == 3, '"n" = 3'),
        (pl.lit(5) < N, '"n" > 5'),
        (N.is_between(1, 4, closed="left"), '("n" >= 1 AND "n" < 4)'),
        (N.is_in([1, 2]), '"n" IN (1, 2)'),
        (TITLE.is_in(["It's", "b"]), "\"title\" IN ('It''s', 'b')"),
        (pl.col("price") > Decimal("1.50"), '"price" > 1.50'),
        (date(2005, 12, 1) <= DAY, "\"day\" >= '2005-12-01'::date"),
        (pl.col("at") < NEW_YEAR, "\"at\" < '2006-01-01 00:00:00+00:00'::timestamptz"),
        (LATE & TITLE.is_null(), '("is_late" AND "title" IS NULL)'),
        ((N == 1) | (TITLE == "a"), '("n" = 1 OR "title" = \'a\')'),
    ],
)
def test_a_comparison_with_constants_is_said_in_sql(predicate: pl.Expr, expected: str) -> None:
    assert said(predicate) == expected


@pytest.mark.parametrize(
    "predicate",
    [
        TITLE > "m",  # by which collation?
        TITLE == "a\0b",
        pl.col("mean") > 0.5,
        DAY.dt.year() == 2005,
        ~LATE,
        (N == 1) | (DAY.dt.year() == 2005),
        N.is_in(range(5_000)),
    ],
)
def test_what_sql_might_take_otherwise_is_left_to_polars(predicate: pl.Expr) -> None:
    assert said(predicate) is None


def test_of_conditions_that_all_must_hold_those_that_can_be_said_are() -> None:
    assert said((N >= 2) & (DAY.dt.year() == 2005)) == '("n" >= 2)'
    assert said((DAY.dt.year() == 2005) & (TITLE > "m")) is None
