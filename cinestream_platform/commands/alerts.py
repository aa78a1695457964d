"""``cinestream alerts``: what is wrong, who was told of it, and the channels."""

from __future__ import annotations

from rich.console import Console

from cinestream_platform.alerting.channels import Sender
from cinestream_platform.alerting.wording import test_message
from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.tables import say
from cinestream_platform.messages import counted, minute
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import ALERT_URLS, Settings
from cinestream_platform.warehouse.connection import connect

NONE_SET = f"No channel is set, so nobody is told: CINESTREAM_{', CINESTREAM_'.join(ALERT_URLS)} (docs/alerts.md)"


def print_alerts(settings: Settings) -> int:
    """Print what is wrong and how the channels are; 0."""
    console = Console()
    with connect(start_and_prepare(CATALOG, settings)) as conn:
        found = conn.execute(
            "SELECT c.severity, c.sentence, c.since, a.opened_at, a.told, a.waiting FROM platform.alert_condition c"
            " LEFT JOIN platform.alert a ON a.key = c.key AND a.resolved_at IS NULL"
            " ORDER BY c.severity, c.since, c.key"
        ).fetchall()
        channels = conn.execute(
            "SELECT channel, failures, problem, next_attempt_at, delivered_at, waiting FROM platform.alert_channel"
            " ORDER BY channel"
        ).fetchall()
    say(console, f"{counted(len(found), 'thing is', 'things are') if found else 'Nothing is'} wrong.", "bold")
    for severity, sentence, since, opened_at, told, waiting in found:
        say(console, f"  {'WRONG' if severity == 'error' else 'look '}  {sentence}")
        say(console, f"         since {minute(since)}; {_told(opened_at, told, waiting)}")
    for channel, failures, problem, next_attempt_at, delivered_at, waiting in channels:
        last = f"took its last message {minute(delivered_at)}" if delivered_at else "has taken no message yet"
        line = f"channel {channel} {last}"
        if failures:
            line += f"; {counted(failures, 'attempt')} failed since ({problem}), tried again {minute(next_attempt_at)}"
        say(console, f"{line}; {waiting:,} wait for it" if waiting else line)
    if not settings.alert_channels:
        say(console, NONE_SET)
    return 0


def _told(opened_at: object, told: list[str] | None, waiting: list[str] | None) -> str:
    if opened_at is None:
        return "no alert yet: it may pass by itself, or no daemon works"
    parts = [f"told: {', '.join(told)}"] if told else []
    parts += [f"waits for: {', '.join(waiting)}"] if waiting else []
    return "; ".join(parts) or "nobody is told"


def test_channels(settings: Settings) -> int:
    """Send a test message to each channel; 1 if one did not take it, or if there is none."""
    console = Console()
    failed = 0
    for channel, url in settings.alert_channels.items():
        with Sender(url, settings) as sender:
            problem = sender.send(test_message(channel, settings.pages_url))
        say(console, f"channel {channel}: {problem or 'took the test message'}", "red" if problem else None)
        failed += bool(problem)
    if not settings.alert_channels:
        say(console, NONE_SET)
    return 1 if failed or not settings.alert_channels else 0
