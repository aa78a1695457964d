"""The declaration of a metric: what it means, how it is computed, and by what it may be asked for. Pure.

What belongs here: the metric as frozen values. How it is read from ``metrics.yml`` is ``metrics.declared``'s, its SQL
``metrics.question``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TIME = "time"
"""What ``additive_over`` says for days, months and years."""


class Period(StrEnum):
    """By which a metric may be asked for over time, the finest first."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True)
class Join:
    """A step from a table to a dimension: ``column`` there is ``key`` here. ``is_optional``: not every row has one."""

    table: str
    schema: str
    left: str
    column: str
    key: str
    is_optional: bool


@dataclass(frozen=True)
class MetricDimension:
    """What a metric may be asked for by: a column, and the joins that lead to its table."""

    name: str
    table: str
    column: str
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True)
class Base:
    """The table that a metric is computed from: a fact, or a mart, and what it may be asked for by.

    ``time`` is its column of days: ``date_key`` of a fact, or a date; ``finest`` is the shortest period that it knows.
    """

    schema: str
    table: str
    time: str
    finest: Period
    dimensions: Mapping[str, MetricDimension]

    @property
    def periods(self) -> tuple[Period, ...]:
        """The periods by which it can be asked: the finest and those made of it."""
        known = tuple(Period)
        return known[known.index(self.finest) :]


@dataclass(frozen=True)
class Aggregate:
    """A figure of one table: ``sum`` or ``count`` of a column, of distinct values, or of rows (``column`` is None)."""

    function: str
    column: str | None
    is_distinct: bool
    at: MetricDimension | None
    where: str | None

    def formula(self, table: str) -> str:
        """In words of SQL."""
        counted = f"{'distinct ' if self.is_distinct else ''}{self.column or '*'}"
        return f"{self.function}({counted}) of {table}" + (f" where {self.where}" if self.where else "")


@dataclass(frozen=True)
class Metric:
    """A figure: ``value``, or ``value`` divided by ``divisor``.

    ``additive_over`` names what its parts may be added up over: dimensions, and ``time``.
    """

    source: str
    name: str
    label: str
    meaning: str
    unit: str
    decimals: int
    owner: str
    base: Base
    value: Aggregate
    divisor: Aggregate | None
    formula: str
    additive_over: tuple[str, ...]
