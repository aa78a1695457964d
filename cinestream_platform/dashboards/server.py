"""The web server of the pages: uvicorn with limits, until it is told to stop."""

from __future__ import annotations

import asyncio

import uvicorn

from cinestream_platform.dashboards.app import make_app
from cinestream_platform.settings import Settings
from cinestream_platform.web.hosts import AllowedHosts
from cinestream_platform.web.login.choice import make_login

MOST_CONNECTIONS = 1_000
IDLE_SECONDS = 30
STOP_SECONDS = 2  # open pages are told nothing more; they ask again by themselves


def serve(settings: Settings, host: str, port: int, *, reached_at: str) -> None:
    """Serve until SIGTERM.

    Args:
        settings: The home, the warehouse, names of the pages behind a proxy, and which login there is.
        host: The address to listen on.
        port: The port; also the one of the loopback names that are answered.
        reached_at: The address at which others reach it.

    Raises:
        LoginError: They may not be served like that; the message says why.
    """
    login = make_login(settings, reached_at)
    config = uvicorn.Config(
        make_app(settings, AllowedHosts.of(port, settings.ui_hosts), login=login),
        host=host,
        port=port,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
    asyncio.run(uvicorn.Server(config).serve())
