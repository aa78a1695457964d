"""Ratings as files for recommenders: ``exports/user_item_matrix/`` in the lake, of the source that declares them.

A Parquet file a month, which hold together every published rating once, and two files that say what the keys in them
stand for. A month is an export like any other: staleness has it written again when its part of the fact has changed.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    BackfillPolicy,
    MaterializeResult,
    asset,
)

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.frames import polars_type
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.source import Source
from cinestream_platform.declarations.table import Table
from cinestream_platform.declarations.user_item_matrix import UserItemMatrix
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.marts.publication import MartLedger
from cinestream_platform.orchestration.asset import asset_key, owners_of
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.kept_checks import keeps_checks
from cinestream_platform.orchestration.partitions import partitions_of
from cinestream_platform.orchestration.published import version_of
from cinestream_platform.orchestration.staleness import EXPORT_KIND
from cinestream_platform.publishing.content_hash import content_hash
from cinestream_platform.publishing.parallel import MAX_AT_ONCE, in_parallel
from cinestream_platform.warehouse.connection import PostgresTarget, connect_bulk

FOLDER = "exports/user_item_matrix"
CHECK = "files_hold_the_table"


def matrix_key(source: str) -> AssetKey:
    """The export of the ratings."""
    return AssetKey([source, "export_user_item_matrix"])


def dimensions_key(source: str) -> AssetKey:
    """The export of what the keys in them stand for."""
    return AssetKey([source, "export_user_item_dimensions"])


def month_file(partition_key: str) -> str:
    """Where the ratings of a month are; nothing is there for a month without ratings."""
    return f"{FOLDER}/month={partition_key}/ratings.parquet"


def all_user_item_assets() -> list[AssetsDefinition]:
    """The exports of every source that declares such ratings."""
    declared = [(source, source.user_item_matrix) for source in CATALOG.sources if source.user_item_matrix]
    return [made for source, matrix in declared for made in user_item_assets(source, matrix)]


def user_item_assets(source: Source, matrix: UserItemMatrix) -> list[AssetsDefinition]:
    """The export of the ratings and that of the keys; they need the resources ``warehouse`` and ``stores``."""
    fact = matrix.fact

    def export_months(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        yield from _export_months(context, source, matrix)

    def export_dimensions(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        yield from _export_dimensions(context, source, matrix)

    months: AssetsDefinition = asset(
        **_properties(
            source,
            matrix_key(source.name),
            [fact],
            f"`{fact.qualified_name}` as files, one per month: `{month_file('YYYY-MM')}` in the lake, with "
            f"`{matrix.user_key}`, `{matrix.item_key}` (int32), `{matrix.rating}` (int8) and `date`, in the order of "
            "the keys.",
        ),
        partitions_def=partitions_of(fact.partitioning),
        backfill_policy=BackfillPolicy.single_run(),
    )(export_months)
    files = (f"`{FOLDER}/{name}.parquet` ({', '.join(columns)})" for name, (_, columns) in matrix.files.items())
    # Apart from the months, which a new user of one of them must not make stale.
    dimensions: AssetsDefinition = asset(
        **_properties(
            source,
            dimensions_key(source.name),
            matrix.dims,
            f"What the keys of the user-item matrix stand for: {' and '.join(files)} in the lake.",
        )
    )(export_dimensions)
    return [months, dimensions]


def _properties(source: Source, key: AssetKey, tables: list[Table], description: str) -> dict[str, Any]:
    compared_with = " and ".join(f"`{table.qualified_name}`" for table in tables)
    check = AssetCheckSpec(CHECK, asset=key, description=f"What was written reads back as {compared_with}.")
    return {
        "key": key,
        "deps": [asset_key(table) for table in tables],
        "description": description,
        "group_name": f"{source.name}_exports",
        "kinds": {"parquet", EXPORT_KIND},
        "check_specs": [check],
        "required_resource_keys": {"warehouse", "stores"},
        "owners": owners_of(source),
    }


@keeps_checks
def _export_months(
    context: AssetExecutionContext, source: Source, matrix: UserItemMatrix
) -> Iterator[MaterializeResult[None]]:
    """Some months at a time, so that memory is bounded by these."""
    begin_step(FOLDER, context.resources.warehouse.settings)
    target, lake = context.resources.warehouse.target(), context.resources.stores.lake()
    ledger = MartLedger(context, target)
    differing: dict[str, Any] = {}
    contents: dict[str, str] = {}
    export = partial(export_month, target, lake, matrix)
    for month in in_parallel(export, context.partition_keys, workers=MAX_AT_ONCE):
        if month.written != month.totals:
            differing[month.key] = {"fact": month.totals, "file": month.written}
        ledger.record_export(matrix_key(source.name), month.totals[0], month.content_hash, month.key)
        context.add_asset_metadata({"dagster/row_count": month.totals[0]}, partition_key=month.key)
        contents[month.key] = month.content_hash
        context.log.info("%s: %s ratings", month.key, f"{month.totals[0]:,}")
    yield MaterializeResult(
        metadata={"dagster/uri": f"{lake.url}/{FOLDER}"},
        check_results=[_checked(differing)],
        data_version=version_of(contents),
    )


@keeps_checks
def _export_dimensions(
    context: AssetExecutionContext, source: Source, matrix: UserItemMatrix
) -> Iterator[MaterializeResult[None]]:
    begin_step(FOLDER, context.resources.warehouse.settings)
    target, lake = context.resources.warehouse.target(), context.resources.stores.lake()
    ledger = MartLedger(context, target)
    frames = {name: read_dimension(target, *columns) for name, columns in matrix.files.items()}
    differing: dict[str, Any] = {}
    for name, rows in frames.items():
        write(lake, f"{FOLDER}/{name}.parquet", rows)
        location = lake.location(f"{FOLDER}/{name}.parquet")
        if rows.height and not pl.read_parquet(location, storage_options=lake.storage_options()).equals(rows):
            differing[name] = rows.height
    height = sum(rows.height for rows in frames.values())
    hashes = " ".join(content_hash(rows) for rows in frames.values())
    ledger.record_export(dimensions_key(source.name), height, hashes)
    counts = {name: rows.height for name, rows in frames.items()}
    yield MaterializeResult(
        metadata={"dagster/uri": f"{lake.url}/{FOLDER}", **counts},
        check_results=[_checked(differing)],
        data_version=version_of({WHOLE: hashes}),
    )


def _checked(differing: dict[str, Any]) -> AssetCheckResult:
    return AssetCheckResult(passed=not differing, check_name=CHECK, metadata={"differing": differing})


def read_month(
    target: PostgresTarget, matrix: UserItemMatrix, partition_key: str
) -> tuple[pl.DataFrame, tuple[int, int]]:
    """A month's published ratings in the order of the keys, and Postgres' own count and sum of stars, of one moment."""
    fact = matrix.fact
    first, after = fact.bounds(partition_key)
    where = f"{fact.qualified_name} WHERE date_key >= {first} AND date_key < {after}"
    with connect_bulk(target) as conn, conn.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(f"SELECT {', '.join(matrix.columns)} FROM {where}")  # noqa: S608 - declared names, integers
        read = _fetched(cursor, fact, matrix.columns)
        cursor.execute(f"SELECT count(*), coalesce(sum({matrix.rating}), 0)::bigint FROM {where}")  # noqa: S608
        [totals] = cursor.fetchall()
        conn.rollback()
    day = pl.col("date_key")
    rows = read.select(
        matrix.user_key,
        matrix.item_key,
        pl.col(matrix.rating).cast(pl.Int8),
        pl.date(day // 10_000, day // 100 % 100, day % 100).alias("date"),
    )
    return rows.sort(matrix.user_key, matrix.item_key), (totals[0], totals[1])


@dataclass(frozen=True)
class ExportedMonth:
    """A month's file: rows and sum of stars in Postgres, and in what was written, read back."""

    key: str
    totals: tuple[int, int]
    written: tuple[int, int]
    content_hash: str


