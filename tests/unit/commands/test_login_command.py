"""``cinestream login``: the password comes from a terminal or the input, never from an argument."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.settings import get_settings
from cinestream_platform.web.login.people import People

PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def run(home: Path, *arguments: str, given: str = "") -> str:
    get_settings.cache_clear()
    made = CliRunner().invoke(cli, ["login", *arguments], input=given, env={"CINESTREAM_HOME": str(home)})
    assert made.exception is None or isinstance(made.exception, SystemExit), made.exception
    return made.output


def test_a_person_is_added_changed_listed_and_removed(tmp_path: Path):
    assert "nobody yet" in run(tmp_path, "list")
    assert "ada may now log in as viewer; it counts with" in run(tmp_path, "add", "ada", given=f"{PASSWORD}\n")
    people = People(tmp_path / "web" / "people")
    assert people.checked("ada", PASSWORD)
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o600
    assert "as operator" in run(tmp_path, "add", "ada", "--role", "operator", given=f"{PASSWORD}!\r\n")
    assert people.checked("ada", PASSWORD + "!")
    assert run(tmp_path, "list") == "ada  operator\n"
    assert run(tmp_path, "remove", "ada") == "ada may no longer log in\n"
    assert people.entries() == {}


def test_no_password_is_an_argument_and_no_output_has_one(tmp_path: Path):
    refused = CliRunner().invoke(cli, ["login", "add", "ada", PASSWORD])
    assert refused.exit_code == 2
    assert PASSWORD not in run(tmp_path, "add", "ada", given=f"{PASSWORD}\n")
    with pytest.raises(AssertionError, match="12 to 200 characters"):
        run(tmp_path, "add", "ben", given="short\n")
