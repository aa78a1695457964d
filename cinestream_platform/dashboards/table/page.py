"""All that is known of one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cinestream_platform.dashboards import charts
from cinestream_platform.dashboards.pages import NoSuchPageError, Page, Parameters
from cinestream_platform.dashboards.warehouse import Row, Rows

if TYPE_CHECKING:
    import altair as alt

FEWEST_BARS = 3
WRITTEN = {
    "file": "the rows of a file replace those of its older version",
    "snapshot": "every delivery replaces all rows",
    "history": "the rows of every delivery stay",
    "upsert": "changed members are updated, new ones are added",
    "partition": "built beside the table, then swapped in partition by partition",
    "rebuild": "rebuilt from the tables that it reads, in one transaction",
    "external": "written by others",
    "view": "a view: what the table holds now",
}


def view(rows: Rows, parameters: Parameters) -> Mapping[str, Any]:
    """The table, or that there is none."""
    if not rows["table"]:
        raise NoSuchPageError(f"There is no table {parameters['table']} in the catalogue.")
    [table] = rows["table"]
    shown = rows["partitions"][::-1]
    has_chart = bool(table["partition_unit"]) and len(shown) >= FEWEST_BARS
    text = f"Rows of {table['table_name']} in each {table['partition_unit']}"
    return {
        "title": f"{table['schema_name']}.{table['table_name']}",
        "table": table,
        "written": WRITTEN.get(table["write_mode"], table["write_mode"]),
        "columns": rows["columns"],
        "partitions": rows["partitions"],
        "files": rows["files"],
        "checks": rows["checks"],
        "check_history": rows["check_history"],
        "readers": rows["readers"],
        "charts": {"rows": charts.spec(rows_chart(shown), text)} if has_chart else {},
    }


def rows_chart(partitions: Sequence[Row]) -> alt.Chart:
    """Rows of each partition."""
    import altair as alt

    data = charts.values([{"partition": row["partition_key"], "rows": row["rows"]} for row in partitions])
    chart: alt.Chart = (
        alt.Chart(data, height=150)
        .mark_bar()
        .encode(
            x=alt.X("partition:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("rows:Q", title="rows", axis=alt.Axis(format="~s", tickCount=4)),
            tooltip=[alt.Tooltip("partition:O"), alt.Tooltip("rows:Q", format=",")],
        )
    )
    return chart


TABLE = Page("table", "/catalog/{table}", view, keeps_seconds=300, data_path="/api/catalog/{table}.json")