def export_month(
    target: PostgresTarget, lake: ObjectStore, matrix: UserItemMatrix, partition_key: str
) -> ExportedMonth:
    """Write a month's file."""
    rows, totals = read_month(target, matrix, partition_key)
    write(lake, month_file(partition_key), rows)
    written = totals_written(lake, partition_key, matrix.rating)
    return ExportedMonth(partition_key, totals, written, content_hash(rows))


def read_dimension(target: PostgresTarget, table: Table, columns: tuple[str, ...]) -> pl.DataFrame:
    """Some columns of a dim, in the order of the first."""
    with connect_bulk(target) as conn, conn.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table.qualified_name} ORDER BY {columns[0]}")  # noqa: S608
        return _fetched(cursor, table, columns)


def _fetched(cursor: Any, table: Table, columns: tuple[str, ...]) -> pl.DataFrame:
    """The rows of a query in the declared types; a result without rows comes without columns."""
    schema = {name: polars_type(table.column(name).type) for name in columns}
    found = pl.DataFrame(pl.from_arrow(cursor.fetch_arrow_table()))
    return found.cast(schema) if found.width else pl.DataFrame(schema=schema)  # type: ignore[arg-type]


def write(lake: ObjectStore, key: str, rows: pl.DataFrame) -> None:
    """One Parquet file in the lake; none where there are no rows."""
    if rows.is_empty():
        lake.delete(_present(lake, key))
        return
    with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch:
        path = Path(scratch, "rows.parquet")
        rows.write_parquet(path, compression="zstd")
        lake.put_file(key, path)


def totals_written(lake: ObjectStore, partition_key: str, rating: str) -> tuple[int, int]:
    """Rows and sum of stars of a month's file, read back; zeros where there is none."""
    key = month_file(partition_key)
    if not _present(lake, key):
        return 0, 0
    scan = pl.scan_parquet(lake.location(key), storage_options=lake.storage_options(), hive_partitioning=False)
    [(rows, stars)] = scan.select(pl.len(), pl.col(rating).cast(pl.Int64).sum()).collect().rows()
    return rows, stars


def _present(lake: ObjectStore, key: str) -> list[str]:
    """The key if something is stored under it, else nothing."""
    return [stored.key for stored in lake.list(key.rpartition("/")[0]) if stored.key == key]
