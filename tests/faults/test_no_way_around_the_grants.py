"""Personal columns stay closed: whichever way somebody opens, ``roles`` and ``doctor`` see it, and ``--apply`` closes it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.commands.access import report_grants
from cinestream_platform.commands.doctor_services import ServiceChecks
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.role_drift import differences
from tests.support.platform import Platform, database, platform_of

STRANGER = f"stranger_{uuid.uuid4().hex[:6]}"
COLLEAGUE = f"colleague_{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def world(
    postgres: PostgresTarget, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A prepared warehouse, and two logins that are nobody's."""
    with platform_of(
        postgres, f"around{uuid.uuid4().hex[:8]}", None, manifest_home, tmp_path_factory.mktemp("around")
    ) as platform:
        with connect(platform.target, role=None) as conn:
            for name in (STRANGER, COLLEAGUE):
                conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw-{name}'".encode())
        yield platform
        with connect(platform.target, role=None) as conn:
            for name in (STRANGER, COLLEAGUE):
                conn.execute(f"DROP OWNED BY {name} CASCADE".encode())
                conn.execute(f"DROP ROLE {name}".encode())


def as_superuser(platform: Platform, *statements: str) -> None:
    with connect(platform.target, role=None) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def reads(platform: Platform, user: str, query: str) -> bool:
    password = f"pw-{user.removeprefix('cinestream_')}"
    target = replace(platform.target, user=user, password=SecretStr(password))
    try:
        with psycopg.connect(target.conninfo(), autocommit=True) as conn:
            conn.execute(query.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        return False
    except psycopg.OperationalError as error:
        if "permission denied for database" not in str(error):
            raise
        return False
    return True


def view(name: str, what: str) -> tuple[str, ...]:
    return (
        f"CREATE VIEW ml.{name} AS {what}",
        f"ALTER VIEW ml.{name} OWNER TO data_engineer",
        f"GRANT SELECT ON ml.{name} TO data_analyst, ml_engineer",
    )


EMAILS = "SELECT email FROM chinook_dw.dim_customer"
WAYS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "a view of the owner's": (
        view("emails", EMAILS),
        "cinestream_data_analyst",
        "SELECT * FROM ml.emails",
        "view ml.emails of data_engineer lets data_analyst read what is closed to it",
    ),
    "a view on a view": (
        (*view("inner_view", EMAILS), *view("outer_view", "SELECT email FROM ml.inner_view")),
        "cinestream_ml_engineer",
        "SELECT * FROM ml.outer_view",
        "view ml.outer_view of data_engineer lets ml_engineer read what is closed to it",
    ),
    "a view of whole rows": (
        view("whole_rows", "SELECT c::text, c.country FROM chinook_dw.dim_customer c"),
        "cinestream_data_analyst",
        "SELECT * FROM ml.whole_rows",
        "view ml.whole_rows of data_engineer lets data_analyst read what is closed to it",
    ),
    "a view of raw rows": (
        view("raw_rows", "SELECT * FROM raw_chinook.customer"),
        "cinestream_data_analyst",
        "SELECT * FROM ml.raw_rows",
        "view ml.raw_rows of data_engineer lets data_analyst read what is closed to it",
    ),
    "a kept copy in a view": (
        (
            f"CREATE MATERIALIZED VIEW ml.kept AS {EMAILS}",
            "ALTER MATERIALIZED VIEW ml.kept OWNER TO data_engineer",
            "GRANT SELECT ON ml.kept TO PUBLIC",
        ),
        "cinestream_data_analyst",
        "SELECT * FROM ml.kept",
        "view ml.kept of data_engineer lets PUBLIC read what is closed to it",
    ),
    "a copied table": (
        (
            f"CREATE TABLE ml.copied AS {EMAILS}",
            "ALTER TABLE ml.copied OWNER TO data_engineer",
            "GRANT SELECT ON ml.copied TO data_analyst",
        ),
        "cinestream_data_analyst",
        "SELECT * FROM ml.copied",
        "table ml.copied of data_engineer, who reads everything, is open to data_analyst",
    ),
    "a column of a copied table": (
        (
            f"CREATE TABLE ml.of_the_server AS {EMAILS}",
            "GRANT SELECT (email) ON ml.of_the_server TO PUBLIC",
        ),
        "cinestream_data_analyst",
        "SELECT email FROM ml.of_the_server",
        "table ml.of_the_server of {superuser}, who reads everything, is open to PUBLIC",
    ),
    "a copy in a schema of an engineer's": (
        (
            "CREATE SCHEMA sandbox AUTHORIZATION data_engineer",
            f"CREATE TABLE sandbox.copied AS {EMAILS}",
            "ALTER TABLE sandbox.copied OWNER TO cinestream_data_engineer",
            "GRANT USAGE ON SCHEMA sandbox TO dashboard_reader",
            "GRANT SELECT ON sandbox.copied TO dashboard_reader",
        ),
        "cinestream_dashboard_reader",
        "SELECT * FROM sandbox.copied",
        "table sandbox.copied of cinestream_data_engineer, who reads everything, is open to dashboard_reader",
    ),
    "a sequence in ml": (
        (
            "CREATE SEQUENCE ml.numbers",
            "ALTER SEQUENCE ml.numbers OWNER TO data_engineer",
            "GRANT USAGE ON SEQUENCE ml.numbers TO data_analyst",
        ),
        "cinestream_data_analyst",
        "SELECT nextval('ml.numbers')",
        "sequence ml.numbers of data_engineer, who reads everything, is open to data_analyst",
    ),
    "a right on the database": (
        ("GRANT TEMPORARY ON DATABASE {database} TO cinestream_data_analyst",),
        "cinestream_data_analyst",
        "CREATE TEMP TABLE mine (value integer)",
        "cinestream_data_analyst: TEMPORARY on database {database}",
    ),
    "a function that is closed to everybody": (
        ("GRANT EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) TO data_analyst",),
        "cinestream_data_analyst",
        "SELECT pg_try_advisory_lock(1)",
        "data_analyst may run pg_try_advisory_lock(bigint)",
    ),
    "a function with its owner's rights": (
        (
            f"CREATE FUNCTION ml.mails() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS '{EMAILS}'",
            "ALTER FUNCTION ml.mails() OWNER TO data_engineer",
        ),
        "cinestream_data_analyst",
        "SELECT * FROM ml.mails()",
        "PUBLIC may run ml.mails() with the rights of data_engineer",
    ),
    "a membership of a login": (
        ("GRANT data_engineer TO cinestream_data_analyst",),
        "cinestream_data_analyst",
        EMAILS,
        "cinestream_data_analyst is a member of data_engineer",
    ),
    "a membership of a group": (
        ("GRANT data_engineer TO ml_engineer",),
        "cinestream_ml_engineer",
        EMAILS,
        "ml_engineer is a member of data_engineer",
    ),
    "a membership in a login": (
        ("GRANT cinestream_data_engineer TO cinestream_data_analyst",),
        "cinestream_data_analyst",
        EMAILS,
        "cinestream_data_analyst is a member of cinestream_data_engineer",
    ),
    "a role that reads everything": (
        ("GRANT pg_read_all_data TO data_analyst",),
        "cinestream_data_analyst",
        EMAILS,
        "data_analyst is a member of pg_read_all_data",
    ),
    "a role that reads everything, in between": (
        ("GRANT pg_read_all_data TO {stranger}", "GRANT {stranger} TO data_analyst"),
        "cinestream_data_analyst",
        EMAILS,
        "data_analyst is a member of {stranger}",
    ),
    "a stranger in a group": (
        ("GRANT data_engineer TO {stranger}",),
        STRANGER,
        EMAILS,
        "{stranger} is a member of data_engineer",
    ),
    "an attribute": (
        ("ALTER ROLE cinestream_data_analyst SUPERUSER",),
        "cinestream_data_analyst",
        EMAILS,
        "cinestream_data_analyst is SUPERUSER",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_around_the_grants_is_reported_and_closed(
    world: Platform, way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    statements, user, query, words = WAYS[way]
    names = {"database": world.target.database, "superuser": world.target.user, "stranger": STRANGER}
    statements, words = tuple(statement.format(**names) for statement in statements), words.format(**names)
    report_grants(get_settings(), apply=True)
    capsys.readouterr()
    as_superuser(world, *statements)
    assert reads(world, user, query), "the way is none"

    assert report_grants(get_settings(), apply=False) == 1
    assert f"nobody declared: {words}" in capsys.readouterr().out.splitlines()
    checks = ServiceChecks(get_settings())
    needed = ("postgres", "warehouse", "grants")
    findings = [finding for name, check in checks.all() if name in needed for finding in check()]
    assert [finding.level for finding in findings if finding.what == "grants"] == ["FAILED"]

    assert report_grants(get_settings(), apply=True) == 0
    assert f"nobody declared: {words}: mended" in capsys.readouterr().out.splitlines()
    assert not reads(world, user, query)
    with connect(world.target, role=None) as conn:
        assert differences(conn, TABLES, MART_SCHEMAS, {}) == []


def test_views_that_hand_on_nothing_closed_are_left_alone(world: Platform) -> None:
    as_superuser(
        world,
        *view("films", "SELECT title FROM movielens_dw.dim_movie"),
        "CREATE VIEW ml.countries AS SELECT country FROM chinook_dw_open.dim_customer",
        "ALTER VIEW ml.countries OWNER TO ml_engineer",
        "GRANT SELECT ON ml.countries TO data_analyst",
        "CREATE VIEW ml.asks_as_you WITH (security_invoker = true) AS SELECT email FROM chinook_dw.dim_customer",
        "ALTER VIEW ml.asks_as_you OWNER TO data_engineer",
        "GRANT SELECT ON ml.asks_as_you TO data_analyst",
    )
    with connect(world.target, role=None) as conn:
        assert differences(conn, TABLES, MART_SCHEMAS, {}) == []
    assert reads(world, "cinestream_data_analyst", "SELECT * FROM ml.countries")
    assert not reads(world, "cinestream_data_analyst", "SELECT * FROM ml.asks_as_you")


def test_a_declared_colleague_stays_and_gets_a_limit(
    world: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("CINESTREAM_ROLE_MEMBERS", f'{{"data_analyst": ["{COLLEAGUE}"]}}')
    get_settings.cache_clear()
    assert report_grants(get_settings(), apply=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"missing: {COLLEAGUE} is not a member of data_analyst" in lines
    assert any(line.startswith(f'differs: ALTER ROLE "{COLLEAGUE}" CONNECTION LIMIT') for line in lines)
    assert any(line.startswith(f'differs: ALTER ROLE "{COLLEAGUE}" IN DATABASE') for line in lines)

    assert report_grants(get_settings(), apply=True) == 0
    assert reads(world, COLLEAGUE, "SELECT country FROM chinook_dw_open.dim_customer")
    assert not reads(world, COLLEAGUE, EMAILS)
    assert report_grants(get_settings(), apply=False) == 0
    monkeypatch.undo()
    get_settings.cache_clear()
    assert report_grants(get_settings(), apply=True) == 0
    assert not reads(world, COLLEAGUE, "SELECT country FROM chinook_dw_open.dim_customer")


def test_limits_defaults_and_rights_to_come_are_compared_too(
    world: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    as_superuser(
        world,
        "ALTER ROLE cinestream_data_analyst CONNECTION LIMIT -1",
        "ALTER ROLE cinestream_dashboard_reader RESET statement_timeout",
        "ALTER DEFAULT PRIVILEGES FOR ROLE data_engineer IN SCHEMA raw_chinook GRANT SELECT ON TABLES TO data_analyst",
        "GRANT SELECT ON movielens_dw.dim_movie TO data_analyst WITH GRANT OPTION",
        "GRANT ALL ON SEQUENCE ops.landed_file_file_id_seq TO data_analyst",
        "ALTER ROLE cinestream_data_analyst RESET temp_file_limit",
    )
    assert report_grants(get_settings(), apply=False) == 1
    lines = capsys.readouterr().out
    for words in (
        'differs: ALTER ROLE "cinestream_data_analyst" CONNECTION LIMIT 30',
        'differs: ALTER ROLE "cinestream_dashboard_reader" SET "statement_timeout" = ',
        'differs: ALTER ROLE "cinestream_data_analyst" SET "temp_file_limit" = ',
        "nobody declared: data_analyst: USAGE on ops.landed_file_file_id_seq",
        "nobody declared: data_analyst gets SELECT on new tables of schema raw_chinook",
        "nobody declared: data_analyst: GRANT OPTION FOR SELECT on movielens_dw.dim_movie",
    ):
        assert words in lines
    assert report_grants(get_settings(), apply=True) == 0
    assert report_grants(get_settings(), apply=False) == 0


def test_a_table_of_somebody_elses_is_reported_and_not_taken_over(
    world: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    as_superuser(
        world, "CREATE TABLE chinook_dw.mine (value integer)", "ALTER TABLE chinook_dw.mine OWNER TO data_analyst"
    )
    try:
        assert report_grants(get_settings(), apply=True) == 1
        assert "chinook_dw.mine belongs to data_analyst: drop it" in capsys.readouterr().out
    finally:
        as_superuser(world, "DROP TABLE chinook_dw.mine")


def test_another_warehouse_on_the_same_server_is_left_alone(world: Platform, postgres: PostgresTarget) -> None:
    with database(postgres, f"beside{uuid.uuid4().hex[:8]}") as other:
        as_superuser(world, f"GRANT CONNECT ON DATABASE {other.database} TO data_analyst")
        with connect(world.target, role=None) as conn:
            assert differences(conn, TABLES, MART_SCHEMAS, {}) == []
