"""``cinestream metric``: the figures that are defined, and the answer to a question about one with its SQL."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.tables import print_table, say
from cinestream_platform.declarations.metric import Metric
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import bounded
from cinestream_platform.metrics.declared import all_metrics
from cinestream_platform.metrics.question import NotAskedSoError, Question
from cinestream_platform.reader import login
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import ANALYST
from cinestream_platform.warehouse.connection import connect

MAX_NAME = 100
_PERIODS = re.compile(r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2}))?)?")


class UnknownMetricError(CineStreamError):
    """There is no metric of that name."""


class NoAnswerError(CineStreamError):
    """Postgres refused the question."""


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line. ``first`` and ``last`` are days, months or years, both included."""

    by: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    where: tuple[str, ...] = ()
    limit: int = 20


def list_metrics(source: str | None) -> None:
    """Print every metric, or those of one source."""
    metrics = [metric for metric in all_metrics(CATALOG) if source in (None, metric.source)]
    rows = [[m.name, m.source, m.unit, m.formula, ", ".join((*m.base.dimensions, *m.base.periods))] for m in metrics]
    print_table(Console(), "Metrics", ["metric", "source", "unit", "formula", "by"], rows, texts=4)


def answer(settings: Settings, name: str, source: str | None, asked: Asked) -> None:
    """Print the answer of every source that has the metric, or of one, and its SQL.

    Raises:
        UnknownMetricError: No source has it; the message has names that are like it.
        NotAskedSoError: It cannot be asked for by that.
        NoAnswerError: Postgres refused the question.
    """
    console = Console()
    questions = _questions(name, source, asked)
    for place, question in enumerate(questions):
        if place:
            say(console, "")
        _show(console, question, _rows(settings, question, asked.limit), asked)


def _questions(name: str, source: str | None, asked: Asked) -> list[Question]:
    """One for each source that has the metric and can be asked so; what none can be asked is an error."""
    known = [metric for metric in all_metrics(CATALOG) if source in (None, metric.source)]
    metrics = [metric for metric in known if metric.name == name]
    if not metrics:
        names = list(dict.fromkeys(metric.name for metric in known))
        alike = get_close_matches(name, names, 3) or names
        raise UnknownMetricError(f"there is no metric {bounded(name, MAX_NAME)}; there are {', '.join(alike)}")
    days, where = _days(asked), tuple(_condition(text) for text in asked.where)
    found, refused = [], []
    for metric in metrics:
        try:
            found.append(Question(metric, asked.by, days, where))
        except NotAskedSoError as error:
            refused.append(str(error))
    if not found:
        raise NotAskedSoError("; ".join(refused))
    return found


def _days(asked: Asked) -> tuple[date, date] | None:
    if asked.first is None and asked.last is None:
        return None
    first = _days_of(asked.first)[0] if asked.first else date(1900, 1, 1)
    last = _days_of(asked.last)[1] if asked.last else date(9999, 12, 31)
    if last < first:
        raise NotAskedSoError(f"{asked.last} is before {asked.first}")
    return first, last


def _days_of(text: str) -> tuple[date, date]:
    """First and last day of 2013, 2013-05 or 2013-05-01."""
    found = _PERIODS.fullmatch(text)
    try:
        year, month, day = (int(found[part]) if found and found[part] else None for part in ("year", "month", "day"))
        if year is None:
            raise ValueError
        if day and month:
            return date(year, month, day), date(year, month, day)
        last = month or 12
        return date(year, month or 1, 1), date(year, last, calendar.monthrange(year, last)[1])
    except ValueError:
        raise NotAskedSoError(f"{bounded(text, MAX_NAME)} is no day, month or year, such as 2013-05") from None


def _condition(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given:
        raise NotAskedSoError(f"{bounded(text, MAX_NAME)} is no condition, such as country=Canada")
    return name.strip(), value.strip()


def _rows(settings: Settings, question: Question, limit: int) -> list[tuple[Any, ...]]:
    """Up to one row more than the limit, read as an analyst."""
    target, acting = login(settings, ANALYST)
    try:
        with connect(target, role=acting) as conn, conn.transaction():
            conn.execute("SET TRANSACTION READ ONLY")
            return conn.execute(sql.SQL(question.sql())).fetchmany(limit + 1)
    except psycopg.errors.InvalidTextRepresentation:
        raise NoAnswerError(f"{question.metric.name}: a value of --where is not of its column's type") from None
    except psycopg.errors.UndefinedTable:
        table = f"{question.metric.base.schema}.{question.metric.base.table}"
        raise NoAnswerError(f"{table} is not there yet: materialize it in the UI, or run cinestream demo") from None


def _show(console: Console, question: Question, rows: Sequence[Sequence[Any]], asked: Asked) -> None:
    metric = question.metric
    span = " to ".join(dict.fromkeys(part for part in (asked.first, asked.last) if part))
    title = ", ".join([f"{metric.label} ({metric.source}, {metric.unit})", *([span] if span else [])])
    shown = [[*map(_text, row[:-1]), _figure(metric, row[-1])] for row in rows[: asked.limit]]
    if question.by:
        print_table(console, title, [*question.by, metric.name], shown)
    else:
        say(console, f"{title}: {shown[0][-1]}")
    if len(rows) > asked.limit:
        say(console, f"The first {asked.limit} rows; --limit shows more.")
    say(console, "")
    say(console, metric.meaning)
    say(console, "")
    for line in f"{question.sql()};".splitlines():
        say(console, line)


def _text(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _figure(metric: Metric, value: Decimal | int | None) -> str:
    if value is None:
        return "none"
    return f"{value:.2%}" if metric.unit == "share" else f"{value:,.{metric.decimals}f}"
