"""Whatever process of ``cinestream ui`` is killed, it comes back, alone; and there is one of each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.command_line import CommandLine
from tests.support.ui import Ui, processes_of, running_ui, stop_everything


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, manifest_home: Path) -> Iterator[Ui]:
    """One UI for all tests of this file: each kills a part of it, and sees it whole again."""
    with running_ui(tmp_path_factory.mktemp("killed"), manifest_home) as running:
        running.wait_for_tick_after(0)
        yield running


def others_than(ui: Ui, *roles: str) -> dict[str, int]:
    return {role: process.pid for role, process in ui.processes().items() if role not in roles}


@pytest.mark.parametrize(
    ("killed", "line", "with_it"),
    [
        ("daemon", "daemon ended (killed by signal 9), started again in 1 s", ()),
        ("webserver", "webserver ended (killed by signal 9), started again in 1 s", ()),
        ("dashboards", "dashboards ended (killed by signal 9), started again in 1 s", ()),
        ("code-server", "code-server ended (killed by signal 9), started again in 1 s", ("inner",)),
        ("inner", "code-server ended (killed by signal 9), started again in", ("code-server",)),
    ],
)
def test_a_killed_child_comes_back_and_the_others_stay(ui: Ui, killed: str, line: str, with_it: tuple[str, ...]):
    before, dead = others_than(ui, killed, *with_it), ui.processes()[killed].pid
    told = ui.told.count(line)
    ui.kill(killed)
    ui.wait(lambda: ui.told.count(line) == told + 1, line)
    ui.wait(lambda: killed in ui.processes() and ui.processes()[killed].pid != dead, f"{killed} is there again")
    ui.wait(lambda: len(ui.processes()) == 5, "all are there again")
    ui.wait_until_loaded()
    ui.wait_for_tick_after(time.time())
    assert others_than(ui, killed, *with_it) == before


def test_postgres_comes_back_at_the_same_port_and_the_ui_goes_on(ui: Ui):
    status = ui.line.output("services", "status")
    before = others_than(ui)
    data = Path(status.rsplit("data in ", 1)[1].strip())
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    moment = time.time()
    psutil.Process(postmaster).kill()
    ui.wait(lambda: "Postgres runs again" in ui.told, "Postgres runs again")
    assert ui.line.output("services", "status") == status
    ui.wait_until_loaded()
    ui.wait_for_tick_after(moment + 1)
    assert ui.processes()["webserver"].pid == before["webserver"]
    assert ui.processes()["dashboards"].pid == before["dashboards"]
    ui.wait(lambda: ui.has_pages(), "the pages show the warehouse again")


def test_postgres_is_not_stopped_below_a_running_ui(ui: Ui):
    assert "cinestream ui" in ui.line.error("services", "stop")
    assert ui.is_loaded()


def test_a_second_ui_of_the_home_is_refused_in_one_sentence(ui: Ui):
    before = {process.pid for process in processes_of(ui.line.home).values()}
    error = ui.line.error("ui", "--port", "1")
    first = re.search(rf"is alive \(process (\d+), http://127.0.0.1:{ui.port}\)", error)
    assert first, error
    for process in processes_of(ui.line.home).values():  # of a new one the first UI is the parent
        assert process.pid in before or int(first[1]) in {parent.pid for parent in process.parents()}


def test_a_port_that_is_taken_is_refused_in_one_sentence_before_anything_starts(ui: Ui, tmp_path: Path):
    other = CommandLine(tmp_path / "other")
    error = other.error("ui", "--port", str(ui.port))
    assert f"port {ui.port}" in error
    assert "--port" in error
    assert not (other.home / "services").exists()


def test_a_daemon_of_another_home_on_the_same_database_is_refused(ui: Ui, tmp_path: Path):
    """As in containers, or on two machines: the daemon's session in Dagster's database is what gives it away."""
    port = ui.line.output("services", "status").split(", data in")[0].rsplit(":", 1)[1]
    password = (ui.line.home / "services" / "postgres" / "password").read_text().strip()
    other = CommandLine(
        tmp_path / "other",
        {
            "CINESTREAM_POSTGRES_HOST": "127.0.0.1",
            "CINESTREAM_POSTGRES_PORT": port,
            "CINESTREAM_POSTGRES_PASSWORD": password,
        },
    )
    warehouse = f"host=127.0.0.1 port={port} user=cinestream password={password} dbname=cinestream"
    with psycopg.connect(warehouse, autocommit=True) as conn:
        present = "SELECT service FROM platform.service WHERE is_running ORDER BY service"  # what Today shows
        # After a restart of Postgres they are there again when they look next.
        both = [("daemon",), ("webserver",)]
        ui.wait(lambda: conn.execute(present).fetchall() == both, "the sessions of daemon and webserver")
    error = other.error("ui", "--port", "1024")
    assert "another daemon has worked on dagster" in error


def test_what_the_children_print_is_in_logs_for_the_owner_alone(ui: Ui):
    logs = ui.line.home / "logs"
    names = {path.name for path in logs.iterdir()}  # the pages print nothing but warnings
    assert names - {"dashboards.log"} == {"code-server.log", "daemon.log", "ui.log", "webserver.log"}
    assert {path.stat().st_mode & 0o777 for path in logs.iterdir()} == {0o600}
    assert "SensorDaemon" in (logs / "daemon.log").read_text()
    assert "SensorDaemon" not in ui.told


def test_a_killed_supervisor_takes_its_children_with_it_and_the_next_one_starts(ui: Ui):
    """Last but one: it is a new UI that is stopped by the last."""
    children = list(ui.processes().values())
    assert len(children) == 5
    ui.process.kill()
    ui.process.wait()
    moment = time.time()
    following = Ui(ui.line)
    try:
        following.wait_for_tick_after(moment)
        assert not any(process.is_running() for process in children)
        assert sorted(processes_of(ui.line.home)) == ["code-server", "daemon", "dashboards", "inner", "webserver"]
        assert following.stop() == 0
        assert processes_of(ui.line.home) == {}
        assert "PostgreSQL" in ui.line.output("services", "status")
    finally:
        stop_everything(following)
