"""Exports of marts: ``exports/<mart>/<mart>.csv`` and ``.parquet`` in the lake, for those who do not ask Postgres.

Which marts are exported is said where they are: by dbt's tag ``export``. An export is an asset of its own, which
staleness treats like a mart: it is made after its mart in the same run, and again until it holds the mart's last
publication. (Ratings, a fact, are written by ``user_item_matrix``.)
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    DataVersion,
    MaterializeResult,
    asset,
)
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.column import DataType, Kind
from cinestream_platform.declarations.frames import polars_type
from cinestream_platform.marts.publication import MartLedger
from cinestream_platform.marts.translator import MartsTranslator
from cinestream_platform.orchestration.asset import owners_of
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.kept_checks import keeps_checks
from cinestream_platform.orchestration.staleness import EXPORT_KIND
from cinestream_platform.warehouse.connection import connect

EXPORT_TAG = "export"
"""dbt tag of the models that are exported."""

CHECK = "files_hold_the_mart"

FORMULA_START = r"^([=+\-@\t\r\n])"
"""How a cell begins that spreadsheets may run as a formula (OWASP, CSV Injection)."""


def export_assets(manifest: Path) -> list[AssetsDefinition]:
    """One asset for each mart that is tagged; they need the resources ``warehouse`` and ``stores``.

    Args:
        manifest: the parsed project (``marts.project.require_manifest``).
    """
    nodes = json.loads(manifest.read_bytes())["nodes"].values()
    exported = [node for node in nodes if node["resource_type"] == "model" and EXPORT_TAG in node["tags"]]
    return [_export_asset(MartsTranslator().get_asset_key(node), node["schema"]) for node in exported]


def _export_asset(mart: AssetKey, schema: str) -> AssetsDefinition:
    source, name = mart.path
    key = AssetKey([source, f"export_{name}"])
    folder = f"exports/{name}"

    @asset(
        key=key,
        deps=[mart],
        description=f"`{schema}.{name}` as files: `{folder}/{name}.csv` and `.parquet` in the lake.",
        group_name=f"{source}_exports",
        kinds={"csv", "parquet", EXPORT_KIND},
        check_specs=[AssetCheckSpec(CHECK, asset=key, description="What was written reads back as the mart's rows.")],
        required_resource_keys={"warehouse", "stores"},
        owners=owners_of(CATALOG.source(source)),
    )
    @keeps_checks
    def export(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        begin_step(key.to_user_string(), context.resources.warehouse.settings)
        target, lake = context.resources.warehouse.target(), context.resources.stores.lake()
        ledger = MartLedger(context, target)
        with connect(target) as conn:
            rows = read_relation(conn, schema, name)
        text = formula_safe_csv(rows)
        with tempfile.TemporaryDirectory(prefix="cinestream-") as scratch:
            Path(scratch, f"{name}.csv").write_bytes(text)
            rows.write_parquet(Path(scratch, f"{name}.parquet"))
            for path in Path(scratch).iterdir():
                lake.put_file(f"{folder}/{path.name}", path)
        location = lake.location(f"{folder}/{name}.parquet")
        is_same = pl.read_parquet(location, storage_options=lake.storage_options()).equals(rows)
        content = hashlib.sha256(text).hexdigest()
        ledger.record_export(key, rows.height, content)
        yield MaterializeResult(
            data_version=DataVersion(content),
            metadata={"dagster/row_count": rows.height, "dagster/uri": f"{lake.url}/{folder}", "csv_bytes": len(text)},
            check_results=[AssetCheckResult(passed=is_same, check_name=CHECK)],
        )

    return export


def read_relation(conn: Connection[Any], schema: str, name: str) -> pl.DataFrame:
    """All rows of a table or materialized view, read in one statement and sorted by all columns from the left.

    Raises:
        ValueError: A column has a type that no declared table has.
    """
    query = SQL("SELECT * FROM {} AS exported ORDER BY exported").format(Identifier(schema, name))
    cursor = conn.execute(query)
    columns = cursor.description or []
    types = {column.name: _type_of(conn, column.type_code, column.precision, column.scale) for column in columns}
    return pl.DataFrame(cursor.fetchall(), schema=types, orient="row")


def _type_of(conn: Connection[Any], oid: int, precision: int | None, scale: int | None) -> pl.DataType:
    found = conn.adapters.types.get(oid)
    name = found.regtype if found else str(oid)
    return polars_type(DataType(Kind(name.replace("timestamp with time zone", "timestamptz")), precision, scale))


def formula_safe_csv(rows: pl.DataFrame) -> bytes:
    """RFC 4180 in UTF-8 with a header; NULL is an empty cell, an empty text is quoted.

    A text that a spreadsheet may run as a formula gets an apostrophe in front; numbers, also negative ones, stay as
    they are.
    """
    safe = rows.with_columns(cs.string().str.replace(FORMULA_START, "'$1"))
    return safe.write_csv(line_terminator="\r\n").encode()
