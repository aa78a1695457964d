"""What a message of an alert says, and which messages a channel is sent now.

A message is plain text of bounded length: the sentence of the condition, since when, and a link. Names in it (keys of
files, tables) were given by others: nothing in them may add a header to a mail, turn the text, mention people in a
chat, or be taken for markup or a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cinestream_platform.ledger.alerts import MOST_DUE, DueAlert
from cinestream_platform.messages import DOUBTFUL, bounded, counted, minute, one_line
from cinestream_platform.page_links import condition_url

MOST_SUBJECT, MOST_SENTENCE = 120, 700
"""Characters."""
LISTED = 10
"""Sentences of a summary; the others are counted."""
MARKUP = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "(", "]": ")", "`": "'", "*": "∗", "|": "¦"})
NAME = "CineStream"


@dataclass(frozen=True)
class Message:
    """A text, and the alerts that whoever reads it is told of. ``is_good`` is news of what is over."""

    subject: str
    body: str
    told: tuple[DueAlert, ...] = ()
    is_good: bool = False


def harmless(text: str, most: int) -> str:
    """One line of text that is shown as it is, wherever it is shown."""
    line = one_line(text)
    shown = "".join(char if char.isprintable() else DOUBTFUL for char in line).translate(MARKUP).replace("://", ":⁄⁄")
    return bounded(shown, most)


def next_messages(due: Sequence[DueAlert], taken: int, most: int, pages_url: str) -> list[Message]:
    """The messages that a channel is sent now.

    Args:
        due: What it is to be told of, in order.
        taken: Messages that it took within the last hour.
        most: Messages that it may take within an hour. Where there is more to tell, the last one sums up the rest.
        pages_url: Where people reach the pages.
    """
    left = max(0, most - taken)
    if len(due) <= left:
        return [message_of(alert, pages_url) for alert in due]
    if not left:
        return []
    alone, rest = due[: left - 1], due[left - 1 :]
    last = summary_of(rest, pages_url) if len(rest) > 1 else message_of(rest[0], pages_url)
    return [*(message_of(alert, pages_url) for alert in alone), last]


def message_of(alert: DueAlert, pages_url: str) -> Message:
    """An alert that is open, or over. Of one that is over it also says when it began: the channel may not know."""
    sentence = harmless(alert.sentence, MOST_SENTENCE)
    link = f"{pages_url.rstrip('/')}{condition_url(alert.page, alert.subject)}"
    if not alert.is_resolved:
        body = f"{sentence}\n\nSince {minute(alert.since)}.\n{link}\n"
        return Message(subject_of("", sentence), body, (alert,))
    end = f" to {minute(alert.gone_at)}" if alert.gone_at else ""
    body = f"This is over: {sentence}\n\nIt was so from {minute(alert.since)}{end}.\n{link}\n"
    return Message(subject_of("over: ", sentence), body, (alert,), is_good=True)


def summary_of(alerts: Sequence[DueAlert], pages_url: str) -> Message:
    """Several alerts in one message."""
    opened = sum(not alert.is_resolved for alert in alerts)
    over = len(alerts) - opened
    more = "more than " if len(alerts) >= MOST_DUE else ""
    parts = [counted(opened, "alert is", "alerts are") + " open"] if opened else []
    parts += [counted(over, "alert is", "alerts are") + " over"] if over else []
    said = f"{more}{' and '.join(parts)}"
    lines = [f"- {'over: ' if alert.is_resolved else ''}{harmless(alert.sentence, 200)}" for alert in alerts[:LISTED]]
    if len(alerts) > LISTED:
        lines.append(f"- and {len(alerts) - LISTED:,} more")
    why = "So many came within an hour that they are told together."
    body = "\n".join([f"{said[:1].upper()}{said[1:]}. {why}", "", *lines, "", f"{pages_url.rstrip('/')}/#alerts", ""])
    return Message(subject_of("", said), body, tuple(alerts), is_good=not opened)


def test_message(channel: str, pages_url: str) -> Message:
    """What ``cinestream alerts --test`` sends."""
    body = f"This is a test of the channel {channel}. Alerts of {NAME} arrive like this.\n\n{pages_url.rstrip('/')}/\n"
    return Message(subject_of("", "a test of alerts"), body, is_good=True)


def subject_of(before: str, text: str) -> str:
    """A line that says whose message it is, and what is the matter."""
    line = f"{NAME}: {before}{text}"
    return line if len(line) <= MOST_SUBJECT else f"{line[: MOST_SUBJECT - 1]}…"
