"""Metrics as rows of the catalogue."""

from collections.abc import Mapping, Sequence

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.metric import Metric, Period
from cinestream_platform.ledger.declared import DeclaredMetric
from cinestream_platform.metrics.declared import all_metrics
from cinestream_platform.metrics.question import Question


def declared_metrics(catalog: Catalog, held: Mapping[tuple[str, str], Sequence[str]]) -> list[DeclaredMetric]:
    """A row per metric. ``held`` names the columns of marts that hold a metric, by source and metric."""
    return [
        _row(metric, place, held.get((metric.source, metric.name), ()))
        for place, metric in enumerate(all_metrics(catalog), 1)
    ]


def _row(metric: Metric, position: int, columns: Sequence[str]) -> DeclaredMetric:
    return DeclaredMetric(
        source=metric.source,
        metric_name=metric.name,
        position=position,
        label=metric.label,
        meaning=metric.meaning,
        formula=metric.formula,
        unit=metric.unit,
        owner=metric.owner,
        schema_name=metric.base.schema,
        table_name=metric.base.table,
        dimensions=list(metric.base.dimensions),
        periods=[str(period) for period in metric.base.periods],
        additive_over=list(metric.additive_over),
        mart_columns=list(columns),
        sample_sql=Question(metric, by=(Period.YEAR,)).sql(),
    )
