"""Numbered migrations: their names and order, and what a database of another version is told."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.migrate import (
    Migration,
    OtherVersionError,
    apply_migrations,
    declared_migrations,
    needed_migrations,
)
from cinestream_platform.warehouse.setup import prepare_warehouse


@pytest.fixture
def database_template() -> None:
    """Every test begins with an empty database."""


@pytest.fixture
def bare(environment: dict[str, str], postgres: PostgresTarget) -> PostgresTarget:
    """A database with the platform's roles and nothing else."""
    target = PostgresTarget(
        postgres.host, postgres.port, postgres.user, postgres.password, environment["CINESTREAM_POSTGRES_DATABASE"]
    )
    prepare_warehouse(target, [], [], {})
    with connect(target) as conn:
        conn.execute("DROP SCHEMA ops CASCADE")
    return target


def test_files_are_taken_in_the_order_of_their_numbers_and_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("0010_later.sql", "0002_first.sql", "README.md", "2_short.sql", "0003_Upper.sql"):
        (tmp_path / name).write_text(f"SELECT '{name}'")
    assert [str(migration) for migration in declared_migrations(tmp_path)] == ["0002_first", "0010_later"]


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0002_one.sql", "0002_two.sql"):
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="same number"):
        declared_migrations(tmp_path)


def test_each_of_the_projects_own_migrations_has_a_number_of_its_own_and_they_run_in_that_order() -> None:
    numbers = [migration.number for migration in declared_migrations()]
    assert numbers == sorted(set(numbers))


def test_a_migration_runs_once(bare: PostgresTarget) -> None:
    steps = [Migration(1, "table", "CREATE TABLE ops.x (a int)"), Migration(2, "row", "INSERT INTO ops.x VALUES (1)")]
    with connect(bare) as conn:
        assert apply_migrations(conn, steps) == ["applied migration 0001_table", "applied migration 0002_row"]
        assert apply_migrations(conn, steps) == []
        assert conn.execute("SELECT count(*) FROM ops.x").fetchone() == (1,)


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(bare: PostgresTarget) -> None:
    steps = [
        Migration(1, "table", "CREATE TABLE ops.x (a int)"),
        Migration(2, "half", "INSERT INTO ops.x VALUES (1); SELECT 1 / 0"),
    ]
    with connect(bare) as conn:
        with pytest.raises(psycopg.errors.DivisionByZero):
            apply_migrations(conn, steps)
        assert conn.execute("SELECT count(*) FROM ops.x").fetchone() == (0,)
        assert needed_migrations(conn, steps) == steps[1:]


def test_a_migration_that_was_changed_after_it_ran_is_refused_by_name(bare: PostgresTarget) -> None:
    with connect(bare) as conn:
        apply_migrations(conn, [Migration(1, "table", "CREATE TABLE ops.x (a int)")])
        with pytest.raises(OtherVersionError, match="0001_table was changed after"):
            needed_migrations(conn, [Migration(1, "table", "CREATE TABLE ops.x (a bigint)")])


def test_a_warehouse_of_a_newer_version_is_refused_by_name(bare: PostgresTarget) -> None:
    with connect(bare) as conn:
        apply_migrations(conn, [Migration(1, "table", "SELECT 1"), Migration(2, "new", "SELECT 1")])
        with pytest.raises(OtherVersionError, match=r"newer version of the platform \(migration 0002_new\)"):
            needed_migrations(conn, [Migration(1, "table", "SELECT 1")])
