"""A script or archive of somebody else's makes a database, and reaches nothing else: no file, no program, no right."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental import foreign_sql
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, SourceDatabaseError, source_target
from cinestream_platform.sources.dvdrental.load_database import LOADER, OWNER, load_archive, load_sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.shop import settings_for


def as_admin(server: PostgresTarget, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    with connect(replace(server, database=database), role=None) as conn:
        return conn.execute(statement.encode()).fetchall()


def drop(server: PostgresTarget, name: str) -> None:
    with connect(replace(server, database="postgres"), role=None) as conn:
        conn.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def script(postgres: PostgresTarget, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Pagila as pg_dump writes it, its owner ``postgres`` and its lines ``\\restrict`` included."""
    home, name = tmp_path_factory.mktemp("pagila"), "pagila_to_dump"
    load_sample(settings_for(postgres, home, name), scale=0.05, variant="pagila", dirt=False, replace=True)
    dump = [postgres_binary(home, "pg_dump"), "--format=plain"]
    target = replace(postgres, database=name)
    made = subprocess.run(dump, env=target.client_environment(), capture_output=True, text=True, check=True).stdout
    drop(postgres, name)
    assert "\n\\restrict " in made
    assert f"OWNER TO {OWNER};" in made
    return made.replace(f"OWNER TO {OWNER};", "OWNER TO postgres;")


@pytest.fixture
def settings(postgres: PostgresTarget, tmp_path: Path) -> Iterator[Settings]:
    name = f"pagila{uuid.uuid4().hex[:12]}"
    yield settings_for(postgres, tmp_path, name)
    drop(postgres, name)


