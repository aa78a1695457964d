"""What became of a file, and where its rows are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinestream_platform.dashboards.pages import NoSuchPageError, Page, Parameters
from cinestream_platform.dashboards.warehouse import Rows


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """The newest version, the others, and the tables."""
    if not rows["versions"]:
        raise NoSuchPageError(f"No file with the key {parameters['key']} has landed.")
    newest, *older = rows["versions"]
    return {
        "title": newest["key"],
        "file": newest,
        "rules": sorted((newest["rejected_by_rule"] or {}).items(), key=lambda one: -one[1]),
        "older": older,
        "touched": rows["touched"],
    }


FILE = Page("file", "/files/{key:path}", view, keeps_seconds=300)
