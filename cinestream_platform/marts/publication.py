"""Entering rebuilt marts and exports in the ledger (``ops.publication``), so that they are as traceable as facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import AssetExecutionContext, AssetKey, DataVersion, TableColumnLineage
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.catalog import TABLES
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.ledger.declared import write_column_lineage
from cinestream_platform.ledger.publications import Publication, Published, latest, read_state, record, rows_published
from cinestream_platform.marts.declared import mart_column_edges
from cinestream_platform.marts.rebuild import rebuild_by
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.kept_checks import Checked, keep
from cinestream_platform.orchestration.partitions import unit_of
from cinestream_platform.orchestration.published import version_of
from cinestream_platform.orchestration.staleness import Node, versions_behind
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.kept_connections import kept_connection


@dataclass(frozen=True)
class RecordedMart:
    """A mart as dbt has committed it: the rows of each rebuilt partition, those of the whole table, and the version."""

    rows: Mapping[str, int]
    total: int
    version: DataVersion


class MartLedger:
    """Records the marts of one dbt run, or an export.

    What they are made from is read before dbt starts: a table that is published while dbt runs then counts as not
    yet used, and the mart is stale once more. The other way round an update could be missed. Marts that this run has
    rebuilt count as rebuilt for the marts that read them.
    """

    def __init__(self, context: AssetExecutionContext, target: PostgresTarget) -> None:
        self._context, self._target = context, target
        with connect(target) as conn:
            self._state = read_state(conn)
        self._nodes = {
            asset_key(table): Node(asset_key(table), table.schema, table.unit, is_mart=False) for table in TABLES
        }

    def record(self, model_key: AssetKey, partition_keys: Sequence[str]) -> RecordedMart:
        """Record rows and content hash of a mart that dbt has committed, by rebuilt partition; what that was."""
        node = self._node(model_key, _schema(model_key), is_whole=not partition_keys)
        with connect(self._target) as conn, conn.transaction():
            contents = _contents(conn, node, partition_keys or [WHOLE])
            for key, content in contents.items():
                self._enter(conn, node, key, *content)
            total = rows_published(conn, *node.relation)
        rows = {key: rows for key, (rows, _) in contents.items()}
        return RecordedMart(rows, total, version_of({key: content for key, (_, content) in contents.items()}))

    def trace(self, model_key: AssetKey, lineage: TableColumnLineage) -> None:
        """Record which columns a mart's columns come from, if that has changed."""
        read = {dep.asset_key for deps in lineage.deps_by_column.values() for dep in deps}
        schemas = {key: self._nodes[key].schema for key in read if key in self._nodes}
        edges = mart_column_edges(_schema(model_key), model_key.path[-1], lineage, schemas)
        with kept_connection(self._target) as conn:
            write_column_lineage(conn, _schema(model_key), model_key.path[-1], edges)

    def check(self, found: Sequence[Checked]) -> None:
        """Record what dbt's tests found."""
        keep(self._context, found)

    def record_export(self, export_key: AssetKey, rows: int, content_hash: str, partition_key: str = WHOLE) -> None:
        """Record the files that a table has been written to, in the ledger's schema ``<source>_exports``."""
        node = self._node(export_key, f"{export_key.path[0]}_exports", is_whole=partition_key == WHOLE)
        with connect(self._target) as conn, conn.transaction():
            self._enter(conn, node, partition_key, rows, content_hash)

    def _node(self, key: AssetKey, schema: str, *, is_whole: bool) -> Node:
        unit = PartitionUnit.WHOLE if is_whole else unit_of(self._context.assets_def.partitions_def)
        node = Node(key, schema, unit, is_mart=True, upstream=self._upstream(key))
        self._nodes[key] = node
        return node

    def _upstream(self, key: AssetKey) -> tuple[AssetKey, ...]:
        """What an asset is made from; what no declaration names is a mart, which is read as a whole."""
        upstream = tuple(sorted(self._context.assets_def.asset_deps[key]))
        for other in upstream:
            self._nodes.setdefault(other, Node(other, _schema(other), PartitionUnit.WHOLE, is_mart=True))
        return upstream

    def _enter(self, conn: Connection[Any], node: Node, partition_key: str, rows: int, content_hash: str) -> None:
        read = list(versions_behind(node, partition_key, self._nodes, self._state))
        made_from = tuple(sorted({version.changed_by for version in read}))
        before = latest(conn, *node.relation, partition_key)
        if before is None and not rows and not made_from:
            return  # a partition without a row was never published and is no news
        changed = before is None or before.content_hash != content_hash
        files = tuple(sorted({file_id for version in read for file_id in version.file_ids}))
        publication = Publication(partition_key, rows, content_hash, files, changed, upstream=made_from)
        number = record(conn, *node.relation, self._context.run_id, publication)
        if number and changed:
            published = Published(files, made_from, number, is_intact=True)
            self._state.published.setdefault(node.relation, {})[partition_key] = published


def _schema(mart: AssetKey) -> str:
    return f"{mart.path[0]}_marts"


def _contents(conn: Connection[Any], node: Node, partition_keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Of each partition the row count, and Postgres' own hash of every row added up in any order.

    The rows never leave the database, and are looked at once, however many partitions there are.
    """
    column, where = SQL("NULL").format(), SQL("").format()
    key_of: dict[Any, str] = {None: WHOLE}
    if node.is_partitioned:
        rebuild = rebuild_by(node.unit)
        key_of = {rebuild.value_of(key): key for key in partition_keys}
        column = SQL("{}").format(Identifier(rebuild.column))
        where = SQL("WHERE {} = ANY ({})").format(column, list(key_of))
    content = SQL("count(*), sum(hash_record_extended(m, 0)::numeric) % 18446744073709551616")
    query = SQL("SELECT {}, {} FROM {} m {} GROUP BY 1").format(column, content, Identifier(*node.relation), where)
    found = {key_of[value]: (rows, total) for value, rows, total in conn.execute(query)}
    contents = {key: found.get(key, (0, 0)) for key in partition_keys}
    return {key: (rows, f"{int(total):016x}-{rows}") for key, (rows, total) in contents.items()}
