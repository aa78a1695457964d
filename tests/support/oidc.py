"""An OpenID Connect provider of a test's own: real addresses, real RS256 signatures, and faults on request."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.own_postgres import free_port

CLIENT_ID, CLIENT_SECRET = "cinestream", "a-secret-of-the-client"


@dataclass
class Identities:
    """What the provider says; tests change it."""

    issuer: str
    person: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)  # instead of the right ones; None leaves one out
    signed_with: str = "RS256"
    says_no: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)  # parameters of /authorize
    keys: list[RSAKey] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def rotate(self) -> None:
        """Sign with a new key, and forget the old one."""
        self.keys = [RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})]

    def token(self, asked: dict[str, str]) -> str:
        """The ID token for an authorization."""
        now = int(time.time())
        right = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "17", "iat": now, "exp": now + 300}
        claims = {**right, "nonce": asked["nonce"], **self.person, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.signed_with == "HS256":  # with what the client and others may know
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])
        if self.signed_with == "none":
            return jwt.encode({"alg": "none"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["none"])
        key = self.keys[0]
        if self.signed_with == "a stranger's key":
            key = RSAKey.generate_key(2048, {"kid": key.kid})
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def application(identities: Identities) -> Starlette:
    """Its addresses."""

    async def metadata(_: Request) -> Response:
        issuer = identities.issuer
        places = {
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
        }
        algorithms = ["RS256", "HS256", "none"]  # a careless one: what it offers decides nothing
        return JSONResponse({"issuer": issuer, **places, "id_token_signing_alg_values_supported": algorithms})

    async def keys(_: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in identities.keys]})

    async def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        identities.asked.append(asked)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_hex(8)
        identities.codes[code] = asked
        said = {"error": "access_denied"} if identities.says_no else {"code": code}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**said, 'state': asked['state']})}", 302)

    async def token(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = identities.codes.pop(form.get("code", ""), None)  # once
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        found = {"access_token": secrets.token_hex(8), "token_type": "Bearer", "expires_in": 300}
        return JSONResponse({**found, "id_token": identities.token(asked)})

    async def elsewhere(_: Request) -> Response:
        return PlainTextResponse("no such address", 404)

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", metadata),
            Route("/keys", keys),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/{path:path}", elsewhere),
        ]
    )


@contextmanager
def provider() -> Iterator[Identities]:
    """A running provider on a port of this machine."""
    port = free_port()
    identities = Identities(f"http://127.0.0.1:{port}")
    identities.rotate()
    with serving(application(identities), port):
        yield identities


@contextmanager
def serving(app: Any, port: int, **options: Any) -> Iterator[None]:
    """An ASGI application on a port of this machine, in a thread of the test."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1, **options))
    thread = threading.Thread(target=server.run, name=f"server on {port}", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join(30)
