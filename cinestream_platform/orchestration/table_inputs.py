"""What an asset gets that names a table as its input: a LazyFrame of it, or of the partitions that it needs.

What does not belong here: how a table is read (``warehouse.scan``), and what a table of the star is made from
(``asset.Inputs``, which takes raw tables file by file and others partition by partition).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl
from dagster import InputContext

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import landed_files
from cinestream_platform.ledger.publications import Published, published_partitions, versions_read
from cinestream_platform.loading.raw_rows import RawRows, Scope, scan_files
from cinestream_platform.orchestration.partitions import unit_of
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.scan import Relation, declared, described, of_partitions, of_periods, scan


class UnknownInputError(CineStreamError):
    """An asset names an input that is not a table."""


def raw_input(
    context: InputContext, target: PostgresTarget, lake: ObjectStore, catalog: Catalog
) -> RawRows | pl.LazyFrame | pl.DataFrame:
    """A raw table, whole, from the lake: Dagster knows no partitions of it. Its files are settled here, once a step.

    An input of the type ``RawRows`` is the table file by file, as ``table_asset`` needs it.
    """
    feed = catalog.feed_of_table(*context.asset_key.path)
    with connect(target) as conn:
        files = landed_files.loaded(conn, feed.source, feed.dataset)
    if context.dagster_type.typing_type is RawRows:
        return RawRows(lake, feed, files)
    return _as_asked(context, scan_files(lake, feed.table, files).select(*polars_schema(feed.table)))


@dataclass(frozen=True)
class TableRows:
    """The rows of a dim, bridge, fact or mart (``relation``), of which each partition of another table takes its own.

    ``published`` is read before any row. What is published after that counts as not yet used. The other way round an
    update could be missed.
    """

    target: PostgresTarget
    relation: Relation
    table: Table | None
    unit: PartitionUnit
    published: Mapping[str, Published] = field(default_factory=dict)

    def of(self, partition_keys: Iterable[str] | None) -> pl.LazyFrame:
        """The rows of these partitions, or all (``None``); read when they are collected."""
        where = None
        if partition_keys is not None and self.table is not None:
            where = of_partitions(self.table, partition_keys)
        elif partition_keys is not None:
            where = of_periods(self.relation, self.unit, partition_keys)
        return scan(self.target, self.relation, where=where)

    def rows(self, scope: Scope | None = None) -> pl.LazyFrame:
        """The rows for one partition of another table: those of the same partition, or all where the units differ."""
        key = self._partition(scope)
        return self.of(None if key is None else [key])

    def versions(self, scope: Scope | None = None) -> list[Published]:
        """The publications of these rows."""
        return versions_read(self.published, self._partition(scope))

    def _partition(self, scope: Scope | None) -> str | None:
        return scope.partition_key if scope and scope.unit is self.unit else None


def table_input(
    context: InputContext, target: PostgresTarget, catalog: Catalog
) -> TableRows | pl.LazyFrame | pl.DataFrame:
    """A dim, bridge, fact or mart, or the partitions of it that the asset needs; read when it is collected.

    An input of the type ``TableRows`` is the table partition by partition, as ``table_asset`` needs it.

    Raises:
        UnknownInputError: The asset is not a table of the warehouse.
    """
    table = catalog.table(*context.asset_key.path)
    relation = declared(table) if table else _mart(context, target, catalog)
    unit = unit_of(context.asset_partitions_def) if context.has_asset_partitions else PartitionUnit.WHOLE
    if context.dagster_type.typing_type is TableRows:
        with connect(target) as conn:
            published = published_partitions(conn, relation.schema, relation.name)
        return TableRows(target, relation, table, unit, published)
    return _as_asked(context, TableRows(target, relation, table, unit).of(_partitions_asked(context)))


def _mart(context: InputContext, target: PostgresTarget, catalog: Catalog) -> Relation:
    source, name = context.asset_key.path
    owner = catalog.source(source)
    with connect(target) as conn:
        mart = described(conn, owner.mart_schema, name) if owner else None
    if mart is None:
        raise UnknownInputError(
            f"{context.asset_key.to_user_string()} is not a table of the warehouse, or was never built. If it is a "
            "mart, materialize it first."
        )
    return mart


def _partitions_asked(context: InputContext) -> list[str] | None:
    """The partitions that an asset reads of its input; ``None`` = all of them."""
    if not context.has_asset_partitions:
        return None
    keys = list(context.asset_partition_keys)
    return None if set(keys) >= set(context.asset_partitions_def.get_partition_keys()) else keys


def _as_asked(context: InputContext, rows: pl.LazyFrame) -> pl.LazyFrame | pl.DataFrame:
    """Lazy, unless the parameter is declared as a DataFrame."""
    if context.dagster_type.typing_type is pl.DataFrame:
        return rows.collect(engine="streaming")
    return rows
