"""What messages say, and what of a channel's address is left in why it failed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.alerting.sending import without_address
from cinestream_platform.alerting.wording import MOST_SENTENCE, MOST_SUBJECT, harmless, message_of, next_messages
from cinestream_platform.ledger.alerts import DueAlert
from cinestream_platform.page_links import MOST_PATH, condition_url
from tests.support.alerts import START

ALERT = DueAlert(1, "parked_file", "warn", "It is wrong", "today", None, START, START, None, is_resolved=False)
PAGES = "https://pages.example.com"


@given(text=st.text())
def test_whatever_a_name_holds_a_message_is_bounded_printable_and_one_line_in_its_subject(text: str) -> None:
    message = message_of(replace(ALERT, sentence=text), PAGES)
    assert message.subject.isprintable()
    assert len(message.subject) <= MOST_SUBJECT
    assert len(message.body) <= MOST_SENTENCE + 200
    shown = harmless(text, 700)
    assert shown.isprintable()
    assert not set("<>@[]`*|") & set(shown)
    assert "://" not in shown


@given(waiting=st.integers(0, 40), taken=st.integers(0, 40), most=st.integers(1, 12))
def test_all_that_is_due_is_told_within_the_limit_or_in_its_last_message_or_later(
    waiting: int, taken: int, most: int
) -> None:
    due = [replace(ALERT, alert_id=number) for number in range(waiting)]
    messages = next_messages(due, taken, most, PAGES)
    assert len(messages) <= max(0, most - taken)
    told = [alert.alert_id for message in messages for alert in message.told]
    assert told == (list(range(waiting)) if taken < most else [])


@pytest.mark.parametrize(
    ("page", "subject", "url"),
    [
        ("file", "movielens/ratings/a b?#.csv", "/files/movielens/ratings/a%20b%3F%23.csv"),
        ("file", "é" * 500, "/files?state=parked"),
        ("table", "movielens_dw.fact_ratings", "/catalog/movielens_dw.fact_ratings"),
        ("source", "movielens", "/#source-movielens"),
        ("work", "run", "/#work"),
        ("alerts", "mail", "/#alerts"),
        ("today", None, "/"),
        ("of a later version", "x", "/"),
    ],
)
def test_the_link_is_to_the_page_of_what_is_wrong(page: str, subject: str | None, url: str) -> None:
    assert condition_url(page, subject) == url
    assert len(url) <= MOST_PATH


@pytest.mark.parametrize(
    "url",
    [
        "slack://T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccccccc/#alerts",
        "mailtos://some%40one:pass%2Fword@smtp.example.org:587?from=me@example.org&to=you@example.org",
        "jsons://us3r:s3cret@hooks.example.org/path-token?+X-Key=abc123def",
    ],
)
def test_no_piece_of_an_address_is_left_in_why_it_failed(url: str) -> None:
    said = f"cannot post to {url} as some@one with pass/word, T0AAAAAAA, path-token, abc123def or s3cret: Connection refused"
    told = without_address(said, url)
    pieces = ("some", "pass/word", "word@", "smtp.example.org", "path-token", "abc123def", "s3cret", "T0AAAAAAA")
    assert not [piece for piece in pieces if piece in told and piece in url.replace("%40", "@").replace("%2F", "/")]
    assert "Connection refused" in told
