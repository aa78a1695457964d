"""What commands say when they fail: one line where somebody can mend it, a traceback where we must."""

from __future__ import annotations

import errno
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from cinestream_platform import cli
from cinestream_platform.commands import files
from cinestream_platform.commands.failures import what_to_say
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import MAX_MESSAGE

REPORT = "Please report it to those who maintain your installation"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CineStreamError("x is wrong: correct it"), "x is wrong: correct it"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b.csv"), "/a/b.csv: Permission denied. This account"),
        (OSError(errno.EIO, "Input/output error", "/a/b.csv"), "/a/b.csv: Input/output error. The disk or device"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files. Too many files are open: raise"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Make room"),
        (psycopg.OperationalError("the connection is lost"), "the connection is lost"),
        (errors.AdminShutdown("terminating connection"), "terminating connection"),
        (errors.InsufficientPrivilege("permission denied for table t"), "permission denied for table t"),
    ],
)
def test_what_people_can_mend_is_one_line(error: Exception, words: str) -> None:
    said = what_to_say(raised(error))
    assert words in said
    assert said.startswith("Error: ")
    assert "\n" not in said


def test_a_line_is_bounded() -> None:
    assert len(what_to_say(CineStreamError("x" * 100_000))) <= MAX_MESSAGE + len("Error: ")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("not enough values to unpack"),
        OSError(errno.EBADF, "Bad file descriptor"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/module.sql"),
        KeyError("movies"),
        RuntimeError("dictionary changed size during iteration"),
        errors.UndefinedTable("relation does not exist"),
        errors.UniqueViolation("duplicate key value violates unique constraint"),
    ],
)
def test_a_fault_of_ours_is_no_users_error_and_shows_its_traceback(error: Exception) -> None:
    said = what_to_say(raised(error))
    assert said.startswith("Traceback (most recent call last):")
    assert "in raised" in said
    assert REPORT in said.splitlines()[-1]


def test_a_traceback_quotes_no_values() -> None:
    said = what_to_say(raised(ValueError("invalid literal for int() with base 10: 'zz.top@example.org'")))
    assert "invalid literal" in said
    assert "zz.top" not in said


@pytest.mark.parametrize("error", [ValueError("unpack"), OSError(errno.EBADF, "Bad file descriptor"), TypeError("x")])
def test_the_command_line_shows_where_it_broke_down_and_fails(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(files, "sweep", broken)
    monkeypatch.setenv("CINESTREAM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.argv", ["cinestream", "sweep"])
    monkeypatch.setattr("os.umask", lambda _: 0o022)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert "Traceback (most recent call last):" in printed.err
    assert "in broken" in printed.err
    assert REPORT in printed.err
    assert printed.out == ""
