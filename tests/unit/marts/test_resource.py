"""The connection of dbt: complete, momentary, and nowhere else."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from dagster import build_resources
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from pydantic import SecretStr

from cinestream_platform.marts import resource
from cinestream_platform.marts.project import PROJECT_DIR, target_dir
from cinestream_platform.marts.resource import MartsDbt, connection_environment, discard_artifacts, last_parse
from cinestream_platform.messages import MAX_MESSAGE, MAX_METADATA
from cinestream_platform.orchestration.resources import given
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, process_name, session_environment

TARGET = PostgresTarget("db.example", 6543, "loader", SecretStr("s3cret"), "warehouse", "verify-full")

OTHERS_SECRETS = (
    "CINESTREAM_LOGIN_ADMIN_PASSWORD",
    "CINESTREAM_S3_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
    "PGDATESTYLE",
    "DBT_TARGET",
)
"""What dbt does not need, and so is not told."""


def test_the_connection_fills_every_variable_of_the_profile_but_the_role() -> None:
    environment = connection_environment(TARGET)
    assert environment == {
        "CINESTREAM_DBT_HOST": "db.example",
        "CINESTREAM_DBT_PORT": "6543",
        "CINESTREAM_DBT_USER": "loader",
        "CINESTREAM_DBT_PASSWORD": "s3cret",
        "CINESTREAM_DBT_DBNAME": "warehouse",
        "CINESTREAM_DBT_SSLMODE": "verify-full",
        "CINESTREAM_DBT_SSLROOTCERT": "",
        "PGAPPNAME": f"{process_name()}dbt",
        **session_environment(),
    }
    profile = (PROJECT_DIR / "profiles.yml").read_text()
    read = environment.keys() - session_environment().keys() - {"PGAPPNAME"}
    assert all(f"env_var('{name}'" in profile for name in read)
    assert profile.count("env_var(") == len(read) + 1
    assert all(process_name() not in environment[name] for name in read), "each process would parse the project anew"


def test_the_environment_is_as_before_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINESTREAM_DBT_HOST", "mine")
    for name in OTHERS_SECRETS:
        monkeypatch.setenv(name, "hush")
    before = dict(os.environ)
    inside: dict[str, str] = {}

    def look_and_fail() -> None:
        with resource._environment(connection_environment(TARGET)):
            inside.update(os.environ)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look_and_fail()
    assert inside == {n: v for n, v in before.items() if n not in OTHERS_SECRETS} | connection_environment(TARGET)
    assert dict(os.environ) == before


def test_the_resource_holds_no_connection() -> None:
    class Elsewhere(MartsDbt):
        def postgres_target(self) -> PostgresTarget:
            return TARGET

    shown = str(Elsewhere(settings=given(Settings())).model_dump()) + repr(Elsewhere(settings=given(Settings())))
    assert "s3cret" not in shown
    assert "db.example" not in shown


def test_the_version_is_known_without_starting_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails after an upgrade, dagster-dbt asks `dbt --version` (and pypi.org) at every run again."""
    monkeypatch.setattr("dagster_dbt.core.resource.check_output", lambda *_: pytest.fail("dbt --version was started"))
    assert MartsDbt(settings=given(Settings()))._cli_version.major == 1
    assert "_cli_version" in vars(MartsDbt.__base__)


def test_artifacts_of_a_success_go_at_once_and_of_failures_after_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    runs = target_dir(settings) / "runs"
    for name in ("succeeded", "failed_today", "failed_long_ago"):
        (runs / name).mkdir(parents=True)
    (runs / "succeeded" / "partial_parse.msgpack").write_text("parsed")
    old = time.time() - 8 * 24 * 3600
    os.utime(runs / "failed_long_ago", (old, old))
    discard_artifacts(runs / "succeeded", settings)
    assert [path.name for path in runs.iterdir()] == ["failed_today"]
    assert last_parse(settings).read_text() == "parsed"  # for the next run


def test_an_error_of_dbt_quotes_no_row_in_logs_and_in_what_is_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = (
        "Database Error in model mart_people (models/mart_people.sql)\n"
        '  invalid input syntax for type integer: "Zweigelt"\n'
        '  duplicate key value violates unique constraint "one_email"\n'
        "  DETAIL:  Key (email)=(zz.top@example.org)\n   already exists.\n"
        "  compiled code at target/run/mart_people.sql"
    )
    events = [
        {"info": {"name": "RunResultError", "level": "error", "msg": said}, "data": {}},
        {"info": {"name": "Warned", "level": "warn", "msg": f"{said} {'x' * 100_000}"}, "data": {}},
    ]
    program = tmp_path / "dbt"
    lines = "".join(f"print({json.dumps(event)!r})\n" for event in events)
    program.write_text(f"#!{sys.executable}\n{lines}print('psycopg2 said: \"Zweigelt\"')\nraise SystemExit(1)\n")
    program.chmod(0o700)

    class Elsewhere(MartsDbt):
        def postgres_target(self) -> PostgresTarget:
            return TARGET

    dbt = Elsewhere(settings=given(Settings(home=tmp_path / "home")), dbt_executable=str(program))
    with build_resources({"dbt": dbt}) as resources:
        invocation = resources.dbt.cli(["build"], manifest={}, target_path=tmp_path / "target")
        assert invocation.adapter is None, "dbt works in its own process alone"
        with pytest.raises(DagsterDbtCliRuntimeError) as raised:
            list(invocation.stream_raw_events())

    printed = capsys.readouterr().out
    for text in (printed, str(raised.value)):
        assert 'constraint "one_email"' in text
        assert "compiled code at target/run/mart_people.sql" in text
        assert "Zweigelt" not in text
        assert "zz.top" not in text
        assert len(text) <= 2 * MAX_MESSAGE + MAX_METADATA
    assert "psycopg2 said: …" in printed
