"""Who may do what: every role's login tries everything on every object; grants made by hand are found and mended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.catalog import MART_SCHEMAS, PREDICTIONS, TABLES
from cinestream_platform.commands.access import report_grants
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import BIGINT, INTEGER, TEXT, Column
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.star_table import PartitionedFact, Type1Dimension
from cinestream_platform.declarations.table import Reference, Table
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse import limits
from cinestream_platform.warehouse.access import apply_grants, drift
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ddl import ensure_tables
from cinestream_platform.warehouse.open_views import view_drift
from cinestream_platform.warehouse.setup import prepare_warehouse
from tests.support.platform import (
    MOVIES,
    Y2005,
    Y2018,
    Platform,
    csv_bytes,
    database,
    environment_of,
    ratings_csv,
)
from tests.support.publishing import publish_partition

READ, WRITE = {"SELECT"}, {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "ALTER"}
MAY: dict[str, dict[str, set[str]]] = {
    "admin": dict.fromkeys(
        ("raw", "star", "staging", "marts", "platform", "ops", "ml", "predictions"), WRITE | {"CREATE"}
    ),
    "data_engineer": dict.fromkeys(("raw", "star", "staging", "marts", "platform", "ops"), WRITE | {"CREATE"})
    | {"predictions": READ},
    "data_analyst": {"star": READ, "marts": READ, "platform": READ, "predictions": READ},
    "ml_engineer": {"star": READ, "marts": READ, "platform": READ, "ml": WRITE | {"CREATE"}, "predictions": WRITE},
    "dashboard_reader": {"marts": READ, "platform": READ},
}
"""DESIGN.md 4.5 as a table: what each role may do with tables of each kind of schema; all else is refused."""

KINDS = {
    **{table.schema: "raw" if isinstance(table, RawTable) else "star" for table in TABLES},
    **{table.staging_schema: "staging" for table in TABLES},
    **{table.open_schema: "star" for table in TABLES if table.has_open_view},
    **dict.fromkeys(MART_SCHEMAS, "marts"),
    "platform": "platform",
    "ops": "ops",
    "ml": "ml",
}
PREDICTED = {table.qualified_name for table in PREDICTIONS}

ATTEMPTS = {
    "SELECT": "SELECT * FROM {relation} LIMIT 0",
    "INSERT": "INSERT INTO {relation} DEFAULT VALUES",
    "UPDATE": "UPDATE {relation} SET {column} = NULL",
    "DELETE": "DELETE FROM {relation}",
    "TRUNCATE": "TRUNCATE {relation}",
    "ALTER": "ALTER TABLE {relation} ALTER COLUMN {column} SET STATISTICS 100",
}
"""None of these needs a second right, and each is refused before any constraint is looked at."""


def login(target: PostgresTarget, role: str) -> PostgresTarget:
    return replace(target, user=f"cinestream_{role}", password=SecretStr(f"pw-{role}"))


@pytest.fixture(scope="module")
def world(
    postgres: PostgresTarget, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One loaded and built platform for all tests here: they roll back, or mend what they break."""
    folder = tmp_path_factory.mktemp("access")
    with database(postgres, f"access{uuid.uuid4().hex[:8]}") as target, pytest.MonkeyPatch.context() as patch:
        variables = environment_of(target, manifest_home)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("CINESTREAM_LANDING_URL", (folder / "landing").as_uri())
        patch.setenv("CINESTREAM_LAKE_URL", (folder / "lake").as_uri())
        get_settings.cache_clear()
        platform = Platform()
        platform.land("movielens/movies/movies.csv", MOVIES)
        platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, 4.5, Y2005), (2, 1, 3.0, Y2018)]))
        platform.land("movielens/tags/a.csv", csv_bytes("userId,movieId,tag,timestamp", [(1, 1, "fun", Y2005)]))
        platform.load_and_build()
        with connect(platform.target) as conn:  # as dbt and a crashed build leave them
            conn.execute("CREATE TABLE movielens_marts.mart_probe (value integer)")
            conn.execute("CREATE TABLE movielens_dw_staging.leftover (value integer)")
        with connect(platform.target, role="ml_engineer") as conn:
            conn.execute("CREATE TABLE ml.features (value integer)")
        yield platform
    get_settings.cache_clear()


