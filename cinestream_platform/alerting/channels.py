"""Handing messages to channels, each by a program of its own with a time within which it must answer."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from cinestream_platform.alerting.wording import Message
from cinestream_platform.settings import PROXIES, Settings, is_secret

MESSAGE_SECONDS = 25.0
"""A channel must have taken a message by then, the start of its program included."""
MOST_ANSWER = 65_536
NOT_INSTALLED = "apprise is not installed: pip install 'cinestream-platform[alerts]'"


def can_send() -> bool:
    """Whether the extra [alerts] is installed."""
    return find_spec("apprise") is not None


class Sender:
    """The program that sends to one channel; started with the first message, ended with the block.

    Args:
        url: The channel's address.
        settings: The proxy.
        seconds: In which a message must be taken.
    """

    def __init__(self, url: SecretStr, settings: Settings, seconds: float = MESSAGE_SECONDS) -> None:
        self._url = url
        self._proxy = settings.alert_proxy_url
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def send(self, message: Message) -> str | None:
        """Send a message; why it was not taken, or ``None``. Never raises for what a channel does."""
        if not can_send():
            return NOT_INSTALLED
        deadline = time.monotonic() + self._seconds
        try:
            process = self._process or self._start()
            self._say(process, {"subject": message.subject, "body": message.body, "is_good": message.is_good})
            answer = self._answer(process, deadline)
        except (OSError, ValueError):
            answer = None
        if answer is None:
            self._end()
            is_late = time.monotonic() >= deadline
            return f"no answer within {self._seconds:g} s" if is_late else "the program that sends to it ended"
        problem: str | None = answer["problem"]
        return problem

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not is_secret(name)}
        if self._proxy:
            environment |= dict.fromkeys((name for name in PROXIES if name != "NO_PROXY"), self._proxy)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cinestream_platform.alerting.sending"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries print addresses
            bufsize=0,
        )
        self._say(self._process, {"url": self._url.get_secret_value()})
        return self._process

    @staticmethod
    def _say(process: subprocess.Popen[bytes], what: dict[str, Any]) -> None:
        if process.stdin is not None:
            process.stdin.write(json.dumps(what).encode() + b"\n")

    @staticmethod
    def _answer(process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any] | None:
        """One line; ``None`` if none comes in time, or ever."""
        line = b""
        while process.stdout is not None and not line.endswith(b"\n") and len(line) < MOST_ANSWER:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or not (part := os.read(process.stdout.fileno(), MOST_ANSWER)):
                return None
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
