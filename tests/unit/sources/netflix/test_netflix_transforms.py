"""Made-up ratings: what becomes of them in dims and facts."""

from collections import defaultdict
from datetime import date

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.table import Table
from cinestream_platform.sources.netflix import tables, transforms

LAST_CUSTOMER = 2**31 - 1


def raw(table: Table, *rows: tuple) -> pl.LazyFrame:
    """Raw rows of a table, without their origin."""
    schema = {name: dtype for name, dtype in polars_schema(table).items() if not name.startswith("_")}
    return pl.LazyFrame(list(rows), schema=schema, orient="row")


def ratings(*rows: tuple) -> pl.LazyFrame:
    return raw(tables.RATINGS, *rows)


RATINGS = ratings(
    (1, 7, 3, date(2005, 9, 6)),
    (2, 7, 5, date(2005, 9, 30)),
    (3, 7, 1, date(2005, 10, 1)),
    (1, 8, 4, date(1999, 11, 11)),
    (17_770, LAST_CUSTOMER, 2, date(2005, 12, 31)),
)

events = st.lists(
    st.tuples(
        st.integers(1, 17_770),
        st.integers(1, 5) | st.just(LAST_CUSTOMER),
        st.integers(1, 5),
        st.dates(tables.FIRST_DAY, tables.LAST_DAY),
    ),
    unique_by=lambda event: event[:2],
    max_size=40,
)


def test_a_film_has_its_number_title_and_year_or_none():
    films = raw(tables.MOVIE_TITLES, (1, 2003, "Dinosaur Planet"), (4388, None, 'Ancient, "Civilizations"'))
    dim = transforms.dim_movie(films).collect()
    assert dim.columns == ["movie_id", "title", "release_year", "is_inferred", "is_in_source"]
    assert dim.rows() == [
        (1, "Dinosaur Planet", 2003, False, True),
        (4388, 'Ancient, "Civilizations"', None, False, True),
    ]


def test_a_customer_has_the_first_and_the_last_day_and_the_number_of_ratings():
    dim = transforms.dim_customer(RATINGS).collect().sort("customer_id")
    assert dim.rows() == [
        (7, date(2005, 9, 6), date(2005, 10, 1), 3, False, True),
        (8, date(1999, 11, 11), date(1999, 11, 11), 1, False, True),
        (LAST_CUSTOMER, date(2005, 12, 31), date(2005, 12, 31), 1, False, True),
    ]


def test_a_rating_has_its_day_as_a_number_and_a_key_made_of_film_and_customer():
    found = transforms.fact_ratings(RATINGS).select("rating_key", "customer_id", "movie_id", "date_key", "rating")
    assert found.collect().rows() == [
        (4294967303, 7, 1, 20050906, 3),
        (8589934599, 7, 2, 20050930, 5),
        (12884901895, 7, 3, 20051001, 1),
        (4294967304, 8, 1, 19991111, 4),
        (17_770 * 2**32 + LAST_CUSTOMER, LAST_CUSTOMER, 17_770, 20051231, 2),
    ]


@given(events)
@settings(max_examples=50, deadline=None)
def test_film_and_customer_can_be_read_from_the_key(rows):
    for key, customer, film in transforms.fact_ratings(ratings(*rows)).select("rating_key", "customer_id", "movie_id").collect().rows():  # fmt: skip
        assert divmod(key, 2**32) == (film, customer)


def test_a_customers_month_has_number_and_sum_of_ratings_and_the_first_and_last_day():
    columns = ["customer_id", "date_key", "rating_count", "rating_sum", "first_date_key", "last_date_key"]
    found = transforms.fact_customer_months(RATINGS).select(columns).sort(columns).collect()
    assert found.rows() == [
        (7, 20050901, 2, 8, 20050906, 20050930),
        (7, 20051001, 1, 1, 20051001, 20051001),
        (8, 19991101, 1, 4, 19991111, 19991111),
        (LAST_CUSTOMER, 20051201, 1, 2, 20051231, 20051231),
    ]


@given(events)
@settings(max_examples=50, deadline=None)
def test_months_and_totals_are_those_of_a_dict(rows):
    months, customers = defaultdict(list), defaultdict(list)
    for _, customer, stars, day in rows:
        months[customer, day.replace(day=1)].append((day, stars))
        customers[customer].append(day)

    def key(day: date) -> int:
        return int(f"{day:%Y%m%d}")

    found = transforms.fact_customer_months(ratings(*rows)).collect()
    assert {row[:2]: row[2:] for row in found.select(
        "customer_id", "date_key", "rating_count", "rating_sum", "first_date_key", "last_date_key"
    ).rows()} == {
        (customer, key(month)): (len(of), sum(stars for _, stars in of), key(min(of)[0]), key(max(of)[0]))
        for (customer, month), of in months.items()
    }  # fmt: skip
    dim = transforms.dim_customer(ratings(*rows)).collect()
    assert {row[0]: row[1:4] for row in dim.rows()} == {
        customer: (min(days), max(days), len(days)) for customer, days in customers.items()
    }


def test_what_the_transforms_give_is_of_the_declared_types_also_without_rows():
    made = {
        tables.DIM_MOVIE: transforms.dim_movie(raw(tables.MOVIE_TITLES)),
        tables.DIM_CUSTOMER: transforms.dim_customer(ratings()),
        tables.FACT_RATINGS: transforms.fact_ratings(ratings()),
        tables.FACT_CUSTOMER_MONTHS: transforms.fact_customer_months(ratings()),
    }
    for table, frame in made.items():
        found, keys = frame.collect().schema, {reference.column for reference in table.references if reference.on}
        declared = {name: dtype for name, dtype in polars_schema(table).items() if name not in keys}
        built = {column.name for column in table.built_columns} - keys
        assert {name: dtype for name, dtype in found.items() if name in declared} == {
            name: declared[name] for name in built
        }, table.name
        assert set(found) - set(declared) == {name for r in table.references for name in r.on.values()}, table.name
