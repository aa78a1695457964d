"""What somebody sees who comes with psql or a BI tool: everything that is offered can be read, and nothing personal is."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.commands.access import report_grants
from cinestream_platform.commands.doctor_services import ServiceChecks
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ddl import SchemaDriftError
from cinestream_platform.warehouse.search_paths import search_paths
from tests.support.platform import Platform, platform_of

READERS = ("data_analyst", "ml_engineer", "dashboard_reader")
SECRET = "zoe.very-secret@example.org"
PEOPLE = [table for table in TABLES if table.has_open_view]


@pytest.fixture(scope="module")
def world(
    postgres: PostgresTarget, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A prepared warehouse with a person in it, whose e-mail is the most common value that statistics know."""
    with platform_of(
        postgres, f"sees{uuid.uuid4().hex[:8]}", None, manifest_home, tmp_path_factory.mktemp("sees")
    ) as platform:
        report_grants(get_settings(), apply=True)
        with connect(platform.target) as conn:
            conn.execute(
                "INSERT INTO dvddw.dim_staff (staff_id, email, store_id, is_inferred, is_in_source)"
                " SELECT n, %s, 1, false, true FROM generate_series(1, 500) AS n",
                (SECRET,),
            )
            conn.execute("ANALYZE dvddw.dim_staff")
        yield platform


def login(platform: Platform, role: str) -> PostgresTarget:
    return replace(platform.target, user=f"cinestream_{role}", password=SecretStr(f"pw-{role}"))


def session(platform: Platform, role: str) -> psycopg.Connection:
    """A session as a tool opens it: with the login's own settings."""
    return psycopg.connect(login(platform, role).conninfo(), options="", autocommit=True)


OFFERED = {
    "information_schema": "SELECT table_schema, table_name FROM information_schema.tables",
    "pg_catalog": (
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege(n.oid, 'USAGE')"
        " AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))"
    ),
}


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("catalog", OFFERED)
def test_every_relation_that_a_tool_is_offered_can_be_read_with_a_star(
    world: Platform, role: str, catalog: str
) -> None:
    with session(world, role) as conn:
        offered = {
            place
            for place in conn.execute(OFFERED[catalog].encode()).fetchall()
            if place[0] not in ("pg_catalog", "information_schema")
        }
        for schema, name in offered:
            conn.execute(SQL("SELECT * FROM {} LIMIT 0").format(Identifier(schema, name)))
    views = {(table.open_schema, table.name) for table in PEOPLE}
    assert views & offered == (set() if role == "dashboard_reader" else views)
    assert not {(table.schema, table.name) for table in PEOPLE} & offered
    assert not {schema for schema, _ in offered if schema.endswith("_staging") or schema.startswith("raw_")}


@pytest.mark.parametrize("role", READERS)
def test_columns_that_a_tool_is_offered_hold_nothing_personal(world: Platform, role: str) -> None:
    with session(world, role) as conn:
        found = set(
            conn.execute(
                "SELECT table_schema, table_name, column_name FROM information_schema.columns"
                " WHERE table_schema !~ '^(pg_|information_schema)'"
            )
        )
    personal = {
        (schema, table.name, column.name)
        for table in PEOPLE
        for column in table.columns
        if column.is_personal
        for schema in (table.schema, table.open_schema)
    }
    assert not personal & found
    if role != "dashboard_reader":
        assert {(table.open_schema, table.name, c.name) for table in PEOPLE for c in table.open_columns} <= found


def test_each_role_has_its_path_in_this_database_and_nowhere_else(world: Platform) -> None:
    paths = search_paths(TABLES, MART_SCHEMAS)
    assert set(paths) == set(READERS)
    for role, path in paths.items():
        assert not [schema for schema in path if schema.endswith("_staging") or schema.startswith(("raw_", "ops"))]
        with session(world, role) as conn:
            shown = conn.execute("SHOW search_path").fetchone()[0]
        assert shown.split(", ") == list(path)
    assert "ml" not in paths["data_analyst"]
    for table in PEOPLE:
        assert paths["data_analyst"].index(table.open_schema) < paths["data_analyst"].index(table.schema)
    with psycopg.connect(
        replace(login(world, "data_engineer"), database=world.target.database).conninfo(), options=""
    ) as conn:
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_a_bare_name_means_the_open_view(world: Platform) -> None:
    with session(world, "data_analyst") as conn:
        cursor = conn.execute("SELECT * FROM dim_staff LIMIT 1")
        assert [column.name for column in cursor.description] == [
            column.name for table in PEOPLE if table.name == "dim_staff" for column in table.open_columns
        ]


