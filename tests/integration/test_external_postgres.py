"""The platform on an ordinary Postgres server whose login is not a superuser: PostgreSQL 15 and 18."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.commands.access import report_grants
from cinestream_platform.orchestration import warehouse
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.sources.dvdrental.database import SourceDatabaseError, source_target
from cinestream_platform.sources.dvdrental.load_database import load_archive, load_sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.access import MissingRightError, drift
from cinestream_platform.warehouse.blockers import end_readers, holders
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect
from cinestream_platform.warehouse.setup import prepare_warehouse
from tests.support import warm
from tests.support.own_postgres import DEBIAN_15, execute, own_postgres
from tests.support.platform import MOVIES, ROLE_NAMES, Y2005, Y2018, Platform, environment_of, ratings_csv

LOGIN = "warehouse_owner"
LOGINS = {role: SecretStr(f"pw-{role}") for role in ROLE_NAMES}
RATINGS = [(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]


@pytest.fixture(scope="module", params=["15", "18"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresTarget]:
    """The server, seen by its DBA."""
    with own_postgres(request.param) as dba:
        yield dba


@pytest.fixture
def dba(server: PostgresTarget) -> Iterator[PostgresTarget]:
    """The same with no databases and roles but the DBA's."""
    yield server
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        others = "SELECT datname FROM pg_database WHERE datname <> 'postgres' AND NOT datistemplate"
        for (name,) in conn.execute(others).fetchall():
            conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        made = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'dba'"
        roles = [role for (role,) in conn.execute(made).fetchall()]
        for name in roles:
            conn.execute(f'DROP OWNED BY "{name}" CASCADE'.encode())
        # A role that granted a membership cannot go before the grant, and from 16 on grants depend on one another.
        while roles:
            before = len(roles)
            for name in list(roles):
                try:
                    conn.execute(f'DROP ROLE "{name}"'.encode())
                    roles.remove(name)
                except psycopg.errors.DependentObjectsStillExist:
                    continue
            assert len(roles) < before, roles


def owner_of_database(dba: PostgresTarget, attributes: str, *, owns: bool = True) -> PostgresTarget:
    """A login with these attributes and a database, its own or the DBA's."""
    owner = f"OWNER {LOGIN}" if owns else ""
    execute(dba, f"CREATE ROLE {LOGIN} LOGIN {attributes} PASSWORD 'secret'", f"CREATE DATABASE cinestream {owner}")
    return replace(dba, user=LOGIN, password=SecretStr("secret"), database="cinestream")


