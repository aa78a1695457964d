"""Sessions: signed cookies, which nobody can forge, and the list of those that were ended before their time.

The key is made once and kept in the home, so that the webservers and the pages of one platform know each other's
sessions. Without the key file all sessions end.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from cinestream_platform.services.logins import kept_random
from cinestream_platform.services.process import make_private, write_whole
from cinestream_platform.web.hosts import is_loopback
from cinestream_platform.web.login.person import ROLES, Person, Role

FLOW_SECONDS = 600  # from "log in" to the answer of the provider
MOST_ENDED_BYTES = 64 * 1024
MOST_COOKIE = 4_000


class Sessions:
    """What cookies say.

    Args:
        folder: Of the key and the list of ended sessions.
        hours: How long a session lasts.
        rules: What decides who may log in: sessions that were begun under other rules end.
    """

    def __init__(self, folder: Path, hours: float, rules: str) -> None:
        key = kept_random(folder / "session.key")
        self._seconds = hours * 3600
        self._ended = Ended(folder / "ended-sessions", self._seconds)
        salt = hashlib.sha256(rules.encode()).hexdigest()
        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._sessions = URLSafeTimedSerializer(key, salt=f"session {salt}", signer_kwargs=options)
        self._flows = URLSafeTimedSerializer(key, salt=f"flow {salt}", signer_kwargs=options)
        # Cookies know no port: platforms on one machine must not take each other's away.
        self._name = f"cinestream-{hashlib.sha256(f'name {key}'.encode()).hexdigest()[:8]}"

    def begin(self, scope: Scope, answer: Response, name: str, role: Role, proof: str = "") -> None:
        """Give the browser a new session, whatever it had."""
        values = {"s": secrets.token_urlsafe(16), "n": name, "r": role, "p": proof}
        self._set(scope, answer, self._cookie(scope), str(self._sessions.dumps(values)), self._seconds)

    def person(self, scope: Scope) -> Person | None:
        """Who has the session of this request's cookie; None without a valid one."""
        values = self._read(scope, self._cookie(scope), self._sessions, self._seconds)
        if values is None or values["r"] not in ROLES or self._ended.has(values["s"]):
            return None
        return Person(values["n"], cast(Role, values["r"]), values["s"], values["p"])

    def end(self, scope: Scope, answer: Response) -> None:
        """End the session of this request for whoever has its cookie."""
        if person := self.person(scope):
            self._ended.add(person.session)
        self._delete(scope, answer, self._cookie(scope))

    def begin_flow(self, scope: Scope, answer: Response, values: Mapping[str, str]) -> None:
        """Keep what must be the same when the provider sends the browser back."""
        self._set(scope, answer, self._cookie(scope, "-flow"), str(self._flows.dumps(dict(values))), FLOW_SECONDS)

    def flow(self, scope: Scope) -> Mapping[str, str] | None:
        """What was kept; None if nothing was, or too long ago."""
        return self._read(scope, self._cookie(scope, "-flow"), self._flows, FLOW_SECONDS)

    def end_flow(self, scope: Scope, answer: Response) -> None:
        """Forget it."""
        self._delete(scope, answer, self._cookie(scope, "-flow"))

    def _cookie(self, scope: Scope, suffix: str = "") -> str:
        return f"{'__Host-' if is_secure(scope) else ''}{self._name}{suffix}"

    def _set(self, scope: Scope, answer: Response, cookie: str, value: str, seconds: float) -> None:
        answer.set_cookie(
            cookie, value, max_age=int(seconds), path="/", secure=is_secure(scope), httponly=True, samesite="lax"
        )

    def _delete(self, scope: Scope, answer: Response, cookie: str) -> None:
        answer.delete_cookie(cookie, path="/", secure=is_secure(scope), httponly=True, samesite="lax")

    def _read(
        self, scope: Scope, cookie: str, serializer: URLSafeTimedSerializer, seconds: float
    ) -> dict[str, Any] | None:
        value = HTTPConnection(scope).cookies.get(cookie, "")
        if not value or len(value) > MOST_COOKIE:
            return None
        try:
            return cast("dict[str, Any]", serializer.loads(value, max_age=int(seconds)))
        except BadData:
            return None


class Ended:
    """Sessions that were ended by logging out, for all processes of a home: lines of session and time.

    Args:
        path: The file; it need not exist yet.
        seconds: After which a session has ended by itself, and need not be listed.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._seen: tuple[int, int, int] | None = None
        self._sessions: dict[str, float] = {}

    def has(self, session: str) -> bool:
        """Whether it was ended."""
        self._read()
        return session in self._sessions

    def add(self, session: str) -> None:
        """End a session. One line is written at once, so that two processes lose none of each other's."""
        make_private(self._path.parent)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{session} {time.time():.0f}\n".encode())
            too_long = os.fstat(descriptor).st_size > MOST_ENDED_BYTES
        finally:
            os.close(descriptor)
        self._read()
        if too_long:
            now = time.time()
            kept = [f"{one} {at:.0f}\n" for one, at in self._sessions.items() if now - at < self._seconds]
            write_whole(self._path, "".join(kept), mode=0o600)

    def _read(self) -> None:
        try:
            status = self._path.stat()
        except OSError:
            self._seen, self._sessions = None, {}
            return
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            lines = (line.split() for line in self._path.read_text(encoding="ascii", errors="replace").splitlines())
            self._sessions = {line[0]: float(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
            self._seen = seen


def is_secure(scope: Scope) -> bool:
    """Whether the browser talks TLS: by the scheme, or because only a proxy's public name is no loopback name."""
    return scope.get("scheme") in ("https", "wss") or not is_loopback(host_of(scope))


def host_of(scope: Scope) -> str:
    """The host that is asked; the guard has compared it with those that are answered."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
