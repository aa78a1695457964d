"""Which columns a mart's columns come from, read from the SQL that dbt has run.

What belongs here: the lineage of columns of one model, from dbt's manifest and its compiled SQL. No database is asked:
the declarations and contracts in the manifest say which columns every table has. ``int_`` models are not tables but a
part of the SQL (CTEs), so the lineage leads through them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dagster import AssetKey, TableColumnDep, TableColumnLineage
from sqlglot import exp, parse_one
from sqlglot.lineage import Node, lineage

from cinestream_platform.marts.translator import MartsTranslator, table_of

DIALECT = "postgres"


def column_lineage(manifest: Mapping[str, Any], unique_id: str, compiled: str) -> TableColumnLineage:
    """The columns of dims, facts and marts that each column of a model is computed from.

    Args:
        manifest: dbt's, of the whole project.
        unique_id: the model.
        compiled: its SQL as dbt has sent it, without Jinja.

    Raises:
        sqlglot.errors.SqlglotError: The SQL is beyond sqlglot.
    """
    parents = list(tables_read(manifest, unique_id))
    keys = {(node["schema"], table_of(node)): MartsTranslator().get_asset_key(node) for node in parents}
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for node in parents:
        columns = {name: column["data_type"] for name, column in node["columns"].items()}
        schema.setdefault(node["schema"], {})[table_of(node)] = columns
    query = parse_one(compiled, dialect=DIALECT)
    for table in query.find_all(exp.Table):
        table.set("catalog", None)  # dbt writes the database, too
    columns_of_model = manifest["nodes"][unique_id]["columns"]
    origins = lineage(None, query, schema, dialect=DIALECT)
    return TableColumnLineage({column: _origins(origins[column], keys) for column in columns_of_model})


def tables_read(manifest: Mapping[str, Any], unique_id: str) -> Iterator[Mapping[str, Any]]:
    """The sources and models whose tables or views a model reads, also through ``int_`` models."""
    for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
        node = manifest["sources"].get(parent) or manifest["nodes"][parent]
        if node["resource_type"] == "model" and node["config"]["materialized"] == "ephemeral":
            yield from tables_read(manifest, parent)
        else:
            yield node


def _origins(root: Node, keys: Mapping[tuple[str, str], AssetKey]) -> list[TableColumnDep]:
    """The ends of a lineage that are columns of known tables."""
    found = {
        (keys[table.db, table.name], exp.to_column(node.name).name)
        for node in root.walk()
        if not node.downstream and (table := node.expression.find(exp.Table)) and (table.db, table.name) in keys
    }
    return [TableColumnDep(asset_key=key, column_name=column) for key, column in sorted(found)]
