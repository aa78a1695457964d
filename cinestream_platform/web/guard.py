"""The ASGI middleware around Dagster's webserver: deny by default, and the same headers on every answer.

What is asked of every request: a host that is ours, no foreign page behind it, somebody who is logged in (if there is
login), a route that somebody decided on, and the method and content type of that decision. Of viewers, and of everybody
on the read-only server, also: a GraphQL document that only reads.
"""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from cinestream_platform.web.headers import HEADERS
from cinestream_platform.web.hosts import AllowedHosts, refusal
from cinestream_platform.web.queries import id_of, refusal_of_body, refusal_of_message
from cinestream_platform.web.routes import Access, decision_on

if TYPE_CHECKING:
    from cinestream_platform.web.login.login import Login

READS_ONLY = "cinestream.reads_only"
"""In the scope of a request: whether its sender may look and do nothing else."""
HEALTH = "/healthz"
LOOK_SECONDS = 30.0  # between two looks whether the person behind a websocket is still logged in
MOST_BODY_BYTES = 1024 * 1024  # of a GraphQL request to the read-only server, which reads it whole before it judges
POLICY_VIOLATION = 1008


class Guard:
    """Dagster's webserver, with only the decided ways in.

    Args:
        app: Its application; the routes are its own.
        hosts: The names that it answers to.
        read_only: Whether it is the stakeholders'.
        login: In front of everything but ``/healthz``; None for no login.
    """

    def __init__(self, app: Starlette, hosts: AllowedHosts, *, read_only: bool, login: "Login | None" = None) -> None:
        self._app = app
        self._hosts = hosts
        self._read_only = read_only
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, open a websocket, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._request(scope, receive, _with_headers(send))

    def _may_come_in(self, scope: Scope) -> bool:
        """Whether the sender is logged in, if that is asked for; notes whether it may do more than look."""
        person = self._login.person(scope) if self._login else None
        scope[READS_ONLY] = self._read_only or (person is not None and person.role != "operator")
        return self._login is None or person is not None

    def _access(self, scope: Scope) -> Access:
        decision = decision_on(self._app.routes, scope)
        return decision.read_only if scope[READS_ONLY] else decision.full

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_in, path, headers = self._may_come_in(scope), scope["path"], scope["headers"]
        is_login = self._login is not None and self._login.owns(path)
        access = Access.PAGE if is_login else self._access(scope)
        if reason := refusal(self._hosts, headers, is_page=access is Access.PAGE, is_websocket=False):
            return await _refuse(403, reason)(scope, receive, send)
        if path == HEALTH:
            return await self._health(scope, receive, send)
        if self._login and is_login:
            return await self._login(scope, receive, send)
        if self._login and not is_in:
            return await self._login.refuse(scope, receive, send, is_page=access is Access.PAGE)
        if access is Access.CLOSED:
            return await _refuse(403, "this address is closed here.")(scope, receive, send)
        if access is not Access.QUERY:
            if scope["method"] not in ("GET", "HEAD"):
                return await _refuse(405, "this address is read by GET.")(scope, receive, send)
            return await self._app(scope, receive, send)
        if scope["method"] != "POST" or not _is_json(headers):
            return await _refuse(405, "GraphQL is asked by POST of application/json.")(scope, receive, send)
        if scope[READS_ONLY]:
            body = await _whole_body(receive)
            reason = "the request is too long." if body is None else refusal_of_body(body)
            if body is None or reason:
                return await _refuse(403, reason or "")(scope, receive, send)
            receive = _again(body, receive)
        return await self._app(scope, receive, send)

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whether Dagster's application answers, and nothing else: asked without login."""
        answers: list[int] = []

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])

        if scope["method"] not in ("GET", "HEAD"):
            return await _refuse(405, "this address is read by GET.")(scope, receive, send)
        asked = {**scope, "method": "GET", "path": "/server_info", "raw_path": b"/server_info"}
        await self._app(asked, receive, note)
        is_well = answers == [200]
        answer = JSONResponse({"status": "ok" if is_well else "does not answer"}, 200 if is_well else 503)
        return await answer(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = self._may_come_in(scope) and self._access(scope) is Access.SOCKET
        if not is_open or refusal(self._hosts, scope["headers"], is_page=False, is_websocket=True):
            # Before it is accepted: the client sees 403 to its request for a websocket.
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        reads_only = scope[READS_ONLY]
        if self._login is not None:
            receive = _while(lambda: self._may_come_in(scope) and scope[READS_ONLY] == reads_only, receive, send)
        await self._app(scope, _judged(receive, send) if reads_only else receive, send)


def _refuse(status: int, reason: str) -> Response:
    """An answer that people, programs and the UI's GraphQL client can read."""
    return JSONResponse({"errors": [{"message": f"Refused: {reason}"}]}, status_code=status)


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == "application/json"


async def _whole_body(receive: Receive) -> bytes | None:
    """The body of a request; None when it is too long or the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or len(body) > MOST_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then what else comes."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


def _while(may_stay: Callable[[], bool], receive: Receive, send: Send) -> Receive:
    """Messages of a client for as long as it may stay; then its websocket is closed."""
    waiting: asyncio.Future[Message] | None = None

    async def next_message() -> Message:
        nonlocal waiting
        waiting = waiting or asyncio.ensure_future(receive())
        while not (await asyncio.wait({waiting}, timeout=LOOK_SECONDS))[0]:
            if not may_stay():
                break
        if waiting.done() and (waiting.result()["type"] == "websocket.disconnect" or may_stay()):
            message, waiting = waiting.result(), None
            return message
        waiting.cancel()
        waiting = None
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

    return next_message


def _judged(receive: Receive, send: Send) -> Receive:
    """Messages of a client, without those that the read-only server refuses: they are answered with an error."""

    async def next_message() -> Message:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            text = message.get("text") or ""
            reason = refusal_of_message(text)
            if reason is None:
                return message
            error = {"type": "error", "id": id_of(text), "payload": {"message": f"Refused: {reason}"}}
            await send({"type": "websocket.send", "text": json.dumps(error)})

    return next_message


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            policy = headers.get("content-security-policy", "").rstrip("; ")
            if "frame-ancestors" not in policy:
                headers["content-security-policy"] = "; ".join(filter(None, (policy, "frame-ancestors 'none'")))
        await send(message)

    return send_with_headers
