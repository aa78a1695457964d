"""Connections to other machines are encrypted unless somebody says otherwise, and verified where a CA is named.

The host is spelled ``127.1``, so that it is another machine to everybody but the resolver.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from cinestream_platform.commands.findings import mask_secrets
from cinestream_platform.commands.instance import PROJECT_ROOT, instance_environment
from cinestream_platform.marts.project import PROJECT_DIR
from cinestream_platform.marts.resource import connection_environment
from cinestream_platform.settings import Settings, SettingsError, get_settings
from cinestream_platform.sources.dvdrental.database import source_target
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import (
    PostgresTarget,
    PostgresUnreachableError,
    connect,
    connect_bulk,
    sslmode_towards,
)
from tests.support.own_postgres import DBA_PASSWORD, DEBIAN_15, execute, own_postgres

HOST = "127.1"
IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def make_authority(folder: Path, name: str) -> tuple[Path, Path]:
    """Certificate and key of a CA."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", key, "-out", certificate)  # fmt: skip
    return certificate, key


def make_certificate(folder: Path, host: str, authority: tuple[Path, Path]) -> tuple[Path, Path]:
    """Certificate and key of a server, signed by a CA."""
    certificate, key, request, names = (folder / f"{host}.{end}" for end in ("crt", "key", "csr", "ext"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", key, "-out", request)
    names.write_text(f"subjectAltName=DNS:{host}\n")
    openssl("x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial",
            "-days", "2", "-extfile", names, "-out", certificate)  # fmt: skip
    return certificate, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> tuple[Path, Path]:
    return make_authority(folder, "our-ca")


@pytest.fixture(scope="module")
def with_tls(folder: Path, authority: tuple[Path, Path]) -> Iterator[PostgresTarget]:
    """A server with TLS, by the name in its certificate."""
    with own_postgres("15", tls=make_certificate(folder, HOST, authority)) as target:
        execute(target, "CREATE ROLE data_engineer", "CREATE DATABASE dagster")
        execute(target, "GRANT pg_read_all_stats TO data_engineer")  # to see a session that logged in as another
        yield replace(target, host=HOST)


@pytest.fixture(scope="module")
def without_tls() -> Iterator[PostgresTarget]:
    with own_postgres("15") as target:
        yield replace(target, host=HOST)


@pytest.fixture(autouse=True)
def settings_of_this_test() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def settings_for(target: PostgresTarget, **more: str) -> Settings:
    return Settings(
        postgres_host=target.host,
        postgres_port=target.port,
        postgres_user=target.user,
        postgres_password=target.password,
        postgres_database=target.database,
        **more,  # type: ignore[arg-type]
    )


def target_for(target: PostgresTarget, **more: str) -> PostgresTarget:
    return PostgresTarget.started(settings_for(target, **more))


@pytest.mark.parametrize(
    ("host", "said", "mode"),
    [
        ("db.example", None, "require"),
        ("10.1.2.3", None, "require"),
        ("postgres", None, "require"),
        ("localhost.example", None, "require"),
        ("127.0.0.1", None, "prefer"),
        ("127.9.9.9", None, "prefer"),
        ("::1", None, "prefer"),
        ("localhost", None, "prefer"),
        ("/var/run/postgresql", None, "prefer"),
        ("db.example", "disable", "disable"),
        ("127.0.0.1", "verify-full", "verify-full"),
    ],
)
def test_tls_is_required_towards_other_machines_unless_it_is_said_otherwise(
    host: str, said: str | None, mode: str
) -> None:
    assert sslmode_towards(host, said) == mode


def test_the_defaults_hold_for_the_warehouse_and_for_the_operational_database() -> None:
    settings = Settings(postgres_host=HOST).with_own(DvdrentalSettings(host="shop.example", sslrootcert="/ca.crt"))
    assert PostgresTarget.started(settings).sslmode == "require"
    shop = source_target(settings)
    assert (shop.sslmode, shop.sslrootcert) == ("require", "/ca.crt")
    assert conninfo_to_dict(PostgresTarget.started(settings).conninfo())["sslrootcert"] == ""


def test_a_mode_that_libpq_does_not_have_is_refused_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINESTREAM_POSTGRES_SSLMODE", "")
    get_settings.cache_clear()
    assert get_settings().postgres_sslmode is None
    monkeypatch.setenv("CINESTREAM_POSTGRES_SSLMODE", "verify")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="CINESTREAM_POSTGRES_SSLMODE"):
        get_settings()


def test_by_default_the_warehouse_is_reached_with_tls(with_tls: PostgresTarget) -> None:
    with connect(target_for(with_tls), role=None) as conn:
        assert conn.execute(IS_ENCRYPTED).fetchone() == (True,)


def test_a_server_without_tls_is_refused_in_one_sentence_with_both_settings(without_tls: PostgresTarget) -> None:
    with pytest.raises(PostgresUnreachableError) as caught, connect(target_for(without_tls), role=None):
        pass
    message = str(caught.value)
    assert "server does not support SSL, but SSL was required" in message
    assert "CINESTREAM_POSTGRES_SSLMODE=disable" in message
    assert "CINESTREAM_POSTGRES_SSLROOTCERT" in message
    assert DBA_PASSWORD not in message
    with connect(target_for(without_tls, postgres_sslmode="disable"), role=None) as conn:
        assert conn.execute(IS_ENCRYPTED).fetchone() == (False,)


def test_the_operational_databases_own_settings_are_named(without_tls: PostgresTarget) -> None:
    settings = Settings().with_own(DvdrentalSettings(host=HOST, port=without_tls.port))
    with pytest.raises(PostgresUnreachableError, match="CINESTREAM_DVDRENTAL_SSLMODE=disable"):
        connect(source_target(settings), role=None).__enter__()


class Verified:
    """Each way by which the platform reaches Postgres, with the CA's certificate."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.target = PostgresTarget.started(settings)

    def psycopg(self) -> None:
        with connect(self.target, role=None) as conn:
            assert conn.execute(IS_ENCRYPTED).fetchone() == (True,)

    def adbc(self) -> None:
        with connect_bulk(self.target) as conn, conn.cursor() as cursor:
            cursor.execute(IS_ENCRYPTED)
            assert cursor.fetchone() == (True,)

    def dsn(self) -> None:
        psql = [DEBIAN_15 / "psql", "-XAt", self.target.uri(), "-c", IS_ENCRYPTED]
        assert self._run(psql, {}) == "t"

    def dbt(self) -> None:
        dbt = [Path(sys.executable).with_name("dbt"), "debug", "--connection", "--no-use-colors"]
        folders = ["--project-dir", PROJECT_DIR, "--profiles-dir", PROJECT_DIR]
        made = {"DBT_TARGET_PATH": str(self._scratch("dbt")), "DBT_LOG_PATH": str(self._scratch("logs"))}
        said = self._run([*dbt, *folders], connection_environment(self.target) | made)
        assert "OK connection ok" in said

    def dagster(self) -> None:
        program = (
            "from dagster import DagsterInstance\n"
            "with DagsterInstance.get() as instance: print(instance.get_runs_count())"
        )
        home = self._scratch("home/dagster")
        (home / "dagster.yaml").write_text((PROJECT_ROOT / "dagster.yaml").read_text())
        environment = instance_environment(self.settings.model_copy(update={"home": home.parent}))
        environment |= {  # Dagster's processes have the platform's settings
            "CINESTREAM_POSTGRES_HOST": self.target.host,
            "CINESTREAM_POSTGRES_SSLMODE": self.target.sslmode,
            "CINESTREAM_POSTGRES_SSLROOTCERT": self.target.sslrootcert,
        }
        assert self._run([sys.executable, "-c", program], environment).splitlines()[-1] == "0"

    def _scratch(self, name: str) -> Path:
        folder = self.settings.home / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _run(self, command: list[str | Path], environment: dict[str, str]) -> str:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            [str(part) for part in command], env=kept | environment, capture_output=True, text=True, timeout=120,
            check=False, cwd=self._scratch("cwd"),
        )  # fmt: skip
        if done.returncode:
            raise ConnectionError(done.stdout + done.stderr)
        return done.stdout.strip()


@pytest.mark.parametrize("way", ["psycopg", "adbc", "dsn", "dbt", "dagster"])
def test_the_certificate_is_verified_on_every_way_to_postgres(
    with_tls: PostgresTarget, authority: tuple[Path, Path], tmp_path: Path, way: str
) -> None:
    ca, strangers = str(authority[0]), str(make_authority(tmp_path, "another-ca")[0])
    verified = settings_for(with_tls, postgres_sslmode="verify-full", postgres_sslrootcert=ca)
    getattr(Verified(verified.model_copy(update={"home": tmp_path})), way)()
    for wrong in (
        {"postgres_sslrootcert": strangers},  # a server that somebody else vouches for
        {"postgres_host": "localhost"},  # the certificate is another host's
    ):
        with pytest.raises(Exception, match=r"certificate"):
            getattr(Verified(verified.model_copy(update={"home": tmp_path, **wrong})), way)()


def test_a_certificate_that_cannot_be_verified_is_explained(with_tls: PostgresTarget, tmp_path: Path) -> None:
    strangers = str(make_authority(tmp_path, "another-ca")[0])
    target = target_for(with_tls, postgres_sslmode="verify-full", postgres_sslrootcert=strangers)
    with pytest.raises(PostgresUnreachableError, match="CINESTREAM_POSTGRES_SSLROOTCERT names the CA's certificate"):
        connect(target, role=None).__enter__()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@s3.example:9000 answers", "http://user:***@s3.example:9000 answers"),
        ("https://:p%40ss@host/x and https://a:b/c@d@host", "https://:***@host/x and https://a:***@host"),
        ("postgresql://cinestream@host:5432/db", "postgresql://cinestream@host:5432/db"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("http://127.0.0.1:3000/x", "http://127.0.0.1:3000/x"),
    ],
)
def test_no_password_in_a_url_is_shown_by_doctor(text: str, shown: str) -> None:
    assert mask_secrets(text) == shown
