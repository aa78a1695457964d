"""What the tables of an operational database look like, and what of it no longer fits the declarations.

What belongs here: tables, columns, types and rights in the source's catalog, and the words for what has changed. What
does not: reading rows (``database_reader``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.table import Table

TABLE_KINDS = {"r", "p"}
OTHER_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
"""What may stand in a table's place: nobody knows which rows it shows at which moment, or keeps."""

INTEGERS = frozenset({"smallint", "integer", "bigint"})
FITTING: dict[Kind, frozenset[str]] = {
    Kind.SMALLINT: INTEGERS,
    Kind.INTEGER: INTEGERS,
    Kind.BIGINT: INTEGERS,
    Kind.NUMERIC: INTEGERS | {"numeric", "real", "double precision"},
    Kind.DOUBLE: INTEGERS | {"numeric", "real", "double precision"},
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.DATE: frozenset({"date"}),
    Kind.TIMESTAMP: frozenset({"timestamp without time zone", "timestamp with time zone"}),
}
"""Types of the source that a declared type takes: those whose values mean the same. Each value is still judged."""
TEXT_CATEGORIES = {"S", "E"}
"""Postgres' categories of texts and enums (https://www.postgresql.org/docs/18/catalog-pg-type.html)."""


@dataclass(frozen=True)
class SourceColumn:
    """A column of the source: a domain as its base type; ``element`` is the category of an array's elements."""

    type: str
    category: str
    element: str | None
    may_be_read: bool

    def fits(self, column: Column) -> bool:
        """Whether its values are of the declared kind."""
        kind = column.type.kind
        if kind is Kind.TEXT:
            return self.category in TEXT_CATEGORIES
        if kind is Kind.TEXT_ARRAY:
            return self.category == "A" and self.element in TEXT_CATEGORIES
        return self.type in FITTING[kind]


@dataclass(frozen=True)
class SourceTable:
    """What has a table's name in the source; ``hides_rows`` says that row-level security applies to the reader."""

    kind: str
    hides_rows: bool
    columns: dict[str, SourceColumn] = field(default_factory=dict)


Shape = Mapping[str, SourceTable]

SHAPE = """
    WITH RECURSIVE found AS (
        SELECT c.oid AS relation, c.relname, c.relkind, a.attnum, a.attname, a.atttypid AS type
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ), resolved AS (
        SELECT relation, attnum, type FROM found
        UNION ALL
        SELECT r.relation, r.attnum, t.typbasetype
        FROM resolved r JOIN pg_type t ON t.oid = r.type WHERE t.typtype = 'd'
    )
    SELECT relname, relkind::text, row_security_active(relation), attname, format_type(t.oid, NULL),
        t.typcategory::text, e.typcategory::text, has_column_privilege(relation, attnum, 'SELECT')
    FROM found JOIN resolved r USING (relation, attnum) JOIN pg_type t ON t.oid = r.type AND t.typtype <> 'd'
    LEFT JOIN pg_type e ON e.oid = t.typelem
    ORDER BY relname, attnum"""


def read_shape(conn: Connection[Any], schema: str) -> dict[str, SourceTable]:
    """Every table and view of a schema; a partitioned table counts, its partitions too.

    Row-level security is seen only in a session with ``row_security = off`` or with policies: owners are exempt.
    """
    found: dict[str, SourceTable] = {}
    for table, kind, hides_rows, column, *described in conn.execute(SHAPE, (schema,)):
        found.setdefault(table, SourceTable(kind, hides_rows)).columns[column] = SourceColumn(*described)
    return found


def may_use(conn: Connection[Any], schema: str) -> bool:
    """Whether the reader may use the schema; True where there is none, for then its tables are missing."""
    row = conn.execute(
        "SELECT coalesce(bool_and(has_schema_privilege(oid, 'USAGE')), true) FROM pg_namespace WHERE nspname = %s",
        (schema,),
    ).fetchone()
    return bool(row and row[0])


def drift(shape: Shape, feeds: Sequence[Feed], reader: str) -> list[str]:
    """What of the declared tables is missing, of another type, or may not be read whole by ``reader``."""
    problems = [problem for feed in feeds for problem in _table_drift(shape.get(feed.table.name), feed.table, reader)]
    hidden = [name for name in (feed.table.name for feed in feeds) if name in shape and shape[name].hides_rows]
    if hidden:
        problems.append(
            f"row-level security hides rows of {', '.join(hidden)} from {reader} (ALTER ROLE {reader} BYPASSRLS lets "
            "it read all of them)"
        )
    return problems


def _table_drift(found: SourceTable | None, table: Table, reader: str) -> Iterator[str]:
    if found is None:
        yield f"table {table.name} is missing"
        return
    if found.kind not in TABLE_KINDS:
        yield f"{table.name} is {OTHER_KINDS[found.kind]} and no table"
        return
    declared = {column.source_name: column for column in table.columns if column.source_name}
    present = {name: found.columns[name] for name in declared if name in found.columns}
    if present and not any(column.may_be_read for column in present.values()):
        yield f"permission denied for table {table.name} (GRANT SELECT ON {table.name} TO {reader})"
        return
    for name, column in declared.items():
        if name not in present:
            yield f"column {table.name}.{name} is missing{_renamed(column, found, declared)}"
        elif not present[name].fits(column):
            yield f"column {table.name}.{name} is of type {present[name].type}, declared as {column.type}"
        elif not present[name].may_be_read:
            yield f"permission denied for column {table.name}.{name} (GRANT SELECT ON {table.name} TO {reader})"


def _renamed(column: Column, found: SourceTable, declared: Mapping[str, Column]) -> str:
    """Columns that no declaration names and that may be the missing one."""
    others = [name for name, other in found.columns.items() if name not in declared and other.fits(column)]
    return f" (is it {' or '.join(others)} now?)" if others else ""
