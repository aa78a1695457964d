"""Tables that data scientists write: the platform makes them in schema ``ml``, which belongs to ``ml_engineer``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.warehouse.access import ANALYST, ENGINEER, SCIENTIST
from cinestream_platform.warehouse.ddl import SchemaDriftError, create_statements, existing_columns


def ensure_prediction_tables(conn: Connection[Any], tables: Iterable[Prediction]) -> list[str]:
    """Create what is missing as ``ml_engineer``'s own, readable for engineers and analysts; every change, in words.

    Raises:
        SchemaDriftError: A table is there and differs from its declaration.
    """
    changes = []
    with conn.transaction():
        conn.execute(SQL("SET LOCAL ROLE {}").format(Identifier(SCIENTIST)))
        for table in tables:
            changes += _ensure(conn, table)
            readers = SQL(", ").join(map(Identifier, (ENGINEER, ANALYST)))
            conn.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(table.schema), readers))
            name = Identifier(table.schema, table.name)
            conn.execute(SQL("GRANT SELECT ON {} TO {}").format(name, readers))
        conn.execute(SQL("SET LOCAL ROLE {}").format(Identifier(ENGINEER)))
    return changes


def _ensure(conn: Connection[Any], table: Prediction) -> list[str]:
    existing = existing_columns(conn, table)
    declared = {column.name: (str(column.type), column.nullable) for column in table.columns}
    if existing and existing != declared:
        raise SchemaDriftError(
            f"{table.qualified_name} differs from its declaration: it has {existing}, declared is {declared}. It is "
            f"{SCIENTIST}'s own: migrate it there, or correct the declaration."
        )
    for statement in () if existing else create_statements(table):
        conn.execute(statement.encode())
    return [] if existing else [f"created {table.qualified_name}"]
