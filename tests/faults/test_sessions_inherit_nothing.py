"""Whatever the server, the database, the login, the shell and the account say: sessions are as the platform needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import psycopg2
import pytest
from psycopg.sql import SQL, Identifier, Literal
from pydantic import SecretStr

from cinestream_platform import settings
from cinestream_platform.lake.s3 import S3Access, StoreLimits
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.marts import resource
from cinestream_platform.orchestration import storage
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect, connect_bulk
from cinestream_platform.warehouse.kept_connections import kept_connection
from cinestream_platform.warehouse.sessions import SETTINGS
from tests.conftest import REGION, S3Server
from tests.support.chinook import customers, employees, invoices, lines, tracks
from tests.support.platform import Platform, database, database_of_the_manifest, environment_of
from tests.support.proxy import Proxy

HOSTILE = {
    "client_encoding": "LATIN1",
    "TimeZone": "Europe/Madrid",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "search_path": "nowhere",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "default_tablespace": "pg_default",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
}
"""What an administrator may have set for everybody."""
ENVIRONMENT = {
    "PGDATESTYLE": "German",
    "PGTZ": "Asia/Tokyo",
    "PGGEQO": "perhaps",
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c no.such=setting -c nonsense",
    "PGSERVICE": "no-such-service",
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "none",
    "PGDATABASE": "nothing",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/dev/null/ca.crt",
    "PGREQUIREAUTH": "gss",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCHANNELBINDING": "require",
    "DBT_TARGET": "prod",
    "DBT_PROFILE": "another",
    "DBT_PROFILES_DIR": "/dev/null",
    "DBT_PROJECT_DIR": "/dev/null",
    "DBT_FULL_REFRESH": "true",
    "DBT_WARN_ERROR": "true",
    "DBT_FAIL_FAST": "perhaps",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_PROFILE": "no-such-profile",
    "AWS_DEFAULT_REGION": "nowhere-1",
    "AWS_REGION": "nowhere-1",
    "AWS_SESSION_TOKEN": "another's",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "none",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "http_proxy": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "no_proxy": "example.org",
    "DAGSTER_HOME": "/dev/null",
}
"""What a shell may have exported for other programs."""
FILES = {
    ".pgpass": "*:*:*:*:none\n",
    ".pg_service.conf": "[default]\nhost=192.0.2.1\n",
    ".psqlrc": "\\! touch psqlrc-was-read\n",
    ".dbt/profiles.yml": "cinestream: {target: prod, outputs: {}}\n",
    ".aws/config": "[default]\nendpoint_url = http://127.0.0.1:1\nregion = nowhere-1\ns3 =\n  addressing_style = virtual\n",
    ".aws/credentials": "this is not a configuration\n",
}
"""What an account may have in its home."""


def make_hostile(target: PostgresTarget) -> None:
    """Half of the settings for everybody in the database, half for the login there."""
    with psycopg.connect(replace(target, database="postgres").conninfo(), autocommit=True) as conn:
        for number, (name, value) in enumerate(HOSTILE.items()):
            database_name = Identifier(target.database)
            whose = SQL("DATABASE {}").format(database_name)
            if number % 2:
                whose = SQL("ROLE {} IN DATABASE {}").format(Identifier(target.user), database_name)
            # psycopg itself would not understand a value that is quoted otherwise.
            conn.execute(SQL("ALTER {} SET {} = {}").format(whose, Identifier(name), Literal(value)))
        conn.execute(SQL("ALTER DATABASE {} SET session_replication_role = replica").format(database_name))
        conn.execute(
            SQL("ALTER ROLE {} IN DATABASE {} SET role = pg_monitor").format(Identifier(target.user), database_name)
        )
        if conn.info.server_version >= 170_000:
            conn.execute(SQL("ALTER DATABASE {} SET transaction_timeout = '5s'").format(Identifier(target.database)))


def make_hostile_home(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shell and an account that are full of other programs' settings."""
    make_hostile_home(tmp_path / "account")
    monkeypatch.setenv("HOME", str(tmp_path / "account"))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings, "_proxies", {})
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def hostile(postgres: PostgresTarget, prepared_template: str) -> Iterator[PostgresTarget]:
    """A prepared database that is hostile to whoever logs in."""
    with database(postgres, "hostile", prepared_template) as target:
        make_hostile(target)
        yield target


