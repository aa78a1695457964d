"""The program that hands messages to one channel: ``python -m cinestream_platform.alerting.sending``.

A program of its own, so that apprise, its 150 services and what they wait for stay out of the process that runs the
sensors: whatever hangs is ended with it. It reads lines of JSON: first the address of the channel, then messages, each
of which it answers with a line. The address comes by the pipe, so that no list of processes shows it. It leaves by no
answer: what services say of a failure is freed of it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from cinestream_platform.messages import bounded, one_line

CONNECT_SECONDS, ANSWER_SECONDS = 8.0, 10.0
MOST_REASON = 300
SHORTEST_SECRET = 3
"""Characters; shorter pieces of an address are no secret, and would tear holes into words."""
NOT_SECRET = re.compile(
    r"(mailtos?|jsons?|https?|slack|workflows?|smtp|com|net|org|www|webhook|localhost)", re.IGNORECASE
)
BEHIND = "Socket Exception: "
OF_SYSTEM = re.compile(r"\[Errno -?\d+\] ([\w ,'-]+)|(?<=\b)((?:Read )?timed out)")
NO_REASON = "it did not take the message, and said nothing"


class Heard(logging.Handler):
    """Keeps what apprise says while a message is sent: there alone it says why one was not taken."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep warnings, and of the error behind one that cannot connect the words of the system."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self.said.append(text)
        elif text.startswith(BEHIND):
            found = OF_SYSTEM.search(text)
            self.said.append(found[1] or found[2] if found else text.removeprefix(BEHIND))


def without_address(text: str, url: str) -> str:
    """The text with … for every piece of an address."""
    for piece in sorted(pieces_of(url), key=len, reverse=True):
        text = text.replace(piece, "…")
    return bounded(one_line(re.sub(r"…[….:]*", "…", text)), MOST_REASON)


def pieces_of(url: str) -> Iterator[str]:
    """The address, and whatever in it stands between separators, as written and as meant."""
    for whole in (url, unquote(url)):
        yield whole
        for piece in re.split(r"[/:@?&=,;#+\s]+", whole.removeprefix(f"{urlsplit(url).scheme}:")):
            if len(piece) >= SHORTEST_SECRET and not NOT_SECRET.fullmatch(piece):
                yield piece


class Channel:
    """A channel as apprise knows it."""

    def __init__(self, url: str) -> None:
        import apprise

        self._url = url
        self._heard = Heard()
        log = logging.getLogger("apprise")
        log.handlers[:], log.propagate = [self._heard], False
        log.setLevel(logging.DEBUG)
        asset = apprise.AppriseAsset(app_id="CineStream", app_desc="CineStream", async_mode=False, http_redirects=False)
        self._apprise = apprise.Apprise(asset=asset)
        self.is_known = bool(self._apprise.add(url))
        for service in self._apprise:
            service.socket_connect_timeout, service.socket_read_timeout = CONNECT_SECONDS, ANSWER_SECONDS
            service.request_rate_per_sec = 0  # the limit is ours

    def send(self, message: dict[str, Any]) -> str | None:
        """Send a message; why it was not taken, or ``None``."""
        import apprise

        if not self.is_known:
            return "its address is none that apprise knows"
        self._heard.said.clear()
        kind = apprise.NotifyType.SUCCESS if message["is_good"] else apprise.NotifyType.WARNING
        try:
            is_taken = bool(
                self._apprise.notify(
                    title=message["subject"],
                    body=message["body"],
                    notify_type=kind,
                    body_format=apprise.NotifyFormat.TEXT,
                    interpret_escapes=False,
                )
            )
        except Exception as error:  # a service of apprise's that breaks is a channel that is away
            self._heard.said.append(f"{type(error).__name__}: {error}")
            is_taken = False
        return None if is_taken else without_address("; ".join(self._heard.said) or NO_REASON, self._url)


def main() -> None:
    """Answer every line until there are no more: whoever asks has ended, or has nothing more to say."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints is an answer
    first = sys.stdin.readline()
    if not first:
        return
    channel = Channel(json.loads(first)["url"])
    for line in sys.stdin:
        answers.write(json.dumps({"problem": channel.send(json.loads(line))}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
