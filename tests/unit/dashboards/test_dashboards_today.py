"""The sentences of Today."""

from __future__ import annotations

from typing import Any

import pytest

from cinestream_platform.dashboards.today.page import headline, sentence

FINE = {
    "title": "Films",
    "verdict": "fine",
    "reasons": [],
    "records": 100_000,
    "rows_rejected": 34,
    "is_as_usual": True,
}


@pytest.mark.parametrize(
    ("differs", "text"),
    [
        ({}, "is fresh and whole; 34 of 100,000 records were rejected, as usual."),
        ({"is_as_usual": None, "rows_rejected": 1}, "is fresh and whole; 1 of 100,000 records was rejected."),
        ({"rows_rejected": 0}, "is fresh and whole; none of 100,000 records was rejected."),
        ({"records": None}, "is fresh and whole."),
        (
            {"verdict": "look", "reasons": ["its data is late", "1 file is parked"], "is_as_usual": False},
            "needs a look: its data is late and 1 file is parked; 34 of 100,000 records were rejected, more than usual.",
        ),
        ({"verdict": "broken", "reasons": ["1 check failed"], "records": 0}, "is wrong: 1 check failed."),
        ({"verdict": "empty"}, "is empty: nothing has landed yet."),
    ],
)
def test_a_source_is_judged_in_a_sentence(differs: dict[str, Any], text: str) -> None:
    assert sentence(FINE | differs) == text


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        (["fine", "fine"], "All 2 sources are fresh and whole."),
        (["fine"], "1 source is fresh and whole."),
        (["fine", "empty"], "1 source is fresh and whole; 1 other is empty."),
        (["empty", "empty"], "Nothing has landed yet."),
        (["look", "fine", "look"], "s0 and s2 need a look."),
        (["look", "broken"], "s1 is wrong."),
        ([], "Nothing has landed yet."),
    ],
)
def test_the_headline_names_the_worst(verdicts: list[str], text: str) -> None:
    sources = [{"title": f"s{place}", "verdict": verdict} for place, verdict in enumerate(verdicts)]
    assert headline(sources, [])["text"] == text


def test_a_full_disk_comes_before_all_else() -> None:
    assert headline([{"title": "s", "verdict": "broken"}], [{"is_short": True}])["text"] == "A disk is nearly full."
