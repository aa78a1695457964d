"""Bringing a database to the state that the declarations describe: roles, ledger, tables, grants. Idempotent.

A fresh database is made by running every migration and creating every declared table. One with data that lacks a
migration is refused: only ``upgrade=True`` (``cinestream upgrade``) runs it, while nobody else works.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.star_table import StarTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.warehouse import limits, locks
from cinestream_platform.warehouse.access import apply_grants, ensure_roles
from cinestream_platform.warehouse.blockers import readers_give_way
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ddl import create_statements, ensure_tables
from cinestream_platform.warehouse.migrate import (
    Migration,
    UpgradeNeededError,
    apply_migrations,
    declared_migrations,
    is_fresh,
    needed_migrations,
)
from cinestream_platform.warehouse.open_views import changes_type, make_way
from cinestream_platform.warehouse.predictions import ensure_prediction_tables
from cinestream_platform.warehouse.search_paths import Paths, path_differences, search_paths

STAGING = "Rows that are being made. What is published is in the schema without _staging in its name."
"""The comment of schemas that nobody reads."""
RAW = "Records as they were delivered. For engineers."
STARS = "Dims, bridges and facts. Tables with personal columns are closed to analysts; they read the schema with _open."
MARTS = "Ready answers, one table or view for each business question."
RACES = 20
"""How often roles are made again that another process was making."""


def prepare_warehouse(
    target: PostgresTarget,
    tables: Sequence[Table],
    mart_schemas: Sequence[str],
    logins: Mapping[str, SecretStr],
    predictions: Sequence[Prediction] = (),
    *,
    upgrade: bool = False,
    databases: Sequence[str] = (),
) -> list[str]:
    """Create and evolve all that is declared; every change, in words. A prepared warehouse costs one query.

    ``upgrade`` also runs migrations on a database that holds data; the caller sees to it that nobody else works.
    ``databases`` are others of the server in which only the platform works (Dagster's): nobody else is let in.

    Raises:
        UpgradeNeededError: The database holds data and lacks migrations.
        OtherVersionError: The database was upgraded by a newer version.
        SchemaDriftError: A table needs a written migration.
        MissingRightError: The login lacks a right; the message has the statements that a DBA must run.
    """
    migrations = declared_migrations()
    fingerprint = _fingerprint([*tables, *predictions], mart_schemas, logins, migrations)
    with connect(target, role=None) as conn:
        if _is_prepared(conn, fingerprint, [*tables, *predictions]):
            return []
        if not is_fresh(conn):
            _refuse_other_version(target, migrations, upgrade=upgrade)
        make_roles(conn, logins, databases, search_paths(tables, mart_schemas))
    with connect(target) as conn, connect(target) as watching, readers_give_way(watching):
        if needed_migrations(conn, migrations):
            make_way(conn, tables)
        changes = apply_migrations(conn, migrations)
        changes += _make_all(conn, tables, mart_schemas, predictions, fingerprint)
    return changes


def _make_all(
    conn: Connection[Any],
    tables: Sequence[Table],
    mart_schemas: Sequence[str],
    predictions: Sequence[Prediction],
    fingerprint: str,
) -> list[str]:
    with conn.transaction():
        locks.lock(conn, locks.PREPARE)
        _describe_schemas(conn, tables, mart_schemas)
        make_way(conn, [table for table in tables if table.has_open_view and changes_type(conn, table)])
        changes = ensure_tables(conn, tables)
        changes += apply_grants(conn, tables, mart_schemas)
        changes += ensure_prediction_tables(conn, predictions)
        conn.execute(SQL("COMMENT ON SCHEMA ops IS {}").format(f"CineStream's ledger. Prepared for {fingerprint}."))
    return changes


def _describe_schemas(conn: Connection[Any], tables: Sequence[Table], mart_schemas: Sequence[str]) -> None:
    """Create the schemas and say what is in them, for tools that list them all."""
    words = {table.staging_schema: STAGING for table in tables}
    words |= {table.schema: STARS for table in tables if isinstance(table, StarTable)}
    words |= {table.schema: RAW for table in tables if isinstance(table, RawTable)}
    words |= dict.fromkeys(mart_schemas, MARTS)
    for schema, said in words.items():
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        conn.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(schema), said))


def make_roles(
    conn: Connection[Any],
    logins: Mapping[str, SecretStr],
    databases: Sequence[str] = (),
    paths: Paths | None = None,
) -> None:
    """Create roles and logins, or none of them; limit them, and shut out all others, where this login may.

    Roles belong to the server, and there may be nothing yet that could be locked: where another process was making
    the same ones, it is tried again.

    Raises:
        MissingRightError: Something is missing that this login may not make.
    """
    for attempt in range(1, RACES + 1):
        try:
            with conn.transaction():
                ensure_roles(conn, logins)
                limits.apply_where_possible(conn, limits.wanted(conn, databases))
                limits.apply_where_possible(conn, path_differences(conn, paths or {}))
            return
        except (errors.UniqueViolation, errors.DuplicateObject, errors.DeadlockDetected, errors.InternalError_):
            if attempt == RACES:
                raise
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - so that the two do not meet again


def _refuse_other_version(target: PostgresTarget, migrations: Sequence[Migration], *, upgrade: bool) -> None:
    """Check that this version may work on a database that holds data."""
    with connect(target) as conn:
        needed = needed_migrations(conn, migrations)
    if needed and not upgrade:
        named = needed[0] if len(needed) == 1 else f"{needed[0]} to {needed[-1]}"
        raise UpgradeNeededError(
            f"{target} was prepared by an earlier version of the platform and lacks what has changed since: "
            f"{named}. Stop the platform, then run: cinestream upgrade"
        )


def _fingerprint(
    tables: Iterable[Table],
    mart_schemas: Iterable[str],
    logins: Mapping[str, SecretStr],
    migrations: Iterable[Migration],
) -> str:
    """Changes whenever the declarations, the migrations, the logins or their passwords do."""
    # Derived slowly: whoever reads the fingerprint must not be able to try passwords against it.
    secrets = [
        hashlib.pbkdf2_hmac("sha256", password.get_secret_value().encode(), role.encode(), 20_000).hex()
        for role, password in sorted(logins.items())
    ]
    parts = [*(migration.sha256 for migration in migrations), *mart_schemas, *sorted(logins), *secrets]
    for table in tables:
        parts += create_statements(table)
        parts += [column.name for column in table.columns if column.is_personal]
    parts += [f"{role} {path}" for role, path in search_paths(tables, mart_schemas).items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _is_prepared(conn: Connection[Any], fingerprint: str, tables: Sequence[Table]) -> bool:
    wanted = [(table.schema, table.name) for table in tables]
    wanted += [(table.open_schema, table.name) for table in tables if table.has_open_view]
    # By the catalogs, which everybody may read: to_regclass() fails where the login does not inherit its roles.
    row = conn.execute(
        """
        SELECT obj_description(to_regnamespace('ops')::oid, 'pg_namespace') LIKE %s
            AND NOT EXISTS (
                SELECT FROM unnest(%s::text[], %s::text[]) AS wanted (schema, name) WHERE NOT EXISTS (
                    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = wanted.schema AND c.relname = wanted.name))
        """,
        (f"%{fingerprint}%", [schema for schema, _ in wanted], [name for _, name in wanted]),
    ).fetchone()
    return bool(row and row[0])
