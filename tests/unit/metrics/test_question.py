"""A question about a metric becomes SQL as an analyst would write it, or a sentence that says how it can be asked."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp, parse_one

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.metric import Metric
from cinestream_platform.metrics.declared import all_metrics
from cinestream_platform.metrics.question import NotAskedSoError, Question

MAY = (date(2013, 5, 1), date(2013, 5, 31))


def metric(source: str, name: str) -> Metric:
    return next(one for one in all_metrics(CATALOG) if (one.source, one.name) == (source, name))


def test_a_metric_by_a_dimension_within_a_month() -> None:
    assert Question(metric("chinook", "revenue"), ("country",), MAY).sql() == (
        "SELECT\n"
        "    dim_location.country AS country,\n"
        "    coalesce(sum(fact_invoice.total), 0) AS revenue\n"
        "FROM chinook_dw.fact_invoice\n"
        "JOIN chinook_dw.dim_location ON dim_location.location_key = fact_invoice.location_key\n"
        "WHERE fact_invoice.date_key BETWEEN 20130501 AND 20130531\n"
        "GROUP BY dim_location.country\n"
        "ORDER BY revenue DESC NULLS LAST, country"
    )


def test_a_ratio_is_divided_after_adding_up_and_has_no_value_without_a_divisor() -> None:
    assert Question(metric("dvdrental", "late_return_share")).sql() == (
        "SELECT\n"
        "    round(count(*) FILTER (WHERE late_days > 0)::numeric"
        " / nullif(count(*) FILTER (WHERE NOT is_open), 0), 6) AS late_return_share\n"
        "FROM dvddw.fact_rental"
    )


def test_a_mart_is_asked_by_its_own_months() -> None:
    text = Question(metric("netflix", "ratings"), ("year",), MAY).sql()
    assert "extract(year FROM mart_movie_months.month_start)" in text
    assert "WHERE mart_movie_months.month_start BETWEEN '2013-05-01'::date AND '2013-05-31'::date" in text
    assert "JOIN" not in text


def test_months_without_an_end_are_whole_months() -> None:
    text = Question(metric("netflix", "ratings"), days=(date(2013, 5, 1), date.max)).sql()
    assert "BETWEEN '2013-05-01'::date AND '9999-12-31'::date" in text


def test_rows_without_a_member_are_kept() -> None:
    assert "LEFT JOIN chinook_dw.dim_genre" in Question(metric("chinook", "units"), ("genre",)).sql()


@given(st.text(alphabet=st.characters(exclude_characters="\0\\", exclude_categories=["Cs"])))
def test_whatever_a_value_holds_it_stays_one_value(value: str) -> None:
    """Backslashes are Postgres' to read: tests of the command line ask it with them."""
    text = Question(metric("chinook", "revenue"), where=(("country", value),)).sql()
    [literal] = [found for found in parse_one(text, read="postgres").find_all(exp.EQ) if found.find(exp.Literal)]
    assert text.count("SELECT") == 1 + value.count("SELECT")
    assert literal.expression.find(exp.Literal).this == value


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"by": ("planet",)}, "cannot be asked for by planet, but by film, title, release_year, month, quarter, year"),
        ({"by": ("day",)}, "cannot be asked for by day"),
        ({"where": (("month", "5"),)}, "month is no dimension of ratings of netflix"),
        ({"days": (date(2013, 5, 1), date(2013, 5, 30))}, "is known by month: ask for whole ones"),
    ],
)
def test_what_cannot_be_asked_says_what_can(asked: dict, reason: str) -> None:
    with pytest.raises(NotAskedSoError, match=reason):
        Question(metric("netflix", "ratings"), **asked)