def objects(platform: Platform) -> list[tuple[str, str, str, str]]:
    """(kind of schema, relation, first column, relkind) of everything in the platform's schemas."""
    rows = platform.query(
        """
        SELECT n.nspname, format('%%I.%%I', n.nspname, c.relname), quote_ident(a.attname), c.relkind::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
        WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema|public$)' ORDER BY 2
        """
    )
    return [
        ("predictions" if relation in PREDICTED else KINDS[schema], relation, column, kind)
        for schema, relation, column, kind in rows
    ]


def may(conn: psycopg.Connection[Any], statement: str) -> bool:
    """Whether a statement is let through; nothing of it stays."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statement.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn):
        return False
    except psycopg.errors.Error:  # a constraint: the right was there
        return True
    return True


def observed(platform: Platform, role: str, only: str = "") -> dict[str, set[str]]:
    """What a role's login can do with each relation."""
    found: dict[str, set[str]] = {}
    with psycopg.connect(login(platform.target, role).conninfo(), autocommit=True) as conn:
        for _, relation, column, relkind in objects(platform):
            if only in relation:
                verbs = ["SELECT"] if relkind in "vm" else list(ATTEMPTS)
                statements = {verb: ATTEMPTS[verb].format(relation=relation, column=column) for verb in verbs}
                found[relation] = {verb for verb, statement in statements.items() if may(conn, statement)}
    return found


def expected(platform: Platform, role: str, only: str = "") -> dict[str, set[str]]:
    found = {
        relation: MAY[role].get(kind, set()) & ({"SELECT"} if relkind in "vm" else WRITE)
        for kind, relation, _, relkind in objects(platform)
        if only in relation
    }
    # These are read by their open views.
    return {name: set() if role in READERS_OF_STARS and name in PERSONAL else verbs for name, verbs in found.items()}


READERS_OF_STARS = ("data_analyst", "ml_engineer")
PERSONAL = {table.qualified_name: table for table in TABLES if table.has_open_view}
"""Tables of the stars that hold personal columns."""


def test_there_is_an_object_of_every_kind(world: Platform) -> None:
    found = objects(world)
    assert {kind for kind, *_ in found} == {"raw", "star", "staging", "marts", "platform", "ops", "ml", "predictions"}
    names = {relation for _, relation, *_ in found}
    assert {f"{table.schema}.{table.name}" for table in TABLES} <= names
    assert {"movielens_dw.fact_ratings", "movielens_dw.fact_ratings_2005", "movielens_dw.fact_tags_2005"} <= names


@pytest.mark.parametrize("role", MAY)
def test_a_role_can_do_with_every_object_what_the_matrix_says(world: Platform, role: str) -> None:
    assert observed(world, role) == expected(world, role)


@pytest.mark.parametrize("role", MAY)
def test_a_role_can_create_in_a_schema_only_where_the_matrix_says(world: Platform, role: str) -> None:
    schemas = [
        name for (name,) in world.query("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'")
    ]
    with psycopg.connect(login(world.target, role).conninfo(), autocommit=True) as conn:
        allowed = {name for name in schemas if may(conn, f"CREATE TABLE {name}.probe (value integer)")}
        new_schema = may(conn, "CREATE SCHEMA probe")
    assert allowed == {name for name in schemas if "CREATE" in MAY[role].get(KINDS.get(name, "public"), set())}
    assert new_schema == (role in ("admin", "data_engineer"))


@pytest.mark.parametrize("role", MAY)
def test_only_admins_manage_roles(world: Platform, role: str) -> None:
    with psycopg.connect(login(world.target, role).conninfo(), autocommit=True) as conn:
        assert may(conn, "CREATE ROLE probe LOGIN") == (role == "admin")
        assert may(conn, "GRANT data_analyst TO cinestream_ml_engineer") == (role == "admin")
        assert not may(conn, "ALTER ROLE cinestream_data_analyst SUPERUSER")
        assert may(conn, "SET ROLE data_engineer") == (role in ("admin", "data_engineer"))