@pytest.fixture(scope="module")
def standing(postgres: PostgresTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An operational database that scripts are tried in the place of, and that must stay."""
    settings = settings_for(postgres, tmp_path_factory.mktemp("standing"), "pagila_standing")
    load_sample(settings, scale=0.05)
    yield settings
    drop(postgres, settings.own(DvdrentalSettings).database)


@pytest.fixture(scope="module")
def existing(standing: Settings) -> dict[str, int]:
    """What it holds."""
    return counts(standing)


def counts(settings: Settings) -> dict[str, int]:
    with connect(source_target(settings), role=None) as conn:
        return {
            table: conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchall()[0][0]
            for table in SOURCE_TABLES
        }


def nothing_is_left(server: PostgresTarget, settings: Settings) -> bool:
    databases = as_admin(
        server, f"SELECT datname FROM pg_database WHERE datname LIKE '{settings.own(DvdrentalSettings).database}%'"
    )
    logins = as_admin(server, f"SELECT FROM pg_roles WHERE rolname = '{LOADER}' OR rolname = '{OWNER}' AND rolcanlogin")
    return databases == [(settings.own(DvdrentalSettings).database,)] and not logins


def test_a_dumped_pagila_is_loaded_with_every_row_and_belongs_to_nobody_who_can_log_in(
    settings: Settings, postgres: PostgresTarget, script: str, tmp_path: Path
) -> None:
    folder = tmp_path / "pagila"
    folder.mkdir()
    with pytest.raises(SourceDatabaseError, match=r"lacks pagila-schema\.sql and pagila-data\.sql"):
        load_archive(settings, folder)
    begin = script.index("\nCOPY ")
    end = script.rindex("\n\\.\n") + 4
    without_rows = script[:begin] + "\n" + script[end:]
    (folder / "pagila-schema.sql").write_text(without_rows)
    (folder / "pagila-data.sql").write_text("SELECT 1;\n")
    with pytest.raises(SourceDatabaseError, match="tables without rows"):
        load_archive(settings, folder)
    (folder / "whole.SQL").write_text(script)
    assert load_archive(settings, folder / "whole.SQL") is True
    assert counts(settings)["film"] > 10
    assert nothing_is_left(postgres, settings)
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert as_admin(postgres, owners, settings.own(DvdrentalSettings).database) == [(OWNER,)]
    assert load_archive(settings, folder / "whole.SQL") is False


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("\\! touch {x}", "\\!"),
        ("\\o | touch {x}", "\\o"),
        ("SELECT 1 \\g | touch {x}", "\\g"),
        ("\\set made `touch {x}`", "\\set"),
        ("\\copy (SELECT 1) TO '{x}'", "\\copy"),
        ("\\i {x}", "\\i"),
        ("\\connect postgres", "\\connect"),
        ("\\unrestrict 0\n\\! touch {x}", "\\!"),  # another's key is passed over
        ("COPY pg_class FROM stdin;\n\\.\n\\! touch {x}", None),
        ("/* \n*/ \\! touch {x}", "\\!"),
    ],
)
def test_a_script_that_needs_a_meta_command_is_refused_by_its_name_and_leaves_no_file(
    standing: Settings, postgres: PostgresTarget, existing: dict[str, int], tmp_path: Path, line: str, named: str | None
) -> None:
    made = tmp_path / "x"
    (tmp_path / "evil.sql").write_text(f"SELECT 1;\n{line.format(x=made)}\nSELECT 2;\n")
    with pytest.raises(SourceDatabaseError) as refused:
        load_archive(standing, tmp_path / "evil.sql", replace=True)
    if named:
        assert f"evil.sql needs the meta-command {named} of psql (line " in str(refused.value)
    assert not made.exists()
    assert counts(standing) == existing
    assert nothing_is_left(postgres, standing)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{x}'",
        "COPY (SELECT 1) TO PROGRAM 'touch {x}'",
        "CREATE ROLE evil SUPERUSER",
        "DROP DATABASE {database}",
        "ALTER DATABASE {database} RENAME TO gone",
        "ALTER DATABASE {database} SET TimeZone = 'Asia/Tokyo'",
        "ALTER ROLE {owner} LOGIN PASSWORD 'mine'",
        "SET ROLE {owner}",
        "DO 'BEGIN GRANT {owner} TO CURRENT_USER; END'",
        "CREATE EXTENSION file_fdw",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_its_login_has_no_right_elsewhere_not_even_on_the_database_that_is_there(
    standing: Settings, postgres: PostgresTarget, tmp_path: Path, statement: str, existing: dict[str, int]
) -> None:
    made = tmp_path / "x"
    text = statement.format(x=made, database=standing.own(DvdrentalSettings).database, owner=OWNER)
    (tmp_path / "evil.sql").write_text(f"{text};\n")
    with pytest.raises(
        SourceDatabaseError, match=r"evil\.sql could not be run, and nothing was changed: line 1: ERROR"
    ):
        load_archive(standing, tmp_path / "evil.sql", replace=True)
    assert not made.exists()
    assert counts(standing) == existing
    assert nothing_is_left(postgres, standing)


TRAP = """
CREATE FUNCTION public.trap() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RESET ROLE;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
        EXECUTE 'COMMENT ON DATABASE {database} IS ''trapped''';
    END IF;
END $$;
CREATE FUNCTION public.format(text, regprocedure) RETURNS text LANGUAGE sql
    AS $$ SELECT NULL::text FROM public.trap() $$;
CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE sql
    AS $$ SELECT pg_catalog.quote_ident($2) || '.' || pg_catalog.quote_ident($3) FROM public.trap() $$;
CREATE FUNCTION public.rewards() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
"""


def test_its_functions_are_not_taken_for_those_of_postgres_by_who_may_do_everything(
    settings: Settings, postgres: PostgresTarget, script: str, tmp_path: Path
) -> None:
    trap = TRAP.format(database=f"{settings.own(DvdrentalSettings).database}_loading")
    (tmp_path / "evil.sql").write_text(script + trap)
    assert load_archive(settings, tmp_path / "evil.sql") is True
    assert load_archive(settings, tmp_path / "evil.sql") is False  # only the reader's rights are set right
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'"
    assert as_admin(postgres, comment.format(settings.own(DvdrentalSettings).database)) == [(None,)]


@pytest.mark.parametrize(
    ("name", "limit", "statement", "said"),
    [
        ("MOST_SECONDS", 1.0, "SELECT pg_sleep(3600)", r"ended after 1 s"),
        (
            "MOST_BYTES",
            20_000_000,
            "CREATE TABLE t AS SELECT repeat(md5(i::text), 9) FROM generate_series(1, 100000000) i",
            r"ended with [\d,]+ bytes in the database",
        ),
        (
            "MOST_SAID",
            100_000,
            "DO $$ BEGIN LOOP RAISE WARNING 'again and again'; END LOOP; END $$",
            r"ended after 100,000 bytes of messages",
        ),
    ],
)
def test_a_script_is_ended_that_takes_too_long_or_too_much_room(
    standing: Settings,
    postgres: PostgresTarget,
    existing: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    limit: float,
    statement: str,
    said: str,
) -> None:
    monkeypatch.setattr(foreign_sql, name, limit)
    (tmp_path / "endless.sql").write_text(f"{statement};\n")
    with pytest.raises(SourceDatabaseError, match=said):
        load_archive(standing, tmp_path / "endless.sql", replace=True)
    assert counts(standing) == existing
    assert nothing_is_left(postgres, standing)
    working = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{LOADER}'"
    assert as_admin(postgres, working) == [(0,)]
