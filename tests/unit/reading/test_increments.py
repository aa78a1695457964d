"""Which rows an increment reads: all ranges of keys that have grown, whatever the watermark says."""

from hypothesis import given
from hypothesis import strategies as st
from psycopg.sql import SQL

from cinestream_platform.declarations.connector import Increment
from cinestream_platform.reading.increments import BUCKET_BITS, MAX_RANGES, condition, grown, newest_from

KEYS = st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 50_000), unique=True, max_size=60)


def counted(keys: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for key in keys:
        found[key >> BUCKET_BITS] = found.get(key >> BUCKET_BITS, 0) + 1
    return found


@given(KEYS, KEYS)
def test_every_new_key_is_in_a_range_that_has_grown(old: list[int], new: list[int]) -> None:
    ranges = grown(counted(list({*old, *new})), counted(old))
    assert len(ranges) <= MAX_RANGES
    for key in set(new) - set(old):
        assert any(low <= key <= high for low, high in ranges)
    assert grown(counted(old), counted(old)) == ()


@given(KEYS.filter(bool))
def test_the_newest_ranges_begin_at_one_that_is_known(keys: list[int]) -> None:
    assert newest_from(counted(keys)) in counted(keys)


def test_many_ranges_apart_are_read_as_one_and_neighbours_together() -> None:
    assert grown({1: 5, 2: 5, 4: 5}, {4: 4, 1: 4}) == ((1024, 3071), (4096, 5119))
    assert grown({n * 2: 1 for n in range(MAX_RANGES + 1)}, {}) == ((0, 101 * 1024 - 1),)
    assert newest_from({0: 9, 7: 999, 2_000: 1}) == 7


def test_the_condition_has_the_watermark_and_the_ranges() -> None:
    key = SQL("{}").format(SQL("k"))
    assert condition(Increment(5, ((0, 1023),)), key, None, key).as_string() == "WHERE k >= 5 OR k BETWEEN 0 AND 1023"
    assert condition(Increment(5), key, "1 hour", key).as_string() == "WHERE k >= 5 - '1 hour'::interval"
