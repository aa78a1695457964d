"""What the platform's catalogue says, made from declarations, dbt's manifest and the graph of assets.

What belongs here: from those to rows (``ledger.declared``). Nothing here connects but ``declare``, which writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dagster import AssetKey, TableColumnLineage
from psycopg import Connection

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.source import PLATFORM_OWNER
from cinestream_platform.declarations.table import Layer, Table
from cinestream_platform.ledger import declared
from cinestream_platform.ledger.declared import (
    ColumnEdge,
    Declared,
    DeclaredCheck,
    DeclaredColumn,
    DeclaredEdge,
    DeclaredSource,
    DeclaredTable,
)
from cinestream_platform.marts.project import manifest_path
from cinestream_platform.marts.rebuild import REBUILDS
from cinestream_platform.marts.star_lineage import known_edges
from cinestream_platform.marts.translator import table_of
from cinestream_platform.metrics.catalogue import declared_metrics
from cinestream_platform.orchestration.asset import asset_key, landing_key
from cinestream_platform.orchestration.staleness import EXPORT_KIND
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import readers_of

KINDS = {
    Layer.RAW: "raw",
    Layer.DIMENSION: "dimension",
    Layer.BRIDGE: "bridge",
    Layer.FACT: "fact",
    Layer.PREDICTION: "prediction",
}
OPEN_VIEW = "open view"
"""Kind of the views without personal columns, in the catalogue and in lineage."""
SAMPLE_ROWS = 20
GRAIN = re.compile(r"Grain:\s*(.*?)(?:\.(?:\s|$))", re.DOTALL)


def declare(conn: Connection[Any], asset_graph: Any, catalog: Catalog, settings: Settings) -> bool:
    """Write what the catalogue says, if it differs from what is there; whether it did."""
    manifest = json.loads(manifest_path(settings).read_bytes())
    return declared.write(conn, declared_by(asset_graph, catalog, manifest))


def declared_by(asset_graph: Any, catalog: Catalog, manifest: Mapping[str, Any]) -> Declared:
    """All that declarations, the manifest and the graph say."""
    tables = [*catalog.tables, *catalog.predictions]
    models = sorted(
        (
            node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
        ),
        key=lambda node: (catalog.mart_schemas.index(node["schema"]), table_of(node)),
    )
    shown = [table for table in tables if table.has_open_view]
    rows = [*(_table(table, catalog) for table in tables), *(_mart(node, catalog) for node in models)]
    positioned = [replace(row, position=place) for place, row in enumerate(rows, 1)]
    references = _references(manifest)
    return Declared(
        sources=[
            DeclaredSource(
                source.name, source.shown_name, place, source.owner, [s.name for s in source.systems], source.rhythm
            )
            for place, source in enumerate(catalog.sources, 1)
        ],
        tables=positioned,
        columns=[
            *(column for table in tables for column in _columns(table)),
            *(column for node in models for column in _mart_columns(node, references)),
        ],
        checks=list(_checks(asset_graph)),
        edges=sorted({*_edges(asset_graph, catalog), *map(_open_edge, shown)}, key=repr),
        column_edges=[*known_edges(), *(edge for table in shown for edge in _open_column_edges(table))],
        metrics=declared_metrics(catalog, _columns_of_metrics(models, catalog)),
    )


def _columns_of_metrics(models: Iterable[Mapping[str, Any]], catalog: Catalog) -> dict[tuple[str, str], list[str]]:
    """Which columns of marts hold which metric, by their ``meta``."""
    found: dict[tuple[str, str], list[str]] = {}
    for node in models:
        source = catalog.source_of_schema(node["schema"])
        for name, column in node["columns"].items():
            if source and (metric := column["config"]["meta"].get("metric")):
                found.setdefault((source.name, metric), []).append(f"{node['schema']}.{table_of(node)}.{name}")
    return found


def _table(table: Table, catalog: Catalog) -> DeclaredTable:
    source = catalog.source(table.source)
    dataset = catalog.feed_of_table(table.source, table.name).dataset if isinstance(table, RawTable) else None
    return DeclaredTable(
        schema_name=table.schema,
        table_name=table.name,
        position=0,
        source=table.source,
        kind=KINDS[table.layer],
        description=table.description,
        grain=_without_one_row(table.grain),
        owner=source.owner if source else PLATFORM_OWNER,
        write_mode=str(table.mode),
        dataset=dataset,
        partition_unit=None if table.unit is PartitionUnit.WHOLE else str(table.unit),
        sample_sql=_sample(table.readable_schema, table.name, [c.name for c in table.open_columns])
        if readers_of(table.layer)
        else None,
        open_schema=table.open_schema if table.has_open_view else None,
    )


def _open_edge(table: Table) -> DeclaredEdge:
    return DeclaredEdge("star", table.qualified_name, OPEN_VIEW, f"{table.open_schema}.{table.name}")


def _open_column_edges(table: Table) -> Iterator[ColumnEdge]:
    for column in table.open_columns:
        yield ColumnEdge(table.schema, table.name, column.name, table.open_schema, table.name, column.name)


def _without_one_row(grain: str) -> str:
    return re.sub(r"^one row\s+", "", " ".join(grain.split()))


def _sample(schema: str, table: str, columns: Iterable[str]) -> str:
    """The first rows, with every column named."""
    return f"SELECT {', '.join(columns)}\nFROM {schema}.{table}\nLIMIT {SAMPLE_ROWS}"


def _columns(table: Table) -> Iterator[DeclaredColumn]:
    refers_to = {reference.column: reference.table.qualified_name for reference in table.references}
    key = table.primary_key or table.natural_key
    for place, column in enumerate(table.columns, 1):
        yield DeclaredColumn(
            schema_name=table.schema,
            table_name=table.name,
            column_name=column.name,
            position=place,
            data_type=str(column.type),
            description=column.description,
            is_nullable=column.nullable,
            is_key=column.name in key,
            rules="; ".join(str(rule) for rule in column.rules),
            is_personal=column.is_personal,
            refers_to=refers_to.get(column.name),
        )


def _mart(node: Mapping[str, Any], catalog: Catalog) -> DeclaredTable:
    source = catalog.source_of_schema(node["schema"])
    found = GRAIN.search(node["description"])
    columns = list(node["columns"])
    units = [str(rebuild.unit) for rebuild in REBUILDS if rebuild.tag in node["tags"]]
    meta = node["config"]["meta"]
    return DeclaredTable(
        schema_name=node["schema"],
        table_name=table_of(node),
        position=0,
        source=source.name if source else node["schema"],
        kind="view" if "view" in node["config"]["materialized"] else "mart",
        description=node["description"].strip(),
        grain=_without_one_row(found[1]) if found else "",
        owner=source.owner if source else PLATFORM_OWNER,
        write_mode="rebuild",
        partition_unit=units[0] if units else None,
        business_question=meta.get("question"),
        sample_sql=meta.get("sample_sql", _sample(node["schema"], table_of(node), columns)).strip(),
        mart_sql=node["raw_code"].strip(),
    )


def _mart_columns(node: Mapping[str, Any], references: Mapping[tuple[str, str], str]) -> Iterator[DeclaredColumn]:
    keys = [constraint["columns"] for constraint in node["constraints"] if constraint["type"] == "primary_key"]
    for place, (name, column) in enumerate(node["columns"].items(), 1):
        yield DeclaredColumn(
            schema_name=node["schema"],
            table_name=table_of(node),
            column_name=name,
            position=place,
            data_type=column["data_type"],
            description=column["description"],
            is_nullable=not any(constraint["type"] == "not_null" for constraint in column["constraints"]),
            is_key=any(name in key for key in keys),
            refers_to=references.get((node["unique_id"], name)),
        )


def _references(manifest: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(model, column) to the table whose key it holds, by dbt's tests of relationships."""
    found = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] != "test" or node["test_metadata"]["name"] != "relationships":
            continue
        model = node["attached_node"]
        for parent in node["depends_on"]["nodes"]:
            if parent != model:
                table = manifest["sources"].get(parent) or manifest["nodes"][parent]
                found[model, node["column_name"]] = f"{table['schema']}.{table_of(table)}"
    return found


