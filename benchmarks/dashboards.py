"""How fast the pages answer: 50 sessions at once on the warehouse of CINESTREAM_HOME, cached and with misses.

``python -m benchmarks.dashboards [--sessions 50] [--seconds 5] [--pages 10000] [--streamlit ROUNDS]``. The server is a
process of its own, whose memory is measured. Sessions are a closed loop: each asks again as soon as it is answered.
With ``--streamlit``, Today and the same page in Streamlit are asked in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles

import httpx
import psutil

from benchmarks.measuring import HERE, peers_environment
from cinestream_platform.commands.access import dsn_of
from cinestream_platform.settings import get_settings

SERVE = """
import sys
import uvicorn
from cinestream_platform.dashboards.app import make_app
from cinestream_platform.settings import get_settings
from cinestream_platform.web.hosts import AllowedHosts
port = int(sys.argv[1])
app = make_app(get_settings(), AllowedHosts.of(port, ""), requests_a_second=1_000_000)
uvicorn.run(app, port=port, log_level="error", lifespan="on", access_log=False)
"""
MOST_BYTES_OF_A_FIRST_VISIT = 400_000


@contextmanager
def served(port: int) -> Iterator[tuple[str, psutil.Process]]:
    """The pages in a process of their own."""
    process = subprocess.Popen([sys.executable, "-P", "-c", SERVE, str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/healthz").json()["warehouse"] == "answers":
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def sessions(url: str, count: int, path: Callable[[], str], until: Callable[[], bool]) -> list[float]:
    """Seconds of each answer of so many sessions that ask at once."""
    taken: list[float] = []

    async def visit() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            while not until():
                started = time.perf_counter()
                answer = await client.get(path())
                assert answer.status_code == 200, answer.status_code
                taken.append(time.perf_counter() - started)

    await asyncio.gather(*(visit() for _ in range(count)))
    return taken


def told(taken: list[float], seconds: float) -> dict[str, float]:
    """Percentiles, and answers a second."""
    cuts = quantiles(taken, n=100)
    return {"p50": round(cuts[49], 4), "p95": round(cuts[94], 4), "a_second": round(len(taken) / seconds, 1)}


def timed(url: str, path: Callable[[], str], arguments: argparse.Namespace) -> dict[str, float]:
    """All sessions at once for the given seconds, after Today was made once."""
    httpx.get(url + "/")
    deadline = time.monotonic() + arguments.seconds
    taken = asyncio.run(sessions(url, arguments.sessions, path, lambda: time.monotonic() > deadline))
    return told(taken, arguments.seconds)


def measure(url: str, server: psutil.Process, arguments: argparse.Namespace) -> dict[str, object]:
    """All figures."""
    number = itertools.count()
    found: dict[str, object] = {}

    def new_or_not() -> str:
        return f"/catalog?q=rating{next(number)}" if next(number) % 10 == 0 else "/catalog"

    found["cached"] = timed(url, lambda: "/", arguments)
    found["one in ten is new"] = timed(url, new_or_not, arguments)

    async def burst() -> tuple[float, float]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            started = time.perf_counter()
            misses = [asyncio.ensure_future(client.get(f"/catalog?q=burst{next(number)}")) for _ in range(50)]
            await asyncio.sleep(0.05)
            asked = time.perf_counter()
            await client.get("/healthz")
            healthz = time.perf_counter() - asked
            await asyncio.gather(*misses)
            return time.perf_counter() - started, healthz

    seconds, healthz = asyncio.run(burst())
    found["50 new at once"] = {"seconds": round(seconds, 3), "healthz": round(healthz, 4)}
    before = server.memory_info().rss
    left = itertools.count(arguments.pages, -1)
    asyncio.run(sessions(url, 20, lambda: f"/catalog?q=m{next(number) % 5_000}", lambda: next(left) <= 0))
    found["memory"] = {
        "MB": round(server.memory_info().rss / 1e6),
        f"MB before {arguments.pages} pages": round(before / 1e6),
    }
    found["first visit"] = first_visit(url)
    return found


def beside_streamlit(url: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Today, and Today in Streamlit, in turns: percentiles of each round, and the median of the ratios of their p95."""
    settings = get_settings()
    python = peers_environment(settings.home_dir)
    command = [str(python), str(HERE / "streamlit_arm.py"), "3923", str(arguments.sessions), str(arguments.seconds)]
    variables = os.environ | {"DSN": dsn_of(settings, "dashboard_reader")}
    rounds = []
    for _ in range(arguments.streamlit):
        ours = timed(url, lambda: "/", arguments)
        theirs = json.loads(subprocess.run(command, env=variables, capture_output=True, check=True).stdout)
        rounds.append({"ours": ours, "streamlit": theirs})
    ratio = median(one["streamlit"]["p95"] / one["ours"]["p95"] for one in rounds)
    return {"rounds": rounds, "p95 of streamlit / ours": round(ratio)}


def first_visit(url: str) -> dict[str, int]:
    """Requests and bytes of Today for a browser that has nothing."""
    with httpx.Client(base_url=url, timeout=120, headers={"Accept-Encoding": "gzip"}) as client:

        def size(path: str) -> int:
            with client.stream("GET", path) as answer:
                return sum(len(part) for part in answer.iter_raw())

        links = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
        sizes = [size(path) for path in ["/", *links]]
    assert sum(sizes) <= MOST_BYTES_OF_A_FIRST_VISIT, sizes
    return {"requests": len(sizes), "bytes": sum(sizes)}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=3922)
    parser.add_argument("--streamlit", type=int, default=0)
    arguments = parser.parse_args()
    with served(arguments.port) as (url, server):
        found = measure(url, server, arguments)
        if arguments.streamlit:
            found["beside streamlit"] = beside_streamlit(url, arguments)
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
