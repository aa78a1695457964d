"""Names are whole at any width, and something is said while work goes on, whether somebody watches or a log is written."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest
from rich.console import Console

from cinestream_platform.commands import working as module
from cinestream_platform.commands.tables import print_table, say
from cinestream_platform.commands.working import counting, following, working

KEY = "movielens/ratings/" + "a-very-long-name-" * 20 + "[red].csv"


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_name_is_broken_at_any_width(width: int, is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None)
    say(console, f"landed {KEY}")
    print_table(console, "Feeds", ("feed", "rows"), [("movielens/ratings", "100,480,507"), (KEY, "1")])
    lines = printed(console).splitlines()
    assert any(line.startswith("movielens/ratings ") and line.endswith(" 100,480,507") for line in lines)
    assert sum(KEY in line for line in lines) == 2


def test_a_table_of_nothing_is_its_headings() -> None:
    console = Console(file=io.StringIO())
    print_table(console, "Feeds", ("feed", "rows"), [])
    assert printed(console).splitlines() == ["Feeds", "feed rows", "─────────"]


def test_in_a_log_a_plain_line_comes_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    told = threading.Event()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            if "starting Postgres" in text:
                told.set()
            return super().write(text)

    console = Console(file=Log())
    with working(console, "starting Postgres"):
        assert told.wait(60)
    assert "\x1b" not in printed(console)
    assert "\r" not in printed(console)


def test_steps_say_how_many_are_done_and_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    told = threading.Event()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            if "1 of 3 steps done, now: dbt, marts: movielens/mart_ratings" in text:
                told.set()
            return super().write(text)

    console = Console(file=Log())
    with following(console) as steps:
        steps.begin(2)
        steps.begin(1)
        steps.follow("movielens/movies", done=1)
        steps.follow("dbt, marts: movielens/mart_ratings")
        assert told.wait(60)
    assert printed(console).splitlines()[-1] == "done          1 step"


def test_lines_end_with_the_work_also_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    console = Console(file=io.StringIO())
    with pytest.raises(KeyError), working(console, "it"):
        raise KeyError
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_terminal_gets_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with following(console) as steps:
        steps.begin(1)
        steps.follow("movielens/movies", done=1)
    assert "1/1" in printed(console)


def test_what_takes_long_is_said_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.01)
    with counting("reading [a].zip"):
        time.sleep(0.2)
    with counting("soon done"):
        pass
    out, err = capsys.readouterr()
    assert (out, err) == ("", "reading [a].zip …\n")


@pytest.mark.parametrize("total", [None, 2_000])
def test_on_a_terminal_the_progress_leaves_stdout_alone(
    total: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with counting("reading [a].zip", total) as advance:
        advance(1000)
        print("line")
    out, err = capsys.readouterr()
    assert out == "line\n"
    assert "reading [a].zip" in err
