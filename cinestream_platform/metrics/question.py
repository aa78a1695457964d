"""A question about metrics as SQL that an analyst would write: one table, the joins it needs, days as a range.

What belongs here: the question and its SQL. Who runs it, and how the answer looks, is ``commands.metric``'s.
Names come from declarations and are checked there, so that they stand in SQL as they are. What is asked for stands in
it as literals that psycopg quotes: the printed SQL is the one that ran.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from psycopg.sql import Literal

from cinestream_platform.declarations.metric import Aggregate, Join, Metric, MetricDimension, Period
from cinestream_platform.errors import CineStreamError

CALENDAR = Join("dim_date", "conformed", "", "date_key", "date_key", is_optional=False)
_OF_CALENDAR = {
    Period.DAY: "dim_date.date",
    Period.WEEK: "dim_date.week_start",
    Period.MONTH: "dim_date.month_start",
    Period.QUARTER: "dim_date.quarter_start",
    Period.YEAR: "dim_date.year",
}


class NotAskedSoError(CineStreamError):
    """A metric cannot be asked for by what was asked; the message says by what it can."""


@dataclass(frozen=True)
class Question:
    """A metric, by dimensions and periods in this order, within days (both included), where dimensions have values."""

    metric: Metric
    by: tuple[str, ...] = ()
    days: tuple[date, date] | None = None
    where: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        base, name = self.metric.base, self.metric.name
        known = [*base.dimensions, *base.periods]
        if unknown := [one for one in self.by if one not in known]:
            raise NotAskedSoError(
                f"{name} of {self.metric.source} cannot be asked for by {', '.join(unknown)}, but by {', '.join(known)}"
            )
        if unknown := [one for one, _ in self.where if one not in base.dimensions]:
            raise NotAskedSoError(
                f"{', '.join(unknown)} is no dimension of {name} of {self.metric.source}: {', '.join(base.dimensions)}"
            )
        if self.days and base.finest is not Period.DAY and not _are_whole_months(*self.days):
            raise NotAskedSoError(f"{name} of {self.metric.source} is known by {base.finest}: ask for whole ones")

    def sql(self) -> str:
        """The query: a column for each of ``by``, then the metric, the largest first; by periods, in time."""
        parts = {name: self._expression(name) for name in self.by}
        selected = [*(f"{text} AS {name}" for name, text in parts.items()), f"{self._value()} AS {self.metric.name}"]
        lines = ["SELECT", ",\n".join(f"    {column}" for column in selected)]
        lines.append(f"FROM {self.metric.base.schema}.{self.metric.base.table}")
        lines += [_joined(join) for join in self._joins()]
        if conditions := self._conditions():
            lines.append(f"WHERE {' AND '.join(conditions)}")
        if parts:
            lines.append(f"GROUP BY {', '.join(parts.values())}")
            lines.append(f"ORDER BY {', '.join(self._order())}")
        return "\n".join(lines)

    def _expression(self, name: str) -> str:
        base = self.metric.base
        if name in base.dimensions:
            found = base.dimensions[name]
            return f"{found.table}.{found.column}"
        if base.time == CALENDAR.key:
            return _OF_CALENDAR[Period(name)]
        column = f"{base.table}.{base.time}"
        if Period(name) is base.finest:
            return column
        truncated = f"date_trunc('{name}', {column})::date"
        return f"extract(year FROM {column})::smallint" if name == Period.YEAR else truncated

    def _value(self) -> str:
        metric = self.metric
        value = _aggregated(metric.value, metric.base.table)
        if metric.divisor is None:
            return f"coalesce({value}, 0)" if metric.value.function == "sum" else value
        divisor = _aggregated(metric.divisor, metric.base.table)
        return f"round({value}::numeric / nullif({divisor}, 0), {metric.decimals})"

    def _dimensions(self) -> list[MetricDimension]:
        metric, base = self.metric, self.metric.base
        named = [name for name in (*self.by, *(name for name, _ in self.where)) if name in base.dimensions]
        counted = [part.at for part in (metric.value, metric.divisor) if part and part.at]
        return [*(base.dimensions[name] for name in named), *counted]

    def _joins(self) -> list[Join]:
        """Those that are needed, each once, a table after the one that leads to it."""
        joins = {join.table: join for dimension in self._dimensions() for join in dimension.joins}
        base = self.metric.base
        if base.time == CALENDAR.key and any(name in list(Period) and name not in base.dimensions for name in self.by):
            joins[CALENDAR.table] = replace(CALENDAR, left=base.table)
        return list(joins.values())

    def _conditions(self) -> list[str]:
        found = []
        base = self.metric.base
        if self.days:
            first, last = (f"{day:%Y%m%d}" if base.time == CALENDAR.key else _quoted(day) for day in self.days)
            found.append(f"{base.table}.{base.time} BETWEEN {first} AND {last}")
        return [*found, *(f"{self._expression(name)} = {_quoted(value)}" for name, value in self.where)]

    def _order(self) -> Sequence[str]:
        times = [name for name in self.by if name not in self.metric.base.dimensions]
        others = [name for name in self.by if name not in times]
        return [*times, f"{self.metric.name} DESC NULLS LAST", *others]


def _aggregated(value: Aggregate, table: str) -> str:
    column = "*" if value.column is None else f"{table}.{value.column}"
    if value.at:
        column = f"DISTINCT {value.at.table}.{value.at.column}"
    return f"{value.function}({column})" + (f" FILTER (WHERE {value.where})" if value.where else "")


def _joined(join: Join) -> str:
    kind = "LEFT JOIN" if join.is_optional else "JOIN"
    return f"{kind} {join.schema}.{join.table} ON {join.table}.{join.key} = {join.left}.{join.column}"


def _quoted(value: str | date) -> str:
    return Literal(value).as_string(None)


def _are_whole_months(first: date, last: date) -> bool:
    return first.day == 1 and last.day == monthrange(last.year, last.month)[1]