def psql(platform: Platform, role: str, *commands: str) -> str:
    target = login(platform, role)
    said = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        [postgres_binary(get_settings().home_dir, "psql"), "-X", *said],
        env={"PATH": os.environ["PATH"], **target.client_environment(), "PGOPTIONS": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_psql_lists_and_describes_what_each_role_reads(world: Platform) -> None:
    listed = psql(world, "data_analyst", r"\d", r"\d+ dim_staff", r"\dn+")
    assert "dvddw_open | dim_staff |" in " ".join(listed.split())
    assert "dvddw | dim_staff |" not in " ".join(listed.split())
    assert "What analysts read of tables with personal columns" in listed
    assert "Rows that are being made." in listed
    assert 'View "dvddw_open.dim_staff"' in listed
    assert "email" not in listed.partition('View "dvddw_open.dim_staff"')[2].partition("\n\n")[0]
    assert "dim_staff" not in psql(world, "dashboard_reader", r"\d")
    assert "Personal, closed to analysts." in psql(world, "data_engineer", r"\d+ dvddw.dim_staff")


TRIES = {
    "the table": "SELECT email FROM dvddw.dim_staff",
    "a whole row": "SELECT s::text FROM dvddw.dim_staff s",
    "a filter": "SELECT staff_id FROM dvddw.dim_staff WHERE email LIKE 'z%'",
    "a column through the view": "SELECT email FROM dvddw_open.dim_staff",
    "a filter through the view": "SELECT staff_id FROM dvddw_open.dim_staff WHERE email LIKE 'z%'",
    "a count": "SELECT count(*) FROM dvddw.dim_staff",
    "a lock": "BEGIN; LOCK TABLE dvddw.dim_staff IN ACCESS SHARE MODE",
    "a copy": "COPY dvddw.dim_staff TO STDOUT",
    "a plan of the table": "EXPLAIN SELECT * FROM dvddw.dim_staff WHERE email = 'a'",
    "a write through the view": "UPDATE dvddw_open.dim_staff SET store_id = 2",
    "a row as json": "SELECT to_jsonb(s) ->> 'email' FROM dvddw.dim_staff s",
    "raw statistics": "SELECT * FROM pg_statistic",
}


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("way", TRIES)
def test_no_statement_reaches_a_personal_value(world: Platform, role: str, way: str) -> None:
    with (
        session(world, role) as conn,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)),
    ):
        conn.execute(TRIES[way].encode())


PEEKS = {
    "statistics": "SELECT * FROM pg_stats WHERE tablename ~ 'dim_staff'",
    "extended statistics": "SELECT * FROM pg_stats_ext",
    "a plan that runs": "EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT * FROM dvddw_open.dim_staff",
    "whole rows of the view": "SELECT s::text, to_jsonb(s) FROM dvddw_open.dim_staff s",
}


@pytest.mark.parametrize("role", ["data_analyst", "ml_engineer"])
@pytest.mark.parametrize("way", PEEKS)
def test_nothing_that_may_be_asked_shows_a_personal_value(world: Platform, role: str, way: str) -> None:
    with session(world, role) as conn:
        found = str(conn.execute(PEEKS[way].encode()).fetchall())
    assert SECRET not in found
    assert ("store_id" in found) is (not way.endswith("statistics"))


