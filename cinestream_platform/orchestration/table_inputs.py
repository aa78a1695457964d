"""What an asset gets that names a table as its input: a LazyFrame of it, or of the partitions that it needs.

What does not belong here: how a table is read (``warehouse.scan``), and what a table of the star is made from
(``asset.Inputs``, which takes raw tables file by file).
"""

import polars as pl
from dagster import InputContext

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.ledger import landed_files
from cinestream_platform.loading.raw_rows import RawRows, scan_files
from cinestream_platform.orchestration.partitions import unit_of
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.scan import declared, described, of_partitions, of_periods, scan


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


def table_input(context: InputContext, target: PostgresTarget, catalog: Catalog) -> pl.LazyFrame | pl.DataFrame:
    """A dim, bridge, fact or mart, or the partitions of it that the asset needs; read when it is collected.

    Raises:
        UnknownInputError: The asset is not a table of the warehouse.
    """
    source, name = context.asset_key.path
    table, keys = catalog.table(source, name), _partitions_asked(context)
    if table is not None:
        where = None if keys is None else of_partitions(table, keys)
        return _as_asked(context, scan(target, declared(table), where=where))
    owner = catalog.source(source)
    with connect(target) as conn:
        mart = described(conn, owner.mart_schema, name) if owner else None
    if mart is None:
        raise UnknownInputError(
            f"{context.asset_key.to_user_string()} is not a table of the warehouse, or was never built. If it is a "
            "mart, materialize it first."
        )
    unit = unit_of(context.asset_partitions_def) if keys is not None else PartitionUnit.WHOLE
    return _as_asked(context, scan(target, mart, where=None if keys is None else of_periods(mart, unit, keys)))


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
