"""How fast Streamlit answers the same page: streamlit_arm.py PORT SESSIONS SECONDS, in the peers' environment.

A page is answered when its script has run to its end for a new session, as a browser's websocket sees it. Prints JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

PAGE = Path(__file__).with_name("streamlit_page.py")
FLAGS = ["--server.headless=true", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]


async def visit(port: int) -> float:
    """Seconds of one new session."""
    started = time.perf_counter()
    async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, open_timeout=120) as socket:
        message = BackMsg()
        message.rerun_script.query_string = ""
        await socket.send(message.SerializeToString())
        while True:
            forward = ForwardMsg.FromString(await socket.recv())
            if forward.WhichOneof("type") == "script_finished":
                return time.perf_counter() - started


async def closed_loop(port: int, sessions: int, seconds: float) -> list[float]:
    """So many sessions at once, each again as soon as it is answered."""
    deadline, taken = time.monotonic() + seconds, []

    async def one() -> None:
        while time.monotonic() < deadline:
            taken.append(await visit(port))

    await asyncio.gather(*(one() for _ in range(sessions)))
    return taken


def main() -> None:
    """Serve, ask, print."""
    port, sessions, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    command = [sys.executable, "-m", "streamlit", "run", str(PAGE), f"--server.port={port}", *FLAGS]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                first = asyncio.run(visit(port))
                break
            except OSError:
                time.sleep(0.1)
        taken = asyncio.run(closed_loop(port, sessions, seconds))
        cuts = quantiles(taken, n=100)
        memory = psutil.Process(server.pid).memory_info().rss
        found = {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "a_second": round(len(taken) / seconds, 1)}
        print(json.dumps(found | {"first": round(first, 2), "MB": round(memory / 1e6)}))
    finally:
        server.terminate()
        server.wait(30)


main()
