"""``cinestream ui`` as users start it: a process of its own, whose children a test may look at and kill."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from cinestream_platform.commands.ui import DASHBOARDS_STEP
from tests.support.command_line import CommandLine
from tests.support.own_postgres import free_port

START_SECONDS = 300  # until the UI must answer, on a machine that does much else
LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
TICKS = """{ sensorsOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "cinestream"}) {
  ... on Sensors { results { name sensorState { ticks(limit: 3) { timestamp status } } } } } }"""
ROLES = {
    "daemon": ("processes.child", "daemon"),
    "webserver": ("processes.child", "webserver"),
    "code-server": ("processes.child", "code-server"),
    "dashboards": ("processes.child", "dashboards"),
    "inner": ("dagster", "api", "grpc"),
}
"""What the command line of each child has."""


class Ui:
    """A running ``cinestream ui``."""

    def __init__(self, line: CommandLine, *options: str) -> None:
        self.line = line
        self.port = free_port()
        self.terminal = line.home.parent / f"terminal-{self.port}"
        with self.terminal.open("wb") as output:
            command = [*line.command("ui", "--port", str(self.port), *options)]
            relative = line.environment | {"CINESTREAM_HOME": line.home.name}  # as the default is
            self.process = subprocess.Popen(command, env=relative, stdout=output, stderr=output, cwd=line.home.parent)

    @property
    def told(self) -> str:
        """What it has printed."""
        return self.terminal.read_text()

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Status, headers and text of one request, with exactly these headers (``_`` for ``-``)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def graphql(self, query: str, **headers: str) -> dict[str, Any]:
        """The data of a query, asked as the UI asks."""
        status, _, text = self.ask(
            "POST", "/graphql", json.dumps({"query": query}), Content_Type="application/json", **headers
        )
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)["data"]
        return found

    def is_loaded(self) -> bool:
        """Whether the webserver answers and has the code location."""
        try:
            entries = self.graphql(LOADED)["workspaceOrError"]["locationEntries"]
        except (OSError, http.client.HTTPException, AssertionError, KeyError, TypeError, ValueError):
            return False
        found = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
        return found == ["RepositoryLocation"]

    def has_pages(self) -> bool:
        """Whether the pages for stakeholders answer, two ports above, and show the warehouse."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port + DASHBOARDS_STEP, timeout=30)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def last_tick(self) -> float:
        """When a tick of a sensor began that ended well, as seconds since the epoch; 0 before the first."""
        ticks = [
            tick for one in self.graphql(TICKS)["sensorsOrError"]["results"] for tick in one["sensorState"]["ticks"]
        ]
        return max((tick["timestamp"] for tick in ticks if tick["status"] in ("SUCCESS", "SKIPPED")), default=0.0)

    def wait_until_loaded(self) -> None:
        """Wait until it answers."""
        self.wait(self.is_loaded, "the UI answers")

    def wait_for_tick_after(self, moment: float) -> None:
        """Wait until a sensor has ticked after a moment: daemon, code server and Postgres are all at work."""

        def has_ticked() -> bool:
            with contextlib.suppress(
                OSError, http.client.HTTPException, AssertionError, KeyError, TypeError, ValueError
            ):
                return self.last_tick() > moment
            return False

        self.wait(has_ticked, f"a tick after {moment:.0f}")

    def wait(self, condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
        """Wait until a function is true; the terminal and the logs tell why it was not."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.told
            if time.monotonic() > deadline:
                logs = [f"{path}:\n{path.read_text()[-3000:]}" for path in (self.line.home / "logs").glob("*.log")]
                raise AssertionError(f"not so in time: {what}\n{self.told}\n" + "\n".join(logs))
            time.sleep(0.2)

    def processes(self) -> dict[str, psutil.Process]:
        """The children that live, by role; of the inner code server the one that is in use."""
        found = processes_of(self.line.home)
        inner = [process for role, process in found.items() if role.startswith("inner") and _is_of(process, found)]
        outer = {role: found[role] for role in ROLES if role in found and role != "inner"}
        return outer | ({"inner": inner[0]} if inner else {})

    def kill(self, role: str) -> float:
        """Kill a child as the kernel does when memory is short; the moment."""
        self.processes()[role].kill()
        return time.time()

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def _is_of(inner: psutil.Process, found: dict[str, psutil.Process]) -> bool:
    """Whether the code server that runs started it: a killed one's lives for half a minute more."""
    with contextlib.suppress(psutil.Error):
        return "code-server" in found and inner.ppid() == found["code-server"].pid
    return False


def processes_of(home: Path) -> dict[str, psutil.Process]:
    """Processes of a home's UI by role, whoever started them; ``… more`` of a second of the same role."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            command = process.cmdline()
            if process.environ().get("DAGSTER_HOME") != str(home / "dagster"):
                continue
            for role, words in ROLES.items():
                if all(any(re.search(rf"(^|[./]){re.escape(word)}$", part) for part in command) for word in words):
                    while role in found:
                        role += " more"
                    found[role] = process
    return found


@contextlib.contextmanager
def running_ui(folder: Path, manifest_home: Path, **settings: str) -> Iterator[Ui]:
    """A UI on a home of its own below the folder, with its own embedded Postgres; all of it is stopped at the end."""
    home = folder / "home"
    home.mkdir(parents=True, mode=0o700)
    shutil.copytree(manifest_home / "dbt", home / "dbt")  # made by the same dbt project: a start does without parsing
    line = CommandLine(home, settings)
    ui = Ui(line)
    try:
        ui.wait_until_loaded()
        yield ui
    finally:
        stop_everything(ui)


def stop_everything(*uis: Ui) -> None:
    """Stop UIs, by force where need be, then their Postgres."""
    for ui in uis:
        if ui.process.poll() is None:
            try:
                ui.stop()
            except subprocess.TimeoutExpired:
                ui.process.kill()
                ui.process.wait()
    for ui in uis:
        for process in processes_of(ui.line.home).values():
            with contextlib.suppress(psutil.Error):
                process.kill()
        ui.line.run("services", "stop")
