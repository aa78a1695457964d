"""Secrets stay secret: planted ones appear in no output, log, event, artifact, table or command line."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from cinestream_platform.warehouse.connection import PostgresTarget
from tests.conftest import REGION, S3Server
from tests.support.command_line import CommandLine, command_lines_of_all_processes
from tests.support.platform import database, environment_of

S3_SECRET = f"s3-hush-{uuid.uuid4().hex}"
DEMO = ("demo", "--scale", "0.05", "--source", "movielens", "--source", "dvdrental")
"""A database is read and files are landed: every kind of login is used."""
LOGIN_SECRET = f"login-hush-{uuid.uuid4().hex}"
CHANNEL_SECRET = f"channel-hush-{uuid.uuid4().hex}"


class Watched:
    """A home whose commands are watched: what they print, and every process' arguments meanwhile."""

    def __init__(self, line: CommandLine, target: PostgresTarget, dagster: PostgresTarget) -> None:
        self.line, self.target, self.dagster = line, target, dagster
        self.printed = ""
        self.arguments: set[str] = set()

    def run(self, *arguments: str) -> int:
        process = subprocess.Popen(
            self.line.command(*arguments),
            env=self.line.environment,
            cwd=self.line.home.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,))
        watcher.start()
        self.printed += process.communicate(timeout=1500)[0]
        ended.set()
        watcher.join()
        return process.returncode

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.3):
            self.arguments.update(command_lines_of_all_processes().splitlines())


@pytest.fixture(scope="module")
def secrets(postgres: PostgresTarget) -> list[str]:
    return [postgres.password.get_secret_value(), S3_SECRET, LOGIN_SECRET, CHANNEL_SECRET]


@pytest.fixture(scope="module")
def watched(
    postgres: PostgresTarget, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A demo that ran green on S3 and an external Postgres, then everything that may fail, failed."""
    home = tmp_path_factory.mktemp("secrets") / "home"
    name = uuid.uuid4().hex[:8]
    bucket = s3_server.create_bucket()
    with database(postgres, f"w{name}") as target, database(postgres, f"d{name}") as dagster:
        settings = {
            **environment_of(target, home),
            "CINESTREAM_POSTGRES_DAGSTER_DATABASE": dagster.database,
            "CINESTREAM_LANDING_URL": f"s3://{bucket}/landing",
            "CINESTREAM_LAKE_URL": f"s3://{bucket}/lake",
            "CINESTREAM_S3_ENDPOINT_URL": s3_server.endpoint,
            "CINESTREAM_S3_REGION": REGION,
            "CINESTREAM_S3_ACCESS_KEY_ID": s3_server.access_key,
            "CINESTREAM_S3_SECRET_ACCESS_KEY": S3_SECRET,
            "CINESTREAM_LOGIN_ML_ENGINEER_PASSWORD": LOGIN_SECRET,
            "CINESTREAM_ALERT_WEBHOOK_URL": f"json://user:{CHANNEL_SECRET}@127.0.0.1:1/{CHANNEL_SECRET}",
        }
        found = Watched(CommandLine(home, settings), target, dagster)
        assert found.run(*DEMO) == 0, found.printed
        yield found
        # The role is the whole server's: other tests know its password by another name.
        with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
            conn.execute("ALTER ROLE cinestream_ml_engineer PASSWORD 'pw-ml_engineer'")


def everything_in(target: PostgresTarget) -> Iterator[tuple[str, str]]:
    """Every row of every table as text."""
    with psycopg.connect(target.conninfo()) as conn:
        tables = conn.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for table in tables:
            for (row,) in conn.execute(SQL("SELECT t::text FROM {} t").format(Identifier(*table))):
                yield ".".join(table), row


def test_no_command_prints_a_secret(watched: Watched, secrets: list[str]) -> None:
    for command in (
        ["status"],
        ["status", "--files"],
        ["alerts"],
        ["alerts", "--test"],
        ["doctor"],
        ["prepare"],
        ["roles"],
    ):
        watched.run(*command)
    assert "All is well." in watched.printed
    for secret in secrets:
        assert secret not in watched.printed


def test_no_error_prints_a_secret(watched: Watched, secrets: list[str]) -> None:
    before = watched.line
    try:
        for settings in (
            {"CINESTREAM_POSTGRES_PORT": "1"},
            {"CINESTREAM_POSTGRES_USER": "nobody"},
            {"CINESTREAM_POSTGRES_DATABASE": "nowhere"},
            {"CINESTREAM_S3_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
            {"CINESTREAM_LANDING_URL": "s3://nowhere-at-all/x", "CINESTREAM_LAKE_URL": "ftp://x"},
            {"CINESTREAM_POSTGRES_PORT": "many"},
        ):
            watched.line = before.with_settings(**settings)
            assert watched.run("doctor") == 1
            watched.run("status")
    finally:
        watched.line = before
    assert "FAILED" in watched.printed
    assert "Traceback" not in watched.printed
    for secret in secrets:
        assert secret not in watched.printed


def test_no_file_of_the_home_holds_a_secret(watched: Watched, secrets: list[str]) -> None:
    files = [path for path in watched.line.home.rglob("*") if path.is_file()]
    assert any(path.name == "manifest.json" for path in files)
    assert any(path.name == "demo.log" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, path


def test_no_table_of_dagster_or_of_the_warehouse_holds_a_secret(watched: Watched, secrets: list[str]) -> None:
    rows = 0
    for target in (watched.dagster, watched.target):
        for table, row in everything_in(target):
            rows += 1
            for secret in secrets:
                assert secret not in row, table
    assert rows > 1000, "events and rows of a demo"


def test_no_process_has_a_secret_among_its_arguments(watched: Watched, secrets: list[str]) -> None:
    assert any(" build " in line and "dbt" in line for line in watched.arguments), "dbt was seen at work"
    for line in watched.arguments:
        assert not any(secret in line for secret in secrets), line


def test_a_failed_build_tells_dagster_no_secret(watched: Watched, secrets: list[str]) -> None:
    watched.run("retract", "movielens/ratings/ratings.csv")
    lake = replace(watched.target)
    with psycopg.connect(lake.conninfo(), autocommit=True) as conn:
        conn.execute("SET ROLE data_engineer")
        conn.execute("ALTER TABLE movielens_marts.mart_movie_ratings RENAME COLUMN rating_count TO was_here")
    before = watched.line
    try:
        watched.line = before.with_settings(CINESTREAM_LOAD_ATTEMPTS="1")
        assert watched.run(*DEMO[:5]) == 1  # of the source that was spoilt
    finally:
        watched.line = before
    assert "NOT AS IT SHOULD BE" in watched.printed
    for secret in secrets:
        assert secret not in watched.printed
        for target in (watched.dagster, watched.target):
            assert not [table for table, row in everything_in(target) if secret in row]
        for path in watched.line.home.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
