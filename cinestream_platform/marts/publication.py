"""Entering rebuilt marts in the ledger (``ops.publication``), so that marts are as traceable as facts."""

from collections.abc import Sequence
from typing import Any

from dagster import AssetExecutionContext, AssetKey
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.catalog import TABLES
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.staleness import Node, current_upstream
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.deliveries import touches
from cinestream_platform.warehouse.publications import Publication, latest, read_state, record
from cinestream_platform.warehouse.table import WHOLE, PartitionUnit


class MartLedger:
    """Records the marts of one dbt run.

    What they are made from is read before dbt starts: a table that is published while dbt runs then counts as not
    yet used, and the mart is stale once more. The other way round an update could be missed.
    """

    def __init__(self, context: AssetExecutionContext, target: PostgresTarget) -> None:
        self._context, self._target = context, target
        with connect(target) as conn:
            self._before = read_state(conn)
        self._nodes = {
            asset_key(table): Node(asset_key(table), table.schema, table.unit, is_mart=False) for table in TABLES
        }

    def record(self, model_key: AssetKey, partition_keys: Sequence[str]) -> None:
        """Record a mart that dbt has committed: rows and content hash per rebuilt year, or as a whole."""
        schema, name = f"{model_key.path[0]}_marts", model_key.path[-1]
        upstream = tuple(sorted(self._context.assets_def.asset_deps[model_key]))
        unit = PartitionUnit.YEAR if partition_keys else PartitionUnit.WHOLE
        node = Node(model_key, schema, unit, is_mart=True, upstream=upstream)
        with connect(self._target) as conn, conn.transaction():
            for key in partition_keys or [WHOLE]:
                made_from = current_upstream(node, key, self._nodes, self._before)
                rows, content_hash = _content(conn, schema, name, key)
                before = latest(conn, schema, name, key)
                if before is None and not rows and not made_from:
                    continue  # a year without a rating was never published and is no news
                changed = before is None or before.content_hash != content_hash
                files = self._files(model_key.path[0], key if partition_keys else None)
                publication = Publication(key, rows, content_hash, files, changed, upstream=made_from)
                record(conn, schema, name, self._context.run_id, publication)

    def _files(self, source: str, year: str | None) -> tuple[int, ...]:
        """The landed files behind it: all of its source that were loaded, or those that touch the year."""
        found = {
            file_id
            for (of_source, _), files in self._before.files.items()
            for file_id, years in files.items()
            if of_source == source and (year is None or touches(years, PartitionUnit.YEAR, year))
        }
        return tuple(sorted(found))


def _content(conn: Connection[Any], schema: str, name: str, partition_key: str) -> tuple[int, str]:
    """Row count, and Postgres' own hash of every row added up in any order: the rows never leave the database."""
    where = SQL("").format() if partition_key == WHOLE else SQL("WHERE year = {}").format(int(partition_key))
    query = SQL(
        "SELECT count(*), coalesce(sum(hash_record_extended(m, 0)::numeric), 0) % 18446744073709551616 FROM {} m {}"
    )
    found = conn.execute(query.format(Identifier(schema, name), where)).fetchone() or (0, 0)
    return found[0], f"{int(found[1]):016x}-{found[0]}"
