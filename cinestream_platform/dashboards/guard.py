"""The ASGI middleware around the pages: who may ask, how, and how often; and the headers of every answer."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cinestream_platform.dashboards.metrics import Metrics
from cinestream_platform.web.headers import HEADERS, POLICY
from cinestream_platform.web.hosts import AllowedHosts, refusal
from cinestream_platform.web.rate import Rate, address_of

if TYPE_CHECKING:
    from cinestream_platform.web.login.login import Login

REQUESTS_A_SECOND = 20
MOST_QUERY_BYTES = 4_000
FILES = ("/static/", "/api/", "/events", "/metrics", "/healthz")
"""What programs and our own pages fetch; everything else is a page that a link may lead to."""


@dataclass(frozen=True)
class Door:
    """Who may come in.

    Args:
        login: Asks who comes.
        public: How the addresses begin that nobody has to log in for; ``/`` is the first page alone.
        metrics_token: What a program says that reads ``/metrics``.
    """

    login: Login
    public: tuple[str, ...] = ()
    metrics_token: str = ""

    def is_open(self, scope: Scope) -> bool:
        """Whether this request may pass: a person is logged in, or its address is for everybody."""
        path = scope["path"]
        if path == "/healthz" or path.startswith("/static/"):  # nothing of the warehouse is in them
            return True
        if any(path == one or (one != "/" and path.startswith((f"{one}/", f"{one}."))) for one in self.public):
            return True
        if path == "/metrics" and self.metrics_token:
            said = dict(scope["headers"]).get(b"authorization", b"")
            if hmac.compare_digest(said, f"Bearer {self.metrics_token}".encode()):
                return True
        return self.login.person(scope) is not None


class Guard:
    """Pages behind deny-by-default.

    Args:
        app: The pages.
        hosts: The names that are answered.
        metrics: Counts what is answered.
        rate: How often an address may ask.
        door: Who may; None for everybody.
    """

    def __init__(
        self, app: ASGIApp, hosts: AllowedHosts, metrics: Metrics, rate: Rate, door: Door | None = None
    ) -> None:
        self._app, self._hosts, self._metrics, self._rate, self._door = app, hosts, metrics, rate, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            started = time.perf_counter()
            await self._request(scope, receive, self._with_headers(scope, send, started))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        is_login = self._door is not None and self._door.login.owns(path)
        if reason := refusal(self._hosts, scope["headers"], is_page=not path.startswith(FILES), is_websocket=False):
            answer = PlainTextResponse(f"Refused: {reason}\n", 403)
        elif scope["method"] not in ("GET", "HEAD") and not is_login:
            answer = PlainTextResponse("Refused: pages are read by GET.\n", 405, {"Allow": "GET, HEAD"})
        elif len(scope["query_string"]) > MOST_QUERY_BYTES:
            answer = PlainTextResponse("Refused: the address is too long.\n", 414)
        elif path != "/healthz" and not self._rate.allows(address_of(scope), time.monotonic()):
            text = f"Refused: more than {self._rate.most} requests in a second from one address.\n"
            answer = PlainTextResponse(text, 429, {"Retry-After": "1"})
        elif self._door and is_login:
            return await self._door.login(scope, receive, send)
        elif self._door and not self._door.is_open(scope):
            return await self._door.login.refuse(scope, receive, send, is_page=not path.startswith(FILES))
        else:
            return await self._app(scope, receive, send)
        return await answer(scope, receive, send)

    def _with_headers(self, scope: Scope, send: Send, started: float) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Content-Security-Policy"] = POLICY
                self._metrics.answered(scope, message["status"], time.perf_counter() - started)
            await send(message)

        return send_with_headers