def test_grants_hold_at_once_on_a_partition_that_was_just_swapped_in(world: Platform) -> None:
    before = world.scalar("SELECT 'movielens_dw.fact_ratings_2005'::regclass::oid")
    world.land("movielens/ratings/b.csv", ratings_csv([(3, 2, 5.0, Y2005), (3, 3, 1.0, 1_420_070_400)]))
    world.load_and_build()
    assert world.scalar("SELECT 'movielens_dw.fact_ratings_2005'::regclass::oid") != before

    for role in MAY:
        assert observed(world, role, "fact_ratings") == expected(world, role, "fact_ratings"), role
    with connect(world.target) as conn:
        assert drift(conn, TABLES, MART_SCHEMAS) == ([], [])


def test_a_mart_that_is_made_anew_is_readable_at_once(world: Platform) -> None:
    with connect(world.target) as conn, conn.transaction(force_rollback=True):
        conn.execute("CREATE TABLE movielens_marts.mart_new (value integer)")
        acl = conn.execute(
            "SELECT x.grantee::regrole::text, x.privilege_type FROM pg_class, aclexplode(relacl) x"
            " WHERE relname = 'mart_new' AND x.grantee <> relowner"
        ).fetchall()
    assert set(acl) == {("dashboard_reader", "SELECT"), ("data_analyst", "SELECT"), ("ml_engineer", "SELECT")}


PERSON = Type1Dimension(
    source="movielens",
    schema="movielens_dw",
    name="dim_person",
    description="People.",
    grain="one row per person",
    member="person",
    natural_ids=(Column("person_id", INTEGER, "Number."),),
    attributes=(
        Column("email", TEXT, "Address.", nullable=True, is_personal=True),
        Column("country", TEXT, "Country.", nullable=True),
    ),
)
VISITS = PartitionedFact(
    source="movielens",
    schema="movielens_dw",
    name="fact_visits",
    description="Visits.",
    grain="one row per visit",
    columns=(
        Column("visit_id", INTEGER, "Number."),
        Column("date_key", INTEGER, "Day."),
        Column("ip_address", TEXT, "From where.", nullable=True, is_personal=True),
    ),
    row_key=("visit_id",),
    references=(Reference("date_key", DIM_DATE),),
    partitioning=Partitioning(PartitionUnit.YEAR),
)


@pytest.fixture
def people(world: Platform) -> Iterator[Platform]:
    """The platform with two tables that hold personal columns."""
    with connect(world.target) as conn:
        ensure_tables(conn, [*TABLES, PERSON, VISITS])
        apply_grants(conn, [*TABLES, PERSON, VISITS], MART_SCHEMAS)
        conn.execute("INSERT INTO movielens_dw.dim_person VALUES (DEFAULT, 1, 'a@example.org', 'NL', false, true)")
    yield world
    with connect(world.target) as conn:
        conn.execute("DROP TABLE movielens_dw.dim_person, movielens_dw.fact_visits CASCADE")
        conn.execute("DROP SCHEMA movielens_dw_open CASCADE")


def readable_columns(platform: Platform, role: str, relation: str, columns: list[str]) -> list[str]:
    with psycopg.connect(login(platform.target, role).conninfo(), autocommit=True) as conn:
        return [column for column in columns if may(conn, f"SELECT {column} FROM {relation}")]


EXPECTED_PERSONAL = {
    "chinook": {
        *("dim_customer.first_name", "dim_customer.last_name", "dim_customer.company", "dim_customer.address"),
        *("dim_customer.postal_code", "dim_customer.phone", "dim_customer.fax", "dim_customer.email"),
        *("dim_employee.first_name", "dim_employee.last_name", "dim_employee.birth_date", "dim_employee.address"),
        *("dim_employee.postal_code", "dim_employee.phone", "dim_employee.fax", "dim_employee.email"),
    },
    "dvdrental": {
        *("dim_customer.first_name", "dim_customer.last_name", "dim_customer.address", "dim_customer.address2"),
        *("dim_customer.postal_code", "dim_customer.phone", "dim_customer.email"),
        *("dim_staff.first_name", "dim_staff.last_name", "dim_staff.email", "dim_staff.username"),
    },
    "movielens": set(),
}
"""Written down a second time: a column that loses its mark would be readable, and no other test would say so."""


