"""A check across tables: a query that finds what differs, run after the tables that it reads."""

from typing import LiteralString

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetKey,
    asset_check,
)
from psycopg.sql import SQL

from cinestream_platform.orchestration.checks import SAMPLE_ROWS, check_result
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.table import Table


def query_check(table: Table, name: str, description: str, query: LiteralString, *also: Table) -> AssetChecksDefinition:
    """A check of a table that a query finds no row; it waits for the other tables that the query reads.

    The first rows that it finds are shown, under the query's names of columns.
    """
    key = AssetKey([table.source, table.name])

    @asset_check(
        asset=key,
        name=name,
        description=description,
        additional_deps=[AssetKey([other.source, other.name]) for other in also],
        required_resource_keys={"warehouse"},
    )
    def check(context: AssetCheckExecutionContext) -> AssetCheckResult:
        with connect(context.resources.warehouse.target()) as conn:
            cursor = conn.execute(SQL("SELECT * FROM ({}) AS found LIMIT {}").format(SQL(query), SAMPLE_ROWS))
            names = [column.name for column in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        return check_result(key, name, not found, {"differences_shown": len(found)}, found)

    return check
