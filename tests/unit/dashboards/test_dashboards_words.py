"""How values look on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from cinestream_platform.dashboards import words
from cinestream_platform.dashboards.rendering import embedded


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (1_234_567, "1,234,567"), (0.25, "0.25"), (3.0, "3")]
)
def test_numbers_have_separators(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (2_400_000, "2.4 MB"),
        (60_900_000_000, "60.9 GB"),
        (3 * 10**15, "3,000.0 TB"),
    ],
)
def test_bytes_have_a_unit(value: int, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.00034, "0.03 %"), (0.5, "50 %"), (0.000001, "under 0.01 %"), (0, "0 %"), (None, "–")]
)
def test_shares_are_percent(value: float | None, text: str) -> None:
    assert words.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(minutes=15), "15 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=7), "7 days"),
        (timedelta(seconds=4), "4 seconds"),
    ],
)
def test_spans_are_in_their_largest_unit(value: timedelta, text: str) -> None:
    assert words.span(value) == text


def test_times_are_utc_and_can_be_read_by_programs() -> None:
    found = words.moment(datetime(2026, 3, 5, 7, 8, tzinfo=UTC))
    assert found == Markup('<time datetime="2026-03-05T07:08:00Z">5 Mar 2026, 07:08 UTC</time>')


@given(st.text(max_size=3_000))
def test_a_name_is_bounded_escaped_and_turns_nothing(text: str) -> None:
    shown = words.name(text)
    assert isinstance(shown, Markup)
    inside = shown.partition(">")[2].rpartition("</bdi>")[0]
    assert not set("<>\"'") & set(inside)
    assert not words.TURNING.search(shown)
    assert len(Markup(inside).unescape()) <= words.MOST_NAME


@given(st.recursive(st.text() | st.integers() | st.none(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)))
def test_data_inside_a_page_cannot_end_its_element(value: object) -> None:
    text = embedded(value)
    assert not set("<>&") & set(text)
