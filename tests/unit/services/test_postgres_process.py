"""A process is told from another by pid and start; locks and private files hold what they promise."""

import os
import subprocess
import sys
import threading

import psutil
import pytest

from cinestream_platform.services.process import (
    PostgresServiceError,
    ProcessMark,
    exclusive_lock,
    is_alive,
    server_account,
    write_whole,
)


def test_a_clock_that_was_set_does_not_make_a_process_another_one():
    mark = ProcessMark(pid=7, created=1000.0, uptime=50.0)
    assert mark.same_process_as(ProcessMark(pid=7, created=5000.0, uptime=50.4))


def test_a_later_process_with_the_same_pid_is_another_one():
    mark = ProcessMark(pid=7, created=1000.0, uptime=50.0)
    assert not mark.same_process_as(ProcessMark(pid=7, created=1100.0, uptime=150.0))
    assert not mark.same_process_as(ProcessMark(pid=8, created=1000.0, uptime=50.0))


def test_the_mark_of_a_live_process_stays_the_same():
    process = psutil.Process()
    assert ProcessMark.of(process).same_process_as(ProcessMark.of(process))


def test_a_zombie_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(child.pid)
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    assert not is_alive(process)
    child.wait()


def test_a_private_file_is_private_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "password"
    write_whole(path, "one", mode=0o600)
    write_whole(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_holder_waits_for_the_lock_and_then_says_which_file_is_held(tmp_path):
    held, done = threading.Event(), threading.Event()

    def hold():
        with exclusive_lock(tmp_path / "lock", timeout=1):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with (
        pytest.raises(PostgresServiceError, match=str(tmp_path / "lock")),
        exclusive_lock(tmp_path / "lock", timeout=0.2),
    ):
        pass
    done.set()
    thread.join()
    with exclusive_lock(tmp_path / "lock", timeout=0.2):
        pass


def test_a_child_started_under_the_lock_does_not_hold_it(tmp_path):
    with exclusive_lock(tmp_path / "lock", timeout=1):
        child = subprocess.Popen(["sleep", "30"])
    with exclusive_lock(tmp_path / "lock", timeout=0.2):
        child.kill()
        child.wait()


def test_the_server_never_runs_as_root():
    assert server_account().uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses another account")
@pytest.mark.parametrize("name", ["root", "no_such_account"])
def test_an_account_that_cannot_run_the_server_is_refused_by_name(name, monkeypatch):
    monkeypatch.setenv("CINESTREAM_POSTGRES_OS_USER", name)
    with pytest.raises(PostgresServiceError, match=rf"{name}.*CINESTREAM_POSTGRES_OS_USER"):
        server_account()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses another account")
def test_root_drops_to_the_named_account(monkeypatch):
    monkeypatch.setenv("CINESTREAM_POSTGRES_OS_USER", "nobody")
    account = server_account()
    assert account.run(["id", "-u"]).stdout.strip() == str(account.uid)
    assert account.run(["id", "-G"]).stdout.split() == [str(account.gid)]


def test_the_servers_environment_holds_none_of_the_callers_secrets(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("PGPORT", "1")
    answer = server_account().run(["env"]).stdout
    assert "hush" not in answer
    assert "PGPORT" not in answer
