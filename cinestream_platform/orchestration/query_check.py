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

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.table import Table
from cinestream_platform.ledger.publications import unsettled_partitions
from cinestream_platform.messages import quotes_no_values
from cinestream_platform.orchestration.check_results import SAMPLE_ROWS, check_result
from cinestream_platform.orchestration.kept_checks import keep
from cinestream_platform.warehouse.connection import connect


def query_check(
    feed: Feed, table: Table, name: str, description: str, query: LiteralString, *also: Table
) -> AssetChecksDefinition:
    """A check of a table that a query finds no row; it waits for the other tables that the query reads.

    While partitions of them are still to be built from the feed's loaded files, tables rightly differ: nothing is
    compared then, and the run that builds the last of them compares. The first rows that the query finds are shown,
    under its names of columns.
    """
    key = AssetKey([table.source, table.name])
    facts = [read for read in (table, *also) if read.is_partitioned]

    def found_by(context: AssetCheckExecutionContext) -> AssetCheckResult:
        with connect(context.resources.warehouse.target()) as conn:
            waiting = {p for fact in facts for p in unsettled_partitions(conn, fact, feed.source, feed.dataset)}
            if waiting:
                text = ", ".join(sorted(waiting)[:SAMPLE_ROWS])
                return check_result(key, name, True, {"compared": False, "still_to_be_built": text}, [])
            cursor = conn.execute(SQL("SELECT * FROM ({}) AS found LIMIT {}").format(SQL(query), SAMPLE_ROWS))
            names = [column.name for column in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        return check_result(key, name, not found, {"compared": True, "differences_shown": len(found)}, found)

    @asset_check(
        asset=key,
        name=name,
        description=description,
        additional_deps=[AssetKey([other.source, other.name]) for other in also],
        required_resource_keys={"warehouse"},
    )
    @quotes_no_values
    def check(context: AssetCheckExecutionContext) -> AssetCheckResult:
        result = found_by(context)
        keep(context, [result])
        return result

    return check
