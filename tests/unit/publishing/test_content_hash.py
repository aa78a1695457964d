"""The hash of a content is the same for the same rows, and for no others."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.publishing.content_hash import content_hash

SCHEMA = {
    "i": pl.Int32(),
    "s": pl.String(),
    "d": pl.Decimal(2, 1),
    "f": pl.Float64(),
    "b": pl.Boolean(),
    "t": pl.Datetime("us", "UTC"),
    "x": pl.Date(),
}
ROWS = [
    (1, "a", Decimal("0.5"), 0.1, True, datetime(2005, 1, 1, tzinfo=UTC), date(2005, 1, 1)),
    (2, "", Decimal("-3.5"), -0.0, False, datetime(1960, 1, 1, tzinfo=UTC), date(1950, 1, 1)),
    (None, None, None, None, None, None, None),
]
PINNED = "e5ef742de7e4169f-3"
"""In every ledger that exists stand hashes of this function: a change makes each published table look changed once."""


def frame(rows=ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def one(value, dtype) -> str:
    return content_hash(pl.DataFrame({"a": pl.Series([value], dtype=dtype)}))


def test_the_hash_never_changes():
    assert content_hash(frame()) == PINNED
    assert content_hash(frame(ROWS[:1])) == "696fce5e8c8c7247-1"
    assert content_hash(pl.DataFrame({"a": pl.Series([1], dtype=pl.Int64)})) == "beeb8da1658eec67-1"
    assert content_hash(frame([])) == "0000000000000000-0"


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_hash_does_not_depend_on_the_number_of_threads(threads):
    code = (
        "import polars as pl; from cinestream_platform.publishing.content_hash import content_hash;"
        f"assert pl.thread_pool_size() == {threads};"
        "n = pl.int_range(200_000, eager=True);"
        "print(content_hash(pl.DataFrame({'n': n, 's': (n % 7).cast(pl.String), 'f': n / 3})))"
    )
    n = pl.int_range(200_000, eager=True)
    here = content_hash(pl.DataFrame({"n": n, "s": (n % 7).cast(pl.String), "f": n / 3}))
    environment = {**os.environ, "POLARS_MAX_THREADS": threads}
    found = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == here == "4f0164d710230885-200000"


@given(st.permutations(ROWS * 2))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_does_not_count(rows):
    assert content_hash(frame(rows)) == content_hash(frame(ROWS * 2))


@given(st.lists(st.integers(0, 6), max_size=4))
@settings(max_examples=25, deadline=None)
def test_the_chunks_of_a_frame_do_not_count(cuts):
    ends = sorted({0, *cuts, 6})
    parts = [frame(ROWS * 2)[start:end] for start, end in pairwise(ends)]
    assert content_hash(pl.concat(parts, rechunk=False)) == content_hash(frame(ROWS * 2))


OTHERS = {
    "i": [0, 3, -1, 2**31 - 1],
    "s": ["A", " a", "a\0", "b", "é"],
    "d": [Decimal("0.6"), Decimal("5.0"), Decimal("-0.5")],
    "f": [0.1 + 1e-17 * 2, 0.2, float("nan"), float("inf"), -0.1],
    "b": [],
    "t": [datetime(2005, 1, 1, 0, 0, 0, 1, tzinfo=UTC)],
    "x": [date(2005, 1, 2)],
}


def test_any_changed_cell_changes_the_hash():
    seen = {content_hash(frame())}
    changes = 0
    for row in range(len(ROWS)):
        for column, name in enumerate(SCHEMA):
            old = ROWS[row][column]
            for value in {*OTHERS[name], *(r[column] for r in ROWS)} - {old, 0.1}:
                changed = [list(r) for r in ROWS]
                changed[row][column] = value
                seen.add(content_hash(frame(changed)))
                changes += 1
    assert changes > 60
    assert len(seen) == changes + 1


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([None, "", "0", " ", "null"], pl.String),
        ([None, 0, 1, -1], pl.Int64),
        ([None, 0.0, 5e-324, 1.0], pl.Float64),
        ([None, False, True], pl.Boolean),
        ([None, Decimal("0.0"), Decimal("0.1")], pl.Decimal(2, 1)),
        ([None, date(1970, 1, 1), date(1969, 12, 31)], pl.Date),
    ],
)
def test_null_empty_and_zero_are_three_things(values, dtype):
    assert len({one(value, dtype) for value in values}) == len(values)


LISTS = [None, [], [""], [None], ["a"], ["a", "b"], ["b", "a"], ["a,b"], ['a", "b'], ["ab"], ["é"], ["a", "b", ""]]


def test_lists_of_texts_have_a_hash_each_that_never_changes():
    hashes = [one(value, pl.List(pl.String())) for value in LISTS]
    assert len(set(hashes)) == len(LISTS)
    assert hashes[5] == "2ceedcd38615b084-1"


@given(
    st.lists(st.none() | st.lists(st.none() | st.sampled_from(["", "a", ",", '"']), max_size=3), max_size=4), st.data()
)
@settings(max_examples=60, deadline=None)
def test_rows_with_lists_are_hashed_whatever_their_order_and_chunks(values, data):
    def of(lists) -> pl.DataFrame:
        return pl.DataFrame({"l": pl.Series(lists, dtype=pl.List(pl.String()))})

    cut = data.draw(st.integers(0, len(values)))
    shuffled = data.draw(st.permutations(values))
    expected = content_hash(of(values))
    assert content_hash(of(shuffled)) == expected
    assert content_hash(pl.concat([of(values[:cut]), of(values[cut:])], rechunk=False)) == expected


def test_negative_zero_is_zero():
    assert one(-0.0, pl.Float64) == one(0.0, pl.Float64)
    assert one(Decimal("-0.0"), pl.Decimal(2, 1)) == one(Decimal("0.0"), pl.Decimal(2, 1))


def test_a_row_that_occurs_twice_counts_twice():
    once, twice, thrice = (content_hash(frame(ROWS[:1] * n + ROWS[1:])) for n in (1, 2, 3))
    assert len({once, twice, thrice}) == 3
    assert twice.endswith("-4")
    assert content_hash(frame(ROWS[:1] * 2)) != content_hash(frame(ROWS[1:2] * 2))


def test_values_that_change_places_change_the_hash():
    def of(*rows):
        return content_hash(pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row"))

    assert len({of((1, 2), (3, 4)), of((1, 4), (3, 2)), of((2, 1), (4, 3)), of((3, 2), (1, 4), (1, 4))}) == 4
    assert of((1, 2), (3, 4)) == of((3, 4), (1, 2))


@given(
    st.lists(st.tuples(st.integers(-3, 3) | st.none(), st.sampled_from(["", "a", "b", None])), max_size=5),
    st.lists(st.tuples(st.integers(-3, 3) | st.none(), st.sampled_from(["", "a", "b", None])), max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_hashes_are_equal_exactly_if_the_multisets_of_rows_are(one_rows, other_rows):
    schema = {"a": pl.Int64(), "b": pl.String()}
    first, second = (pl.DataFrame(rows, schema=schema, orient="row") for rows in (one_rows, other_rows))
    equal = sorted(map(repr, one_rows)) == sorted(map(repr, other_rows))
    assert (content_hash(first) == content_hash(second)) is equal
