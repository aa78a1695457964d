"""A delivery is judged by what is usual for its feed."""

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.ledger.quality import FEWEST, FLOOR, TIMES, WINDOW, judge

shares = st.lists(
    st.sampled_from([0.0, 0.0001, 0.0009, 0.001, 0.0011, 0.002, 0.01, 0.02, 0.05, 1.0]), min_size=1, max_size=60
)


@given(shares, st.data(), st.sampled_from([0, FEWEST]))
def test_a_delivery_is_unusual_above_twice_the_median_of_those_before_it_and_the_floor(found, data, fewest):
    newest = data.draw(st.integers(1, len(found)))
    verdict = judge(found, newest, fewest=fewest)

    unusual = []
    for at in range(len(found) - newest, len(found)):
        before = found[max(0, at - WINDOW) : at]
        usual = median(before) if before else 0
        if len(before) >= fewest and found[at] > FLOOR and found[at] > TIMES * usual:
            unusual.append(at)
    assert verdict.is_unusual == bool(unusual)
    assert verdict.at >= len(found) - newest
    assert verdict.share == found[verdict.at]
    if unusual:
        assert verdict.at in unusual
        assert verdict.share == max(found[at] for at in unusual)
    else:
        assert verdict.share == max(found[-newest:])


@given(shares, st.integers(0, 40))
def test_a_feed_that_always_has_the_same_share_is_never_unusual_once_it_is_known(found, more):
    same = [0.05] * (FEWEST + 1 + more)
    assert not judge(same, 1).is_unusual
    assert not judge([*found, *[0.05] * WINDOW, 0.1], 1).is_unusual  # twice as many are not more than twice as many


@pytest.mark.parametrize("before", range(FEWEST))
def test_with_fewer_than_three_earlier_deliveries_nothing_is_unusual(before):
    verdict = judge([*[0.0] * before, 1.0], 1)
    assert (verdict.is_unusual, verdict.usual, verdict.earlier) == (False, None, before)


def test_twenty_good_deliveries_and_a_bad_one():
    verdict = judge([*[0.0001] * 20, 0.05], 1)
    assert (verdict.is_unusual, verdict.usual, verdict.earlier, verdict.at) == (True, 0.0001, 20, 20)
    assert not judge([*[0.0] * 20, 0.001], 1).is_unusual  # one of a thousand is the floor
    assert judge([*[0.0] * 20, 0.0011], 1).is_unusual
