"""What validation finds before a publish, rule by rule, and what it takes for an error of ours."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.column import DOUBLE, INTEGER, TEXT, Between, Column, MultipleOf, OneOf, numeric
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.star_table import WholeFact
from cinestream_platform.declarations.table import Table
from cinestream_platform.publishing.validation import BrokenRulesError, RuleCrashedError, table_rules, validate
from cinestream_platform.sources.movielens.tables import DIM_MOVIE, FACT_RATINGS

THINGS = WholeFact(
    source="s",
    schema="s_dw",
    name="things",
    description="Things.",
    grain="one row per thing and place",
    columns=(
        Column("thing", INTEGER, "Thing.", rules=(Between(1, None),)),
        Column("place", TEXT, "Place.", rules=(OneOf(("here", "there")),)),
        Column("stars", numeric(2, 1), "Stars.", True, (Between(0, 5), MultipleOf(Decimal("0.5")))),
        Column("share", DOUBLE, "Share.", True, (Between(0, 1),)),
    ),
    row_key=("thing", "place"),
)
GOOD = [(1, "here", Decimal("0.5"), 0.0), (1, "there", None, None), (2, "here", Decimal("5.0"), 1.0)]


def things(*rows) -> pl.DataFrame:
    return pl.DataFrame([*GOOD, *rows], schema=polars_schema(THINGS), orient="row")


def failures(table: Table, frame: pl.DataFrame) -> dict[str, int]:
    return {result.name: result.failed_rows for result in validate(table, frame) if not result.passed}


def test_every_rule_reports_also_when_nothing_breaks_it_and_the_grain_comes_last():
    assert [(result.name, result.failed_rows, result.sample) for result in validate(THINGS, things())] == [
        ("thing_required", 0, ()),
        ("thing_range", 0, ()),
        ("place_required", 0, ()),
        ("place_values", 0, ()),
        ("stars_range", 0, ()),
        ("stars_step", 0, ()),
        ("share_range", 0, ()),
        ("grain_unique", 0, ()),
    ]
    assert [rule.name for rule in table_rules(THINGS)] == [r.name for r in validate(THINGS, things())][:-1]


def test_an_empty_frame_breaks_no_rule():
    assert failures(THINGS, things()[:0]) == {}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((None, "here", None, None), {"thing_required": 1}),
        ((3, None, None, None), {"place_required": 1}),
        ((0, "here", None, None), {"thing_range": 1}),
        ((3, "nowhere", None, None), {"place_values": 1}),
        ((3, "", None, None), {"place_values": 1}),
        ((3, "here", Decimal("5.5"), None), {"stars_range": 1}),
        ((3, "here", Decimal("3.2"), None), {"stars_step": 1}),
        ((3, "here", Decimal("-0.3"), None), {"stars_range": 1, "stars_step": 1}),
        ((3, "here", None, 1.5), {"share_range": 1}),
        ((3, "here", None, float("nan")), {"share_range": 1}),
        ((2, "here", None, None), {"grain_unique": 2}),
        (
            (-1, "x", Decimal("9.9"), -1.0),
            dict.fromkeys(("thing_range", "place_values", "stars_range", "stars_step", "share_range"), 1),
        ),
    ],
)
def test_each_rule_counts_the_rows_that_break_it_and_no_other_rule_does(row, expected):
    assert failures(THINGS, things(row)) == expected


def test_a_sample_shows_some_of_the_failing_rows():
    found = {
        r.name: r
        for r in validate(THINGS, things(*((3 + n, "x", None, None) for n in range(9)), (1, "here", None, None)))
    }
    assert found["place_values"].failed_rows == 9
    assert [row["thing"] for row in found["place_values"].sample] == [3, 4, 5, 6, 7]
    assert found["grain_unique"].failed_rows == 2
    assert [row["stars"] for row in found["grain_unique"].sample] == [Decimal("0.5"), None]


def test_a_generated_key_is_no_part_of_the_frame_and_the_natural_key_is_the_grain():
    schema = {name: dtype for name, dtype in polars_schema(DIM_MOVIE).items() if name != "movie_key"}
    row = (1, "Toy", 1995, None, None, False, True)
    assert failures(DIM_MOVIE, pl.DataFrame([row, (2, *row[1:])], schema=schema, orient="row")) == {}
    assert failures(DIM_MOVIE, pl.DataFrame([row, row], schema=schema, orient="row")) == {"grain_unique": 2}


def test_columns_may_come_in_any_order():
    assert failures(THINGS, things().select("share", "stars", "place", "thing")) == {}


@pytest.mark.parametrize(
    ("frame", "culprit"),
    [
        (things().drop("stars"), "stars"),
        (things().with_columns(extra=1), "extra"),
        (things().cast({"thing": pl.Int64}), "thing"),
        (things().cast({"share": pl.Float32}), "share"),
        (things().cast({"stars": pl.Float64}), "stars"),
        (things().cast({"stars": pl.Decimal(3, 2)}), "stars"),
    ],
)
def test_a_wrong_column_or_type_is_our_error_and_names_the_culprit(frame, culprit):
    with pytest.raises(RuleCrashedError, match=culprit):
        validate(THINGS, frame)


def test_a_naive_time_is_our_error():
    at = datetime(2005, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame([(1, 1, 20050101, Decimal("0.5"), at)], schema=polars_schema(FACT_RATINGS), orient="row")
    assert failures(FACT_RATINGS, frame) == {}
    with pytest.raises(RuleCrashedError, match="rated_at"):
        validate(FACT_RATINGS, frame.with_columns(pl.col("rated_at").dt.replace_time_zone(None)))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("v", TEXT, "V.", rules=(Between(0, 1),)), "z"),
        (Column("v", TEXT, "V.", rules=(MultipleOf(Decimal("0.5")),)), "z"),
        (Column("v", INTEGER, "V.", rules=(OneOf(("a",)),)), 1),
    ],
)
def test_a_rule_that_crashes_is_raised_and_not_taken_for_bad_data(column, value):
    table = replace(THINGS, columns=(column,), row_key=("v",))
    frame = pl.DataFrame([(value,)], schema=polars_schema(table), orient="row")
    with pytest.raises(RuleCrashedError, match=r"^v: CHECK_ERROR"):
        validate(table, frame)


def test_the_message_of_a_stopped_publish_names_table_partition_rules_counts_and_rows():
    results = validate(THINGS, things((0, "x", None, None), (-1, "here", None, None)))
    message = str(BrokenRulesError(THINGS, "2005", results))
    assert message.startswith(
        "s_dw.things (2005) is not published, its rows break rules: thing_range: 2 rows, e.g. [{'thing': 0"
    )
    assert "; place_values: 1 row, e.g. [{'thing': 0" in message
    assert str(BrokenRulesError(THINGS, "whole", results)).startswith("s_dw.things is not published")


rows = st.tuples(
    st.sampled_from([None, -1, 1, 2, 3]),
    st.sampled_from([None, "here", "there", "else"]),
    st.sampled_from([None, Decimal("-0.5"), Decimal("0.0"), Decimal("0.4"), Decimal("5.0"), Decimal("5.5")]),
    st.sampled_from([None, -0.1, 0.0, 1.0, 1.1]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=6))
def test_the_counts_are_those_of_a_plain_loop(found):
    def count(breaks) -> int:
        return sum(bool(breaks(*row)) for row in found)

    keys = [row[:2] for row in found]
    expected = {
        "thing_required": count(lambda t, p, s, f: t is None),
        "thing_range": count(lambda t, p, s, f: t is not None and t < 1),
        "place_required": count(lambda t, p, s, f: p is None),
        "place_values": count(lambda t, p, s, f: p == "else"),
        "stars_range": count(lambda t, p, s, f: s is not None and not 0 <= s <= 5),
        "stars_step": count(lambda t, p, s, f: s is not None and s % Decimal("0.5") != 0),
        "share_range": count(lambda t, p, s, f: f is not None and not 0 <= f <= 1),
        "grain_unique": count(lambda t, p, s, f: keys.count((t, p)) > 1),
    }
    frame = pl.DataFrame(found, schema=polars_schema(THINGS), orient="row")
    assert {result.name: result.failed_rows for result in validate(THINGS, frame)} == expected
