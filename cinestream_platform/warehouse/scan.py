"""Tables, partitions and marts as polars LazyFrames, read when they are collected.

Each scan is one statement on a connection of its own, so that it sees one state of the table: the old partition or the
new one. Rows come in batches; columns that nobody needs and rows that a simple filter excludes stay in Postgres.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from cinestream_platform.declarations.column import DataType, Kind
from cinestream_platform.declarations.frames import polars_schema, polars_type
from cinestream_platform.declarations.mart_periods import MART_PERIODS
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.star_table import PartitionedFact
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import bounded, one_line
from cinestream_platform.warehouse.connection import OWNER_ROLE, PostgresTarget, connect_bulk
from cinestream_platform.warehouse.predicates import condition

MAX_REASON = 300
"""Characters of Postgres' own message that an error quotes."""


class ReadFailedError(CineStreamError):
    """A table could not be read to its end."""


class UnreadableColumnError(CineStreamError):
    """A column has a type that no declared table has."""


@dataclass(frozen=True)
class Relation:
    """A table or view with the columns that are read from it, in order."""

    schema: str
    name: str
    columns: Mapping[str, pl.DataType]

    @property
    def qualified_name(self) -> str:
        """``schema.name``, for people."""
        return f"{self.schema}.{self.name}"


def declared(table: Table) -> Relation:
    """A table with all its columns, as they are declared."""
    return Relation(table.schema, table.name, polars_schema(table))


def described(conn: Connection[Any], schema: str, name: str, table: Table | None = None) -> Relation | None:
    """A table or view with the columns that the session's role may read; ``None`` where there is none of that name.

    Columns of a declared ``table`` come as declared, others in the order of the relation.

    Raises:
        UnreadableColumnError: A column has a type that no declared table has.
    """
    rows = conn.execute(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod),
            has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0
            AND NOT a.attisdropped
        ORDER BY a.attnum
        """,
        (schema, name),
    ).fetchall()
    if not rows:
        return None
    readable = {column: written for column, written, may_read in rows if may_read}
    if table is not None:
        return Relation(schema, name, {c: kind for c, kind in polars_schema(table).items() if c in readable})
    return Relation(schema, name, {c: _type_of(f"{schema}.{name}.{c}", written) for c, written in readable.items()})


def _type_of(column: str, written: str) -> pl.DataType:
    """The type of a column as ``format_type`` writes it."""
    found = re.fullmatch(r"([^()]+)(?:\((\d+),(\d+)\))?", written.replace("timestamp with time zone", "timestamptz"))
    kind = found[1] if found else written
    if kind not in {str(known) for known in Kind} or (kind == Kind.NUMERIC and not (found and found[2])):
        raise UnreadableColumnError(
            f"{column} is of type {written}, which has no exact type in a frame: cast it in its mart, as "
            "numeric(14, 2) or text for example."
        )
    precision, scale = (int(found[2]), int(found[3])) if found and found[2] else (None, None)
    return polars_type(DataType(Kind(kind), precision, scale))


def of_partitions(table: Table, partition_keys: Iterable[str]) -> Composed | None:
    """The condition of the rows of these partitions, neighbours as one range; ``None`` for a table without."""
    if not isinstance(table, PartitionedFact):
        return None
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(map(table.bounds, partition_keys)):
        if ranges and ranges[-1][1] == low:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    column = Identifier(table.partition_column)
    parts = [SQL("{} >= {} AND {} < {}").format(column, Literal(a), column, Literal(b)) for a, b in ranges]
    return SQL("({})").format(SQL(" OR ").join(parts)) if parts else SQL("{}").format(SQL("false"))


def of_periods(relation: Relation, unit: PartitionUnit, partition_keys: Iterable[str]) -> Composed:
    """The condition of the rows of a mart that belong to these years or months.

    Raises:
        KeyError: The mart has no such column.
    """
    period = MART_PERIODS[unit]
    if period.column not in relation.columns:
        raise KeyError(period.column)
    values = SQL(", ").join(Literal(period.value_of(key)) for key in partition_keys)
    return SQL("{} IN ({})").format(Identifier(period.column), values)


def scan(
    target: PostgresTarget,
    relation: Relation,
    *,
    where: Composed | None = None,
    role: str | None = OWNER_ROLE,
    session: str = "",
) -> pl.LazyFrame:
    """The rows of a relation, or those that fulfil ``where``, in no particular order.

    Nothing is read before the frame is collected, and it is read anew by each collection. ``session`` are options of
    libpq, such as a limit of time.

    Raises:
        ReadFailedError: When the frame is collected and Postgres cannot be reached, or ended the session.
    """

    def batches(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        names = with_columns or list(relation.columns)
        needed = names if predicate is None else list(dict.fromkeys([*names, *predicate.meta.root_names()]))
        conditions = [part for part in (where, condition(predicate, relation.columns)) if part is not None]
        query = _query(relation, needed, conditions, n_rows if predicate is None else None)
        left = n_rows
        for frame in _batches(target, relation, query, needed, role, session):
            kept = frame if predicate is None else frame.filter(predicate)
            if left is not None:
                kept = kept.head(left)
                left -= kept.height
            yield kept.select(names)
            if left == 0:
                return

    # Pure: a query that uses the frame twice reads it once, and so in one state.
    return register_io_source(
        batches, schema=dict(relation.columns), is_pure=True, explain_name=f"POSTGRES {relation.qualified_name}"
    )


def _query(relation: Relation, names: Sequence[str], conditions: Sequence[Composed], limit: int | None) -> str:
    # Decimals come as texts: ADBC has no Arrow type for them that polars could cast.
    columns = [
        SQL("{}::text AS {}").format(Identifier(name), Identifier(name))
        if relation.columns[name].is_decimal()
        else Identifier(name)
        for name in names
    ]
    query: Composable = SQL("SELECT {} FROM {}").format(
        SQL(", ").join(columns), Identifier(relation.schema, relation.name)
    )
    if conditions:
        query += SQL(" WHERE ") + SQL(" AND ").join(conditions)
    if limit is not None:
        query += SQL(" LIMIT {}").format(Literal(limit))
    return query.as_string()


def _batches(
    target: PostgresTarget, relation: Relation, query: str, names: Sequence[str], role: str | None, session: str
) -> Iterator[pl.DataFrame]:
    """The rows of a query, some 16 MiB at a time.

    A swap that is under way is waited for. ADBC prepares the statement first, which locks the table; what it then reads
    by is a snapshot of after that. A snapshot of before would find the new partition empty.
    """
    from adbc_driver_manager import Error

    schema: Any = {name: relation.columns[name] for name in names}
    try:
        with connect_bulk(target, role=role, more=session) as conn, conn.cursor() as cursor:
            cursor.execute(query)
            is_read = False
            try:
                for batch in cursor.fetch_record_batch():
                    frame = pl.DataFrame(pl.from_arrow(batch))
                    if frame.width:
                        yield frame.cast(schema)
                is_read = True
            finally:
                if not is_read:  # who has seen enough does not wait for the rest
                    with suppress(Error):
                        cursor.adbc_cancel()
    except Error as error:
        raise ReadFailedError(f"{relation.qualified_name} could not be read: {_reason(error)}") from error


def _reason(error: Any) -> str:
    if error.sqlstate == "57P01":
        return "its session was ended, since the platform waited for it. Read it again, or a partition at a time."
    if error.sqlstate == "57014":
        return "it took longer than the role may. Read a partition at a time, or filter by its partition column."
    return bounded(one_line(str(error)), MAX_REASON)
