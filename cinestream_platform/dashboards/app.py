"""The application: routes, and the way from a request to a kept or newly made page."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from cinestream_platform.dashboards.assets import Assets
from cinestream_platform.dashboards.cache import Cache, Made
from cinestream_platform.dashboards.changes import Changes
from cinestream_platform.dashboards.guard import REQUESTS_A_SECOND, Door, Guard
from cinestream_platform.dashboards.metrics import Metrics
from cinestream_platform.dashboards.pages import FOLDER, NoSuchPageError, Page
from cinestream_platform.dashboards.rendering import Renderer, as_json
from cinestream_platform.dashboards.site import PAGES, public_addresses
from cinestream_platform.dashboards.vega import VegaBundle
from cinestream_platform.dashboards.warehouse import MOST_CONNECTIONS, Row, Warehouse, WarehouseAwayError
from cinestream_platform.services.disk import disks
from cinestream_platform.settings import Settings
from cinestream_platform.web.hosts import AllowedHosts
from cinestream_platform.web.rate import Rate

if TYPE_CHECKING:
    from cinestream_platform.web.login.login import Login

FOR_EVER = "public, max-age=31536000, immutable"
HEARTBEAT_SECONDS = 15.0
MOST_STREAMS = 500
RETRY_SECONDS = 3  # after which the page for a warehouse that is away asks again

log = logging.getLogger(__name__)


class Site:
    """All that the pages of one server share."""

    def __init__(self, settings: Settings, pages: Sequence[Page], door: Door | None) -> None:
        self.settings = settings
        self._door = door
        self.metrics = Metrics()
        self.warehouse = Warehouse(settings)
        self.changes = Changes(lambda: self.warehouse.conninfo("dashboards look"), self.warehouse.keep_to)
        self.cache = Cache()
        self.assets = Assets(FOLDER / "static")
        self.vega = VegaBundle(settings.home_dir / "dashboards")
        assets = self.assets.urls | {"vega.js": f"/static/{self.vega.name}"}
        self.renderer = Renderer(assets, has_login=door is not None)
        self._pages = pages
        self._makers = CapacityLimiter(MOST_CONNECTIONS)
        self._bundling: asyncio.Task[bytes] | None = None
        self._streams = 0

    def routes(self) -> list[Route]:
        """Every address."""
        found = [
            Route("/healthz", self.healthz),
            Route("/metrics", self.scrape),
            Route("/events", self.events),
            Route("/static/{name}", self.static),
        ]
        for page in self._pages:
            if page.data_path:
                found.append(Route(page.data_path, self._answering(page, as_data=True)))
            found.append(Route(page.path, self._answering(page)))
        return found

    def _answering(self, page: Page, *, as_data: bool = False) -> Any:
        async def answer(request: Request) -> Response:
            parameters = page.parameters(request.path_params, request.query_params)
            bucket = int(time.time() / page.keeps_seconds)
            mark = self.changes.mark
            made, was_kept = await self.cache.get(
                (page.path, as_data, tuple(sorted(parameters.items())), mark, bucket),
                lambda: to_thread.run_sync(self._make, page, parameters, as_data, mark, limiter=self._makers),
            )
            self.metrics.pages.labels("kept" if was_kept else "made").inc()
            return self.send(request, made)

        return answer

    def _make(self, page: Page, parameters: Mapping[str, str], as_data: bool, mark: str) -> Made:
        rows = self.warehouse.read(page.queries, parameters)
        if page.shows_disks:
            rows = {**rows, "disks": disk_rows(self.settings)}
        shown = page.view(rows, parameters)
        if as_data:
            return as_json(shown)
        return self.renderer.page(f"{page.folder}/page.html", {**shown, "mark": mark})

    def send(self, request: Request, made: Made) -> Response:
        """A made answer: 304 for a browser that has it, packed for one that can unpack it."""
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": made.tag}
        if made.status == 200 and made.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = made.body
        if made.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["Content-Encoding"] = made.packed, "gzip"
        return Response(body, made.status, headers, made.media_type)

    def refuse(self, request: Request, status: int, template: str, **shown: Any) -> Response:
        """A page that says why there is none, or the same for a program."""
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": shown["reason"]}, status)
        answer = self.send(request, self.renderer.page(template, shown | {"mark": "", "section": ""}, status))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def healthz(self, _: Request) -> Response:
        """Whether this server works, the warehouse, and the daemon: without a question to any of them."""
        warehouse = "answers" if self.changes.is_heard else "is away"
        daemon = "works" if self.changes.is_watched else "is away"
        return JSONResponse({"status": "ok", "warehouse": warehouse, "daemon": daemon})

    async def scrape(self, _: Request) -> Response:
        """For Prometheus."""
        self.metrics.listening.set(self.changes.is_heard)
        self.metrics.watched.set(self.changes.is_watched)
        self.metrics.kept.set(self.cache.bytes)
        self.metrics.streams.set(self._streams)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def static(self, request: Request) -> Response:
        """Style sheet and scripts."""
        name = request.path_params["name"]
        if name == self.vega.name:
            packed = await self.bundle()
            headers = {"Cache-Control": FOR_EVER, "Content-Encoding": "gzip"}
            return Response(packed, headers=headers, media_type="text/javascript; charset=utf-8")
        if (made := self.assets.get(name)) is None:
            raise HTTPException(404)
        answer = self.send(request, made)
        answer.headers["Cache-Control"] = FOR_EVER
        return answer

    async def bundle(self) -> bytes:
        """Vega's script, made once however many ask."""
        if self._bundling is None or (self._bundling.done() and self._bundling.exception()):
            self._bundling = asyncio.ensure_future(asyncio.to_thread(self.vega.packed))
        return await asyncio.shield(self._bundling)

    async def events(self, request: Request) -> Response:
        """Tells an open page when something is new."""
        if self._streams >= MOST_STREAMS:
            return Response(status_code=503, headers={"Retry-After": "60"})
        seen = request.headers.get("last-event-id") or request.query_params.get("seen") or self.changes.mark
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._news(request, seen), media_type="text/event-stream", headers=headers)

    async def _news(self, request: Request, seen: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            yield "retry: 1000\n\n"
            while not self.changes.is_closing and (self._door is None or self._door.is_open(request.scope)):
                mark = await self.changes.wait_for_news(seen, HEARTBEAT_SECONDS)
                yield ": still here\n\n" if mark == seen else f"event: news\nid: {mark}\ndata: new\n\n"
                seen = mark
        finally:
            self._streams -= 1

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """From the first request to the last."""
        self.warehouse.open()
        following = asyncio.ensure_future(self.changes.follow())
        try:
            yield
        finally:
            self.changes.close()
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await asyncio.to_thread(self.warehouse.close)


def disk_rows(settings: Settings) -> list[Row]:
    """The file systems that the platform writes to, as far as this machine has them."""
    return [
        {"uses": list(disk.uses), "free": disk.free, "total": disk.total, "is_short": disk.free < disk.reserve}
        for disk in disks(settings)
    ]


def make_app(
    settings: Settings,
    hosts: AllowedHosts,
    *,
    pages: Sequence[Page] = PAGES,
    requests_a_second: int = REQUESTS_A_SECOND,
    login: Login | None = None,
) -> ASGIApp:
    """The pages of this home, behind their guard.

    Args:
        settings: The home and the warehouse.
        hosts: The names that are answered.
        pages: What there is to see.
        requests_a_second: Most of one address; more are answered 429.
        login: Asks who comes; None lets everybody read.
    """
    token = settings.web_metrics_token.get_secret_value() if settings.web_metrics_token else ""
    door = Door(login, public_addresses(settings.web_public_pages), token) if login else None
    site = Site(settings, pages, door)

    async def missing(request: Request, error: Exception) -> Response:
        reason = str(error) if isinstance(error, NoSuchPageError) else "There is no page at this address."
        return site.refuse(request, 404, "templates/missing.html", reason=reason)

    async def away(request: Request, error: Exception) -> Response:
        log.warning("%s: %s", request.url.path[:200], error)
        answer = site.refuse(request, 503, "templates/away.html", reason=str(error), retry=RETRY_SECONDS)
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path[:200], exc_info=error)
        return site.refuse(request, 500, "templates/broken.html", reason="This page could not be made.")

    app = Starlette(
        routes=site.routes(),
        exception_handlers={404: missing, NoSuchPageError: missing, WarehouseAwayError: away, Exception: broken},
        lifespan=site.running,
    )
    return Guard(app, hosts, site.metrics, Rate(requests_a_second), door)
