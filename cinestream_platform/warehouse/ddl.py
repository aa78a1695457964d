"""From a declaration to DDL (SQLAlchemy Core), and the evolution of tables that exist already.

A new nullable column and a widened type are applied in place. Anything else is refused with the migration to write:
the platform does not guess what should become of data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from typing import Any, LiteralString

import sqlalchemy as sa
from psycopg import Connection, sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from cinestream_platform.declarations.column import (
    Between,
    Column,
    DataType,
    Kind,
    MaxLength,
    MultipleOf,
    NotBlank,
    Rule,
)
from cinestream_platform.declarations.partitioning import SMALL_FILES
from cinestream_platform.declarations.raw_table import FILE_ID, RawTable
from cinestream_platform.declarations.star_table import Fact, WholeFact
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.warehouse.constraint_drift import constraint_drift

_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    Kind.SMALLINT: sa.SmallInteger(),
    Kind.INTEGER: sa.Integer(),
    Kind.BIGINT: sa.BigInteger(),
    Kind.DOUBLE: sa.Double(),
    Kind.TEXT: sa.Text(),
    Kind.TEXT_ARRAY: postgresql.ARRAY(sa.Text()),
    Kind.BOOLEAN: sa.Boolean(),
    Kind.DATE: sa.Date(),
    Kind.TIMESTAMP: sa.TIMESTAMP(timezone=True),
}
# Not the default paramstyle: it would double every % of a CHECK.
_DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


PERSONAL = " Personal, closed to analysts."
"""How the comment of a personal column ends."""


class SchemaDriftError(CineStreamError):
    """A table in Postgres differs from its declaration in a way that needs a written migration."""


def _literal(value: object) -> str:
    return f"DATE '{value.isoformat()}'" if isinstance(value, date) else str(value)


def check_expression(rule: Rule, column: str) -> str:
    """A rule as an SQL condition; its constants come from declarations in the code, never from data."""
    name = _DIALECT.identifier_preparer.quote(column)
    if isinstance(rule, Between):
        ends = [f"{name} >= {_literal(rule.low)}"] if rule.low is not None else []
        return " AND ".join(ends + ([f"{name} <= {_literal(rule.high)}"] if rule.high is not None else []))
    if isinstance(rule, MultipleOf):
        return f"{name} % {rule.step} = 0"
    if isinstance(rule, MaxLength):
        return f"char_length({name}) <= {rule.characters}"
    if isinstance(rule, NotBlank):
        return f"btrim({name}) <> ''"
    return sa.column(column).in_(rule.values).compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}).string


def check_constraints(table: Table) -> Iterator[tuple[str, str]]:
    """Name and condition of every CHECK of a table (raw timestamps are bounded when they are read)."""
    for column in table.columns:
        for rule in () if column.is_epoch_seconds or column.time_zone else column.rules:
            yield f"{table.name}_{column.name}_{rule.name}", check_expression(rule, column.name)


def _sa_type(data_type: DataType) -> sa.types.TypeEngine[Any]:
    if data_type.kind is Kind.NUMERIC:
        return sa.Numeric(data_type.precision, data_type.scale)
    return _TYPES[data_type.kind]


def _sa_column(table: Table, column: Column) -> sa.Column[object]:
    # BY DEFAULT, not ALWAYS: a restore must be able to bring keys along, since they are kept for ever.
    identity = (sa.Identity(always=False),) if column.name == table.surrogate_key else ()
    return sa.Column(
        column.name,
        _sa_type(column.type),
        *identity,
        autoincrement=bool(identity),  # by default an integer key such as date_key becomes a SERIAL
        nullable=column.nullable,
        comment=f"{column.description}{PERSONAL if column.is_personal else ''}",
        server_default=sa.func.now() if column.is_publish_time else None,
    )


def _sa_table(table: Table, metadata: sa.MetaData, schema: str | None = None) -> sa.Table:
    constraints: list[sa.schema.SchemaItem] = [
        sa.CheckConstraint(sa.text(condition), name=name) for name, condition in check_constraints(table)
    ]
    if table.primary_key:
        constraints.append(sa.PrimaryKeyConstraint(*table.primary_key, name=f"{table.name}_pkey"))
    if table.surrogate_key:
        constraints.append(sa.UniqueConstraint(*table.natural_key, name=f"{table.name}_natural_key"))
    for reference in table.references:
        target = f"{reference.table.qualified_name}.{reference.target_column}"
        constraints.append(
            sa.ForeignKeyConstraint([reference.column], [target], name=f"{table.name}_{reference.column}_fkey")
        )
        if f"{reference.table.qualified_name}" not in metadata.tables:
            _sa_table(reference.table, metadata)
    return sa.Table(
        table.name,
        metadata,
        *(_sa_column(table, column) for column in table.columns),
        *constraints,
        schema=schema or table.schema,
        comment=f"{table.description} Grain: {table.grain}.{_open_view_of(table)}",
        postgresql_partition_by=_partition_by(table),
    )


def _open_view_of(table: Table) -> str:
    place = f"{table.open_schema}.{table.name}"
    return f" Personal columns, closed to analysts: they read {place}." if table.has_open_view else ""


def _partition_by(table: Table) -> str | None:
    if isinstance(table, Fact):
        return f"RANGE ({table.partition_column})"
    return f"LIST ({FILE_ID})" if _is_by_file(table) else None


def _is_by_file(table: Table) -> bool:
    return isinstance(table, RawTable) and table.by_file


@cache
def create_statements(table: Table, schema: str | None = None) -> tuple[str, ...]:
    """The statements that create a table with constraints, indexes and comments, in its own or another schema."""
    built = _sa_table(table, sa.MetaData(), schema)
    statements: list[sa.schema.ExecutableDDLElement] = [CreateTable(built)]
    for index in table.indexes:
        name = f"{table.name}_{'_'.join(index.columns)}_idx"
        columns = [built.c[column] for column in index.columns]
        storage = {"pages_per_range": index.pages_per_range} if index.pages_per_range else {}
        statements.append(CreateIndex(sa.Index(name, *columns, postgresql_using=index.method, postgresql_with=storage)))
    return tuple(str(statement.compile(dialect=_DIALECT)) for statement in [*statements, *_comments(built)])


def comment_statements(table: Table) -> list[str]:
    """The statements that describe a table and its columns."""
    return [str(statement.compile(dialect=_DIALECT)) for statement in _comments(_sa_table(table, sa.MetaData()))]


def _comments(built: sa.Table) -> list[sa.schema.ExecutableDDLElement]:
    return [sa.schema.SetTableComment(built), *(sa.schema.SetColumnComment(column) for column in built.columns)]


def ensure_tables(conn: Connection, tables: Iterable[Table]) -> list[str]:
    """Create what is missing and evolve what exists; every change made, in words.

    Raises:
        SchemaDriftError: A difference that is neither a new nullable column nor a widened type.
    """
    changes: list[str] = []
    with conn.transaction():
        for table in tables:
            existing = existing_columns(conn, table)
            if existing:
                changes += _evolve(conn, table, existing)
                for statement in comment_statements(table):
                    conn.execute(statement.encode())
                continue
            for schema in (table.schema, table.staging_schema) if isinstance(table, Fact) else (table.schema,):
                conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            for statement in create_statements(table):
                conn.execute(statement.encode())
            if isinstance(table, WholeFact):
                _create_partition(conn, table, "whole", "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)")
            if _is_by_file(table):
                _create_partition(conn, table, SMALL_FILES, "DEFAULT")
            changes.append(f"created {table.qualified_name}")
    return changes


def _create_partition(conn: Connection, table: Table, partition_key: str, values: LiteralString) -> None:
    statement = sql.SQL("CREATE TABLE {} PARTITION OF {} {}")
    child = sql.Identifier(table.schema, table.partition_name(partition_key))
    conn.execute(statement.format(child, sql.Identifier(table.schema, table.name), sql.SQL(values)))


def existing_columns(conn: Connection, table: Table, schema: str | None = None) -> dict[str, tuple[str, bool]]:
    """Column name to (type as Postgres writes it, nullable); empty where the table does not exist.

    ``schema`` is another one than the table's, with a relation of the same name.
    """
    rows = conn.execute(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
        """,
        (schema or table.schema, table.name),
    ).fetchall()
    return {
        name: (data_type.replace("timestamp with time zone", "timestamptz"), nullable)
        for name, data_type, nullable in rows
    }


