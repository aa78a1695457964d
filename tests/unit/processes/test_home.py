"""One UI for each home and port."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys

import pytest

from cinestream_platform.processes import home as module
from cinestream_platform.processes.home import (
    UiError,
    claimed,
    is_claimed,
    require_free_port,
    require_no_daemon,
)


def test_the_second_of_a_home_is_told_who_the_first_is(tmp_path):
    with claimed(tmp_path, "ui", 4321):
        assert is_claimed(tmp_path, "ui")
        with (
            pytest.raises(UiError, match=rf"\(process {os.getpid()}, http://127.0.0.1:4321\)"),
            claimed(tmp_path, "ui", 1),
        ):
            pass
        with claimed(tmp_path, "ui-read-only", 4322):
            pass
    assert not is_claimed(tmp_path, "ui")
    with claimed(tmp_path, "ui", 4323):
        pass


def _hold(folder, ready):
    with claimed(folder, "ui", 1):
        ready.set()
        signal.pause()


def test_a_killed_one_frees_its_home(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    assert is_claimed(tmp_path, "ui")
    process.kill()
    process.join()
    assert not is_claimed(tmp_path, "ui")


def test_a_port_that_is_taken_is_named_with_the_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UiError, match=f"port {port} .* --port"):
            require_free_port(port)
    require_free_port(port)


def test_a_daemon_of_this_home_that_nobody_supervises_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEFTOVER_SECONDS", 60)
    script = "import time; print('up', flush=True); time.sleep(600)"
    command = [sys.executable, "-c", script, "dagster._daemon", "run"]
    of_home = {"DAGSTER_HOME": str(tmp_path / "dagster")}
    with subprocess.Popen(command, env=os.environ | of_home, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(UiError, match=rf"process {process.pid}\b.*kill {process.pid}"):
                require_no_daemon(tmp_path)
            require_no_daemon(tmp_path / "other")
        finally:
            process.kill()
    require_no_daemon(tmp_path)
