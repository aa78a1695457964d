"""The pages of a platform, served as users get them: uvicorn on a port of this machine, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from cinestream_platform.dashboards.app import make_app
from cinestream_platform.settings import Settings
from cinestream_platform.web.hosts import AllowedHosts
from tests.support.own_postgres import free_port

START_SECONDS = 60


@contextmanager
def served_pages(settings: Settings, *, requests_a_second: int = 10_000) -> Iterator[httpx.Client]:
    """A client of the pages; its ``base_url`` is theirs."""
    port = free_port()
    app = make_app(settings, AllowedHosts.of(port, ""), requests_a_second=requests_a_second)
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="on", log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, name="pages", daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until(lambda: server.started and client.get("/healthz").json()["warehouse"] == "answers")
            yield client
    finally:
        server.should_exit = True
        thread.join(30)


def wait_until(condition: object, seconds: float = START_SECONDS) -> None:
    """Wait until a function is true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.05)
