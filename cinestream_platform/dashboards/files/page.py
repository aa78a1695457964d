"""Files, the latest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinestream_platform.dashboards.pages import Page, Parameters
from cinestream_platform.dashboards.warehouse import Rows

STATES = ("pending", "loaded", "duplicate", "superseded", "parked", "retracted", "gone")
"""Those that docs/architecture.md explains."""


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """The files that the filters leave."""
    return {
        "title": "Files",
        "files": rows["files"],
        "total": rows["files"][0]["total"] if rows["files"] else 0,
        "sources": [{"source": row["source"], "title": row["title"]} for row in rows["choices"]],
        "states": [state for state in STATES if any(state in row["states"] for row in rows["choices"])],
        "asked": dict(parameters),
    }


FILTERS = ("source", "state", "folder", "name")
FILES = Page("files", "/files", view, filters=FILTERS, keeps_seconds=300, data_path="/api/files.json")