def drifted_tables(conn: Connection, tables: Iterable[Table]) -> list[str]:
    """Tables whose columns, or types of them, are not what is declared. Changes nothing."""
    return [
        table.qualified_name
        for table in tables
        if {name: has for name, (has, _) in existing_columns(conn, table).items()}
        != {column.name: str(column.type) for column in table.columns}
    ]


def _evolve(conn: Connection, table: Table, existing: dict[str, tuple[str, bool]]) -> list[str]:
    target = sql.Identifier(table.schema, table.name)
    changes, refused = [], []
    for column in table.columns:
        name, wanted = sql.Identifier(column.name), str(column.type)
        if column.name not in existing:
            if not column.nullable:
                refused.append(
                    f"ALTER TABLE {table.qualified_name} ADD COLUMN {column.name} {wanted} NOT NULL (which default?)"
                )
                continue
            conn.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(target, name, sql.SQL(wanted)))
            changes.append(f"added {table.qualified_name}.{column.name} {wanted}")
            for rule in column.rules:
                check = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({})")
                rule_name = sql.Identifier(f"{table.name}_{column.name}_{rule.name}")
                conn.execute(check.format(target, rule_name, sql.SQL(check_expression(rule, column.name))))
            continue
        has, nullable = existing[column.name]
        if has != wanted and _is_wider(has, column.type):
            conn.execute(sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(target, name, sql.SQL(wanted)))
            changes.append(f"widened {table.qualified_name}.{column.name} from {has} to {wanted}")
        elif has != wanted:
            refused.append(f"ALTER TABLE {table.qualified_name} ALTER COLUMN {column.name} TYPE {wanted} (it is {has})")
        if nullable != column.nullable:
            word = "DROP" if column.nullable else "SET"
            refused.append(f"ALTER TABLE {table.qualified_name} ALTER COLUMN {column.name} {word} NOT NULL")
    declared = {column.name for column in table.columns}
    refused += [f"ALTER TABLE {table.qualified_name} DROP COLUMN {name}" for name in existing if name not in declared]
    refused = refused or constraint_drift(conn, table, create_statements)
    if refused:
        raise SchemaDriftError(
            f"{table.qualified_name} differs from its declaration; only new nullable columns and wider types are "
            "applied by themselves. Correct the declaration, or write this as the next file of warehouse/migrations "
            f"and run cinestream upgrade: {'; '.join(refused)}"
        )
    return changes


_WIDER = {
    "smallint": ("integer", "bigint", "numeric"),
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
    "real": ("double precision",),
}


def _is_wider(has: str, wanted: DataType) -> bool:
    """Whether every value of the existing type is one of the wanted type."""
    if not has.startswith("numeric("):
        digits = {"smallint": 5, "integer": 10, "bigint": 19}.get(has, 0)
        whole = (wanted.precision or 0) - (wanted.scale or 0)
        return str(wanted.kind) in _WIDER.get(has, ()) and (wanted.kind is not Kind.NUMERIC or whole >= digits)
    if wanted.kind is not Kind.NUMERIC:
        return False
    precision, scale = (int(part) for part in has[len("numeric(") : -1].split(","))
    new_scale = wanted.scale or 0
    return new_scale >= scale and (wanted.precision or 0) - new_scale >= precision - scale