def read_as(table: Table) -> str:
    return f"{table.readable_schema}.{table.name}"


@pytest.mark.parametrize("source", EXPECTED_PERSONAL)
def test_analysts_and_scientists_read_every_column_of_a_source_but_the_personal_ones_and_dashboards_none(
    world: Platform, source: str
) -> None:
    star = [table for table in TABLES if table.source == source and not isinstance(table, RawTable)]
    columns = {f"{table.name}.{column.name}": table for table in star for column in table.columns}

    def readable(role: str) -> set[str]:
        with psycopg.connect(login(world.target, role).conninfo(), autocommit=True) as conn:
            return {
                name
                for name, table in columns.items()
                if may(conn, f'SELECT "{name.rpartition(".")[2]}" FROM {read_as(table)} LIMIT 0')
            }

    for role in READERS_OF_STARS:
        assert columns.keys() - readable(role) == EXPECTED_PERSONAL[source], role
    assert readable("dashboard_reader") == set()


def test_analysts_and_scientists_see_all_but_personal_columns(people: Platform) -> None:
    columns = ["person_key", "person_id", "email", "country", "*", "count(*)", "p::text"]
    table, view = "movielens_dw.dim_person p", "movielens_dw_open.dim_person p"
    for role in READERS_OF_STARS:
        assert readable_columns(people, role, table, columns) == []
        assert readable_columns(people, role, view, columns) == [c for c in columns if c != "email"]
    assert readable_columns(people, "dashboard_reader", table, columns) == []
    assert readable_columns(people, "dashboard_reader", view, columns) == []
    assert readable_columns(people, "data_engineer", table, columns) == columns
    with psycopg.connect(login(people.target, "data_analyst").conninfo(), autocommit=True) as conn:
        assert conn.execute("SELECT * FROM movielens_dw_open.dim_person").fetchall() == [(1, 1, "NL", False, True)]
        assert not may(conn, "COPY movielens_dw.dim_person TO STDOUT")
        assert not may(conn, "CREATE TEMP TABLE mine AS TABLE movielens_dw.dim_person")


def test_personal_columns_stay_hidden_on_a_partition_that_was_just_published(people: Platform) -> None:
    frame = pl.DataFrame(
        {"visit_id": [1, 2], "date_key": [20050101, 20051231], "ip_address": ["10.0.0.1", None]},
        schema={"visit_id": pl.Int32, "date_key": pl.Int32, "ip_address": pl.String},
    )
    columns = ["visit_id", "date_key", "ip_address", "*"]
    for attempt in (frame, frame.with_columns(visit_id=pl.col("visit_id") + 10)):
        publish_partition(people.target, VISITS, "2005", attempt, run_id="test", file_ids=())
        for role in READERS_OF_STARS:
            for relation in ("movielens_dw.fact_visits", "movielens_dw.fact_visits_2005"):
                assert readable_columns(people, role, relation, columns) == []
            view = "movielens_dw_open.fact_visits"
            assert readable_columns(people, role, view, columns) == ["visit_id", "date_key", "*"]
            with psycopg.connect(login(people.target, role).conninfo()) as conn:
                found = conn.execute("SELECT visit_id FROM movielens_dw_open.fact_visits ORDER BY 1").fetchall()
            assert [number for (number,) in found] == attempt["visit_id"].to_list()
    with connect(people.target) as conn:
        assert drift(conn, [*TABLES, PERSON, VISITS], MART_SCHEMAS) == ([], [])
        assert view_drift(conn, [*TABLES, PERSON, VISITS]) == []


