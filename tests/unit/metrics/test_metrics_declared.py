"""The form of metrics.yml: what it gives, and the sentence for whatever is wrong in it."""

from pathlib import Path

import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.metric import Period
from cinestream_platform.metrics.declared import FILE, MetricError, all_metrics, read_metrics

TABLE = "tables: {fact_invoice: {dimensions: {country: dim_location.country, customer: dim_customer.customer_id}}}\n"
REVENUE = "{label: R, meaning: M, table: fact_invoice, value: sum(total), unit: money, additive_over: everything}"
FEW = "{label: C, meaning: M, table: fact_invoice, value: count(distinct customer), unit: customers, additive_over: []}"


def test_every_source_defines_metrics_and_none_needs_a_personal_column() -> None:
    metrics = all_metrics(CATALOG)
    assert {metric.source for metric in metrics} == set(CATALOG.names)
    assert len(metrics) >= 12
    personal = {(t.name, c.name) for t in CATALOG.tables for c in t.columns if c.is_personal}
    assert not {(d.table, d.column) for m in metrics for d in m.base.dimensions.values()} & personal


def test_a_package_is_installed_with_its_metrics() -> None:
    root = Path(__file__).parents[3]
    assert f"sources/*/{FILE}" in (root / "pyproject.toml").read_text()


def test_a_metric_says_what_it_may_be_added_up_over() -> None:
    one, few, ratio = read_metrics(
        CATALOG,
        "chinook",
        f"{TABLE}metrics:\n  one: {REVENUE}\n  few: {FEW}\n  ratio: {{label: X, meaning: Y, value: one / few, unit: money}}\n",
    )
    assert one.additive_over == ("time", "country", "customer")
    assert (few.additive_over, ratio.additive_over) == ((), ())
    assert (one.formula, ratio.formula) == ("sum(total) of fact_invoice", "one / few")
    assert one.base.periods == tuple(Period)


def test_a_dimension_is_reached_by_the_shortest_way_of_references() -> None:
    text = (
        "tables: {fact_invoice_line: {dimensions: {artist: dim_artist.name}}}\n"
        "metrics: {lines: {label: L, meaning: M, table: fact_invoice_line, value: count(*), unit: lines, additive_over: []}}"
    )
    [metric] = read_metrics(CATALOG, "chinook", text)
    joins = metric.base.dimensions["artist"].joins
    assert [(join.left, join.column, join.table, join.is_optional) for join in joins] == [
        ("fact_invoice_line", "track_key", "dim_track", False),
        ("dim_track", "artist_key", "dim_artist", True),
    ]


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("{label: R, table: fact_invoice, value: count(*), unit: x, additive_over: []}", "meaning is missing"),
        (REVENUE.replace("sum(total)", "avg(total)"), r"'avg\(total\)' is no sum"),
        (REVENUE.replace("sum(total)", "sum(total); DROP TABLE x"), "is no sum"),
        (REVENUE.replace("sum(total)", "count(total)"), "rows are counted as"),
        (REVENUE.replace("table: fact_invoice", "table: fact_x"), "fact_x is not among the tables above: fact_invoice"),
        (REVENUE.replace("everything", "[planet]"), "planet is no dimension of fact_invoice"),
        (FEW.replace("[]", "[country]"), "a count of distinct values cannot be added up"),
        (FEW.replace("customer)", "nobody)"), "nobody is not among the dimensions"),
        ("{label: X, meaning: Y, value: a / b, unit: money}", "a is not the name of a metric above"),
        (REVENUE.replace("unit", "colour: red, unit"), "colour means nothing here"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_metric_and_reason(metric: str, reason: str) -> None:
    with pytest.raises(MetricError, match=rf"sources/chinook/metrics\.yml: metric one: .*{reason}"):
        read_metrics(CATALOG, "chinook", f"{TABLE}metrics:\n  one: {metric}\n")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("fact_invoice: {dimensions: {mail: dim_customer.email}}", "dim_customer.email is personal"),
        ("fact_invoice: {dimensions: {x: dim_customer.colour}}", "dim_customer has no column colour"),
        ("fact_invoice: {dimensions: {x: dim_track.name}}", "no reference leads to dim_track"),
        ("fact_invoice: {dimensions: {x: colour}}", "there is no column colour"),
        ('fact_invoice: {dimensions: {"x y": total}}', "is not a name"),
        ("fact_invoice: {time: day}", "time means nothing here"),
        ("dim_customer: {dimensions: {}}", "it is no fact with a date_key, and no mart"),
        ("mart_x: {time: day, period: century}", "century"),
        ("mart_x: {time: day, period: day, joins: {customer_key: dim_x}}", "there is no dimension dim_x"),
    ],
)
def test_a_table_that_cannot_be_asked_is_refused_with_the_reason(table: str, reason: str) -> None:
    with pytest.raises(MetricError, match=rf"sources/chinook/metrics\.yml: table \w+: .*{reason}"):
        read_metrics(CATALOG, "chinook", f"tables: {{{table}}}\nmetrics: {{}}\n")


@pytest.mark.parametrize("name", ["country", "month", "time"])
def test_a_metric_with_the_name_of_what_it_is_asked_by_is_refused(name: str) -> None:
    with pytest.raises(MetricError, match=f"metric {name}: it has the name of a dimension or a period"):
        read_metrics(CATALOG, "chinook", f"{TABLE}metrics:\n  {name}: {REVENUE}\n")


def test_a_ratio_of_two_tables_is_refused() -> None:
    text = (
        "tables: {fact_invoice: {}, fact_invoice_line: {}}\nmetrics:\n"
        f"  one: {REVENUE}\n"
        "  two: {label: T, meaning: M, table: fact_invoice_line, value: count(*), unit: lines, additive_over: []}\n"
        "  ratio: {label: X, meaning: Y, value: one / two, unit: money}\n"
    )
    with pytest.raises(MetricError, match="metric ratio: one / two: both must be of one table"):
        read_metrics(CATALOG, "chinook", text)


def test_text_that_is_no_yaml_is_refused_with_the_files_name() -> None:
    with pytest.raises(MetricError, match=r"sources/chinook/metrics\.yml: "):
        read_metrics(CATALOG, "chinook", "tables: [")
