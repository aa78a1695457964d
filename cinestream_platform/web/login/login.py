"""Login as an ASGI application with its own addresses, and the question who asks; the guards put both around theirs.

``/login`` shows the form or the provider's name, or who is logged in. ``/login/start`` and ``/login/callback`` are the
way to a provider and back. ``/logout`` takes a POST of our own page. Nothing here needs JavaScript.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from anyio import CapacityLimiter, to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from cinestream_platform.web.headers import POLICY
from cinestream_platform.web.login.person import Person
from cinestream_platform.web.login.sessions import FLOW_SECONDS, Sessions, host_of, is_secure
from cinestream_platform.web.rate import Rate, address_of

if TYPE_CHECKING:
    from cinestream_platform.web.login.people import People
    from cinestream_platform.web.login.provider import Provider, Rules

FOLDER = Path(__file__).parent
LOOK = FOLDER.parents[1] / "dashboards" / "static"
"""The style sheet of the pages; these are the same colours and shapes, on Dagster's webserver too."""
FILES = {"/login/style.css": ("style.css", "text/css"), "/login/icon.svg": ("icon.svg", "image/svg+xml")}
ADDRESSES = frozenset({"/login", "/login/start", "/login/callback", "/logout", *FILES})
MOST_NEXT, MOST_BODY = 1_000, 8_000
ATTEMPTS_OF_ADDRESS, ATTEMPTS_OF_NAME = (10, 300.0), (20, 900.0)
"""Failed attempts, and the seconds in which all of them are given again."""
MOST_WAITING = 20  # passwords are checked one after the other
MOST_STATES = 10_000

log = logging.getLogger(__name__)