QUERY = "SELECT name, setting FROM pg_settings WHERE name = ANY (string_to_array('{}', ' '))".format(
    " ".join([*SETTINGS, "session_replication_role", "transaction_timeout"])
)


def by_psycopg(target: PostgresTarget) -> Any:
    with connect(target) as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("data_engineer",)
        return conn.execute(QUERY.encode()).fetchall()


def by_a_kept_connection(target: PostgresTarget) -> Any:
    with kept_connection(target) as conn:
        return conn.execute(QUERY.encode()).fetchall()


def by_adbc(target: PostgresTarget) -> Any:
    with connect_bulk(target) as conn, conn.cursor() as cursor:
        cursor.execute(QUERY)
        return cursor.fetchall()


def by_dbt(target: PostgresTarget) -> Any:
    """As dbt's adapter logs in: by these parameters alone, the rest is its process's environment."""
    login = {"host": target.host, "port": target.port, "user": target.user, "dbname": target.database}
    password = target.password.get_secret_value()
    with (
        resource._environment(resource.connection_environment(target)),
        closing(psycopg2.connect(**login, password=password)) as conn,
        conn.cursor() as cursor,
    ):
        cursor.execute(QUERY)
        return cursor.fetchall()


def by_dagster(target: PostgresTarget) -> Any:
    login = {
        "hostname": target.host,
        "port": str(target.port),
        "username": target.user,
        "password": target.password.get_secret_value(),
        "db_name": target.database,
        "params": {"connect_timeout": 10},
    }
    stored = storage.PooledPostgresStorage.from_config_value(None, {"postgres_db": login})
    url = stored._event_log_storage.postgres_url
    try:
        with storage.pool(url).connect() as conn:
            return conn.exec_driver_sql(QUERY).fetchall()
    finally:
        storage.pool(url).dispose()


def test_each_setting_that_the_platform_relies_on_is_tested() -> None:
    assert HOSTILE.keys() == SETTINGS.keys()


