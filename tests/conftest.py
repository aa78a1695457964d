"""Services that tests share: one embedded Postgres and one S3 server a session, a database and stores a test."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import settings
from pydantic import SecretStr

from cinestream_platform.catalog import CATALOG
from cinestream_platform.marts import project
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from tests.support.platform import Platform

# Fixtures import what they use of the platform: the process that only hands tests out needs none of it (4 s of CPU).
# Looking through all that dagster, polars and dbt have made is a quarter of the time that their imports take.
gc.set_threshold(50_000, 20, 50)

pytest_plugins = ("tests.support.fixtures",)

REGION, KEY_ID, SECRET = "eu-central-1", "test-key-id", "test-secret"


settings.register_profile("make test", derandomize=True, deadline=None)
settings.register_profile("make soak", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "make test"))
"""The same examples every time, however slow the machine is; a soak looks for new ones."""


LONGEST = (
    "test_killed_processes_come_back.py",
    "test_command_line.py",
    "test_no_web_page_drives_the_ui.py",
    "test_secrets.py",
    "test_external_postgres.py",
    "test_embedded_postgres.py",
    "test_once.py",
    "test_many_files.py",
    "test_extraction.py",
    "test_once_and_whole_when_killed.py",
    "test_marts.py",
    "test_netflix.py",
    "test_chinook.py",
    "test_one_bad_entry_stops_nothing.py",
    "test_a_silent_store_hangs_nothing.py",
    "test_memory_is_bounded.py",
    "test_marts_promises.py",
    "test_what_left_is_not_forgotten.py",
    "test_schema_evolution.py",
    "test_dashboards.py",
    "test_access.py",
    "test_whole.py",
    "test_upgrades_keep_the_data.py",
    "test_real_netflix.py",
    "test_watermarks.py",
    "test_promises_of_every_source.py",
)
"""Files that take half a minute and more, or that would be the last ones to begin."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For ``auto`` a process more than there are cores: for a third of their time tests wait for servers and intervals.

    For ``logical``, which unit tests are run with, as many as there are cores.
    """
    more = config.option.numprocesses == "auto"
    said = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(said) if said else cores + more


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: processes take whole files, and none should end long after the others."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested, and why, grouped by reason."""
    if terminalreporter.config.option.collectonly:
        return
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    terminalreporter.section("skipped, and why" if reasons else "nothing was skipped", sep="-")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:>5}  {reason}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresTarget]:
    """The embedded Postgres, in a home of its own. It may lose data in a power cut: tests that kill have their own."""
    from cinestream_platform.services.postgres import start_postgres, stop_postgres
    from tests.support.memory import folder_in_memory

    with folder_in_memory() as memory:
        home = memory or tmp_path_factory.mktemp("postgres-home")
        with pytest.MonkeyPatch.context() as patch:
            if memory:  # root's server account cannot enter a home: the data is there
                patch.setenv("CINESTREAM_POSTGRES_DATA_ROOT", str(memory / "data"))
            server = start_postgres(home)
        try:
            target = PostgresTarget(server.host, server.port, server.superuser, server.password, "cinestream")
            with psycopg.connect(target.conninfo(), autocommit=True) as conn:
                for name in ("fsync", "synchronous_commit", "full_page_writes"):
                    conn.execute(f"ALTER SYSTEM SET {name} = off".encode())
                for name in ("min_wal_size", "max_wal_size"):  # of the disk's size they take a part of the memory
                    conn.execute(f"ALTER SYSTEM SET {name} = '256MB'".encode())
                conn.execute("SELECT pg_reload_conf()")
            yield target
        finally:
            stop_postgres(home)