def test_a_column_that_is_declared_personal_later_is_hidden_from_then_on(people: Platform) -> None:
    email, country = PERSON.attributes
    stricter = replace(PERSON, attributes=(email, replace(country, is_personal=True)))
    view, columns = "movielens_dw_open.dim_person", ["person_id", "email", "country"]
    with connect(people.target) as conn:
        apply_grants(conn, [*TABLES, stricter, VISITS], MART_SCHEMAS)
    assert readable_columns(people, "data_analyst", view, columns) == ["person_id"]
    assert readable_columns(people, "data_analyst", "movielens_dw.dim_person", columns) == []

    open_again = replace(PERSON, attributes=tuple(replace(c, is_personal=False) for c in PERSON.attributes))
    with connect(people.target) as conn:
        assert "dropped view movielens_dw_open.dim_person" in apply_grants(
            conn, [*TABLES, open_again, VISITS], MART_SCHEMAS
        )
        assert drift(conn, [*TABLES, open_again, VISITS], MART_SCHEMAS) == ([], [])
    assert readable_columns(people, "data_analyst", "movielens_dw.dim_person", columns) == columns


def test_a_column_that_becomes_personal_is_empty_in_a_view_that_somebodys_view_reads(people: Platform) -> None:
    email, country = PERSON.attributes
    stricter = replace(PERSON, attributes=(email, replace(country, is_personal=True)))
    with connect(people.target) as conn:
        conn.execute("CREATE SCHEMA theirs")
        conn.execute("CREATE VIEW theirs.countries AS SELECT country FROM movielens_dw_open.dim_person")
        try:
            apply_grants(conn, [*TABLES, stricter, VISITS], MART_SCHEMAS)
            assert conn.execute("SELECT country FROM theirs.countries").fetchall() == [(None,)]
            assert view_drift(conn, [*TABLES, stricter, VISITS]) == [
                "differs: movielens_dw_open.dim_person is not all columns of movielens_dw.dim_person but the personal ones"
            ]
        finally:
            conn.execute("DROP SCHEMA theirs CASCADE")
        apply_grants(conn, [*TABLES, stricter, VISITS], MART_SCHEMAS)
        assert view_drift(conn, [*TABLES, stricter, VISITS]) == []


def test_a_column_is_widened_under_its_open_view(people: Platform) -> None:
    wider = replace(PERSON, natural_ids=(Column("person_id", BIGINT, "Number."),))
    tables = [*TABLES, wider, VISITS]
    prepare_warehouse(people.target, tables, MART_SCHEMAS, {})
    with psycopg.connect(login(people.target, "data_analyst").conninfo()) as conn:
        [column] = conn.execute("SELECT * FROM movielens_dw_open.dim_person").description[1:2]
    assert (column.name, column.type_display) == ("person_id", "int8")
    prepare_warehouse(people.target, TABLES, MART_SCHEMAS, {})


