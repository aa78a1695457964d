"""The ASGI middleware around the pages: who may ask, how, and how often; and the headers of every answer.

Login is not here yet: everybody who reaches the port may read, as behind Dagster's read-only webserver.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cinestream_platform.dashboards.metrics import Metrics
from cinestream_platform.web.headers import HEADERS
from cinestream_platform.web.hosts import AllowedHosts, refusal

REQUESTS_A_SECOND = 20
MOST_ADDRESSES = 10_000
MOST_QUERY_BYTES = 4_000
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
FILES = ("/static/", "/api/", "/events", "/metrics", "/healthz")
"""What programs and our own pages fetch; everything else is a page that a link may lead to."""


class Rate:
    """How many requests each address has left: a bucket of a second's worth that fills as time passes."""

    def __init__(self, most: int = REQUESTS_A_SECOND) -> None:
        self.most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Take one request of this address; whether it had one."""
        left, at = self._left.pop(address, (self.most, now))
        left = min(self.most, left + (now - at) * self.most)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return allowed


class Guard:
    """Pages behind deny-by-default.

    Args:
        app: The pages.
        hosts: The names that are answered.
        metrics: Counts what is answered.
        rate: How often an address may ask.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, metrics: Metrics, rate: Rate) -> None:
        self._app, self._hosts, self._metrics, self._rate = app, hosts, metrics, rate

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
        if reason := refusal(self._hosts, scope["headers"], is_page=not path.startswith(FILES), is_websocket=False):
            answer = PlainTextResponse(f"Refused: {reason}\n", 403)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = PlainTextResponse("Refused: pages are read by GET.\n", 405, {"Allow": "GET, HEAD"})
        elif len(scope["query_string"]) > MOST_QUERY_BYTES:
            answer = PlainTextResponse("Refused: the address is too long.\n", 414)
        elif path != "/healthz" and not self._rate.allows(_address(scope), time.monotonic()):
            text = f"Refused: more than {self._rate.most} requests in a second from one address.\n"
            answer = PlainTextResponse(text, 429, {"Retry-After": "1"})
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


def _address(scope: Scope) -> str:
    """Of the visitor; of IPv6 the network, since one visitor has all of it."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        found = ip_address(host)
    except ValueError:
        return str(host)
    return str(IPv6Address(int(found) >> 64 << 64)) if found.version == 6 else str(found)
