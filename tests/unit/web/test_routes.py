"""Every route of the installed Dagster is decided, and requests are judged by the route that would answer them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from cinestream_platform.web.routes import CLOSED, HTTP, WEBSOCKET, Access, decision_on


@pytest.fixture(scope="module")
def application() -> Starlette:
    """The application that is served; it asks nobody until a request comes."""
    return DagsterWebserver(None).create_asgi_app()  # type: ignore[arg-type]


def undecided(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route | Mount):
            if route.path not in HTTP:
                yield f"{route.path} of {type(route).__name__}"
        elif not isinstance(route, WebSocketRoute) or route.path not in WEBSOCKET:
            yield f"{getattr(route, 'path', route)} of {type(route).__name__}"


def test_every_route_of_the_webserver_is_decided(application):
    assert list(undecided(application.routes)) == []


def test_a_route_that_nobody_decided_is_found_and_closed(application):
    route = Route("/new_in_1_14", lambda _: None, methods=["POST"])
    assert list(undecided([route, Mount("/new", routes=[])])) == ["/new_in_1_14 of Route", "/new of Mount"]
    scope = {"type": "http", "path": "/new_in_1_14", "method": "POST", "headers": []}
    assert decision_on([route, *application.routes], scope) is CLOSED


def test_every_decision_is_on_a_route_that_there_is(application):
    paths = {route.path for route in application.routes}
    assert set(HTTP) - paths == set()
    assert set(WEBSOCKET) - paths == set()


@pytest.mark.parametrize(
    ("method", "path", "full", "read_only"),
    [
        ("GET", "/", Access.PAGE, Access.PAGE),
        ("GET", "/assets/movielens_dw/fact_ratings", Access.PAGE, Access.PAGE),
        ("POST", "/graphql", Access.QUERY, Access.QUERY),
        ("GET", "/graphql", Access.QUERY, Access.QUERY),
        ("PUT", "/graphql", Access.QUERY, Access.QUERY),  # refused for its method
        ("GET", "/_next/static/x.js", Access.FILE, Access.FILE),
        ("GET", "/logs/run/compute_logs/step/err", Access.FILE, Access.CLOSED),
        ("GET", "/download_debug/3f0c", Access.FILE, Access.CLOSED),
        ("GET", "/notebook", Access.CLOSED, Access.CLOSED),
        ("GET", "/dagit/notebook", Access.CLOSED, Access.CLOSED),
        ("POST", "/report_asset_materialization/a/b", Access.CLOSED, Access.CLOSED),
        ("POST", "/report_asset_check/a", Access.CLOSED, Access.CLOSED),
        ("POST", "/report_asset_observation/a", Access.CLOSED, Access.CLOSED),
        ("GET", "/index.html", Access.CLOSED, Access.CLOSED),
        ("GET", "/vendor/graphiql/graphiql.min.js", Access.CLOSED, Access.CLOSED),
    ],
)
def test_a_request_is_judged_by_the_route_that_would_answer_it(application, method, path, full, read_only):
    decision = decision_on(application.routes, {"type": "http", "path": path, "method": method, "headers": []})
    assert (decision.full, decision.read_only) == (full, read_only)


def test_a_websocket_is_open_at_one_address_only(application):
    assert decision_on(application.routes, {"type": "websocket", "path": "/graphql"}).full is Access.SOCKET
    for path in ("/", "/logs/a/out", "/_next/x", "/graphql/"):
        assert decision_on(application.routes, {"type": "websocket", "path": path}).full is Access.CLOSED, path
