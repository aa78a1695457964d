"""Views of tables with personal columns, without these: what analysts and scientists read in their place.

Such a table is closed to them as a whole. Schema ``<schema>_open`` has a view of the same name with all other columns,
so that ``SELECT *`` and the schema sync of BI tools work: whatever ``information_schema`` shows a reader can be read.

A view has the rights of its owner: as ``security_invoker`` its readers would need rights on the table, and BI tools
would offer that too. It is no security barrier, for it leaves no row out, so that no function of a reader's sees more
than its caller does; a barrier would keep filters from indexes and partitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from cinestream_platform.declarations.star_table import StarTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.warehouse.ddl import SchemaDriftError, existing_columns

COMMENT = "What analysts read of tables with personal columns: all other columns, in views of the same names."


def open_schemas(tables: Iterable[Table]) -> list[str]:
    """Every schema that such views may be in."""
    return sorted({table.open_schema for table in tables if isinstance(table, StarTable)})


def view_drift(conn: Connection[Any], tables: Iterable[Table]) -> list[str]:
    """How the views differ from what is declared, in words; empty if they do not."""
    tables = list(tables)
    found = _definitions(conn, tables)
    wanted = {(table.open_schema, table.name): table for table in tables if table.has_open_view}
    missing = [f"missing: view {schema}.{name}" for schema, name in wanted if (schema, name) not in found]
    differing = [
        f"differs: {schema}.{name} is not all columns of {table.qualified_name} but the personal ones"
        for (schema, name), table in wanted.items()
        if (schema, name) in found and not _is_declared(found[schema, name], table)
    ]
    surplus = [f"nobody declared: {schema}.{name}" for schema, name in sorted(found.keys() - wanted.keys())]
    return missing + differing + surplus


def ensure_open_views(conn: Connection[Any], tables: Iterable[Table]) -> list[str]:
    """Make the views what is declared; every change, in words. ``conn`` acts as the owner, in a transaction.

    A new view has no grants yet. One that nobody declares any more is dropped, unless somebody's view reads it.

    Raises:
        SchemaDriftError: Something else is in a view's place.
    """
    tables = list(tables)
    found = _definitions(conn, tables)
    wanted = {(table.open_schema, table.name): table for table in tables if table.has_open_view}
    changes = []
    for schema, name in sorted(found.keys() - wanted.keys()):
        if found[schema, name] and _drop(conn, schema, name):
            changes.append(f"dropped view {schema}.{name}")
    for schema in dict.fromkeys(schema for schema, _ in wanted):
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        conn.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(schema), Literal(COMMENT)))
    for place, table in wanted.items():
        if not _is_declared(found.get(place, ""), table):
            _make(conn, table)
            changes.append(f"made view {'.'.join(place)}")
        _comment(conn, table)
    return changes


def make_way(conn: Connection[Any], tables: Iterable[Table]) -> None:
    """Drop the views of tables whose columns are about to change: Postgres alters no column that a view reads.

    ``ensure_open_views`` makes them again. One that somebody's view reads stays.
    """
    for table in tables:
        if table.has_open_view:
            _drop(conn, table.open_schema, table.name)


def changes_type(conn: Connection[Any], table: Table) -> bool:
    """Whether a column of a table in Postgres has another type than is declared."""
    declared = {column.name: str(column.type) for column in table.columns}
    return any(has != declared.get(name, has) for name, (has, _) in existing_columns(conn, table).items())


def _definitions(conn: Connection[Any], tables: Iterable[Table]) -> dict[tuple[str, str], str]:
    """What is in the open schemas: (schema, name) to a view's query, which is empty for what is no plain view."""
    rows = conn.execute(
        "SELECT n.nspname, c.relname, CASE WHEN c.relkind = 'v' AND c.reloptions IS NULL THEN pg_get_viewdef(c.oid) END"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        (open_schemas(tables),),
    ).fetchall()
    return {(schema, name): definition or "" for schema, name, definition in rows}


def _is_declared(definition: str, table: Table) -> bool:
    """Whether a view's query, as Postgres writes it, takes the open columns and nothing else."""
    columns, _, origin = " ".join(definition.replace('"', "").rstrip(";").split()).partition(" FROM ")
    bare = re.sub(rf"\b{re.escape(table.name)}\.", "", columns)  # Postgres 15 writes the table before each column
    return bare == f"SELECT {', '.join(c.name for c in table.open_columns)}" and origin == table.qualified_name


def _make(conn: Connection[Any], table: Table) -> None:
    """Create or replace the view. Where somebody's view reads it, columns that it must not have stay as NULLs."""
    view, origin = Identifier(table.open_schema, table.name), Identifier(table.schema, table.name)
    columns: list[Composable] = [Identifier(column.name) for column in table.open_columns]
    if not _drop(conn, table.open_schema, table.name):
        had = existing_columns(conn, table, table.open_schema)
        names = {column.name for column in table.open_columns}
        columns = [
            Identifier(name) if name in names else SQL("NULL::{} AS {}").format(SQL(kind), Identifier(name))
            for name, (kind, _) in had.items()
        ]
        columns += [Identifier(column.name) for column in table.open_columns if column.name not in had]
    create = SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}")
    conn.execute(create.format(view, SQL(", ").join(columns), origin))


def _drop(conn: Connection[Any], schema: str, name: str) -> bool:
    """Drop a view; whether it is gone, which it is not while something depends on it.

    Raises:
        SchemaDriftError: It is no view.
    """
    try:
        with conn.transaction():
            conn.execute(SQL("DROP VIEW IF EXISTS {}").format(Identifier(schema, name)))
    except errors.DependentObjectsStillExist:
        return False
    except errors.WrongObjectType as error:
        raise SchemaDriftError(f"{schema}.{name} is in the place of an open view: drop it, or rename it") from error
    return True


def _comment(conn: Connection[Any], table: Table) -> None:
    view = Identifier(table.open_schema, table.name)
    words = f"{table.description} {table.qualified_name} without its personal columns. Grain: {table.grain}."
    conn.execute(SQL("COMMENT ON VIEW {} IS {}").format(view, Literal(words)))
    for column in table.open_columns:
        place = Identifier(table.open_schema, table.name, column.name)
        conn.execute(SQL("COMMENT ON COLUMN {} IS {}").format(place, Literal(column.description)))