class Login:
    """Who may come in, and how.

    Args:
        sessions: Of those who have.
        people: The file of people, for login by password.
        provider: For login by OpenID Connect, instead.
        rules: Who of the provider's people may what.
    """

    def __init__(
        self, sessions: Sessions, people: People | None, provider: Provider | None = None, rules: Rules | None = None
    ) -> None:
        self._sessions, self._people, self._provider, self._rules = sessions, people, provider, rules
        self._by_address, self._by_name = Rate(*ATTEMPTS_OF_ADDRESS), Rate(*ATTEMPTS_OF_NAME)
        self._used: dict[str, float] = {}
        self._limiter: CapacityLimiter | None = None
        self._page = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False
        ).get_template("login.html")

    def owns(self, path: str) -> bool:
        """Whether it answers this address itself."""
        return path in ADDRESSES

    def person(self, scope: Scope) -> Person | None:
        """Who asks; None if nobody is logged in, or the person has left or got another password since."""
        found = self._sessions.person(scope)
        if found is None or self._people is None:
            return found
        entry = self._people.entries().get(found.name)
        if entry is None or not hmac.compare_digest(entry.fingerprint, found.proof):
            return None
        return Person(found.name, entry.role, found.session, found.proof)

    async def refuse(self, scope: Scope, receive: Receive, send: Send, *, is_page: bool) -> None:
        """Answer somebody who is not logged in: a page leads to the login, everything else is told so."""
        answer: Response
        if is_page and scope["method"] in ("GET", "HEAD") and _navigates(scope):
            wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            way = wanted if safe_next(wanted) == wanted else "/"
            answer = RedirectResponse(f"/login?next={quote(way, safe='')}" if way != "/" else "/login", 303)
        else:
            answer = JSONResponse({"errors": [{"message": "Log in first, at /login."}]}, 401)
        answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one of its own addresses."""
        request = Request(scope, receive)
        path, method = scope["path"], scope["method"]
        answer: Response
        if path in FILES:
            name, kind = FILES[path]
            answer = Response((LOOK / name).read_bytes(), media_type=kind, headers={"Cache-Control": "max-age=300"})
        elif method not in self._methods(path):
            answer = PlainTextResponse("Refused: this address is not asked like that.\n", 405)
        elif method == "POST" and not _is_of_own_page(scope):
            answer = PlainTextResponse("Refused: this form is sent by our own page alone.\n", 403)
        elif path == "/logout":
            answer = self._log_out(scope)
        elif path == "/login/start":
            answer = await self._start(request)
        elif path == "/login/callback":
            answer = await self._come_back(request)
        elif method == "POST" and self._people is not None:
            answer = await self._log_in(request, self._people)
        else:
            answer = self._show(request)
        answer.headers["Content-Security-Policy"] = POLICY
        if path not in FILES:
            answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    def _methods(self, path: str) -> tuple[str, ...]:
        if path == "/logout":
            return ("POST",)
        return ("GET", "HEAD", "POST") if path == "/login" and self._people is not None else ("GET", "HEAD")

    def _show(
        self, request: Request, problem: str = "", *, status: int = 200, name: str = "", way: str = ""
    ) -> Response:
        person = self.person(request.scope) if not problem else None
        left = "left" in request.query_params
        shown: Mapping[str, object] = {
            "title": "Your login" if person else "You are logged out" if left and not problem else "Log in",
            "problem": problem,
            "person": person,
            "provider": self._provider.name if self._provider else None,
            "next": way or safe_next(request.query_params.get("next", "/")),
            "name": name,
            "left": left,
        }
        return HTMLResponse(self._page.render(shown), status)

    def _log_out(self, scope: Scope) -> Response:
        answer = RedirectResponse("/login?left", 303)
        self._sessions.end(scope, answer)
        return answer

    async def _log_in(self, request: Request, people: People) -> Response:
        """Check a name and a password. An attempt counts before it is checked, so that many at once are not more."""
        form = await _form_of(request)
        name, way = form.get("name", "").strip().lower()[:64], safe_next(form.get("next", "/"))
        now, address = time.monotonic(), address_of(request.scope)
        waits = [rate.seconds_to_wait(key, now) for rate, key in self._attempts(address, name)]
        if max(waits) > 0:
            log.warning("too many attempts to log in from %s", address)
            return self._too_many(request, max(waits), name, way)
        for rate, key in self._attempts(address, name):
            rate.allows(key, now)
        self._limiter = self._limiter or CapacityLimiter(1)
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            return self._too_many(request, 5, name, way, status=503)
        password = form.get("password", "")
        entry = await to_thread.run_sync(people.checked, name, password, limiter=self._limiter)
        if entry is None:
            log.warning("a login from %s failed", address)
            return self._show(request, "This name and password do not belong together.", status=403, name=name, way=way)
        for rate, key in self._attempts(address, name):
            rate.give_back(key, time.monotonic())
        answer = RedirectResponse(way, 303)
        self._sessions.begin(request.scope, answer, name, entry.role, entry.fingerprint)
        log.info("%s logged in as %s", name, entry.role)
        return answer

    def _attempts(self, address: str, name: str) -> tuple[tuple[Rate, str], ...]:
        return (self._by_address, address), (self._by_name, name)

    def _too_many(self, request: Request, seconds: float, name: str, way: str, *, status: int = 429) -> Response:
        minutes = max(1, round(seconds / 60))
        text = f"Too many attempts. Please try again in {minutes} {'minute' if minutes == 1 else 'minutes'}."
        answer = self._show(request, text, status=status, name=name, way=way)
        answer.headers["Retry-After"] = str(int(seconds) + 1)
        return answer

    async def _start(self, request: Request) -> Response:
        """Send the browser to the provider, and keep in it what its answer must match."""
        if self._provider is None:
            return RedirectResponse("/login", 303)
        from cinestream_platform.web.login.provider import ProviderError

        try:
            begun = await self._provider.begin(_callback_of(request.scope))
        except ProviderError as error:
            return self._show(request, str(error), status=502)
        answer = RedirectResponse(begun["url"], 303)
        kept = {name: begun[name] for name in ("state", "nonce", "code_verifier")}
        kept["next"] = safe_next(request.query_params.get("next", "/"))
        self._sessions.begin_flow(request.scope, answer, kept)
        return answer

    async def _come_back(self, request: Request) -> Response:
        """The browser is back from the provider; the login that it began counts once."""
        if self._provider is None or self._rules is None:
            return RedirectResponse("/login", 303)
        from cinestream_platform.web.login.provider import ProviderError, name_in

        flow = self._sessions.flow(request.scope)
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        way = flow["next"] if flow else "/"
        if flow is None or not hmac.compare_digest(flow["state"].encode(), state.encode()) or not self._is_new(state):
            text = "This login was begun elsewhere, was finished already, or took too long. Please try again."
            return self._show(request, text, status=403, way=way)
        try:
            if not code:
                raise ProviderError(f"{self._provider.name} did not log you in. Please try again.")
            claims = await self._provider.claims(flow, code, _callback_of(request.scope))
        except ProviderError as error:
            answer = self._show(request, str(error), status=403, way=way)
        else:
            role = self._rules.role_of(claims)
            if role is None:
                log.warning("%s knows somebody who may not come in here", self._provider.name)
                text = f"{self._provider.name} knows you, but you may not use this platform. Ask those who operate it."
                answer = self._show(request, text, status=403, way=way)
            else:
                answer = RedirectResponse(way, 303)
                self._sessions.begin(request.scope, answer, name_in(claims), role)
                log.info("%s logged in as %s", name_in(claims), role)
        self._sessions.end_flow(request.scope, answer)
        return answer

    def _is_new(self, state: str) -> bool:
        """Whether nobody has come back with it, in the time that its cookie is valid."""
        now = time.monotonic()
        self._used = {one: at for one, at in self._used.items() if now - at < FLOW_SECONDS}
        if state in self._used or len(self._used) >= MOST_STATES:
            return False
        self._used[state] = now
        return True


def safe_next(way: str) -> str:
    """An address of this server to go on to; ``/`` instead of anything that could lead elsewhere, or in a circle."""
    is_path = way.startswith("/") and not way.startswith("//") and "\\" not in way and way.isprintable()
    if not is_path or len(way) > MOST_NEXT or way.partition("?")[0] in ADDRESSES:
        return "/"
    return way


def _navigates(scope: Scope) -> bool:
    """Whether a person opens a page, and not a script of one."""
    headers = dict(scope["headers"])
    return headers.get(b"sec-fetch-mode", b"navigate") == b"navigate" and b"text/html" in headers.get(b"accept", b"")


def _is_of_own_page(scope: Scope) -> bool:
    """Whether a form comes from our own page: the guard has refused other origins, here one must be named."""
    headers = dict(scope["headers"])
    return b"origin" in headers or headers.get(b"sec-fetch-site") == b"same-origin"


def _callback_of(scope: Scope) -> str:
    return f"{'https' if is_secure(scope) else 'http'}://{host_of(scope)}/login/callback"


async def _form_of(request: Request) -> dict[str, str]:
    """The fields of a short form; none of anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            return {}
    try:
        return dict(parse_qsl(body.decode("utf-8"), max_num_fields=10))
    except ValueError:
        return {}
