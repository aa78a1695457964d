"""Who may use which route of Dagster's webserver: decided one by one, and closed where nobody decided.

A test walks the routes of the installed version and fails on one that is missing here, so that a new version of Dagster
opens nothing by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


class Access(Enum):
    """How a route may be used."""

    CLOSED = "closed"
    PAGE = "page"  # GET; a link on another site may lead here
    FILE = "file"  # GET by our own pages, or by a program
    QUERY = "query"  # POST of application/json by our own pages, or by a program
    SOCKET = "socket"  # a websocket of our own pages, or of a program


@dataclass(frozen=True)
class Decision:
    """What was decided on a route: for operators, and for stakeholders (``cinestream ui --read-only``)."""

    full: Access
    read_only: Access
    why: str


CLOSED = Decision(Access.CLOSED, Access.CLOSED, "nobody decided on it")


def _same(access: Access, why: str) -> Decision:
    return Decision(access, access, why)


HTTP: Mapping[str, Decision] = {
    "/": _same(Access.PAGE, "the UI"),
    "/{path:path}": _same(Access.PAGE, "the UI: its one HTML page stands under every address that nothing else has"),
    "/graphql": _same(Access.QUERY, "the UI posts JSON; by GET a picture on any page would be a mutation"),
    "/server_info": _same(Access.FILE, "three version numbers; health checks read it"),
    "/dagit_info": _same(Access.CLOSED, "the former name of /server_info"),
    "/_next": _same(Access.FILE, "scripts, styles and fonts of the UI"),
    "/vendor": _same(Access.CLOSED, "the GraphQL playground, a page without a content security policy"),
    "/index.html": _same(Access.CLOSED, "the template of the page, without its content security policy"),
    "/404.html": _same(Access.CLOSED, "not used by the UI"),
    "/csp-header.txt": _same(Access.CLOSED, "the template of a header"),
    "/manifest.json": _same(Access.FILE, "name and icon for the browser"),
    "/robots.txt": _same(Access.FILE, "says that nothing is to be indexed"),
    "/favicon.ico": _same(Access.FILE, "icon"),
    "/favicon.png": _same(Access.FILE, "icon"),
    "/favicon.svg": _same(Access.FILE, "icon"),
    "/favicon-run-failed.svg": _same(Access.FILE, "icon"),
    "/favicon-run-pending.svg": _same(Access.FILE, "icon"),
    "/favicon-run-success.svg": _same(Access.FILE, "icon"),
    "/Dagster_world.mp4": _same(Access.CLOSED, "an animation of an invitation that dagster.yaml turns off"),
    "/logs/{path:path}": Decision(Access.FILE, Access.CLOSED, "what steps printed may quote data"),
    "/download_debug/{run_id:str}": Decision(
        Access.FILE, Access.CLOSED, "a run's events with configuration and errors"
    ),
    "/notebook": _same(Access.CLOSED, "reads any notebook that the code location can read; there are none here"),
    "/dagit/notebook": _same(Access.CLOSED, "the former name of /notebook"),
    "/report_asset_materialization/{asset_key:path}": _same(Access.CLOSED, "publications are recorded by runs only"),
    "/report_asset_check/{asset_key:path}": _same(Access.CLOSED, "checks are recorded by runs only"),
    "/report_asset_observation/{asset_key:path}": _same(Access.CLOSED, "observations are recorded by runs only"),
}
WEBSOCKET: Mapping[str, Decision] = {
    "/graphql": _same(Access.SOCKET, "subscriptions of the UI"),
}


def decision_on(routes: Iterable[BaseRoute], scope: Scope) -> Decision:
    """What was decided on the route that would answer this request."""
    table = WEBSOCKET if scope["type"] == "websocket" else HTTP
    partial = None
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return table.get(getattr(route, "path", ""), CLOSED)
        if match is Match.PARTIAL and partial is None:
            partial = route
    return table.get(getattr(partial, "path", ""), CLOSED)