@pytest.mark.parametrize("way", [by_psycopg, by_a_kept_connection, by_adbc, by_dbt, by_dagster])
def test_a_session_has_the_platforms_settings_by_whichever_library(
    shell: None, hostile: PostgresTarget, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    for name, value in environment_of(hostile, Path(os.devnull)).items():
        monkeypatch.setenv(name, value)
    get_settings()
    found = dict(way(hostile))
    limit = found.pop("transaction_timeout", "0")
    # Only a superuser may say it, so that no login does: these two publish no table with foreign keys.
    assert found.pop("session_replication_role") == "origin" or way in (by_dbt, by_dagster)
    assert {name: value.replace(", ", ",") for name, value in found.items()} == SETTINGS
    assert limit == "0" or way in (by_dbt, by_dagster)  # dbt says it in each mart's transaction, Dagster's are short


def test_a_session_without_a_role_is_the_login_itself(hostile: PostgresTarget) -> None:
    with connect(hostile, role=None) as conn:
        assert conn.execute("SELECT current_user").fetchone() == (hostile.user,)


def test_s3_is_reached_by_our_proxy_and_by_no_other_one(
    s3_server: S3Server, proxy: Proxy, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file, bucket, keys = tmp_path / "a.parquet", s3_server.create_bucket(), (SecretStr("id"), SecretStr("secret"))
    request.getfixturevalue("shell")  # now: a test's own client is as the shell says
    get_settings()
    pl.DataFrame({"a": [1]}).write_parquet(file)
    # Nobody listens at this endpoint: who gets an answer has asked the proxy.
    access = S3Access("http://127.0.0.1:1", REGION, *keys, proxy_url=proxy.endpoint, limits=StoreLimits(2, 2, 0))
    store = ObjectStore(f"s3://{bucket}/x", access)
    store.put_file("a.parquet", file)
    assert [found.key for found in store.list()] == ["a.parquet"]
    read = pl.scan_parquet(store.location("a.parquet"), storage_options=store.storage_options()).collect()
    assert read["a"].to_list() == [1]
    assert len(proxy.requests) >= 3
    direct = ObjectStore(f"s3://{bucket}/x", replace(access, endpoint_url=s3_server.endpoint, proxy_url=None))
    asked = len(proxy.requests)
    assert [found.key for found in direct.list()] == ["a.parquet"]
    direct.put_file("b.parquet", file)
    assert len(proxy.requests) == asked


def test_publishers_are_asked_by_the_shells_proxy(shell: None) -> None:
    get_settings()
    assert "HTTP_PROXY" not in os.environ
    with settings.with_proxies_of_the_shell():
        assert os.environ["HTTP_PROXY"] == ENVIRONMENT["HTTP_PROXY"]
        assert os.environ["no_proxy"] == ENVIRONMENT["no_proxy"]
    assert "HTTP_PROXY" not in os.environ


def test_the_shells_variables_leave_this_process_and_credentials_stay_where_there_are_no_settings(
    shell: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1")
    get_settings()
    left = os.environ.keys() & ENVIRONMENT.keys()
    assert left == {"AWS_PROFILE", "AWS_SESSION_TOKEN", "DAGSTER_HOME"}
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in os.environ
    monkeypatch.setenv("CINESTREAM_S3_ACCESS_KEY_ID", "ours")
    get_settings.cache_clear()
    get_settings()
    assert not [name for name in os.environ if name.startswith("AWS_")]


def test_an_accounts_file_says_who_asks_s3_but_not_where_it_is(shell: None, tmp_path: Path) -> None:
    get_settings()
    keys = SecretStr("id"), SecretStr("secret")
    assert (
        S3Access(None, "eu-central-1", *keys).boto3_client().meta.endpoint_url
        == "https://s3.eu-central-1.amazonaws.com"
    )
    os.environ.pop("AWS_PROFILE")
    (tmp_path / "account/.aws/credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    access = S3Access(None, "eu-central-1")
    assert access.credentials()["aws_access_key_id"] == "a"
    client = access.boto3_client()
    assert client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"
    assert client.meta.config.s3["addressing_style"] == "auto"


@pytest.fixture
def besieged(
    postgres: PostgresTarget,
    calendar_template: str,
    manifest_home: Path,
    s3_server: S3Server,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    """A platform on S3 whose database, login, shell and account are all hostile."""
    bucket = s3_server.create_bucket()
    with database_of_the_manifest(postgres, calendar_template, manifest_home) as target:
        make_hostile(target)
        variables = environment_of(target, manifest_home) | {
            "CINESTREAM_LANDING_URL": f"s3://{bucket}/landing",
            "CINESTREAM_LAKE_URL": f"s3://{bucket}/lake",
            "CINESTREAM_S3_ENDPOINT_URL": s3_server.endpoint,
            "CINESTREAM_S3_REGION": REGION,
            "CINESTREAM_S3_ACCESS_KEY_ID": s3_server.access_key,
            "CINESTREAM_S3_SECRET_ACCESS_KEY": s3_server.secret_key,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        request.getfixturevalue("shell")  # now: what a test itself needs is there
        yield Platform()


def test_a_load_and_a_build_with_marts_are_as_ever(besieged: Platform) -> None:
    landed = {
        "employee/employee.csv": employees((1, "Manager"), (3, "Agent")),
        "customer/customer_2023-01-01.csv": customers((1, "Añade \\ 日本", 3), (2, "Quiet Lane", 3)),
        "track/track.csv": tracks(1, 2),
        "invoice/invoice.csv": invoices((1, 1, "2024-05-01 00:30:00", "1.98"), (2, 2, "2024-05-01 23:30:00", "0.99")),
        "invoice_line/invoice_line.csv": lines((1, 1, 1), (2, 1, 2), (3, 2, 1)),
    }
    for name, content in landed.items():
        besieged.land(f"chinook/{name}", content)
    besieged.load_and_build(marts=True)

    assert {status for _, status in besieged.files()} == {"loaded"}
    times = besieged.query("SELECT invoice_date FROM raw_chinook.invoice ORDER BY invoice_id")
    assert times == [(datetime(2024, 5, 1, 0, 30, tzinfo=UTC),), (datetime(2024, 5, 1, 23, 30, tzinfo=UTC),)]
    assert besieged.scalar("SELECT address FROM raw_chinook.customer WHERE customer_id = 1") == "Añade \\ 日本"
    assert besieged.scalar("SELECT sum(amount)::text FROM chinook_dw.fact_invoice_line") == "2.97"
    published = {table for table, *_ in besieged.publications()}
    assert {name for name in published if name.startswith("mart_")}
