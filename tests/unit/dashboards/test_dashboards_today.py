"""The sentences of Today."""

from __future__ import annotations

from typing import Any

import pytest

from cinestream_platform.dashboards.today.page import headline, sentence, services

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


def test_an_alert_of_no_source_is_in_the_headline_where_all_sources_are_fine() -> None:
    fine = [{"title": "s", "verdict": "fine"}]
    alerts = [{"severity": "warn", "total": 2}, {"severity": "error", "total": 2}]
    assert headline(fine, [], alerts) == {"state": "bad", "word": "Wrong", "text": "2 alerts are open."}
    assert headline(fine, [], [{"severity": "warn", "total": 1}])["state"] == "look"
    assert headline([{"title": "s", "verdict": "look"}], [], alerts)["text"] == "s needs a look."


def test_a_full_disk_comes_before_all_else() -> None:
    assert headline([{"title": "s", "verdict": "broken"}], [{"is_short": True}])["text"] == "A disk is nearly full."


@pytest.mark.parametrize(
    ("is_running", "is_watched", "word"),
    [
        (True, True, "Runs"),
        (True, False, "Looks for nothing"),
        (False, True, "Does not run"),
        (False, False, "Does not run"),
    ],
)
def test_the_daemon_is_at_work_if_it_lives_and_looks(is_running: bool, is_watched: bool, word: str) -> None:
    rows = [{"service": "daemon", "is_running": is_running}]
    [shown] = services(rows, [{"is_watched": False}, {"is_watched": is_watched}])
    assert shown["word"] == word


def test_a_webserver_is_shown_as_it_is_and_the_read_only_one_if_it_is_there() -> None:
    for is_running, shown in (
        (True, {"webserver": "Runs", "webserver-read-only": "Runs"}),
        (False, {"webserver": "Does not run"}),
    ):
        rows = [{"service": name, "is_running": is_running} for name in ("webserver", "webserver-read-only")]
        assert {row["service"]: row["word"] for row in services(rows, [])} == shown
