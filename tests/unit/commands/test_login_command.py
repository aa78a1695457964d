"""``cinestream login``: the password comes from a terminal or the input, never from an argument."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.commands.doctor import login_findings
from cinestream_platform.commands.findings import FAILED, OK, WARNING
from cinestream_platform.commands.ui import pages_program, programs
from cinestream_platform.settings import Settings, get_settings
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


def test_doctor_says_who_may_come_in_and_what_would_not_start(tmp_path: Path):
    def found(**values: Any) -> tuple[str, str]:
        [finding] = login_findings(Settings(home=tmp_path, **values))
        return finding.level, finding.text

    assert found() == (OK, "none: on this machine alone")
    assert found(web_login="none", ui_hosts="films.example.com") == (OK, "none: the proxy asks, or nobody")
    assert found(ui_hosts="films.example.com")[0] == FAILED
    assert found(web_login="oidc")[0] == FAILED
    assert found(web_login="password") == (WARNING, "by password: 0 people, 0 operators")
    run(tmp_path, "add", "otto", "--role", "operator", given=f"{PASSWORD}\n")
    assert found(web_login="password") == (OK, "by password: 1 person, 1 operator")
    (tmp_path / "web" / "people").chmod(0o644)
    level, text = found(web_login="password")
    assert level == FAILED
    assert "chmod 600" in text


def test_the_secrets_of_the_login_reach_the_web_servers_and_no_run(tmp_path: Path):
    secrets = ("CINESTREAM_WEB_OIDC_CLIENT_SECRET", "CINESTREAM_WEB_METRICS_TOKEN")
    started = [*programs(tmp_path, tmp_path, 3000, read_only=False), pages_program(3002)]
    told = {program.name for program in started for name in secrets if not name.endswith(program.hidden or ("-",))}
    assert told == {"webserver", "dashboards"}