def test_a_dashboards_long_query_is_cancelled(world: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = login(world.target, "dashboard_reader").conninfo()  # whose sessions are not sessions of the platform
    with psycopg.connect(dashboard, options="") as conn:
        assert conn.execute("SHOW statement_timeout").fetchone() == ("30s",)
    # 30 s would be a long test
    monkeypatch.setitem(limits.DEFAULTS, "dashboard_reader", {"statement_timeout": "200ms"})
    try:
        with connect(world.target, role=None) as conn:
            limits.apply_where_possible(conn, limits.wanted(conn, []))
        with psycopg.connect(dashboard, options="") as conn, pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute("SELECT pg_sleep(20)")
    finally:
        monkeypatch.undo()
        with connect(world.target, role=None) as conn:
            limits.apply_where_possible(conn, limits.wanted(conn, []))
    with psycopg.connect(dashboard, options="") as conn:
        assert conn.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_dashboards_get_twenty_connections_and_no_more(world: Platform) -> None:
    conninfo = login(world.target, "dashboard_reader").conninfo()
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(psycopg.connect(conninfo))
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(conninfo)
    psycopg.connect(login(world.target, "data_analyst").conninfo()).close()


BY_HAND = {
    "data_analyst: SELECT on raw_movielens.ratings": "SELECT ON raw_movielens.ratings TO data_analyst",
    "ml_engineer: UPDATE on movielens_dw.dim_movie.title": "UPDATE (title) ON movielens_dw.dim_movie TO ml_engineer",
    "ml_engineer: CREATE on movielens_dw": "CREATE ON SCHEMA movielens_dw TO ml_engineer",
    "PUBLIC: USAGE on ops": "USAGE ON SCHEMA ops TO PUBLIC",
    "PUBLIC: SELECT on movielens_dw.dim_user": "SELECT ON movielens_dw.dim_user TO PUBLIC",
    "data_analyst: DELETE on movielens_dw.fact_tags_2005": "DELETE ON movielens_dw.fact_tags_2005 TO data_analyst",
    'Odd "name": SELECT on ops.landed_file': 'SELECT ON ops.landed_file TO "Odd ""name"""',
}
TAKEN = {
    "data_analyst: SELECT on movielens_dw.dim_movie": "SELECT ON movielens_dw.dim_movie FROM data_analyst",
    "ml_engineer: SELECT on movielens_dw.fact_tags_2005": "SELECT ON movielens_dw.fact_tags_2005 FROM ml_engineer",
    "dashboard_reader: USAGE on movielens_marts": "USAGE ON SCHEMA movielens_marts FROM dashboard_reader",
    "ml_engineer: SELECT on movielens_marts.mart_probe": "SELECT ON movielens_marts.mart_probe FROM ml_engineer",
}
"""What is reported, and what was granted or revoked by hand."""


def test_grants_made_and_revoked_by_hand_are_reported_and_mended(
    world: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    with connect(world.target, role=None) as conn:
        conn.execute('CREATE ROLE "Odd ""name""" NOLOGIN')
    try:
        with connect(world.target) as conn:
            for granted in BY_HAND.values():
                conn.execute(f"GRANT {granted}".encode())
            for revoked in TAKEN.values():
                conn.execute(f"REVOKE {revoked}".encode())

        assert report_grants(get_settings(), apply=False) == 1
        lines = capsys.readouterr().out.splitlines()
        wanted = [f"missing: {grant}" for grant in TAKEN]
        wanted += [f"nobody declared: {grant}" for grant in BY_HAND]
        assert sorted(lines) == sorted([*wanted, "cinestream roles --apply makes them so."])

        assert report_grants(get_settings(), apply=True) == 0
        done = capsys.readouterr().out
        assert all(f"granted {grant}" in done for grant in TAKEN)
        assert all(f"revoked {grant}" in done for grant in BY_HAND)

        assert report_grants(get_settings(), apply=False) == 0
        assert "All grants are as declared." in capsys.readouterr().out
        for role in MAY:
            assert observed(world, role) == expected(world, role), role
    finally:
        with connect(world.target, role=None) as conn:
            conn.execute('DROP OWNED BY "Odd ""name"""')
            conn.execute('DROP ROLE "Odd ""name"""')


def test_what_was_passed_on_with_grant_option_goes_too(world: Platform) -> None:
    with connect(world.target) as conn:
        conn.execute("GRANT SELECT ON raw_movielens.ratings TO data_analyst WITH GRANT OPTION")
        conn.execute("GRANT USAGE ON SCHEMA raw_movielens TO data_analyst, dashboard_reader")
    with psycopg.connect(login(world.target, "data_analyst").conninfo(), autocommit=True) as conn:
        conn.execute("SET ROLE data_analyst")
        conn.execute("GRANT SELECT ON raw_movielens.ratings TO dashboard_reader")

    assert report_grants(get_settings(), apply=True) == 0

    with connect(world.target) as conn:
        assert drift(conn, TABLES, MART_SCHEMAS) == ([], [])
    for role in MAY:
        assert observed(world, role, "raw_movielens") == expected(world, role, "raw_movielens"), role


def test_a_changed_password_is_the_logins_at_the_next_start(platform: Platform) -> None:
    def prepare(password: str) -> None:
        prepare_warehouse(platform.target, TABLES, MART_SCHEMAS, {"data_analyst": SecretStr(password)})

    def lets_in(password: str) -> bool:
        target = replace(platform.target, user="cinestream_data_analyst", password=SecretStr(password))
        try:
            psycopg.connect(target.conninfo()).close()
        except psycopg.OperationalError:
            return False
        return True

    prepare("old secret")
    assert (lets_in("old secret"), lets_in("new secret")) == (True, False)
    prepare("new secret")
    assert (lets_in("old secret"), lets_in("new secret")) == (False, True)
    prepare("pw-data_analyst")  # roles belong to the server: other tests log in with this one
