"""Sets of whole numbers as ranges."""

from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from cinestream_platform.warehouse.groups import from_multirange, to_multirange

NUMBERS = st.sets(st.integers(-50, 50) | st.integers(-(2**63), 2**63 - 2))


@given(NUMBERS)
def test_a_set_comes_back_as_it_was(numbers: set[int]):
    assert from_multirange(to_multirange(numbers)) == numbers


@given(NUMBERS, st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(numbers: set[int], random):
    shuffled = [*numbers, *numbers]
    random.shuffle(shuffled)
    assert to_multirange(shuffled) == to_multirange(numbers)


@given(NUMBERS)
def test_ranges_are_in_order_and_as_few_as_can_be(numbers: set[int]):
    ranges = list(to_multirange(numbers))
    begins = [number for number in sorted(numbers) if number - 1 not in numbers]
    ends = [number + 1 for number in sorted(numbers) if number + 1 not in numbers]
    assert ranges == [Range(begin, end) for begin, end in zip(begins, ends, strict=True)]


def test_neighbours_are_one_range_and_nothing_is_none():
    assert to_multirange([3, 1, 2, 7]) == Multirange([Range(1, 4), Range(7, 8)])
    assert to_multirange(range(1, 4_500)) == Multirange([Range(1, 4_500)])
    assert (to_multirange([]), from_multirange(Multirange())) == (Multirange(), set())
