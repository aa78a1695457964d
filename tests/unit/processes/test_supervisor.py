"""The supervisor, with small programs in place of Dagster's: back-off, order, the database below, what is told."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from cinestream_platform.processes import supervisor as module
from cinestream_platform.processes.supervisor import Program, Supervisor, backoff, how_it_ended

STAND_IN = """
import os, signal, subprocess, sys, time
from cinestream_platform.processes.lifeline import follow_supervisor
follow_supervisor(int(sys.argv[2]))
name, folder, role = sys.argv[3], sys.argv[4], sys.argv[5]
def end(*_):
    with open(f"{folder}/ended", "a") as file: file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if role == "deaf" else end)
if role == "parent":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", folder])
print("SECRET" in os.environ, os.environ.get("WHERE"), flush=True)
with open(f"{folder}/{name}.pids", "a") as file: file.write(f"{os.getpid()}\\n")
if role == "ends": sys.exit(3)
while True: time.sleep(0.1)
"""


class Database:
    """A ground that tests make fall."""

    def __init__(self) -> None:
        self.up = True
        self.where = "5432"
        self.trouble = 0

    def stands(self) -> bool:
        return self.up

    def rebuild(self) -> Mapping[str, str]:
        if self.trouble:
            self.trouble -= 1
            raise RuntimeError("no space\nleft")
        self.up = True
        return {"WHERE": self.where}


class Run:
    """A supervisor at work in a thread."""

    def __init__(self, folder: Path, *programs: Program) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.ground = Database()
        self.supervisor = Supervisor(programs, self.ground, folder / "logs", self.told.append)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with self.supervisor:
            self.supervisor.start_early({"WHERE": "5432"})
            self.supervisor.run()

    def pids(self, name: str) -> list[int]:
        path = self.folder / f"{name}.pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def stop(self) -> None:
        self.supervisor.stop()
        self.thread.join()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    """Start a supervisor of programs, each named with its role."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} {script} "$@"\n')  # -P -m <module>
    wrapper.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(wrapper))
    runs: list[Run] = []

    def begin(*programs: Program) -> Run:
        runs.append(Run(tmp_path, *programs))
        return runs[-1]

    yield begin
    for run in runs:
        run.stop()


def program(folder: Path, name: str, role: str = "stays", **options: object) -> Program:
    return Program(name, (name, str(folder), role), **options)  # type: ignore[arg-type]


def test_a_killed_child_comes_back_alone_and_one_line_says_so(start, tmp_path):
    run = start(program(tmp_path, "code"), program(tmp_path, "daemon"))
    until(lambda: run.pids("code") and run.pids("daemon"))
    os.kill(run.pids("daemon")[0], signal.SIGKILL)
    until(lambda: len(run.pids("daemon")) == 2)
    assert run.told == ["daemon ended (killed by signal 9), started again in 1 s"]
    assert len(run.pids("code")) == 1


def test_a_child_that_ends_at_once_is_tried_with_growing_waits(start, tmp_path):
    run = start(program(tmp_path, "daemon", "ends"))
    until(lambda: len(run.told) == 3)
    log = tmp_path / "logs" / "daemon.log"
    assert run.told == [f"daemon ended (exit code 3; see {log}), started again in {wait} s" for wait in (1, 2, 4)]
    assert [backoff(failures) for failures in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]
    assert how_it_ended(-9) == "killed by signal 9"


def test_what_others_use_is_stopped_last_and_output_is_in_the_logs(start, tmp_path):
    run = start(program(tmp_path, "code", is_base=True), program(tmp_path, "daemon"), program(tmp_path, "webserver"))
    until(lambda: all(run.pids(name) for name in ("code", "daemon", "webserver")))
    run.stop()
    ended = (tmp_path / "ended").read_text().split()
    assert sorted(ended[:2]) == ["daemon", "webserver"]
    assert ended[2:] == ["code"]
    assert (tmp_path / "logs" / "daemon.log").read_text() == "False 5432\n"
    assert run.told == []


def test_a_program_gets_no_variable_that_is_hidden_from_it(start, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    pages = program(tmp_path, "pages", hidden=("CRET",), kept=("SECRET",))
    run = start(program(tmp_path, "daemon"), program(tmp_path, "webserver", hidden=("CRET",)), pages)
    until(lambda: run.pids("daemon") and run.pids("webserver") and run.pids("pages"))
    run.stop()
    assert (tmp_path / "logs" / "daemon.log").read_text() == "True 5432\n"
    assert (tmp_path / "logs" / "webserver.log").read_text() == "False 5432\n"
    assert (tmp_path / "logs" / "pages.log").read_text() == "True 5432\n"


def test_a_child_that_does_not_listen_is_killed(start, tmp_path):
    run = start(program(tmp_path, "daemon", "deaf", stop_seconds=0.2))
    until(lambda: run.pids("daemon"))
    run.stop()
    assert not psutil.pid_exists(run.pids("daemon")[0])


def test_what_a_killed_child_started_goes_on_and_ends_with_the_supervisor(start, tmp_path):
    run = start(program(tmp_path, "code", "parent"))
    until(lambda: run.pids("code"))
    (grandchild,) = psutil.Process(run.pids("code")[0]).children()
    os.kill(run.pids("code")[0], signal.SIGKILL)
    until(lambda: len(run.pids("code")) == 2)
    assert grandchild.is_running()
    run.stop()
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_database_that_ended_is_started_again_while_the_children_wait(start, tmp_path):
    run = start(program(tmp_path, "daemon"))
    until(lambda: run.pids("daemon"))
    run.ground.trouble, run.ground.up = 1, False
    until(lambda: "Postgres runs again" in run.told)
    assert run.told == [
        "Postgres ended, is started again",
        "Postgres did not start (no space), tried again in 1 s",
        "Postgres runs again",
    ]
    assert len(run.pids("daemon")) == 1


def test_all_children_move_with_a_database_that_has_another_address(start, tmp_path):
    run = start(program(tmp_path, "daemon"))
    until(lambda: run.pids("daemon"))
    run.ground.where, run.ground.up = "5433", False
    until(lambda: len(run.pids("daemon")) == 2)
    run.stop()
    assert (tmp_path / "logs" / "daemon.log").read_text() == "False 5432\nFalse 5433\n"
