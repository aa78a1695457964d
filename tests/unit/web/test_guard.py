"""The guard around Dagster's application: methods, content types, headers, and what the read-only one lets through."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from cinestream_platform.web.guard import MOST_BODY_BYTES, Guard
from cinestream_platform.web.hosts import AllowedHosts

HOST = (b"host", b"127.0.0.1:3000")
JSON = (b"content-type", b"application/json")
ASKED = json.dumps({"query": "{ version }"}).encode()


async def answer(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(body.decode() or "page", headers={"Content-Security-Policy": "object-src 'none';"})


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        await websocket.send_text("taken: " + message["text"])


APP = Starlette(
    routes=[
        Route("/graphql", answer, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", socket),
        Route("/logs/{path:path}", answer),
        Route("/undecided", answer, methods=["POST"]),
        Route("/{path:path}", answer),
    ]
)


def guard(*, read_only: bool = False) -> Guard:
    return Guard(APP, AllowedHosts.of(3000, ""), read_only=read_only)


def ask(
    method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b"", read_only: bool = False, parts: int = 1
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of the answer."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [HOST, *headers]}
    size = -(-len(body) // parts) or 1
    pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    waiting = [
        {"type": "http.request", "body": piece, "more_body": number + 1 < len(pieces)}
        for number, piece in enumerate(pieces)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(guard(read_only=read_only)(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]).decode()


def converse(*messages: str, headers: tuple[tuple[bytes, bytes], ...] = (), read_only: bool = False) -> list[Any]:
    """What a websocket at /graphql answers to text messages."""
    waiting: list[Any] = [{"type": "websocket.connect"}]
    waiting += [{"type": "websocket.receive", "text": message} for message in messages]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "headers": [HOST, *headers],
        "subprotocols": [],
    }
    asyncio.run(guard(read_only=read_only)(scope, receive, send))
    return sent


def test_graphql_is_asked_by_post_of_json_alone():
    assert ask("POST", "/graphql", JSON, body=ASKED)[0] == 200
    assert ask("POST", "/graphql", (b"content-type", b"Application/JSON; charset=utf-8"), body=ASKED)[0] == 200
    for kind in (
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=application/json",
        b"application/graphql",
        b"text/plain; application/json",
        b"application/jsonp",
        b"",
    ):
        assert ask("POST", "/graphql", (b"content-type", kind), body=ASKED)[0] == 405, kind
    assert ask("POST", "/graphql", body=ASKED)[0] == 405
    assert ask("POST", "/graphql", JSON, (b"content-type", b"text/plain"), body=ASKED)[0] == 405
    for method in ("GET", "HEAD", "PUT", "OPTIONS", "DELETE"):
        assert ask(method, "/graphql", JSON, (b"accept", b"text/html"))[0] == 405, method


def test_pages_and_files_are_read_by_get_alone():
    assert ask("GET", "/runs")[0] == 200
    assert ask("HEAD", "/runs")[0] == 200
    assert ask("GET", "/logs/run/out")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert ask(method, "/runs")[0] == 405, method


def test_a_foreign_host_or_origin_or_page_is_refused_on_every_route():
    foreign = [(b"origin", b"http://evil.example"), (b"sec-fetch-site", b"same-site"), (b"host", b"127.0.0.1:3000")]
    for method, path in (("GET", "/"), ("POST", "/graphql"), ("GET", "/logs/a/out"), ("POST", "/undecided")):
        for header in foreign:
            assert ask(method, path, JSON, header, body=ASKED)[0] == 403, (path, header)


def test_what_nobody_decided_is_closed():
    assert ask("POST", "/undecided", JSON, body=b"{}")[0] == 403


def test_every_answer_has_the_security_headers():
    for answered in (ask("GET", "/"), ask("POST", "/undecided"), ask("GET", "/graphql")):
        headers = answered[1]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert ask("GET", "/")[1]["content-security-policy"] == "object-src 'none'; frame-ancestors 'none'"


def test_a_refusal_says_why_in_the_form_of_graphql_errors():
    _, _, text = ask("GET", "/graphql")
    assert json.loads(text)["errors"][0]["message"] == "Refused: GraphQL is asked by POST of application/json."


@pytest.mark.parametrize("parts", [1, 7])
def test_the_read_only_server_hands_on_queries_as_they_came(parts):
    assert ask("POST", "/graphql", JSON, body=ASKED, read_only=True, parts=parts)[::2] == (200, ASKED.decode())


def test_the_read_only_server_refuses_mutations_and_long_bodies():
    mutation = json.dumps({"query": "mutation { setNuxSeen }"}).encode()
    assert ask("POST", "/graphql", JSON, body=mutation)[0] == 200
    assert ask("POST", "/graphql", JSON, body=mutation, read_only=True)[0] == 403
    long = json.dumps({"query": "{ version }", "variables": {"x": "y" * MOST_BODY_BYTES}}).encode()
    assert ask("POST", "/graphql", JSON, body=long, read_only=True, parts=9)[0] == 403
    assert ask("GET", "/logs/run/out", read_only=True)[0] == 403


def test_a_websocket_of_a_foreign_page_is_refused_before_it_opens():
    own = (b"origin", b"http://127.0.0.1:3000")
    assert converse("hello", headers=(own,))[1] == {"type": "websocket.send", "text": "taken: hello"}
    for header in ((b"origin", b"http://127.0.0.1:3001"), (b"sec-fetch-site", b"cross-site"), (b"origin", b"null")):
        assert [message["type"] for message in converse("hello", headers=(header,))] == ["websocket.close"]


def test_the_read_only_websocket_answers_a_refused_subscription_and_stays_open():
    logs = json.dumps(
        {"type": "start", "id": "7", "payload": {"query": 'subscription { capturedLogs(logKey: "x") { stdout } }'}}
    )
    sent = converse('{"type": "connection_init"}', logs, '{"type": "stop"}', read_only=True)
    assert sent[1]["text"] == 'taken: {"type": "connection_init"}'
    refused = json.loads(sent[2]["text"])
    assert (refused["type"], refused["id"]) == ("error", "7")
    assert "no logs" in refused["payload"]["message"]
    assert sent[3]["text"] == 'taken: {"type": "stop"}'