@dataclass(frozen=True)
class S3Server:
    """An S3 server that a test may use."""

    endpoint: str
    access_key: str
    secret_key: str

    def create_bucket(self) -> str:
        """A new, empty bucket; its name."""
        import boto3

        name = f"test-{uuid.uuid4().hex[:12]}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """moto: S3's semantics on loopback."""
    from moto import backends
    from moto.server import ThreadedMotoServer

    # For each request it would look through the folder of its modules, and write a line.
    modules = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules  # type: ignore[assignment,return-value]
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server(f"http://{host}:{port}", KEY_ID, SECRET)
    finally:
        server.stop()


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    """The S3 server behind a proxy that stalls, resets, truncates or throttles."""
    proxy = Proxy(s3_server.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def manifest_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dbt manifest for databases named ``cinestream``, made (6 s) by the first process that asks."""
    from cinestream_platform.marts.project import ensure_manifest
    from cinestream_platform.services.process import exclusive_lock
    from cinestream_platform.settings import Settings

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parsed"
    with exclusive_lock(base.parent / "parsed.lock", timeout=300):
        ensure_manifest(Settings(home=shared, postgres_database="cinestream"))
    # A home of this process's own: locks and folders of runs lie there too.
    home = tmp_path_factory.mktemp("manifest-home")
    shutil.copytree(shared / "dbt", home / "dbt")
    return home


@pytest.fixture(params=["folder", "s3"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Where files land: every test that asks for it runs on both. Parametrize it indirectly to choose one."""
    return str(request.param)


@pytest.fixture(scope="session")
def prepared_template(
    postgres: PostgresTarget, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database with roles, ledger, tables and grants, prepared once as every process does it at its start."""
    from cinestream_platform.orchestration.warehouse import start_and_prepare
    from tests.support.platform import database, environment_of, settled

    with database(postgres, "prepared_template") as target:
        with settled(environment_of(target, manifest_home), tmp_path_factory.mktemp("prepared")):
            start_and_prepare(CATALOG, get_settings())
        yield target.database


@pytest.fixture
def database_template(calendar_template: str) -> str | None:
    """The database that each test's own is copied from.

    Modules override it: with ``prepared_template`` where dim_date must not have been built, with one of their own where
    they build much, with None where the database must be empty.
    """
    return calendar_template


@pytest.fixture
def environment(
    postgres: PostgresTarget,
    database_template: str | None,
    manifest_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """The settings of a platform with a database and a home of its own; folders as stores."""
    from tests.support import warm
    from tests.support.platform import database, environment_of

    # The home is the manifest's, so that dbt need not be parsed for each test; stores and database are the test's.
    with database(postgres, f"t{uuid.uuid4().hex[:12]}", database_template) as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (tmp_path / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (tmp_path / "lake").as_uri()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        # `status` parses the marts for this database's name: 1 s of CPU in the warm dbt, 5 s in a new one
        monkeypatch.setattr(project, "dbt_executable", warm.dbt_executable)
        get_settings.cache_clear()
        yield variables
    get_settings.cache_clear()


@pytest.fixture
def platform(environment: dict[str, str]) -> Platform:
    """A platform on folders."""
    from tests.support.platform import Platform

    return Platform()


@pytest.fixture
def any_platform(
    environment: dict[str, str], store_kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """A platform on folders, and the same test again on S3."""
    from tests.support.platform import Platform

    if store_kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket = server.create_bucket()
        monkeypatch.setenv("CINESTREAM_LANDING_URL", f"s3://{bucket}/landing")
        monkeypatch.setenv("CINESTREAM_LAKE_URL", f"s3://{bucket}/lake")
        monkeypatch.setenv("CINESTREAM_S3_ENDPOINT_URL", server.endpoint)
        monkeypatch.setenv("CINESTREAM_S3_REGION", REGION)
        monkeypatch.setenv("CINESTREAM_S3_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("CINESTREAM_S3_SECRET_ACCESS_KEY", server.secret_key)
        get_settings.cache_clear()
    return Platform()


@pytest.fixture(scope="session")
def movielens_small() -> Path:
    """GroupLens' ml-latest-small; tests skip where it is absent."""
    return _real("movielens", "ml-latest-small")


@pytest.fixture(scope="session")
def movielens_25m() -> Path:
    """The excerpt of GroupLens' ml-25m; tests skip where it is absent."""
    return _real("movielens", "ml-25m-excerpt")


@pytest.fixture(scope="session")
def chinook_files() -> Path:
    """The upstream's SQLite and JSON files of Chinook."""
    return _real("chinook")


@pytest.fixture(scope="session")
def netflix_files() -> Path:
    """The excerpt of the Netflix Prize, in both layouts; tests skip where it is absent."""
    return _real("netflix")


@pytest.fixture(scope="session")
def dvdrental_files() -> Path:
    """The folder of the PostgreSQL Tutorial's dvdrental archive; tests skip where it is absent."""
    return _real("dvdrental")


def _real(*parts: str) -> Path:
    from tests.support.platform import real_data

    folder = real_data().joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; CINESTREAM_REAL_DATA names the folder of the publishers' files")
    return folder


@pytest.fixture(scope="session")
def secret() -> SecretStr:
    """A password that must never be seen."""
    return SecretStr(f"hush-{uuid.uuid4().hex}")
