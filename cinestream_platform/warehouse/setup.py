"""Bringing a database to the state that the declarations describe: roles, ledger, tables, grants. Idempotent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from cinestream_platform.warehouse.access import apply_grants, ensure_roles
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.ddl import create_statements, ensure_tables
from cinestream_platform.warehouse.predictions import ensure_prediction_tables
from cinestream_platform.warehouse.table import Table


def prepare_warehouse(
    target: PostgresTarget,
    tables: Sequence[Table],
    mart_schemas: Sequence[str],
    logins: Mapping[str, SecretStr],
    predictions: Sequence[Table] = (),
) -> list[str]:
    """Create and evolve all that is declared; every change, in words. A prepared warehouse costs one query.

    Raises:
        SchemaDriftError: A table needs a written migration.
        MissingRightError: The login lacks a right; the message has the statements that a DBA must run.
    """
    fingerprint = _fingerprint([*tables, *predictions], mart_schemas, logins)
    with connect(target, role=None) as conn:
        if _is_prepared(conn, fingerprint, [*tables, *predictions]):
            return []
        with conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('cinestream.prepare', 0))")
            ensure_roles(conn, logins)
    with connect(target) as conn, conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('cinestream.prepare', 0))")
        conn.execute(_ops_sql().encode())
        for schema in dict.fromkeys(table.staging_schema for table in tables):
            conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        changes = ensure_tables(conn, tables)
        changes += apply_grants(conn, tables, mart_schemas)
        changes += ensure_prediction_tables(conn, predictions)
        conn.execute(SQL("COMMENT ON SCHEMA ops IS {}").format(f"CineStream's ledger. Prepared for {fingerprint}."))
    return changes


def _ops_sql() -> str:
    return files("cinestream_platform.warehouse").joinpath("ops.sql").read_text(encoding="utf-8")


def _fingerprint(tables: Iterable[Table], mart_schemas: Iterable[str], logins: Mapping[str, SecretStr]) -> str:
    """Changes whenever the declarations, the ledger, the logins or their passwords do."""
    # Derived slowly: whoever reads the fingerprint must not be able to try passwords against it.
    secrets = [
        hashlib.pbkdf2_hmac("sha256", password.get_secret_value().encode(), role.encode(), 20_000).hex()
        for role, password in sorted(logins.items())
    ]
    parts = [_ops_sql(), *mart_schemas, *sorted(logins), *secrets]
    for table in tables:
        parts += create_statements(table)
        parts += [column.name for column in table.columns if column.is_personal]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _is_prepared(conn: Connection[Any], fingerprint: str, tables: Sequence[Table]) -> bool:
    # By the catalogs, which everybody may read: to_regclass() fails where the login does not inherit its roles.
    row = conn.execute(
        """
        SELECT obj_description(to_regnamespace('ops')::oid, 'pg_namespace') LIKE %s
            AND NOT EXISTS (
                SELECT FROM unnest(%s::text[], %s::text[]) AS wanted (schema, name) WHERE NOT EXISTS (
                    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = wanted.schema AND c.relname = wanted.name))
        """,
        (f"%{fingerprint}%", [table.schema for table in tables], [table.name for table in tables]),
    ).fetchone()
    return bool(row and row[0])
