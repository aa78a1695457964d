"""From a table or column to what it is made from, down to files and operational tables, and to what is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from cinestream_platform.dashboards.lineage.drawing import HEIGHT, Node, drawn
from cinestream_platform.dashboards.pages import NoSuchPageError, Page, Parameters
from cinestream_platform.dashboards.warehouse import Row, Rows
from cinestream_platform.page_links import lineage_url

TABLES = ("raw", "star", "mart", "open view")
FILES = ("landing folder", "extraction")
HEADINGS = {
    "operational table": "Operational tables",
    "landing folder": "Folders in which files land",
    "extraction": "Extractions",
    "raw": "Raw tables",
    "star": "Facts and dimensions",
    "open view": "Without personal columns, for analysts",
    "mart": "Marts",
    "export": "Exports",
}
"""Kinds of nodes in the order of the data's way."""


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """The graph around a table, or around one of its columns."""
    name, column = parameters["table"], parameters.get("column", "")
    if not rows["table"] or (column and not rows["table"][0]["has_column"]):
        raise NoSuchPageError(f"There is no {'column' if column else 'table'} {name}{'.' if column else ''}{column}.")
    [table] = rows["table"]
    edges = list(map(_column_edge, rows["column_edges"])) if column else list(map(_table_edge, rows["edges"]))
    nodes = {key: _node(key, f"{name}.{column}" if column else name) for _, *pair in edges for key in pair}
    drawing = drawn(
        {f"{kind} {called}": node for (kind, called), node in nodes.items()},
        list(dict.fromkeys((" ".join(start), " ".join(end)) for _, start, end in edges)),
    )
    return {
        "title": f"Lineage of {name}{'.' if column else ''}{column}",
        "table": table,
        "column": column,
        "columns": [row["column_name"] for row in rows["columns"]],
        "above": _listed(nodes, (start for direction, start, _ in edges if direction == "up")),
        "below": _listed(nodes, (end for direction, _, end in edges if direction == "down")),
        "files": rows["files"],
        "drawing": drawing,
        "box_height": HEIGHT,
    }


Key = tuple[str, str]
Edge = tuple[str, Key, Key]


def _table_edge(row: Row) -> Edge:
    return row["direction"], (row["from_kind"], row["from_name"]), (row["to_kind"], row["to_name"])


def _column_edge(row: Row) -> Edge:
    start, end = (".".join(row[f"{way}_{part}"] for part in ("schema", "table", "column")) for way in ("from", "to"))
    return row["direction"], ("column", start), ("column", end)


def _node(key: Key, here: str) -> Node:
    """A box; those of columns say their table in small print."""
    kind, name = key
    if kind == "column":
        table, _, column = name.rpartition(".")
        schema, _, bare = table.partition(".")
        return Node(column, table, lineage_url(schema, bare, column), name == here)
    schema, _, table = name.partition(".") if kind in (*TABLES, "export") else ("", "", name)
    url = ""
    if kind in TABLES:
        url = lineage_url(schema, table)
    elif kind in FILES:
        url = f"/files?folder={quote(name, safe='')}"
    return Node(table, f"{kind} in {schema}" if schema else kind, url, kind in TABLES and name == here)


def _listed(nodes: Mapping[Key, Node], keys: Iterable[Key]) -> list[tuple[str, list[Node]]]:
    """Nodes by kind, in the order of the data's way."""
    found = sorted(set(keys), key=lambda key: key[1])
    kinds = list(HEADINGS) if all(kind in HEADINGS for kind, _ in found) else ["column"]
    groups = [(HEADINGS.get(kind, "Columns"), [nodes[key] for key in found if key[0] == kind]) for kind in kinds]
    return [(heading, group) for heading, group in groups if group]


SHARED = ("table/files",)
LINEAGE = Page("lineage", "/lineage/{table}", view, filters=("column",), keeps_seconds=300, shared_tiles=SHARED)
COLUMN_LINEAGE = Page("lineage", "/lineage/{table}/{column}", view, keeps_seconds=300, shared_tiles=SHARED)
