"""What is declared, as rows (``ops.declared_…``): the catalogue that the views of schema ``platform`` show.

What belongs here: the rows, and writing them where they have changed. What does not: how they follow from declarations
(``marts.declared``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import timedelta
from typing import Any, ClassVar

from psycopg import Connection
from psycopg.sql import SQL, Identifier

ALL = "all"
"""The part that is written as a whole."""
WHOLE = ("declared_source", "declared_table", "declared_check", "declared_edge", "declared_metric")
"""Tables that are emptied before they are written; columns go with their tables."""
MARTS = ("mart", "view")
"""Kinds of tables that dbt makes."""


@dataclass(frozen=True)
class DeclaredSource:
    """A source; ``title`` is its name for people. ``systems`` are the operational systems that it is extracted from."""

    TABLE: ClassVar = "declared_source"
    source: str
    title: str
    position: int
    owner: str
    systems: list[str]
    rhythm: timedelta | None


@dataclass(frozen=True)
class DeclaredTable:
    """A table of the catalogue, or a view of a mart. ``open_schema`` has the view of it without personal columns."""

    TABLE: ClassVar = "declared_table"
    schema_name: str
    table_name: str
    position: int
    source: str
    kind: str
    description: str
    grain: str
    owner: str
    write_mode: str
    dataset: str | None = None
    partition_unit: str | None = None
    business_question: str | None = None
    sample_sql: str | None = None
    mart_sql: str | None = None
    open_schema: str | None = None


@dataclass(frozen=True)
class DeclaredColumn:
    """A column of such a table. ``refers_to`` is the ``schema.table`` whose key it holds."""

    TABLE: ClassVar = "declared_column"
    schema_name: str
    table_name: str
    column_name: str
    position: int
    data_type: str
    description: str
    is_nullable: bool
    is_key: bool
    rules: str = ""
    is_personal: bool = False
    refers_to: str | None = None


@dataclass(frozen=True)
class DeclaredCheck:
    """What a check says."""

    TABLE: ClassVar = "declared_check"
    source: str
    asset: str
    check_name: str
    description: str


@dataclass(frozen=True)
class DeclaredEdge:
    """What is made from what."""

    TABLE: ClassVar = "declared_edge"
    from_kind: str
    from_name: str
    to_kind: str
    to_name: str


@dataclass(frozen=True, order=True)
class ColumnEdge:
    """A column that another one is computed from."""

    TABLE: ClassVar = "declared_column_edge"
    from_schema: str
    from_table: str
    from_column: str
    to_schema: str
    to_table: str
    to_column: str


@dataclass(frozen=True)
class DeclaredMetric:
    """A figure that is defined once. ``mart_columns`` are ``schema.table.column`` of marts that hold it."""

    TABLE: ClassVar = "declared_metric"
    source: str
    metric_name: str
    position: int
    label: str
    meaning: str
    formula: str
    unit: str
    owner: str
    schema_name: str
    table_name: str
    dimensions: list[str]
    periods: list[str]
    additive_over: list[str]
    mart_columns: list[str]
    sample_sql: str


Row = DeclaredSource | DeclaredTable | DeclaredColumn | DeclaredCheck | DeclaredEdge | ColumnEdge | DeclaredMetric


@dataclass(frozen=True)
class Declared:
    """All that is declared. ``column_edges`` are those of dims and facts: a mart's are known when dbt has run it."""

    sources: Sequence[DeclaredSource]
    tables: Sequence[DeclaredTable]
    columns: Sequence[DeclaredColumn]
    checks: Sequence[DeclaredCheck]
    edges: Sequence[DeclaredEdge]
    column_edges: Sequence[ColumnEdge] = ()
    metrics: Sequence[DeclaredMetric] = ()


def write(conn: Connection[Any], declared: Declared) -> bool:
    """Put what is declared in the place of what was; whether it differed. What is equal costs one look."""
    rows: list[Row] = [*declared.sources, *declared.tables, *declared.columns]
    rows += [*declared.checks, *declared.edges, *declared.column_edges, *declared.metrics]
    marts = [table for table in declared.tables if table.kind in MARTS]
    with conn.transaction():
        if not _differs(conn, ALL, rows):
            return False
        for table in WHOLE:
            conn.execute(SQL("DELETE FROM {}").format(Identifier("ops", table)))
        conn.execute(
            "DELETE FROM ops.declared_column_edge"
            " WHERE (to_schema, to_table) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            ([mart.schema_name for mart in marts], [mart.table_name for mart in marts]),
        )
        _insert(conn, rows)
        conn.execute(
            "DELETE FROM ops.check_result r WHERE NOT EXISTS (SELECT FROM ops.declared_check d"
            " WHERE (d.source, d.asset, d.check_name) = (r.source, r.asset, r.check_name))"
        )
    return True


def write_column_lineage(conn: Connection[Any], schema: str, table: str, edges: Sequence[ColumnEdge]) -> bool:
    """Put the origins of a mart's columns in the place of those known; whether they differed."""
    with conn.transaction():
        if not _differs(conn, f"{schema}.{table}", edges):
            return False
        conn.execute("DELETE FROM ops.declared_column_edge WHERE (to_schema, to_table) = (%s, %s)", (schema, table))
        _insert(conn, edges)
    return True


def _differs(conn: Connection[Any], part: str, rows: Sequence[Row]) -> bool:
    """Whether these rows are not those that were last written; then they are taken to be. A second writer waits."""
    fingerprint = hashlib.sha256(repr(rows).encode()).hexdigest()
    known = conn.execute("SELECT fingerprint FROM ops.declared WHERE part = %s", (part,)).fetchone()
    if known == (fingerprint,):
        return False
    written = conn.execute(
        "INSERT INTO ops.declared AS d (part, fingerprint) VALUES (%s, %s) ON CONFLICT (part) DO UPDATE"
        " SET fingerprint = excluded.fingerprint, declared_at = clock_timestamp()"
        " WHERE d.fingerprint <> excluded.fingerprint",
        (part, fingerprint),
    )
    return written.rowcount == 1


def _insert(conn: Connection[Any], rows: Sequence[Row]) -> None:
    by_table: dict[type[Row], list[Row]] = {}
    for row in rows:
        by_table.setdefault(type(row), []).append(row)
    for kind, some in by_table.items():
        names = SQL(", ").join(Identifier(field.name) for field in fields(kind))
        target = Identifier("ops", kind.TABLE)
        with conn.cursor() as cursor, cursor.copy(SQL("COPY {} ({}) FROM STDIN").format(target, names)) as copy:
            for row in some:
                copy.write_row(astuple(row))