def test_a_function_that_tells_what_it_is_given_sees_no_personal_value(world: Platform) -> None:
    """ml_engineer may write functions that cost nothing, so that Postgres calls them as early as it can."""
    with session(world, "ml_engineer") as conn:
        told: list[str] = []
        conn.add_notice_handler(lambda said: told.append(said.message_primary))
        conn.execute("SET client_min_messages = 'notice'")
        conn.execute(
            "CREATE FUNCTION ml.tell(record) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
            " $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
        )
        try:
            conn.execute("SELECT * FROM dvddw_open.dim_staff s WHERE ml.tell(s)")
        finally:
            conn.execute("DROP FUNCTION ml.tell(record)")
    assert len(told) == 500
    assert not [line for line in told if SECRET in line]


def test_a_table_in_the_place_of_an_open_view_is_named(world: Platform) -> None:
    view = "dvddw_open.dim_staff"
    with connect(world.target) as conn:
        conn.execute(f"DROP VIEW {view}".encode())
        conn.execute(f"CREATE TABLE {view} (value integer)".encode())
        try:
            with pytest.raises(
                SchemaDriftError, match=f"{view} is in the place of an open view: drop it, or rename it"
            ):
                report_grants(get_settings(), apply=True)
        finally:
            conn.execute(f"DROP TABLE {view}".encode())
    assert report_grants(get_settings(), apply=True) == 0


def test_a_query_on_an_open_view_is_planned_as_one_on_its_table(world: Platform) -> None:
    plans = []
    for schema in ("dvddw", "dvddw_open"):
        with connect(world.target) as conn:
            query = f"EXPLAIN (COSTS OFF) SELECT staff_id FROM {schema}.dim_staff WHERE staff_key = 7"
            plans.append(conn.execute(query.encode()).fetchall())
    assert plans[0] == plans[1]
    assert "Index" in str(plans[0])


TAMPERED = {
    "another query": (
        "CREATE OR REPLACE VIEW dvddw_open.dim_staff AS SELECT staff_key, staff_id, store_id, is_active,"
        " is_inferred, email IS NULL AS is_in_source FROM dvddw.dim_staff",
        "differs: dvddw_open.dim_staff is not all columns of dvddw.dim_staff but the personal ones",
    ),
    "a whole row in a column": (
        "CREATE OR REPLACE VIEW dvddw_open.dim_staff AS SELECT staff_key, staff_id, store_id, is_active,"
        " is_inferred, s::text <> '' AS is_in_source FROM dvddw.dim_staff s",
        "differs: dvddw_open.dim_staff is not all columns of dvddw.dim_staff but the personal ones",
    ),
    "rights of the reader": (
        "ALTER VIEW dvddw_open.dim_staff SET (security_invoker = true)",
        "differs: dvddw_open.dim_staff is not all columns of dvddw.dim_staff but the personal ones",
    ),
    "a view that is gone": ("DROP VIEW dvddw_open.dim_staff", "missing: view dvddw_open.dim_staff"),
    "a view of somebody": (
        "CREATE VIEW dvddw_open.more AS SELECT email FROM dvddw.dim_staff",
        "nobody declared: dvddw_open.more",
    ),
    "another path": (
        "ALTER ROLE cinestream_data_analyst IN DATABASE {database} SET search_path = ml, public",
        'differs: ALTER ROLE "cinestream_data_analyst" IN DATABASE',
    ),
}


@pytest.mark.parametrize("way", TAMPERED)
def test_a_view_or_path_that_is_not_as_declared_is_reported_and_mended(
    world: Platform, way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    statement, words = TAMPERED[way]
    with connect(world.target, role=None if "ROLE" in statement else "data_engineer") as conn:
        conn.execute(statement.format(database=world.target.database).encode())
    assert report_grants(get_settings(), apply=False) == 1
    assert words in capsys.readouterr().out
    findings = [
        finding
        for name, check in ServiceChecks(get_settings()).all()
        if name in ("postgres", "warehouse", "grants")
        for finding in check()
    ]
    if "DROP" not in statement:  # doctor prepares the warehouse, which makes what is missing
        assert [finding.level for finding in findings if finding.what == "grants"] == ["FAILED"]
    assert report_grants(get_settings(), apply=True) == 0
    assert report_grants(get_settings(), apply=False) == 0
    with session(world, "data_analyst") as conn:
        assert len(conn.execute("SELECT * FROM dim_staff").fetchall()) == 500
