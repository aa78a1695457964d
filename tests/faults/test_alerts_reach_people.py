"""Who must know is told, once, and nothing is lost: whatever channels do, how often things fail and what they are called."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import Connection
from pydantic import SecretStr

from cinestream_platform.alerting import telling
from cinestream_platform.alerting.telling import tell, tell_channel
from cinestream_platform.alerting.wording import Message
from cinestream_platform.ledger import alerts
from cinestream_platform.ledger.alerts import Condition
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.alerts import START, Mailbox, Webhook, condition, mail_server, web_server
from tests.support.own_postgres import free_port
from tests.support.platform import database

MINUTE = timedelta(minutes=1)
KEYS = ("a", "b", "c", "d")
PATIENT = "d"
"""The one that must be seen for a while."""
HOSTILE = "parked\r\nBcc: all@example.com\n\n<script>alert(1)</script> \u202e<!channel> @here [x](https://evil.example) \u2028\x00"


@pytest.fixture(scope="module")
def target(postgres: PostgresTarget, prepared_template: str) -> Iterator[PostgresTarget]:
    """One warehouse for all tests here."""
    with database(postgres, "alerts", prepared_template) as found:
        yield found


@pytest.fixture
def conn(target: PostgresTarget) -> Iterator[Connection]:
    """A connection to a warehouse in which nothing was ever wrong."""
    with connect(target) as found:
        forget(found)
        yield found
        forget(found)


@pytest.fixture(scope="module")
def mail() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def box(mail: Mailbox) -> Mailbox:
    """An empty mailbox."""
    mail.mails.clear()
    return mail


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with web_server() as found:
        yield found


def forget(conn: Connection) -> None:
    conn.execute("TRUNCATE ops.alert, ops.alert_delivery, ops.alert_channel, ops.alert_message")


def settings_of(tmp_path: Path, **more: object) -> Settings:
    return Settings(home=tmp_path, **more)  # type: ignore[arg-type]


def open_one(conn: Connection, settings: Settings, *conditions: Condition) -> None:
    alerts.follow(conn, conditions, list(settings.alert_channels), telling.clock())


def resolve_all(conn: Connection, settings: Settings) -> None:
    for minutes in (0, 90):
        alerts.follow(conn, [], list(settings.alert_channels), telling.clock() + minutes * MINUTE)


# ---- the way of an alert ---------------------------------------------------------------------------------------------


STEPS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(KEYS)),  # what is wrong
        st.integers(min_value=1, max_value=40),  # minutes until then
        st.sets(st.sampled_from(("mail", "slack"))),  # channels that are away
    ),
    min_size=1,
    max_size=14,
)


class History:
    """What happened to a warehouse with two channels, by a clock of its own."""

    def __init__(self, conn: Connection, most: int) -> None:
        self.conn, self.now = conn, START
        urls = {"alert_mail_url": SecretStr("x"), "alert_slack_url": SecretStr("y")}
        self.settings = Settings(home=Path("/nowhere"), alerts_per_hour=most, **urls)  # type: ignore[arg-type]
        self.channels = list(self.settings.alert_channels)
        self.taken: list[tuple[str, datetime, Message]] = []

    def step(self, wrong: set[str], minutes: int, away: set[str]) -> None:
        self.now += minutes * MINUTE
        seen = [condition(key, patience=10 * MINUTE if key == PATIENT else 0 * MINUTE) for key in sorted(wrong)]
        alerts.follow(self.conn, seen, self.channels, self.now)
        for channel in alerts.waiting_channels(self.conn, self.channels, self.now):

            def send(message: Message, channel: str = channel) -> str | None:
                if channel in away:
                    return "it is away"
                self.taken.append((channel, self.now, message))
                return None

            tell_channel(self.conn, channel, self.settings, send, now=lambda: self.now)


@given(steps=STEPS, most=st.integers(min_value=1, max_value=5))
@hypothesis_settings(max_examples=15, deadline=None)
def test_everybody_is_told_once_of_each_opening_and_each_end_and_never_too_often(
    target: PostgresTarget, steps: list[tuple[set[str], int, set[str]]], most: int
) -> None:
    with connect(target) as conn:
        forget(conn)
        history = History(conn, most)
        for step in steps:
            history.step(*step)
        for _ in range(12):  # all channels are there, and nothing is wrong any more
            history.step(set(), 61, set())

        told = Counter(
            (channel, alert.alert_id, alert.is_resolved)
            for channel, _, message in history.taken
            for alert in message.told
        )
        assert set(told.values()) <= {1}
        opened = {row[0] for row in conn.execute("SELECT alert_id FROM platform.alert")}
        assert {(channel, one) for channel, one, is_over in told if is_over} == {
            (channel, one) for channel in history.channels for one in opened
        }, "each channel knows of each alert that it is over"
        assert conn.execute("SELECT count(*) FROM ops.alert WHERE resolved_at IS NULL").fetchone() == (0,)
        assert conn.execute("SELECT sum(waiting) FROM platform.alert_channel").fetchone() == (0,)
        for channel in history.channels:
            times = [moment for one, moment, _ in history.taken if one == channel]
            for moment in times:
                assert sum(moment - alerts.HOUR < other <= moment for other in times) <= most
        overlapping = conn.execute(
            "SELECT 1 FROM ops.alert a JOIN ops.alert b ON a.key = b.key AND a.alert_id < b.alert_id"
            " WHERE b.first_seen_at < a.resolved_at"
        ).fetchall()
        assert overlapping == []
        forget(conn)


def test_what_passes_by_itself_is_no_alert(conn: Connection) -> None:
    history = History(conn, most=9)
    for minutes in (0, 3, 6):
        history.step({PATIENT} if minutes < 6 else set(), 3, set())
    assert history.taken == []
    assert conn.execute("SELECT count(*) FROM ops.alert").fetchone() == (0,)


def test_what_comes_and_goes_all_the_time_is_told_a_few_times_only(conn: Connection) -> None:
    history = History(conn, most=1_000)
    for minute in range(240):
        history.step({"a"} if minute % 4 < 2 else set(), 1, set())
    messages = [message for channel, _, message in history.taken if channel == "mail"]
    assert 2 <= len(messages) <= 8, "60 times it came back, and was told as one"


def test_an_alert_that_was_over_before_a_dead_channel_came_back_is_told_by_one_message(conn: Connection) -> None:
    history = History(conn, most=9)
    history.step({"a"}, 1, {"mail"})
    history.step(set(), 1, {"mail"})
    history.step(set(), 5, {"mail"})
    history.step(set(), 90, set())
    history.step(set(), 90, set())
    by_channel = {name: [m.subject for one, _, m in history.taken if one == name] for name in history.channels}
    assert by_channel["slack"] == ["CineStream: a is wrong", "CineStream: over: a is wrong"]
    assert by_channel["mail"] == ["CineStream: over: a is wrong"]
    [body] = [m.body for one, _, m in history.taken if one == "mail"]
    assert "It was so from 5 Jan 2026, 08:00 UTC" in body


def test_many_at_once_are_told_one_by_one_up_to_the_limit_and_the_rest_by_a_summary(conn: Connection) -> None:
    history = History(conn, most=5)
    alerts.follow(conn, [condition(f"k{n:03}") for n in range(300)], history.channels, history.now)
    taken: list[Message] = []
    tell_channel(conn, "mail", history.settings, lambda m: taken.append(m), now=lambda: history.now)  # type: ignore[func-returns-value]
    assert [len(message.told) for message in taken] == [1, 1, 1, 1, 296]
    assert taken[-1].subject == "CineStream: 296 alerts are open"
    assert "- and 286 more" in taken[-1].body
    assert len(taken[-1].body) < 3_000


def test_a_channel_that_is_away_is_asked_less_and_less_often(conn: Connection) -> None:
    history = History(conn, most=9)
    asked: list[datetime] = []

    def send(_: Message) -> str:
        asked.append(history.now)
        return "it is away"

    for _ in range(120):
        history.now += MINUTE
        alerts.follow(conn, [condition("a")], ["mail"], history.now)
        if alerts.waiting_channels(conn, ["mail"], history.now):
            tell_channel(conn, "mail", history.settings, send, now=lambda: history.now)
    assert 9 <= len(asked) <= 16
    assert asked[-1] - asked[-2] == 15 * MINUTE


def test_one_message_that_is_never_taken_keeps_up_no_other(conn: Connection) -> None:
    history = History(conn, most=9)
    taken: list[str] = []

    def send(message: Message) -> str | None:
        if "a is wrong" in message.subject:
            return "it does not like this one"
        taken.append(message.subject)
        return None

    for _ in range(4):
        history.now += 20 * MINUTE
        alerts.follow(conn, [condition("a"), condition("b"), condition("c")], ["mail"], history.now)
        tell_channel(conn, "mail", history.settings, send, now=lambda: history.now)
    assert taken == ["CineStream: b is wrong", "CineStream: c is wrong"]


# ---- real channels ---------------------------------------------------------------------------------------------------


def test_mail_and_webhook_are_told_when_it_begins_and_when_it_is_over(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox, hook: Webhook
) -> None:
    settings = settings_of(
        tmp_path, alert_mail_url=box.url, alert_webhook_url=hook.url, pages_url="https://pages.example.com/"
    )
    open_one(
        conn,
        settings,
        condition("parked_file:movielens/ratings/ä b.csv", page="file", subject="movielens/ratings/ä b.csv"),
    )
    tell(target, settings, ["mail", "webhook"])
    tell(target, settings, ["mail", "webhook"])
    resolve_all(conn, settings)
    tell(target, settings, ["mail", "webhook"])

    expected = [f"CineStream: {before}parked_file:movielens/ratings/ä b.csv is wrong" for before in ("", "over: ")]
    assert box.subjects == hook.subjects == expected
    link = "https://pages.example.com/files/movielens/ratings/%C3%A4%20b.csv"
    assert link in box.mails[0].get_content()
    assert link in hook.posts[0]["message"]
    assert box.mails[0]["to"] == "team@example.com"


def test_names_add_no_header_and_no_mention_and_turn_no_text(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox, hook: Webhook
) -> None:
    settings = settings_of(tmp_path, alert_mail_url=box.url, alert_webhook_url=hook.url)
    hostile = HOSTILE.replace("\x00", "") + "x" * 9_000
    open_one(conn, settings, condition("k", sentence=hostile, page="file", subject=hostile))
    tell(target, settings, ["mail", "webhook"])
    [mail], [post] = box.mails, hook.posts
    assert mail["bcc"] is None
    assert mail["to"] == "team@example.com"
    assert mail["subject"].startswith("CineStream: parked Bcc: all＠example.com ‹script›")
    for text in (mail["subject"], mail.get_content(), post["title"], post["message"]):
        assert not set("<>@[]\u202e\u2028") & set(text.replace("http://127.0.0.1:3002", ""))
        assert "https://evil" not in text
        assert len(text) < 2_000


def test_a_dead_channel_loses_nothing_keeps_up_no_other_and_is_itself_told(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox
) -> None:
    dead = free_port()
    settings = settings_of(
        tmp_path, alert_mail_url=box.url, alert_webhook_url=f"json://127.0.0.1:{dead}/hush-token-4711/"
    )
    open_one(conn, settings, condition("a"))
    for _ in range(2):
        tell(target, settings, ["webhook"])
    [(problem,)] = conn.execute("SELECT problem FROM platform.alert_channel WHERE channel = 'webhook'").fetchall()
    assert "onnection" in problem
    assert not [piece for piece in ("hush-token-4711", str(dead), "json://") if piece in problem]
    seen = [one for one in alerts.conditions(conn) if one.kind == "dead_channel"]
    assert [one.key for one in seen] == ["dead_channel:webhook"]
    open_one(conn, settings, condition("a"), *seen)
    tell(target, settings, ["mail"])
    assert box.subjects == ["CineStream: a is wrong", f"CineStream: {seen[0].sentence}"[:119] + "…"]
    with web_server() as revived:
        settings = settings_of(tmp_path, alert_mail_url=box.url, alert_webhook_url=revived.url)
        tell(target, settings, ["webhook"])
        assert revived.subjects == ["CineStream: a is wrong"], "nothing is lost, and it is not told that it is dead"
    assert [one for one in alerts.conditions(conn) if one.kind == "dead_channel"] == []


@pytest.mark.parametrize(("status", "answer"), [(500, "550 5.7.1 refused"), (404, "451 4.3.0 try later")])
def test_why_a_channel_does_not_take_a_message_is_told_without_its_address(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox, hook: Webhook, status: int, answer: str
) -> None:
    hook.status, box.answer = status, answer
    settings = settings_of(tmp_path, alert_mail_url=box.url, alert_webhook_url=hook.url)
    open_one(conn, settings, condition("a"))
    try:
        said = tell(target, settings, ["mail", "webhook"])
    finally:
        hook.status, box.answer = 200, "250 OK"
    assert str(status) in said[1]
    assert "sent, then" in said[0]
    problems = str(conn.execute("SELECT channel, problem FROM platform.alert_channel").fetchall()) + str(said)
    assert not [piece for piece in ("hush-token-4711", str(box.port), "team@example.com") if piece in problems]


def test_a_channel_that_hangs_is_given_up_in_time_and_the_others_are_told_meanwhile(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox, hook: Webhook
) -> None:
    settings = settings_of(tmp_path, alert_mail_url=box.url, alert_webhook_url=hook.url)
    open_one(conn, settings, condition("a"))
    hook.hangs.set()
    try:
        from cinestream_platform.alerting.channels import Sender

        began = time.monotonic()
        with Sender(SecretStr(hook.url), settings, seconds=3) as sender:
            assert sender.send(Message("a", "b")) == "no answer within 3 s"
            process = sender._process
        assert process is None
        assert time.monotonic() - began < 30
    finally:
        hook.free.set()
    tell(target, settings, ["mail"])
    assert box.subjects == ["CineStream: a is wrong"]


def test_a_message_that_was_taken_before_that_could_be_noted_is_sent_once_more_and_no_third_time(
    conn: Connection, target: PostgresTarget, tmp_path: Path, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, alert_mail_url=box.url)
    open_one(conn, settings, condition("a"))
    with monkeypatch.context() as patched:

        def die(*_: object) -> None:
            raise psycopg.OperationalError("the process is killed here")

        patched.setattr(alerts, "note_told", die)
        tell(target, settings, ["mail"])
    for _ in range(2):
        tell(target, settings, ["mail"])
    assert box.subjects == ["CineStream: a is wrong"] * 2


def test_without_channels_nothing_is_sent_and_alerts_are_open_all_the_same(conn: Connection, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    open_one(conn, settings, condition("a"))
    assert alerts.waiting_channels(conn, [], telling.clock()) == []
    assert conn.execute("SELECT key, told, waiting FROM platform.alert").fetchall() == [("a", [], [])]
