"""The one decorator that turns a small function into the asset of a declared table.

The function says what the table is made from: its parameters are the tables it reads, by name, within its source: raw
tables, or dims, facts and marts.
Everything else comes from the declaration: key, group, owners, kinds, description, column schema, checks, partitions,
and how it is published.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from inspect import getdoc, signature
from typing import Any

import polars as pl
from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Config,
    FreshnessPolicy,
    PythonObjectDagsterType,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
    asset,
)

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.connector import OperationalSystem
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.source import PLATFORM_OWNER, Source
from cinestream_platform.declarations.star_table import PartitionedFact, StarTable, versioned_dimensions
from cinestream_platform.declarations.table import Table
from cinestream_platform.ledger.deliveries import Input, made_from
from cinestream_platform.ledger.publications import MadeFrom
from cinestream_platform.loading.files import FileLoader
from cinestream_platform.loading.raw_rows import RawRows, Scope
from cinestream_platform.messages import quotes_no_values
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.kept_checks import keeps_checks
from cinestream_platform.orchestration.partitions import partitions_of
from cinestream_platform.orchestration.published import report
from cinestream_platform.orchestration.raw_checks import raw_check_results, raw_check_specs, raw_result
from cinestream_platform.orchestration.raw_load import fail_for_files_not_loaded, load_files
from cinestream_platform.orchestration.table_checks import broken_rule_results, table_check_specs
from cinestream_platform.orchestration.table_inputs import TableRows
from cinestream_platform.orchestration.versions import with_published_versions
from cinestream_platform.publishing.publish import Frames, publish
from cinestream_platform.publishing.validation import BrokenRulesError
from cinestream_platform.warehouse.connection import connect

Transform = Callable[..., pl.LazyFrame]
TRANSFORMS: dict[tuple[str, str], Transform] = {}
"""By source and table: what each asset of a dim, bridge or fact is made by, for the lineage of its columns."""
RAW_ROWS = PythonObjectDagsterType(RawRows)
"""An input of this type is a raw table file by file, of which each partition takes what it is made from."""
TABLE_ROWS = PythonObjectDagsterType(TableRows)
"""An input of this type is any other table, of which each partition takes the same one."""


class LoadConfig(Config):
    """Which landed files a run is for; without, every file of the feed that waits."""

    file_ids: list[int] | None = None


def owners_of(source: Source | None) -> list[str]:
    """Owners of the assets of a source; of none, of what sources share."""
    return [source.owner if source else PLATFORM_OWNER]


class Tier(StrEnum):
    """How far data has come, as a tag of assets."""

    RAW = "bronze"
    STAR = "silver"
    MART = "gold"


def tags_of(source: Source | None, tier: Tier) -> dict[str, str]:
    """Tags by which people find assets: what of the business they are about, and how far the data has come."""
    return {"domain": (source.domain or source.name) if source else "shared", "tier": str(tier)}


def freshness_of(source: Source) -> FreshnessPolicy | None:
    """How old the last news from an operational system may be; ``None`` where nothing is ever late.

    Nothing else has such a policy, so that Dagster says what the pages say (``platform.source_freshness``). It asks
    for the last materialization: of a system that is when all that it held was found to be loaded. A folder may be
    quiet while another one of its source brings news, and tables that nothing has changed are not made again.
    """
    return FreshnessPolicy.time_window(fail_window=source.rhythm) if source.rhythm else None


def asset_key(table: Table) -> AssetKey:
    """``[source, table]``."""
    return AssetKey([table.source, table.name])


def landing_key(folder: Feed | Bundle) -> AssetKey:
    """The external asset that stands for a folder of the landing zone."""
    return AssetKey(["landing", folder.source, folder.dataset.replace("-", "_")])


def landing_assets_of(source: Source) -> list[AssetSpec]:
    """Every folder of the landing zone as an external asset, so that lineage begins where files land."""
    return [_landing_asset(source, folder) for folder in source.landing_folders]


def system_key(system: OperationalSystem, feed: Feed | None = None) -> AssetKey:
    """The external asset that stands for an operational system, or for a table of it."""
    return AssetKey(["operational", system.name, *([feed.dataset.replace("-", "_")] if feed else [])])


def operational_assets_of(source: Source) -> list[AssetSpec]:
    """Every operational system and its tables as external assets, so that lineage begins where data comes from."""
    return [
        spec
        for system in source.systems
        for spec in (_system_asset(source, system), *(_table_of_system(source, system, feed) for feed in system.feeds))
    ]


def _system_asset(source: Source, system: OperationalSystem) -> AssetSpec:
    return AssetSpec(
        system_key(system),
        description="The operational system. It counts as new whenever it was found that all it holds is loaded.",
        group_name=f"{source.name}_operational",
        kinds={"postgres"},
        owners=owners_of(source),
        freshness_policy=freshness_of(source),
        metadata={"dagster/column_schema": _source_schema([feed.table for feed in system.feeds])},
        tags=tags_of(source, Tier.RAW),
    )


def _table_of_system(source: Source, system: OperationalSystem, feed: Feed) -> AssetSpec:
    return AssetSpec(
        system_key(system, feed),
        deps=[system_key(system)],
        description=f"A table of {system.name}; extracted into `{feed.table.qualified_name}`.",
        group_name=f"{source.name}_operational",
        kinds={"postgres"},
        owners=owners_of(source),
        metadata={"dagster/column_schema": _source_schema([feed.table])},
        tags=tags_of(source, Tier.RAW),
    )


def _landing_asset(source: Source, folder: Feed | Bundle) -> AssetSpec:
    tables = [folder.table] if isinstance(folder, Feed) else [feed.table for feed in folder.feeds]
    return AssetSpec(
        landing_key(folder),
        description=f"Files landed below `{folder.prefix}`; read into "
        + ", ".join(f"`{table.qualified_name}`" for table in tables),
        group_name=f"{folder.source}_landing",
        kinds={"s3", "csv"} if isinstance(folder, Feed) else {"s3", "sqlite", "json"},
        owners=owners_of(source),
        metadata={"dagster/column_schema": _source_schema(tables), "prefix": folder.prefix},
    )


def _source_schema(tables: list[RawTable]) -> TableSchema:
    """The delivered columns; where a file has several tables, ``table.column``."""
    return TableSchema(
        [
            TableColumn(
                column.source_name if len(tables) == 1 else f"{table.name}.{column.source_name}",
                "text",
                column.description,
            )
            for table in tables
            for column in table.columns
            if column.source_name
        ]
    )


def column_schema(table: Table) -> TableSchema:
    """The declared columns as Dagster shows them."""
    return TableSchema(
        [
            TableColumn(
                column.name,
                str(column.type),
                column.description,
                TableColumnConstraints(nullable=column.nullable, other=[str(rule) for rule in column.rules]),
                tags={"personal": ""} if column.is_personal else {},
            )
            for column in table.columns
        ]
    )


def table_properties(table: Table, source: Source | None, what: str) -> dict[str, Any]:
    """What every asset of a declared table has; ``what`` ends its description."""
    return {
        "key": asset_key(table),
        "description": f"{table.description}\n\nGrain: {table.grain}.\n\n{what}".strip(),
        "group_name": f"{table.source}_{'raw' if isinstance(table, RawTable) else 'star'}",
        "kinds": {"postgres", "polars", str(table.layer)},
        "metadata": {
            "dagster/table_name": table.qualified_name,
            "dagster/column_schema": column_schema(table),
            "grain": table.grain,
            "write_mode": str(table.mode),
        },
        "owners": owners_of(source),
        "tags": tags_of(source, Tier.RAW if isinstance(table, RawTable) else Tier.STAR)
        | ({"personal-data": ""} if any(column.is_personal for column in table.columns) else {}),
    }


def contract_asset(table: Table, source: Source) -> AssetSpec:
    """A table that others write, as an external asset: only its contract is ours."""
    properties = table_properties(table, source, "The platform makes the table and never writes it.")
    return AssetSpec(**properties).with_io_manager_key("warehouse_io_manager")


def raw_assets_of(source: Source) -> list[AssetsDefinition]:
    """The assets of all raw tables that landed files fill."""
    return [_raw_asset(source, feed) for feed in source.feeds]


def _raw_asset(source: Source, feed: Feed) -> AssetsDefinition:
    key = asset_key(feed.table)

    @quotes_no_values
    @keeps_checks
    def load(context: AssetExecutionContext, config: LoadConfig) -> Iterator[Any]:
        warehouse, stores = context.resources.warehouse, context.resources.stores
        begin_step(key.to_user_string(), warehouse.settings)
        loader = FileLoader(
            warehouse.settings,
            warehouse.target(),
            stores.landing(),
            stores.lake(),
            feed,
            context.run.run_id,
            config.file_ids,
        )
        loaded = load_files(context, loader)
        with connect(warehouse.target()) as conn:
            yield raw_result(conn, feed, key, loaded.metadata())
            yield from raw_check_results(conn, feed, key, len(loaded.loaded))
        fail_for_files_not_loaded(context, loaded)

    made: AssetsDefinition = asset(
        **table_properties(feed.table, source, feed.description),
        deps=[landing_key(feed), *map(landing_key, source.bundles_of(feed))],
        check_specs=raw_check_specs(feed, key),
        io_manager_key="raw_io_manager",
        required_resource_keys={"warehouse", "stores"},
    )(load)
    return made


def _referenced(table: StarTable) -> list[AssetKey]:
    """The dims whose keys a table holds: they are built before it, so that few members are inferred."""
    return [asset_key(reference.table) for reference in table.references]


def table_asset(table: StarTable, source: Source | None = None) -> Callable[[Transform], AssetsDefinition]:
    """The asset of a dim, bridge or fact; the function turns rows of the tables that its parameters name into its own.

    A partitioned table's function is called once for each partition of the run, on that partition's rows.
    """

    def decorate(function: Transform) -> AssetsDefinition:
        key = asset_key(table)
        raw_tables = {raw.name for raw in source.raw_tables} if source else set()
        TRANSFORMS[table.source, table.name] = function
        inputs = {
            name: AssetIn(AssetKey([table.source, name]), dagster_type=RAW_ROWS if name in raw_tables else TABLE_ROWS)
            for name in signature(function).parameters
        }
        read_keys = {given.key for given in inputs.values()}
        partitions = partitions_of(table.partitioning if isinstance(table, PartitionedFact) else None)

        @quotes_no_values
        @keeps_checks
        def build(context: AssetExecutionContext, **given: RawRows | TableRows) -> Iterator[Any]:
            begin_step(key.to_user_string(), context.resources.warehouse.settings)
            keys = list(context.partition_keys) if partitions else [WHOLE]
            read = inputs_of(table, given)
            if versioned_dimensions(table):
                with connect(context.resources.warehouse.target()) as conn:
                    read = replace(read, raw=with_published_versions(conn, table, read.raw))
            frames = Frames(table, {key: function(**read.rows(key)) for key in keys}, read.made_from)
            target, settings = context.resources.warehouse.target(), context.resources.warehouse.settings
            try:
                published = publish(target, frames, run_id=context.run.run_id, settings=settings, log=context.log.info)
            except BrokenRulesError as error:
                yield from broken_rule_results(error, key)
                raise
            with connect(target) as conn:
                yield from report(context, conn, published, key)

        made: AssetsDefinition = asset(
            **table_properties(table, source, getdoc(function) or ""),
            ins=inputs,
            deps=[AssetDep(other) for other in _referenced(table) if other not in read_keys],
            partitions_def=partitions,
            backfill_policy=BackfillPolicy.single_run() if partitions else None,
            check_specs=table_check_specs(table, key),
            io_manager_key="warehouse_io_manager",
            required_resource_keys={"warehouse"},
        )(build)
        return made

    return decorate


@dataclass(frozen=True)
class Inputs:
    """What a table is made from, partition by partition: rows of raw tables, and of other tables."""

    table: Table
    raw: Mapping[str, RawRows]
    tables: Mapping[str, TableRows] = field(default_factory=dict)

    def _scope(self, name: str, partition_key: str) -> Scope | None:
        is_whole = not self.table.is_partitioned or name in self.table.reads_whole
        return None if is_whole else Scope(self.table.unit, partition_key)

    def rows(self, partition_key: str) -> dict[str, pl.LazyFrame]:
        """The rows of each input for a partition."""
        every: Mapping[str, RawRows | TableRows] = {**self.raw, **self.tables}
        return {name: read.rows(self._scope(name, partition_key)) for name, read in every.items()}

    def made_from(self, partition_key: str) -> MadeFrom:
        """The files and publications that a partition is made from; without any raw input the files behind these."""
        read = [version for name, t in self.tables.items() for version in t.versions(self._scope(name, partition_key))]
        upstream = tuple(sorted({version.changed_by for version in read}))
        if self.tables and not self.raw:
            return MadeFrom(tuple(sorted({file_id for version in read for file_id in version.file_ids})), upstream)
        return MadeFrom(made_from(self._inputs, self.table.unit, partition_key), upstream)

    @cached_property
    def _inputs(self) -> list[Input]:
        return [rows.as_input(is_whole=name in self.table.reads_whole) for name, rows in self.raw.items()]


def inputs_of(table: Table, given: Mapping[str, RawRows | TableRows]) -> Inputs:
    """The inputs of a table as they were handed over, by their kind."""
    raw = {name: read for name, read in given.items() if isinstance(read, RawRows)}
    return Inputs(table, raw, {name: read for name, read in given.items() if isinstance(read, TableRows)})
