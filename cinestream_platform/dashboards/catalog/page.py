"""The catalogue's list of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinestream_platform.dashboards.pages import Page, Parameters
from cinestream_platform.dashboards.warehouse import Rows
from cinestream_platform.messages import counted

GROUPS = (
    ("Marts: ready answers", ("mart", "view")),
    ("Facts: what happened", ("fact",)),
    ("Dimensions: who and what it is about", ("dimension", "bridge")),
    ("Open views: tables without their personal columns, for analysts", ("open view",)),
    ("Predictions", ("prediction",)),
    ("Raw tables: what was delivered", ("raw",)),
)
"""How kinds of tables are shown, and in which order."""


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """Tables in groups; those that a search found in one list, the best first."""
    tables = rows["tables"]
    is_search = bool(parameters["q"])
    groups = [{"title": title, "tables": [t for t in tables if t["kind"] in kinds]} for title, kinds in GROUPS]
    if is_search:
        groups = [{"title": counted(len(tables), "table") + " found", "tables": tables}]
    return {
        "title": "Catalogue",
        "q": parameters["q"],
        "source": parameters["source"],
        "kind": parameters["kind"],
        "sources": [{"source": row["source"], "title": row["title"]} for row in rows["choices"]],
        "kinds": sorted({kind for row in rows["choices"] for kind in row["kinds"]}),
        "count": len(tables),
        "is_search": is_search,
        "groups": [group for group in groups if group["tables"]],
    }


CATALOG = Page(
    "catalog", "/catalog", view, filters=("q", "source", "kind"), keeps_seconds=300, data_path="/api/catalog.json"
)
