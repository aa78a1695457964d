"""Which columns a mart's columns come from, read from the SQL that dbt has run.

What belongs here: the lineage of columns of one model, from dbt's manifest and its compiled SQL. No database is asked:
the declarations and contracts in the manifest say which columns every table has. ``int_`` models are not tables but a
part of the SQL (CTEs), so the lineage leads through them.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from dagster import TableColumnDep, TableColumnLineage
from sqlglot import exp, parse_one
from sqlglot.lineage import lineage

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
    parents = {(node["schema"], table_of(node)): node for node in tables_read(manifest, unique_id)}
    keys = {place: MartsTranslator().get_asset_key(node) for place, node in parents.items()}
    tables = tuple(
        (*place, tuple((name, column["data_type"]) for name, column in node["columns"].items()))
        for place, node in parents.items()
    )
    origins = _origins(compiled, tables)
    return TableColumnLineage(
        {
            column: [
                TableColumnDep(asset_key=key, column_name=name)
                for key, name in sorted((keys[place], name) for place, name in origins[column] if place in keys)
            ]
            for column in manifest["nodes"][unique_id]["columns"]
        }
    )


def tables_read(manifest: Mapping[str, Any], unique_id: str) -> Iterator[Mapping[str, Any]]:
    """The sources and models whose tables or views a model reads, also through ``int_`` models."""
    for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
        node = manifest["sources"].get(parent) or manifest["nodes"][parent]
        if node["resource_type"] == "model" and node["config"]["materialized"] == "ephemeral":
            yield from tables_read(manifest, parent)
        else:
            yield node


@lru_cache(maxsize=256)
def _origins(
    compiled: str, tables: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
) -> dict[str, set[tuple[tuple[str, str], str]]]:
    """Each column of a query with the tables (schema, name) and columns that its lineage ends at.

    Remembered, as a mart is rebuilt more often than its SQL changes.
    """
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for place, name, columns in tables:
        schema.setdefault(place, {})[name] = dict(columns)
    query = parse_one(compiled, dialect=DIALECT)
    for table in query.find_all(exp.Table):
        table.set("catalog", None)  # dbt writes the database, too
    return {
        column: {
            ((source.db, source.name), exp.to_column(node.name).name)
            for node in root.walk()
            if not node.downstream and (source := node.expression.find(exp.Table))
        }
        for column, root in lineage(None, query, schema, dialect=DIALECT).items()
    }
