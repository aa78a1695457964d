"""Filters of polars as conditions of SQL, so that Postgres passes over the partitions and rows that nobody asked for.

What belongs here: comparisons of a column with constants, joined by ``and`` and ``or``. Everything else is left to
polars, which applies the whole filter once more to what comes: a condition that is missing here costs time alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import polars as pl
from psycopg.sql import SQL, Composed, Identifier, Literal

_COMPARISONS = {"Eq": SQL("="), "Gt": SQL(">"), "GtEq": SQL(">="), "Lt": SQL("<"), "LtEq": SQL("<=")}
_MIRRORED = {"Eq": "Eq", "Gt": "Lt", "GtEq": "LtEq", "Lt": "Gt", "LtEq": "GtEq"}
_RANGES = {"Both": ("GtEq", "LtEq"), "Left": ("GtEq", "Lt"), "Right": ("Gt", "LtEq"), "None": ("Gt", "Lt")}
MOST_VALUES = 1_000
"""Longer lists of values are compared by polars."""
_UNREADABLE = (pl.exceptions.PolarsError, ValueError, TypeError, KeyError, OverflowError)


class _NotTranslatedError(Exception):
    """A part of a filter that only polars can evaluate."""


def condition(predicate: pl.Expr | None, types: Mapping[str, pl.DataType]) -> Composed | None:
    """A condition that is true wherever ``predicate`` is; ``None`` where there is none to give.

    Args:
        predicate: The filter, as polars hands it to a source.
        types: The columns of the relation.
    """
    if predicate is None:
        return None
    with suppress(*_UNREADABLE):
        return _Translation(types).weakened(json.loads(predicate.meta.serialize(format="json")))
    return None


class _Translation:
    """The tree of an expression in polars' own JSON. Its form is not promised: what is not known is not translated."""

    def __init__(self, types: Mapping[str, pl.DataType]) -> None:
        self._types = types

    def weakened(self, node: Any) -> Composed | None:
        """The condition without the conjuncts that cannot be said in SQL."""
        match node:
            case {"BinaryExpr": {"left": left, "op": "And", "right": right}}:
                parts = [part for part in (self.weakened(left), self.weakened(right)) if part is not None]
                return SQL("({})").format(SQL(" AND ").join(parts)) if parts else None
        try:
            return self.exact(node)
        except (_NotTranslatedError, *_UNREADABLE):
            return None

    def exact(self, node: Any) -> Composed:
        """The same condition. Raises ``_NotTranslatedError``."""
        match node:
            case {"BinaryExpr": {"left": left, "op": "And" | "Or" as op, "right": right}}:
                word = SQL(" AND ") if op == "And" else SQL(" OR ")
                return SQL("({})").format(word.join([self.exact(left), self.exact(right)]))
            case {"BinaryExpr": {"left": {"Column": name}, "op": op, "right": {"Literal": _} as value}}:
                return self._compared(name, op, value)
            case {"BinaryExpr": {"left": {"Literal": _} as value, "op": op, "right": {"Column": name}}}:
                return self._compared(name, _MIRRORED.get(op, op), value)
            case {"Function": {"input": [{"Column": name}, low, high], "function": {"Boolean": {"IsBetween": closed}}}}:
                above, below = _RANGES[closed["closed"]]
                return SQL("({} AND {})").format(self._compared(name, above, low), self._compared(name, below, high))
            case {
                "Function": {
                    "input": [{"Column": name}, values],
                    "function": {"Boolean": {"IsIn": {"nulls_equal": False}}},
                }
            }:
                return self._listed(name, _value(values))
            case {"Function": {"input": [{"Column": name}], "function": {"Boolean": "IsNull" | "IsNotNull" as test}}}:
                return SQL("{} {}").format(self._column(name), SQL("IS NULL" if test == "IsNull" else "IS NOT NULL"))
            case {"Column": name} if self._types[name] == pl.Boolean:
                return SQL("{}").format(self._column(name))
        raise _NotTranslatedError

    def _compared(self, name: str, op: str, node: Any) -> Composed:
        # Texts are ordered by a collation of the database, which is not polars' order; floats have their own rules.
        kind, value = self._types[name], _value(node)
        is_ordered = kind.is_integer() or kind.is_decimal() or kind in (pl.Date, pl.Datetime)
        if op not in _COMPARISONS or not (is_ordered or (kind in (pl.String, pl.Boolean) and op == "Eq")):
            raise _NotTranslatedError
        return SQL("{} {} {}").format(self._column(name), _COMPARISONS[op], _literal(value))

    def _listed(self, name: str, values: Any) -> Composed:
        found = [value for value in values if value is not None]
        if not found or len(found) > MOST_VALUES or self._types[name].is_float():
            raise _NotTranslatedError
        return SQL("{} IN ({})").format(self._column(name), SQL(", ").join(map(_literal, found)))

    def _column(self, name: str) -> Identifier:
        if name not in self._types:
            raise _NotTranslatedError
        return Identifier(name)


def _value(node: Any) -> Any:
    """The constant that a node of the tree holds."""
    if "Literal" not in node:
        raise _NotTranslatedError
    expression = pl.Expr.deserialize(io.BytesIO(json.dumps(node).encode()), format="json")
    return pl.select(expression).item()


def _literal(value: Any) -> Literal:
    if value is None or isinstance(value, float) or (isinstance(value, str) and "\0" in value):
        raise _NotTranslatedError  # no text of Postgres holds a NUL
    return Literal(value)
