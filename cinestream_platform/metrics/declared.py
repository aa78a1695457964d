"""The metrics of a source, read from ``metrics.yml`` in its package and checked against its tables.

What belongs here: the form of that file, and a sentence for whatever is wrong in it. docs/metrics.md describes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.metric import TIME, Aggregate, Base, Join, Metric, MetricDimension, Period
from cinestream_platform.declarations.star_table import Fact
from cinestream_platform.declarations.table import Dimension, Table
from cinestream_platform.errors import CineStreamError

FILE = "metrics.yml"
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
DECIMALS = {"money": 2, "share": 6}
"""Of units whose values are no whole numbers; ``decimals`` says others."""
EVERYTHING = "everything"
_AGGREGATE = re.compile(r"(?P<function>sum|count)\((?P<distinct>distinct )?(?P<column>\*|[a-z0-9_.]+)\)")
_RATIO = re.compile(r"(?P<value>[a-z0-9_]+) / (?P<divisor>[a-z0-9_]+)")


Way = tuple[str, tuple[Join, ...], str, Dimension, bool]
"""From a table, by the joins that led there, over a column to a dimension; whether the column may be empty."""


class MetricError(CineStreamError):
    """Something in a ``metrics.yml`` cannot be meant; the message names the file and the metric."""


@cache
def all_metrics(catalog: Catalog) -> tuple[Metric, ...]:
    """The metrics of every source, in the order of the sources and of their files.

    Raises:
        MetricError: A file says what cannot be meant.
    """
    return tuple(metric for source in catalog.names for metric in metrics_of(catalog, source))


def metrics_of(catalog: Catalog, source: str) -> tuple[Metric, ...]:
    """The metrics of one source; none where its package has no ``metrics.yml``.

    Raises:
        MetricError: The file says what cannot be meant.
    """
    path = files("cinestream_platform.sources") / source / FILE
    return read_metrics(catalog, source, path.read_text(encoding="utf-8")) if path.is_file() else ()


def read_metrics(catalog: Catalog, source: str, text: str) -> tuple[Metric, ...]:
    """The metrics that a file's text declares.

    Raises:
        MetricError: It says what cannot be meant.
    """
    with _naming(f"sources/{source}/{FILE}"):
        said = yaml.safe_load(text) or {}
        bases = {name: _base(catalog, source, name, table or {}) for name, table in said.pop("tables").items()}
        declared, found = dict(said.pop("metrics")), catalog.source(source)
        _nothing_else(said)
        made: dict[str, Metric] = {}
        for name, entry in declared.items():
            with _naming(f"metric {name}"):
                made[name] = _metric(source, name, dict(entry), bases, made, found.owner if found else "")
    return tuple(made.values())


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """What is wrong below is said with the name of where it is."""
    try:
        yield
    except KeyError as error:
        raise MetricError(f"{place}: {error.args[0]} is missing") from error
    except (MetricError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise MetricError(f"{place}: {error}") from error


def _nothing_else(entry: Mapping[str, Any]) -> None:
    if entry:
        raise MetricError(f"{', '.join(map(str, entry))} means nothing here")


def _base(catalog: Catalog, source: str, name: str, entry: dict[str, Any]) -> Base:
    """A fact by its declaration, or a mart by what the file says of it."""
    with _naming(f"table {name}"):
        entry = dict(entry)
        star = catalog.source(source)
        table = next((one for one in star.star_tables if one.name == name), None) if star else None
        if table is None and star:
            schema, time, finest = star.mart_schema, str(entry.pop("time")), Period(entry.pop("period"))
            links = {str(column): str(dim) for column, dim in (entry.pop("joins", None) or {}).items()}
            start = [(column, _dimension(star.star_tables, dim), True) for column, dim in links.items()]
        elif isinstance(table, Fact) and any(column.name == "date_key" for column in table.columns):
            schema, time, finest = table.readable_schema, "date_key", Period.DAY
            start = [(r.column, r.table, table.column(r.column).nullable) for r in table.references if r.on]
        else:
            raise MetricError("it is no fact with a date_key, and no mart")
        reached = dict(_reached(name, start))
        columns = None if table is None else {column.name for column in table.columns}
        wanted = entry.pop("dimensions", None) or {}
        _nothing_else(entry)
        found = {key: _found(str(key), str(path), name, columns, reached) for key, path in wanted.items()}
    return Base(_checked(schema), _checked(name), _checked(time), finest, found)


def _dimension(tables: tuple[Table, ...], name: str) -> Dimension:
    for table in tables:
        if table.name == name and isinstance(table, Dimension):
            return table
    raise MetricError(f"there is no dimension {name}")


def _reached(
    base: str, start: list[tuple[str, Dimension, bool]]
) -> Iterator[tuple[str, tuple[Dimension, tuple[Join, ...]]]]:
    """Every dimension that references lead to, with the shortest way there. A bridge is no way: it repeats rows."""
    ways: list[Way] = [(base, (), column, dim, optional) for column, dim, optional in start]
    seen: set[str] = set()
    while ways:
        further: list[Way] = []
        for left, joins, column, dim, optional in ways:
            if dim.name in seen:
                continue
            seen.add(dim.name)
            way = (*joins, Join(dim.name, dim.readable_schema, left, column, dim.primary_key[0], optional))
            yield dim.name, (dim, way)
            further += [
                (dim.name, way, r.column, r.table, optional or dim.column(r.column).nullable) for r in dim.references
            ]
        ways = further


def _found(
    name: str,
    path: str,
    base: str,
    columns: set[str] | None,
    reached: Mapping[str, tuple[Dimension, tuple[Join, ...]]],
) -> MetricDimension:
    """A dimension by its path: a column of the table itself, or ``dim_x.column``."""
    _checked(name)
    table, _, column = path.rpartition(".")
    if not table:
        if columns is not None and column not in columns:
            raise MetricError(f"dimension {name}: there is no column {column}")
        return MetricDimension(name, base, _checked(column))
    if table not in reached:
        raise MetricError(f"dimension {name}: no reference leads to {table}")
    dim, joins = reached[table]
    declared = next((one for one in dim.columns if one.name == column), None)
    if declared is None:
        raise MetricError(f"dimension {name}: {table} has no column {column}")
    if declared.is_personal:
        raise MetricError(f"dimension {name}: {path} is personal and closed to analysts")
    return MetricDimension(name, table, column, joins)


def _checked(name: str) -> str:
    """A name that needs no quotes: it stands in SQL as it is."""
    if not NAME.fullmatch(name):
        raise MetricError(f"{name!r} is not a name in lower case, digits and _")
    return name


def _metric(
    source: str, name: str, entry: dict[str, Any], bases: Mapping[str, Base], earlier: Mapping[str, Metric], owner: str
) -> Metric:
    value, where = str(entry.pop("value")), entry.pop("where", None)
    ratio = _RATIO.fullmatch(value)
    if ratio:
        parts = [_part(earlier, ratio[side]) for side in ("value", "divisor")]
        if parts[0].base is not parts[1].base:
            raise MetricError(f"{value}: both must be of one table")
        base, top, divisor, formula = parts[0].base, parts[0].value, parts[1].value, value
        over: tuple[str, ...] = ()
    else:
        base = _of(bases, str(entry.pop("table")))
        top, divisor = _aggregate(value, base, where), None
        formula, over = top.formula(base.table), _additive(entry.pop("additive_over"), base, top)
    if name in (*base.dimensions, *Period, TIME):
        raise MetricError("it has the name of a dimension or a period")
    unit = str(entry.pop("unit"))
    made = Metric(
        source=source,
        name=_checked(name),
        label=str(entry.pop("label")),
        meaning=" ".join(str(entry.pop("meaning")).split()),
        unit=unit,
        decimals=int(entry.pop("decimals", DECIMALS.get(unit, 0))),
        owner=str(entry.pop("owner", owner)),
        base=base,
        value=top,
        divisor=divisor,
        formula=formula,
        additive_over=over,
    )
    _nothing_else(entry)
    return made


def _part(earlier: Mapping[str, Metric], name: str) -> Metric:
    if name not in earlier or earlier[name].divisor:
        raise MetricError(f"{name} is not the name of a metric above that is no ratio")
    return earlier[name]


def _of(bases: Mapping[str, Base], name: str) -> Base:
    if name not in bases:
        raise MetricError(f"{name} is not among the tables above: {', '.join(bases)}")
    return bases[name]


def _aggregate(value: str, base: Base, where: str | None) -> Aggregate:
    found = _AGGREGATE.fullmatch(value)
    if found is None:
        raise MetricError(f"{value!r} is no sum(column), count(*), count(distinct dimension) or metric / metric")
    column, is_distinct = found["column"], bool(found["distinct"])
    if is_distinct:
        if column not in base.dimensions:
            raise MetricError(f"{column} is not among the dimensions of {base.table}")
        return Aggregate("count", column, True, base.dimensions[column], where)
    if (found["function"] == "count") != (column == "*"):
        raise MetricError(f"{value!r}: rows are counted as count(*), columns are summed")
    return Aggregate(found["function"], None if column == "*" else _checked(column), False, None, where)


def _additive(said: Any, base: Base, value: Aggregate) -> tuple[str, ...]:
    if value.is_distinct and said:
        raise MetricError("a count of distinct values cannot be added up: additive_over is []")
    over = (TIME, *base.dimensions) if said == EVERYTHING else tuple(said)
    if unknown := set(over) - {TIME, *base.dimensions}:
        raise MetricError(f"additive_over: {', '.join(sorted(unknown))} is no dimension of {base.table}")
    return over
