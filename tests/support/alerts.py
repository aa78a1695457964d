"""Channels of the test's own: a mail server and a webhook on this machine, and conditions made by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from cinestream_platform.ledger.alerts import Condition
from tests.support.own_postgres import free_port

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass
class Mailbox:
    """A mail server that keeps what it is sent; ``answer`` is its reply to a message."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 OK"

    @property
    def url(self) -> str:
        """Of the channel. The login is never asked for: the password must not be seen anywhere either."""
        return f"mailto://127.0.0.1:{self.port}?from=platform@example.com&to=team@example.com&mode=insecure"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a message."""
        if self.answer.startswith("250"):
            content = envelope.content or b""
            assert isinstance(content, bytes)
            self.mails.append(message_from_bytes(content, policy=policy.default))
        return self.answer

    @property
    def subjects(self) -> list[str]:
        """Of the mails, in order."""
        return [str(mail["subject"]) for mail in self.mails]


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A mail server on this machine."""
    box = Mailbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Webhook:
    """A web server that keeps what is posted to it; ``status`` is its answer, ``hangs`` is set when it gives none."""

    port: int
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Of the channel, with a token as such addresses have."""
        return f"json://127.0.0.1:{self.port}/hush-token-4711/"

    @property
    def subjects(self) -> list[str]:
        """Of the messages, in order."""
        return [post["title"] for post in self.posts]


@contextmanager
def web_server() -> Iterator[Webhook]:
    """A web server on this machine."""
    hook = Webhook(free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.hangs.is_set():
                hook.free.wait(60)
                return
            if hook.status == 200:
                hook.posts.append(json.loads(body))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", hook.port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="webhook", daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.free.set()
        server.shutdown()
        server.server_close()
        thread.join()


def condition(key: str, *, patience: timedelta = timedelta(0), sentence: str = "", **more: Any) -> Condition:
    """Something that is wrong."""
    given: dict[str, Any] = {
        "key": key,
        "kind": "parked_file",
        "severity": "warn",
        "sentence": sentence or f"{key} is wrong",
        "source": None,
        "page": "today",
        "subject": None,
        "since": START,
        "patience": patience,
    }
    return Condition(**(given | more))
