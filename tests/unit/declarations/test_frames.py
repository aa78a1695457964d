"""Declarations in polars' terms."""

from decimal import Decimal

import polars as pl
import pytest

from cinestream_platform.catalog import TABLES
from cinestream_platform.declarations.column import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    Between,
    MultipleOf,
    OneOf,
    numeric,
)
from cinestream_platform.declarations.frames import named_rules, polars_schema, polars_type, rule_expression
from cinestream_platform.sources.movielens.tables import DIM_MOVIE, LINKS, RATINGS


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (SMALLINT, pl.Int16()),
        (INTEGER, pl.Int32()),
        (BIGINT, pl.Int64()),
        (DOUBLE, pl.Float64()),
        (TEXT, pl.String()),
        (BOOLEAN, pl.Boolean()),
        (DATE, pl.Date()),
        (TIMESTAMP, pl.Datetime("us", "UTC")),
        (numeric(5, 2), pl.Decimal(5, 2)),
    ],
)
def test_every_declared_type_has_a_polars_type_of_the_same_values(declared, expected):
    assert polars_type(declared) == expected


def test_a_schema_has_all_columns_in_declared_order():
    assert polars_schema(RATINGS) == {
        "user_id": pl.Int32(),
        "movie_id": pl.Int32(),
        "rating": pl.Decimal(2, 1),
        "timestamp": pl.Datetime("us", "UTC"),
        "_file_id": pl.Int64(),
        "_line": pl.Int64(),
    }
    for table in TABLES:
        assert list(polars_schema(table)) == [column.name for column in table.columns]


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (Between(1, 3), [0, 1, 2, 3, 4, None], [False, True, True, True, False, None]),
        (Between(1, None), [0, 1, 99, None], [False, True, True, None]),
        (Between(None, 3), [-9, 3, 4, None], [True, True, False, None]),
        (OneOf(("a", "b")), ["a", "c", "", "A", None], [True, False, False, False, None]),
        (
            MultipleOf(Decimal("0.5")),
            [Decimal("0.5"), Decimal("3.2"), Decimal("0.0"), None],
            [True, False, True, None],
        ),
        (
            Between(Decimal("0.5"), Decimal("5.0")),
            [Decimal("0.4"), Decimal("0.5"), Decimal("5.0"), Decimal("5.1")],
            [False, True, True, False],
        ),
        (Between(0, 1), [-0.1, 0.0, 1.0, 1.0000000000000002, float("nan")], [False, True, True, False, False]),
    ],
)
def test_a_rule_is_true_where_a_value_keeps_it_and_null_where_there_is_none(rule, values, expected):
    assert pl.select(rule_expression(rule, pl.lit(pl.Series(values)))).to_series().to_list() == expected


def test_rules_are_named_after_their_column_in_the_order_of_judgement():
    assert [rule.name for rule in named_rules(RATINGS, from_text=True)] == [
        "user_id_required",
        "user_id_type",
        "user_id_range",
        "movie_id_required",
        "movie_id_type",
        "movie_id_range",
        "rating_required",
        "rating_type",
        "rating_range",
        "rating_step",
        "timestamp_required",
        "timestamp_type",
        "timestamp_range",
        "timestamp_future",
    ]


def test_nullable_columns_are_not_required_and_texts_have_no_type_to_miss():
    assert [rule.name for rule in named_rules(LINKS, from_text=True)] == [
        "movie_id_required",
        "movie_id_type",
        "movie_id_range",
        "tmdb_id_type",
        "tmdb_id_range",
    ]


def test_a_table_that_is_built_has_no_rules_of_text_and_none_on_its_generated_key():
    assert [rule.name for rule in named_rules(DIM_MOVIE)] == [
        "movie_id_required",
        "movie_id_range",
        "release_year_range",
        "tmdb_id_range",
        "is_inferred_required",
        "is_in_source_required",
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_rule_names_are_unique_in_a_table(table):
    names = [rule.name for rule in named_rules(table, from_text=True)]
    assert len(names) == len(set(names))
