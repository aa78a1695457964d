"""Login as people and attackers meet it: the pages and Dagster's webserver, by password and by a real provider."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from cinestream_platform.dashboards.app import make_app
from cinestream_platform.dashboards.guard import Door
from cinestream_platform.dashboards.site import PAGES, PublicPagesError, public_addresses
from cinestream_platform.dashboards.warehouse import Rows, Warehouse, WarehouseAwayError
from cinestream_platform.processes.webserver import read_only_for_viewers
from cinestream_platform.settings import Settings
from cinestream_platform.web.guard import Guard
from cinestream_platform.web.hosts import AllowedHosts
from cinestream_platform.web.login.choice import make_login
from cinestream_platform.web.login.login import ADDRESSES, safe_next
from cinestream_platform.web.login.people import People
from cinestream_platform.web.routes import HTTP, Access
from tests.support.dashboards import wait_until
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, Identities, provider, serving
from tests.support.own_postgres import free_port

PASSWORDS = {"ada": "ada looks at things", "otto": "otto starts things!"}
PUBLIC = "films.example.com"
AS_BROWSER = {
    "Accept": "text/html,*/*",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Dest": "document",
}
MUTATION = {"query": "mutation { setNuxSeen }"}


@dataclass
class Served:
    """A web server with login."""

    port: int
    home: Path
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """A browser without a session."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def log_in(self, client: httpx.Client, name: str, password: str, way: str = "/", **headers: str) -> httpx.Response:
        form = {"name": name, "password": password, "next": way}
        return client.post("/login", data=form, headers={"Origin": self.url, **headers})

    def as_(self, who: str | None) -> httpx.Client:
        """Somebody's browser: nobody's, a viewer's or an operator's."""
        if who not in self.clients:
            client = self.clients[who or ""] = self.client()
            if who:
                assert self.log_in(client, who, PASSWORDS[who]).status_code == 303
        return self.clients[who or ""]


def settings_of(home: Path, **values: Any) -> Settings:
    """Of a platform whose warehouse is away: a page that somebody gets says so."""
    nowhere = {"postgres_host": "127.0.0.1", "postgres_port": free_port(), "postgres_password": "x"}
    return Settings(home=home, ui_hosts=f"{PUBLIC},dagster.example.com", **nowhere, **values)


def pages_app(settings: Settings, port: int) -> Any:
    hosts = AllowedHosts.of(port, settings.ui_hosts)
    return make_app(settings, hosts, login=make_login(settings, "127.0.0.1"), requests_a_second=10_000)