def platform_on(target: PostgresTarget, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    for name, value in environment(target, home, tmp_path).items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    warehouse.forget_prepared()
    return Platform()


def environment(target: PostgresTarget, home: Path, tmp_path: Path) -> dict[str, str]:
    stores = {"LANDING": (tmp_path / "landing").as_uri(), "LAKE": (tmp_path / "lake").as_uri()}
    return environment_of(target, home) | {f"CINESTREAM_{name}_URL": url for name, url in stores.items()}


@pytest.fixture(autouse=True)
def forget_settings() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def as_login(target: PostgresTarget, role: str) -> PostgresTarget:
    return replace(target, user=f"cinestream_{role}", password=LOGINS[role])


def doctor(target: PostgresTarget, home: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    import os

    variables = {**os.environ, **environment(target, home, tmp_path)}
    program = [warm.cinestream_executable(), "doctor"]
    return subprocess.run(program, env=variables, capture_output=True, text=True, timeout=600, check=False)


def test_the_owner_of_the_database_with_createrole_needs_no_superuser(
    dba: PostgresTarget, manifest_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = owner_of_database(dba, "CREATEROLE")
    platform = platform_on(target, manifest_home, tmp_path, monkeypatch)
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/ratings.csv", ratings_csv(RATINGS))
    platform.load_and_build(marts=True)

    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 2
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'movielens_dw'"
    assert platform.query(owners) == [("data_engineer",)]
    assert platform.scalar("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'ml'") == "ml_engineer"
    with psycopg.connect(as_login(target, "data_analyst").conninfo(), autocommit=True) as conn:
        assert conn.execute("SELECT count(*) FROM movielens_dw.fact_ratings_2005").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM raw_movielens.ratings")
    with psycopg.connect(as_login(target, "ml_engineer").conninfo(), autocommit=True) as conn:
        conn.execute("CREATE TABLE ml.features AS SELECT rating FROM movielens_dw.fact_ratings")
    with psycopg.connect(as_login(target, "dashboard_reader").conninfo(), autocommit=True) as conn:
        assert conn.execute("SELECT count(*) FROM movielens_marts.mart_movie_ratings").fetchone() == (3,)
    with connect(target) as conn:
        assert drift(conn, TABLES, MART_SCHEMAS) == ([], [])
    assert prepare_warehouse(target, TABLES, MART_SCHEMAS, LOGINS) == []


def test_without_a_superuser_readers_give_way_files_are_undone_and_drift_is_mended(
    dba: PostgresTarget, manifest_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = owner_of_database(dba, "CREATEROLE CREATEDB")
    platform = platform_on(target, manifest_home, tmp_path, monkeypatch)
    platform.land("movielens/movies/movies.csv", MOVIES)
    platform.land("movielens/ratings/a.csv", ratings_csv(RATINGS))
    platform.load_and_build()
    platform.land("movielens/ratings/b.csv", ratings_csv([(3, 2, 5.0, Y2005)]))
    with psycopg.connect(as_login(target, "data_analyst").conninfo()) as forgotten:
        forgotten.execute("SELECT * FROM movielens_dw.fact_ratings")
        platform.load_and_build()
        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
        forgotten.close()
    assert platform.query("SELECT login FROM ops.ended_session") == [("cinestream_data_analyst",)]
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 3

    platform.retract("movielens/ratings/b.csv")
    platform.load_and_build()
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 2

    execute(target, "CREATE ROLE stranger LOGIN", "GRANT data_analyst TO stranger")
    platform.execute("CREATE VIEW chinook_dw.emails AS SELECT email FROM chinook_dw.dim_customer")
    platform.execute("GRANT SELECT ON chinook_dw.emails TO data_analyst")
    assert report_grants(get_settings(), apply=False) == 1
    assert report_grants(get_settings(), apply=True) == 0
    assert report_grants(get_settings(), apply=False) == 0
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(as_login(target, "data_analyst").conninfo()) as conn, refused:
        conn.execute("SELECT * FROM chinook_dw.emails")


def test_doctor_prints_what_only_a_dba_may_do_and_then_nothing_is_left(
    dba: PostgresTarget, manifest_home: Path, tmp_path: Path
) -> None:
    target = owner_of_database(dba, "CREATEROLE CREATEDB")
    first = doctor(target, manifest_home, tmp_path)
    [line] = [line for line in first.stdout.splitlines() if line.startswith("warning  server")]
    statements = re.findall(
        r"(REVOKE .*? FROM PUBLIC|ALTER ROLE .*?|DO \$\$.*?\$\$);", line.partition("have a DBA run")[2]
    )
    limits = [statement for statement in statements if '" SET "temp_file_limit" = ' in statement]
    assert len(limits) == 3
    assert len(statements) == len(limits) + 3
    execute(replace(dba, database="cinestream"), *statements)

    second = doctor(target, manifest_home, tmp_path)
    assert second.returncode == 0, second.stdout
    assert "ok       server" in second.stdout
    with psycopg.connect(as_login(target, "dashboard_reader").conninfo(), autocommit=True) as conn:
        for statement in ("SELECT pg_advisory_lock(1)", "SELECT lo_create(0)", "CREATE TEMP TABLE mine (value int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
    for database in ("dagster", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(replace(as_login(target, "dashboard_reader"), database=database).conninfo())


def test_where_the_platform_may_not_end_a_session_it_says_so_and_waits(
    dba: PostgresTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target = owner_of_database(dba, "NOCREATEROLE")
    with pytest.raises(MissingRightError) as refusal:
        prepare_warehouse(target, TABLES, MART_SCHEMAS, {})
    [statements] = re.findall(r"once: (.*) \(Or give", str(refusal.value))
    execute(replace(dba, database="cinestream"), *(part for part in statements.split(";") if part.strip()))
    prepare_warehouse(target, TABLES, MART_SCHEMAS, {})
    execute(dba, "CREATE ROLE anna LOGIN PASSWORD 'anna'", "GRANT data_analyst TO anna")

    anna = replace(target, user="anna", password=SecretStr("anna"))
    with connect(target) as conn, psycopg.connect(anna.conninfo()) as session:
        session.execute("SELECT * FROM movielens_dw.dim_movie")
        process = session.info.backend_pid
        relation = conn.execute("SELECT 'movielens_dw.dim_movie'::regclass::oid").fetchone()
        assert relation
        end_readers(conn, [relation[0]], blocked="a swap", waited_seconds=6)
        session.execute("SELECT 1")
        assert [blocker.login for blocker in holders(conn, [relation[0]])] == ["anna"]
        assert conn.execute("SELECT count(*) FROM ops.ended_session").fetchone() == (0,)
    assert f"a swap waits for anna (process {process}), whose session {LOGIN} may not end" in caplog.text
    assert f'GRANT pg_signal_backend TO "{LOGIN}";' in caplog.text


def dvdrental_settings(target: PostgresTarget, home: Path) -> Settings:
    return Settings(
        home=home,
        postgres_host=target.host,
        postgres_port=target.port,
        postgres_user=target.user,
        postgres_password=target.password,
    ).with_own(DvdrentalSettings(password=SecretStr("pw-reader")))


def test_the_dvdrental_archive_is_restored_by_a_pg_restore_that_the_server_understands(
    dba: PostgresTarget, dvdrental_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dvdrental_settings(owner_of_database(dba, "CREATEROLE CREATEDB"), tmp_path)
    archive = dvdrental_files / "dvdrental.tar"
    with connect(dba, role=None) as conn:
        is_old = conn.info.server_version < 170_000
    if is_old:  # pg_restore 17 and later set what earlier servers do not know
        with pytest.raises(SourceDatabaseError, match=r"too new for this server: set CINESTREAM_POSTGRES_BINARIES"):
            load_archive(settings, archive)
        monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", str(DEBIAN_15))

    assert load_archive(settings, archive)
    with connect(source_target(settings), role=None) as reader:
        assert reader.execute("SELECT count(*) FROM payment").fetchone() == (14_596,)


def test_a_login_that_may_create_databases_and_roles_makes_the_dvdrental_source(
    dba: PostgresTarget, tmp_path: Path
) -> None:
    settings = dvdrental_settings(owner_of_database(dba, "CREATEROLE"), tmp_path)
    with pytest.raises(SourceDatabaseError, match=r'Have a DBA run: ALTER ROLE "warehouse_owner" CREATEDB CREATEROLE'):
        load_sample(settings, scale=0.05)
    execute(dba, f"ALTER ROLE {LOGIN} CREATEDB")

    for _ in range(2):
        assert load_sample(settings, scale=0.05, replace=True) is not None
        with connect(source_target(settings), role=None) as reader:
            assert reader.execute("SELECT count(*) FROM store").fetchone() == (2,)
    assert load_sample(settings, scale=0.05) is None


def test_a_secret_that_comes_later_makes_its_login(dba: PostgresTarget) -> None:
    target = owner_of_database(dba, "CREATEROLE")
    prepare_warehouse(target, TABLES, MART_SCHEMAS, {})
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(as_login(target, "data_analyst").conninfo())

    prepare_warehouse(target, TABLES, MART_SCHEMAS, {"data_analyst": LOGINS["data_analyst"]})

    psycopg.connect(as_login(target, "data_analyst").conninfo()).close()


def test_an_admin_lets_a_new_colleague_in(dba: PostgresTarget) -> None:
    target = owner_of_database(dba, "CREATEROLE")
    prepare_warehouse(target, TABLES, MART_SCHEMAS, LOGINS)

    execute(as_login(target, "admin"), "CREATE ROLE anna LOGIN PASSWORD 'anna'", "GRANT data_analyst TO anna")

    with psycopg.connect(replace(target, user="anna", password=SecretStr("anna")).conninfo()) as conn:
        assert conn.execute("SELECT count(*) FROM movielens_dw.dim_movie").fetchone() == (0,)


@pytest.mark.parametrize("owns", [True, False])
def test_without_createrole_the_message_has_the_statements_that_a_dba_must_run(dba: PostgresTarget, owns: bool) -> None:
    target = owner_of_database(dba, "NOCREATEROLE", owns=owns)
    with pytest.raises(MissingRightError, match="Have a DBA run there, once: CREATE ROLE") as refusal:
        prepare_warehouse(target, TABLES, MART_SCHEMAS, {})
    with psycopg.connect(dba.conninfo()) as conn:
        assert conn.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'data_engineer'").fetchone() == (0,)

    [statements] = re.findall(r"once: (.*) \(Or give", str(refusal.value))
    execute(replace(dba, database="cinestream"), *(f"{part};" for part in statements.split(";") if part.strip()))
    prepare_warehouse(target, TABLES, MART_SCHEMAS, {})

    with connect(target) as conn:
        assert drift(conn, TABLES, MART_SCHEMAS) == ([], [])


def test_a_login_secret_is_not_in_the_message_of_a_missing_right(dba: PostgresTarget) -> None:
    target = owner_of_database(dba, "NOCREATEROLE")
    with pytest.raises(MissingRightError, match="cinestream_data_analyst") as refusal:
        prepare_warehouse(target, TABLES, MART_SCHEMAS, {"data_analyst": SecretStr("hush-hush")})
    assert "hush-hush" not in str(refusal.value)
    assert "SCRAM" not in str(refusal.value)


def test_a_membership_that_was_taken_away_is_named(dba: PostgresTarget) -> None:
    target = owner_of_database(dba, "CREATEROLE")
    prepare_warehouse(target, TABLES, MART_SCHEMAS, {})
    by_itself = f"REVOKE data_engineer FROM {LOGIN} GRANTED BY {LOGIN}"
    execute(dba, by_itself, f"REVOKE data_engineer FROM {LOGIN} CASCADE")
    with pytest.raises(PostgresUnreachableError, match=r'GRANT "data_engineer" TO "warehouse_owner"'), connect(target):
        pass


def test_doctor_says_how_dagster_gets_its_database(dba: PostgresTarget, manifest_home: Path, tmp_path: Path) -> None:
    target = owner_of_database(dba, "CREATEROLE")

    first = doctor(target, manifest_home, tmp_path)
    statement = f'CREATE DATABASE "dagster" OWNER "{LOGIN}";'
    assert (first.returncode, first.stderr) == (1, "")
    assert statement in first.stdout

    execute(dba, statement)
    second = doctor(target, manifest_home, tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "external" in second.stdout


def test_doctor_makes_dagsters_database_where_it_may(dba: PostgresTarget, manifest_home: Path, tmp_path: Path) -> None:
    target = owner_of_database(dba, "CREATEROLE CREATEDB")
    done = doctor(target, manifest_home, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dagster (made now)" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": SecretStr("wrong")}, "password authentication failed"),
        ({"database": "nowhere"}, 'CREATE DATABASE "nowhere" OWNER "warehouse_owner";'),
        ({"port": 1}, "start it, and check CINESTREAM_POSTGRES_HOST and CINESTREAM_POSTGRES_PORT"),
    ],
)
def test_doctor_names_the_remedy_for_each_way_of_being_kept_out(
    dba: PostgresTarget, manifest_home: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    target = replace(owner_of_database(dba, "CREATEROLE"), **change)  # type: ignore[arg-type]
    done = doctor(target, manifest_home, tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("FAILED   postgres")]
    assert words in line