def _checks(asset_graph: Any) -> Iterator[DeclaredCheck]:
    for key in sorted(asset_graph.asset_check_keys):
        spec = asset_graph.get_check_spec(key)
        source, asset = key.asset_key.path[0], key.asset_key.path[-1]
        yield DeclaredCheck(source, asset, key.name, spec.description or "")


def _edges(asset_graph: Any, catalog: Catalog) -> Iterator[DeclaredEdge]:
    """Landing folders and operational tables, raw tables, stars, marts, exports, each with what it is made from."""
    folders = [folder for source in catalog.sources for folder in source.landing_folders]
    nodes = {landing_key(folder): ("landing folder", f"{folder.source}/{folder.dataset}") for folder in folders}
    tables = {asset_key(table): table for table in catalog.tables}
    for key in asset_graph.executable_asset_keys:
        if found := _node(key, asset_graph.get(key), tables):
            nodes[key] = found
    for key, (kind, name) in nodes.items():
        for parent in asset_graph.get(key).parent_keys:
            if parent in nodes:
                yield DeclaredEdge(*nodes[parent], kind, name)
    for system in catalog.systems:
        for feed in system.feeds:
            extraction = ("extraction", f"{feed.source}/{feed.dataset}")
            yield DeclaredEdge("operational table", f"{system.name}.{feed.dataset}", *extraction)
            yield DeclaredEdge(*extraction, "raw", feed.table.qualified_name)


def _node(key: AssetKey, asset: Any, tables: Mapping[AssetKey, Table]) -> tuple[str, str] | None:
    """Kind and name of an asset in lineage; of one that holds no data (a report) nothing."""
    if table := tables.get(key):
        return ("raw" if isinstance(table, RawTable) else "star", table.qualified_name)
    if EXPORT_KIND in asset.kinds:
        return ("export", f"{key.path[0]}_exports.{key.path[-1]}")
    if name := asset.metadata.get("dagster/table_name"):
        return ("mart", str(getattr(name, "value", name)))
    return None


def mart_column_edges(
    schema: str, mart: str, lineage: TableColumnLineage, schemas: Mapping[AssetKey, str]
) -> list[ColumnEdge]:
    """The lineage of a mart's columns (``marts.lineage``) as rows; ``schemas`` are those of the tables read."""
    return sorted(
        {
            ColumnEdge(schemas[dep.asset_key], dep.asset_key.path[-1], dep.column_name, schema, mart, column)
            for column, deps in lineage.deps_by_column.items()
            for dep in deps
            if dep.asset_key in schemas
        }
    )
