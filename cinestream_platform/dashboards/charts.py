"""How charts look, everywhere; each page's ``page.py`` has a function for each of its charts.

Colours are the style sheet's variables, so that one chart is right in light and dark. The palette can be told apart
with any colour vision (Okabe-Ito). Aggregate in SQL: rows that reach a chart are sent to the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

INK, QUIET, LINE = "var(--ink)", "var(--quiet)", "var(--line)"
SERIES = ["var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)", "var(--series-5)"]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "titleColor": QUIET,
        "gridColor": LINE,
        "domain": False,
        "ticks": False,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
    },
    "axisX": {"grid": False},
    "legend": {"labelColor": INK, "titleColor": QUIET, "labelFontSize": 12, "orient": "top", "title": None},
    "range": {"category": SERIES},
    "bar": {"cornerRadiusEnd": 2, "color": SERIES[0]},
    "line": {"strokeWidth": 2, "color": SERIES[0]},
}


def spec(chart: alt.Chart, description: str) -> dict[str, Any]:
    """What the browser draws; the description is what a screen reader says."""
    found: dict[str, Any] = chart.properties(width="container", description=description).to_dict()
    found["config"] = CONFIG
    return found


def values(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Rows for a chart."""
    import altair as alt  # half a second: only pages with charts need it

    return alt.InlineData(values=[dict(row) for row in rows])
