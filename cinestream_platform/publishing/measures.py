"""Row counts and exact sums of a table: as a build made them, and as Postgres then holds them.

What does not belong here: what is done where they differ (the check ``published_as_built``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier

from cinestream_platform.declarations.column import Kind
from cinestream_platform.declarations.star_table import Fact
from cinestream_platform.declarations.table import Table


def exact_measures(table: Table) -> list[str]:
    """Columns of a fact whose sums are exact in every engine: decimals and counts that are no keys."""
    exact = (Kind.NUMERIC, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
    keys = {*table.primary_key, *(reference.column for reference in table.references)}
    if not isinstance(table, Fact):
        return []
    return [column.name for column in table.columns if column.name not in keys and column.type.kind in exact]


def measures_of(table: Table, frame: pl.DataFrame) -> dict[str, Any]:
    """Row count and sums of the exact measures of a frame."""
    names = exact_measures(table)
    wide = {name: frame[name].cast(pl.Int64) if frame[name].dtype.is_integer() else frame[name] for name in names}
    return {"rows": frame.height} | {name: values.sum() for name, values in wide.items()}


def measures_in_warehouse(
    conn: Connection[Any], table: Table, partition_keys: Sequence[str]
) -> dict[int | None, dict[str, Any]]:
    """Row count and sums of the exact measures in Postgres, by oid of the partition; ``None`` for a table without.

    All partitions in one query, which Postgres spreads over the cores.
    """
    names = exact_measures(table)
    sums = [SQL("coalesce(sum({}), 0)").format(Identifier(name)) for name in names]
    by = SQL("f.tableoid::bigint") if isinstance(table, Fact) else SQL("NULL::bigint")
    query = SQL("SELECT {}, {} FROM {} f WHERE {} GROUP BY 1").format(
        by,
        SQL(", ").join([SQL("count(*)"), *sums]),
        Identifier(table.schema, table.name),
        _within(table, partition_keys),
    )
    return {oid: dict(zip(["rows", *names], totals, strict=True)) for oid, *totals in conn.execute(query)}


def _within(table: Table, partition_keys: Sequence[str]) -> Composable:
    """A condition that lets Postgres leave out the partitions before the first and after the last of these."""
    bounds = [b for key in partition_keys if isinstance(table, Fact) and (b := table.bounds(key))]
    if not isinstance(table, Fact) or not bounds:
        return SQL("true")
    column = Identifier(table.partition_column)
    return SQL("f.{} >= {} AND f.{} < {}").format(column, min(b[0] for b in bounds), column, max(b[1] for b in bounds))