def is_away(*_: object) -> Rows:
    raise WarehouseAwayError("The warehouse of this test is away")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("login")
    people = People(folder / "web" / "people")
    people.put("ada", "viewer", PASSWORDS["ada"])
    people.put("otto", "operator", PASSWORDS["otto"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINESTREAM_LOGIN_DASHBOARD_READER_PASSWORD", "x")
        patch.setattr(Warehouse, "read", is_away)  # at once, and not after a wait for a connection
        yield folder


@pytest.fixture(scope="module")
def pages(home: Path) -> Iterator[Served]:
    port = free_port()
    settings = settings_of(home, web_login="password", web_metrics_token="a-token")
    with serving(pages_app(settings, port), port, lifespan="on"):
        yield Served(port, home)


@pytest.fixture(scope="module")
def dagster(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Dagster's own application on an instance without code."""
    port = free_port()
    settings = settings_of(home, web_login="password")
    folder = str(tmp_path_factory.mktemp("dagster"))
    with (
        DagsterInstance.local_temp(folder) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        app = create_app_from_workspace_process_context(read_only_for_viewers(context))
        guard = Guard(
            app, AllowedHosts.of(port, settings.ui_hosts), read_only=False, login=make_login(settings, "127.0.0.1")
        )
        with serving(guard, port):
            yield Served(port, home)


@pytest.fixture(scope="module")
def identities() -> Iterator[Identities]:
    with provider() as found:
        yield found


@pytest.fixture(scope="module")
def by_provider(home: Path, identities: Identities) -> Iterator[Served]:
    port, folder = free_port(), home / "oidc"
    settings = settings_of(
        folder,
        web_login="oidc",
        web_oidc_issuer=identities.issuer,
        web_oidc_client_id=CLIENT_ID,
        web_oidc_client_secret=CLIENT_SECRET,
        web_oidc_viewers="@example.com",
        web_oidc_operators="films-operators",
    )
    with serving(pages_app(settings, port), port, lifespan="on"):
        yield Served(port, folder)


@pytest.fixture
def right(identities: Identities) -> Iterator[Identities]:
    """The provider without faults, and a person who may look."""
    identities.person = {"email": "anna@example.com", "email_verified": True, "preferred_username": "anna"}
    identities.claims, identities.signed_with, identities.says_no = {}, "RS256", False
    yield identities
    identities.claims, identities.signed_with, identities.says_no = {}, "RS256", False


def come_back(served: Served, client: httpx.Client, way: str = "/") -> httpx.Response:
    """Go to the provider and back; the answer to the way back."""
    started = client.get("/login/start", params={"next": way})
    assert started.status_code == 303, started.text
    sent = httpx.get(started.headers["location"], timeout=60)
    return client.get(sent.headers["location"], headers=AS_BROWSER | {"Sec-Fetch-Site": "cross-site"})


# Every address, for nobody, viewers and operators.


def test_every_address_of_the_pages_is_decided_for_everybody(pages: Served):
    addresses = ["/events", *(page.path for page in PAGES), *(page.data_path for page in PAGES if page.data_path)]
    addresses = [re.sub(r"\{[^}]*\}", "some.thing", address) for address in addresses] + ["/nothing", "/api/nothing"]
    for address in addresses:
        is_page = not address.startswith(("/api/", "/events"))
        answer = pages.as_(None).get(address, headers=AS_BROWSER)
        assert answer.status_code == (303 if is_page else 401), address
        assert not is_page or answer.headers["location"].startswith("/login")
        assert pages.as_(None).get(address).status_code == 401, "a program is told so"
        for who in ("ada", "otto"):
            with pages.as_(who).stream("GET", address) as got:
                assert got.status_code in (200, 404, 503), (who, address)
    for address in ("/healthz", "/login", "/login/style.css", "/login/icon.svg"):
        assert pages.as_(None).get(address).status_code == 200, address
    style = re.search(r'href="(/static/style[^"]+)"', pages.as_("ada").get("/").text)
    assert style
    assert pages.as_(None).get(style[1]).status_code == 200


def test_the_measurements_are_for_whoever_has_the_token_or_a_session(pages: Served):
    assert pages.as_(None).get("/metrics").status_code == 401
    for said in ("Bearer", "Bearer a-toke", "Bearer a-tokens", "Basic a-token", "a-token"):
        assert pages.as_(None).get("/metrics", headers={"Authorization": said}).status_code == 401, said
    assert pages.as_(None).get("/metrics", headers={"Authorization": "Bearer a-token"}).status_code == 200
    assert pages.as_("ada").get("/metrics").status_code == 200
    assert pages.as_(None).get("/", headers={"Authorization": "Bearer a-token"}).status_code == 401


def test_every_route_of_dagster_is_decided_for_everybody(dagster: Served):
    """A copy of its table of routes, whose every route says that it was reached."""
    reached = PlainTextResponse("reached")
    application = DagsterWebserver(None).create_asgi_app()  # type: ignore[arg-type]
    real = [route.path for route in application.routes if isinstance(route, Route | Mount)]
    stub = Starlette(routes=[Route(path, lambda _: reached, methods=["GET", "POST"]) for path in real])
    settings, port = settings_of(dagster.home, web_login="password"), free_port()
    guard = Guard(stub, AllowedHosts.of(port, ""), read_only=False, login=make_login(settings, "127.0.0.1"))
    with serving(guard, port):
        served = Served(port, dagster.home)
        for path in real:
            decision = HTTP[path]
            address = re.sub(r"\{[^}]*\}", "something", path)
            is_query = decision.full is Access.QUERY
            for who, access in ((None, None), ("ada", decision.read_only), ("otto", decision.full)):
                client = served.as_(who)
                asked = {"query": "{ version }"}
                got = client.post(address, json=asked) if is_query else client.get(address, headers=AS_BROWSER)
                is_reached = got.text == "reached"
                assert is_reached == (access not in (None, Access.CLOSED)), (who, path, got.status_code)
                if who is None:
                    assert got.status_code == (303 if decision.full is Access.PAGE else 401), path


def test_a_viewer_sees_dagster_read_only_and_an_operator_may_act(dagster: Served):
    asked = {"query": "{ permissions { value } version }"}
    for who, may_act in (("ada", False), ("otto", True)):
        found = dagster.as_(who).post("/graphql", json=asked).json()["data"]
        assert any(one["value"] for one in found["permissions"]) == may_act, who
        assert (dagster.as_(who).post("/graphql", json=MUTATION).status_code == 200) == may_act, who
    logs = {"query": '{ logsForRun(runId: "x") { __typename } }'}
    assert dagster.as_("ada").post("/graphql", json=logs).status_code == 403
    assert dagster.as_(None).post("/graphql", json=asked).status_code == 401
    assert dagster.as_(None).post("/graphql", json=MUTATION).status_code == 401
    assert dagster.as_(None).get("/healthz").json() == {"status": "ok"}
    assert dagster.as_(None).get("/server_info").status_code == 401


def test_a_websocket_is_opened_for_those_who_are_logged_in_and_closed_when_they_are_not(
    dagster: Served, monkeypatch: pytest.MonkeyPatch
):
    import asyncio
    import json

    import websockets

    monkeypatch.setattr("cinestream_platform.web.guard.LOOK_SECONDS", 0.05)
    client = dagster.client()
    assert dagster.log_in(client, "ada", PASSWORDS["ada"]).status_code == 303
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    async def converse(**headers: str) -> list[Any]:
        url = f"ws://127.0.0.1:{dagster.port}/graphql"
        protocol = [websockets.Subprotocol("graphql-ws")]
        async with websockets.connect(url, subprotocols=protocol, additional_headers=headers) as socket:
            await socket.send('{"type": "connection_init", "payload": {}}')
            answers = [json.loads(await asyncio.wait_for(socket.recv(), 30))]
            payload = {"query": 'subscription { capturedLogs(logKey: "x") { stdout } }'}
            await socket.send(json.dumps({"type": "start", "id": "1", "payload": payload}))
            answers.append(json.loads(await asyncio.wait_for(socket.recv(), 30)))
            client.post("/logout", headers={"Origin": dagster.url})
            await asyncio.wait_for(socket.wait_closed(), 30)
            return answers

    with pytest.raises(websockets.InvalidStatus, match="403"):
        asyncio.run(converse())
    first, second = asyncio.run(converse(Cookie=cookie))
    assert first == {"type": "connection_ack"}
    assert second["type"] == "error"
    assert "no logs" in second["payload"]["message"]
    with pytest.raises(websockets.InvalidStatus, match="403"):
        asyncio.run(converse(Cookie=cookie))


def test_public_pages_need_no_login_and_others_do(home: Path):
    port = free_port()
    settings = settings_of(home, web_login="password", web_public_pages="today,lineage")
    with serving(pages_app(settings, port), port, lifespan="on"):
        client = Served(port, home).client(**AS_BROWSER)
        for address in ("/", "/api/today.json", "/lineage/a.b", "/lineage/a.b/c"):
            assert client.get(address).status_code in (404, 503), address
        for address in ("/catalog", "/catalog/a.b", "/files", "/files/x", "/metrics", "/lineagex", "/login2"):
            assert client.get(address).status_code in (303, 401), address
    public = public_addresses("all")
    assert set(public) >= {"/", "/catalog", "/files", "/lineage", "/events"}
    assert public_addresses("") == ()
    with pytest.raises(PublicPagesError, match="'secrets'"):
        public_addresses("today, secrets")
    closed = [
        address
        for page in PAGES
        for address in (page.path, page.data_path)
        if address and not any(address == one or address.startswith((f"{one}/", f"{one}.")) for one in public)
    ]
    assert closed == [], "a new page is a decision too"


# Passwords.


def test_after_the_login_the_page_that_was_asked_for_is_shown(pages: Served):
    client = pages.client(**AS_BROWSER)
    sent = client.get("/catalog?q=film%20noir&source=").headers["location"]
    assert sent == "/login?next=" + quote("/catalog?q=film%20noir&source=", safe="")
    form = client.get(sent).text
    assert 'name="next" value="/catalog?q=film%20noir&amp;source="' in form
    answer = pages.log_in(client, " ADA ", PASSWORDS["ada"], "/catalog?q=film%20noir&source=")
    assert (answer.status_code, answer.headers["location"]) == (303, "/catalog?q=film%20noir&source=")
    page = client.get("/login").text
    assert "<bdi>ada</bdi>" in page
    assert "viewer" in page


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(pages: Served):
    answers = [
        pages.log_in(pages.client(), name, password)
        for name, password in (("ada", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORDS["ada"]), ("", ""))
    ]
    texts = {re.sub(r'<input id="(name|password)"[^>]*>', "", answer.text) for answer in answers}
    assert len(texts) == 1
    assert "do not belong together" in texts.pop()
    assert {answer.status_code for answer in answers} == {403}
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_whoever_guesses_is_soon_told_to_wait_and_the_right_password_helps_no_more(home: Path):
    port = free_port()
    with serving(pages_app(settings_of(home, web_login="password"), port), port, lifespan="on"):
        served = Served(port, home)
        client = served.client()
        for _ in range(15):  # those who know the password are not counted
            assert served.log_in(client, "otto", PASSWORDS["otto"]).status_code == 303
        codes = [served.log_in(client, f"name{n}", "wrong").status_code for n in range(12)]
        assert codes == [403] * 10 + [429] * 2
        answer = served.log_in(client, "ada", PASSWORDS["ada"])
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert "try again in 1 minute" in answer.text
        # Behind a proxy it is the visitor's address that counts, and a name has its own limit.
        for n in range(20):
            got = served.log_in(client, "ada", "wrong", **{"X-Forwarded-For": f"192.0.2.{n + 1}"})
            assert got.status_code == 403, n
        blocked = served.log_in(client, "ada", PASSWORDS["ada"], **{"X-Forwarded-For": "192.0.2.200"})
        assert blocked.status_code == 429
        other = served.log_in(client, "otto", PASSWORDS["otto"], **{"X-Forwarded-For": "192.0.2.200"})
        assert other.status_code == 303


def test_whoever_is_removed_or_gets_another_password_is_out_at_once(pages: Served):
    people = People(pages.home / "web" / "people")
    people.put("eve", "operator", "eve's first password")
    client = pages.client()
    assert pages.log_in(client, "eve", "eve's first password").status_code == 303
    assert client.get("/").status_code == 503
    people.put("eve", "operator", "eve's second password")
    assert client.get("/").status_code == 401
    assert pages.log_in(client, "eve", "eve's second password").status_code == 303
    people.remove("eve")
    assert client.get("/").status_code == 401


def test_logging_out_ends_the_session_everywhere_and_is_done_by_post_of_our_own_page(pages: Served, dagster: Served):
    client = pages.client()
    pages.log_in(client, "ada", PASSWORDS["ada"])
    cookies = dict(client.cookies)
    with httpx.Client(base_url=dagster.url, cookies=cookies) as beside:
        assert beside.get("/").status_code == 200, "one login for both"
        assert client.get("/logout").status_code == 405
        assert client.post("/logout").status_code == 403
        assert client.post("/logout", headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.get("/").status_code == 503
        answer = client.post("/logout", headers={"Origin": pages.url})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?left")
        assert "You are logged out" in client.get("/login?left").text
        assert beside.get("/").status_code == 401, "a copy of the cookie is worth nothing"


# A provider.


def test_a_provider_says_who_comes_and_the_rules_what_they_may(by_provider: Served, right: Identities):
    client = by_provider.client(**AS_BROWSER)
    assert urlsplit(right.issuer).netloc in client.get("/login").text
    answer = come_back(by_provider, client, "/catalog?q=a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/catalog?q=a%20b")
    assert client.get("/").status_code == 503
    assert "viewer" in client.get("/login").text
    asked = right.asked[-1]
    assert asked["redirect_uri"] == f"{by_provider.url}/login/callback"
    assert len(asked["state"]) >= 20
    assert len(asked["nonce"]) >= 20
    right.person = {"groups": ["films-operators"], "preferred_username": '<b>"otto"</b>'}
    assert come_back(by_provider, client).status_code == 303
    page = client.get("/login").text
    assert "operator" in page
    assert "<b>" not in page


def test_whoever_the_provider_knows_and_the_rules_do_not_is_told_so_and_stays_outside(
    by_provider: Served, right: Identities
):
    for person in ({"email": "eve@evil.example", "email_verified": True}, {"email": "eve@example.com"}, {}):
        right.person = person
        client = by_provider.client(**AS_BROWSER)
        answer = come_back(by_provider, client)
        assert answer.status_code == 403
        assert "you may not use this platform" in answer.text
        assert client.get("/").status_code == 303
    right.says_no = True
    assert "did not log you in" in come_back(by_provider, by_provider.client(**AS_BROWSER)).text


@pytest.mark.parametrize(
    "fault",
    [
        {"claims": {"exp": 1_700_000_000}},
        {"claims": {"exp": None}},
        {"claims": {"iat": 4_000_000_000}},
        {"claims": {"nonce": "another"}},
        {"claims": {"nonce": None}},
        {"claims": {"aud": "another-client"}},
        {"claims": {"aud": "another-client", "azp": CLIENT_ID}},
        {"claims": {"aud": ["another-client"]}},
        {"claims": {"aud": None}},
        {"claims": {"iss": "http://evil.example"}},
        {"claims": {"iss": None}},
        {"claims": {"sub": None}},
        {"signed_with": "HS256"},
        {"signed_with": "none"},
        {"signed_with": "a stranger's key"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_login_lets_nobody_in(
    by_provider: Served, right: Identities, fault: dict[str, Any]
):
    for name, value in fault.items():
        setattr(right, name, value)
    client = by_provider.client(**AS_BROWSER)
    answer = come_back(by_provider, client)
    assert answer.status_code == 403
    assert "not valid for this login" in answer.text
    assert client.get("/").status_code == 303


def test_the_provider_may_change_its_key(by_provider: Served, right: Identities):
    assert come_back(by_provider, by_provider.client(**AS_BROWSER)).status_code == 303
    right.rotate()
    assert come_back(by_provider, by_provider.client(**AS_BROWSER)).status_code == 303


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(by_provider: Served, right: Identities):
    victim, attacker = by_provider.client(**AS_BROWSER), by_provider.client(**AS_BROWSER)
    location = victim.get("/login/start").headers["location"]
    back = httpx.get(location).headers["location"]
    attacker.get("/login/start")
    assert attacker.get(back).status_code == 403, "its own flow has another state"
    assert by_provider.client(**AS_BROWSER).get(back).status_code == 403, "no flow at all"
    flow = dict(victim.cookies)
    assert victim.get(back).status_code == 303
    assert victim.get(back).status_code == 403
    with httpx.Client(base_url=by_provider.url, cookies=flow, headers=AS_BROWSER) as copied:
        answer = copied.get(back)
        assert answer.status_code == 403
        assert "finished already" in answer.text
    for state in ("", "x", "a" * 5_000):
        fresh = by_provider.client(**AS_BROWSER)
        fresh.get("/login/start")
        assert fresh.get("/login/callback", params={"code": "x", "state": state}).status_code in (403, 414)


def test_a_provider_that_is_away_is_told_and_asked_again(tmp_path: Path):
    port = free_port()
    issuer = f"http://127.0.0.1:{free_port()}"
    settings = settings_of(
        tmp_path, web_login="oidc", web_oidc_issuer=issuer, web_oidc_client_id="x", web_oidc_viewers="*"
    )
    with serving(pages_app(settings, port), port, lifespan="on"):
        answer = Served(port, tmp_path).client(**AS_BROWSER).get("/login/start")
        assert answer.status_code == 502
        assert "Please try again later" in answer.text


# Attacks.

ELSEWHERE = (
    *(
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "evil.example",
    ),
    *("javascript:alert(1)", "/\r\nSet-Cookie: a=b", "/%0d%0a\r\nX: y", "/\x00", "///evil.example", " //evil.example"),
    *("/login", "/login?next=/login", "/logout", "/" + "a" * 5_000, ""),
)


@pytest.mark.parametrize("way", ELSEWHERE, ids=lambda way: repr(way[:30]))
def test_the_way_on_never_leads_elsewhere(pages: Served, by_provider: Served, right: Identities, way: str):
    assert safe_next(way) == "/"
    answer = pages.log_in(pages.client(), "ada", PASSWORDS["ada"], way)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "x" not in answer.headers
    assert "a=b" not in answer.headers["set-cookie"]
    if way.isprintable() and len(way) < 1_000:
        client = by_provider.client(**AS_BROWSER)
        assert come_back(by_provider, client, way).headers["location"] == "/"


def test_the_form_is_taken_from_our_own_page_alone_and_never_whole_books(pages: Served):
    form = {"name": "ada", "password": PASSWORDS["ada"]}
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = pages.client().post("/login", data=form, headers=headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers
    own = {"Origin": pages.url}
    assert pages.client().post("/login", json=form, headers=own).status_code == 403
    assert pages.client().post("/login", data=form | {"next": "x" * 100_000}, headers=own).status_code == 403
    assert pages.client().post("/login", data=form, headers=own | {"Host": "evil.example"}).status_code == 403
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert pages.client().request(method, "/login", headers=own).status_code == 405, method


def test_a_session_is_new_with_every_login_whatever_the_browser_had(pages: Served):
    client = pages.client()
    pages.log_in(client, "ada", PASSWORDS["ada"])
    [(name, first)] = client.cookies.items()
    pages.log_in(client, "otto", PASSWORDS["otto"])
    assert client.cookies[name] != first
    planted = pages.client(Cookie=f"{name}=planted; {name}x=y")
    answer = pages.log_in(planted, "ada", PASSWORDS["ada"])
    assert "planted" not in answer.headers["set-cookie"]


def test_behind_a_proxy_the_cookie_is_secure_and_the_way_back_is_the_public_name(
    pages: Served, by_provider: Served, right: Identities
):
    headers = {"Host": PUBLIC, "Origin": f"https://{PUBLIC}"}
    answer = pages.log_in(pages.client(), "ada", PASSWORDS["ada"], **headers)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-cinestream-")
    for attribute in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    sent = by_provider.client(Host=PUBLIC).get("/login/start").headers["location"]
    assert parse_qs(urlsplit(sent).query)["redirect_uri"] == [f"https://{PUBLIC}/login/callback"]
    assert by_provider.client(Host="evil.example").get("/login/start").status_code == 403


def test_the_documented_proxy_with_tls_leads_to_the_login_and_in(pages: Served, dagster: Served, tmp_path: Path):
    """Caddy as docs/login.md has it, on a port of this machine and with a certificate of its own."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("there is no caddy here (Debian's package caddy)")
    text = (Path(__file__).parents[2] / "docs" / "login.md").read_text()
    site = re.search(r"```caddyfile\n(.*?)```", text, re.DOTALL)
    assert site is not None
    port = free_port()
    here = (
        site[1]
        .replace("127.0.0.1:3002", f"127.0.0.1:{pages.port}")
        .replace("127.0.0.1:3000", f"127.0.0.1:{dagster.port}")
    )
    here = re.sub(r"^(\S+) \{", rf"https://\1:{port} {{\n\tbind 127.0.0.1\n\ttls internal", here, flags=re.MULTILINE)
    options = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"
    (tmp_path / "Caddyfile").write_text(options + here)
    command = [program, "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with (
        (tmp_path / "output").open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=False, timeout=60) as client:
                client.headers["Host"] = PUBLIC
                as_public = {"extensions": {"sni_hostname": PUBLIC}}
                wait_until(lambda: _answers(client, as_public))
                sent = client.get("/catalog", headers=AS_BROWSER, **as_public)
                assert sent.headers["location"] == "/login?next=%2Fcatalog"
                form = {"name": "ada", "password": PASSWORDS["ada"], "next": "/catalog"}
                own = {"Origin": f"https://{PUBLIC}"}
                got = client.post("/login", data=form, headers=own, **as_public)
                assert (got.status_code, got.headers["location"]) == (303, "/catalog")
                cookie = {"Cookie": got.headers["set-cookie"].partition(";")[0]}
                assert cookie["Cookie"].startswith("__Host-")
                assert client.get("/catalog", headers=cookie, **as_public).status_code == 503
                dagsters = cookie | {"Host": "dagster.example.com"}
                as_dagster = {"extensions": {"sni_hostname": "dagster.example.com"}}
                assert client.get("/login", headers=dagsters, **as_dagster).status_code == 200
                asked = {"query": "{ version }"}
                assert client.post("/graphql", json=asked, headers=dagsters, **as_dagster).status_code == 200
        finally:
            process.terminate()


def _answers(client: httpx.Client, options: dict[str, Any]) -> bool:
    try:
        return client.get("/healthz", **options).status_code == 200
    except httpx.HTTPError:
        return False


def test_every_answer_has_the_policy_and_none_is_kept(pages: Served, dagster: Served):
    for served in (pages, dagster):
        for answer in (served.client().get("/login"), served.log_in(served.client(), "ada", "wrong")):
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'self'; ")
            assert policy.count("frame-ancestors 'none'") == 1
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-frame-options"] == "DENY"


def test_an_open_pages_news_end_with_the_session(home: Path):
    login = make_login(settings_of(home, web_login="password"), "127.0.0.1")
    assert login is not None
    scope = {
        "type": "http",
        "path": "/events",
        "method": "GET",
        "headers": [(b"host", b"127.0.0.1:1")],
        "query_string": b"",
    }
    assert not Door(login).is_open(scope)
    assert Door(login, ("/events",)).is_open(scope)
    assert not any(Door(login, ("/",)).is_open(scope | {"path": path}) for path in ("/files", "//", "/events", "/x"))
    assert {address for address in ADDRESSES if login.owns(address)} == ADDRESSES


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_people_log_in_and_out_with_a_browser(pages: Served, by_provider: Served, right: Identities):
    """By keyboard, without JavaScript, light and dark, narrow and wide; no complaint of the browser or of axe."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []

    def heard(said: Any) -> None:
        if "503" not in said.text:  # the warehouse of this test is away
            complaints.append(said.text)

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme, width, has_scripts in (("light", 360, True), ("dark", 1920, False)):
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,  # type: ignore[arg-type]
                java_script_enabled=has_scripts,
            )
            page = context.new_page()
            page.on("console", heard)
            page.goto(f"{pages.url}/files?state=parked")
            assert page.url.startswith(f"{pages.url}/login?next=")
            if has_scripts:
                complaints += [one["id"] for one in Axe().run(page).response["violations"]]
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert page.evaluate("document.activeElement.id") == "name"
            page.keyboard.type("ada") if has_scripts else page.fill("#name", "ada")
            page.fill("#password", PASSWORDS["ada"])
            page.keyboard.press("Enter")
            page.wait_for_url(f"{pages.url}/files?state=parked")
            assert "The warehouse does not answer" in page.inner_text("h1")
            page.goto(f"{pages.url}/login")
            if has_scripts:
                complaints += [one["id"] for one in Axe().run(page).response["violations"]]
            page.get_by_role("button", name="Log out").click()
            page.wait_for_url(f"{pages.url}/login?left")
            page.goto(f"{by_provider.url}/catalog?q=x")
            page.get_by_role("link", name="Log in with").click()
            page.wait_for_url(f"{by_provider.url}/catalog?q=x")
            context.close()
        browser.close()
    assert complaints == []
