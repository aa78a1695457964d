"""The list of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from cinestream_platform.dashboards.pages import Page, Parameters
from cinestream_platform.dashboards.warehouse import Row, Rows


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """Metrics by source, in the order of their definitions."""
    by_source = groupby(rows["metrics"], key=lambda row: row["title"])
    return {
        "title": "Metrics",
        "source": parameters["source"],
        "sources": rows["choices"],
        "groups": [
            {"title": title, "metrics": [{**row, "added_up": added_up(row)} for row in some]}
            for title, some in by_source
        ],
    }


def added_up(metric: Row) -> str:
    """Over what its values may be added up, in words."""
    over, known = list(metric["additive_over"]), len(metric["dimensions"]) + 1
    if not over:
        return "nothing: compute it anew for each question"
    return "everything" if len(over) == known else ", ".join(over)


METRICS = Page(
    "definitions", "/catalog/metrics", view, filters=("source",), keeps_seconds=300, data_path="/api/metrics.json"
)
