"""Validation before publish: pandera schemas from declarations, and what each rule found.

A broken rule stops the publish. A rule that crashes is an error of ours and raised as such, never taken for bad data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from cinestream_platform.declarations.column import Rule
from cinestream_platform.declarations.frames import NamedRule, named_rules, polars_type, rule_expression
from cinestream_platform.declarations.table import Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import MAX_VALUE, bounded, counted, form_of, one_line

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

SAMPLE_ROWS = 5
MAX_SAMPLE = 500
"""Characters of the rows that a message shows of one rule."""
GRAIN_RULE = "grain_unique"
STRUCTURE = ("WRONG_DATATYPE", "COLUMN_NOT_IN_SCHEMA", "COLUMN_NOT_IN_DATAFRAME", "DUPLICATE_COLUMN_LABELS")
"""pandera's reasons that speak of a frame's columns, not of its values."""


@dataclass(frozen=True)
class RuleResult:
    """What one rule found in a frame; ``sample`` holds what may be shown of a few failing rows."""

    name: str
    failed_rows: int
    sample: tuple[dict[str, Any], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no row broke the rule."""
        return self.failed_rows == 0


class RuleCrashedError(CineStreamError):
    """A rule could not be evaluated."""


class BrokenRulesError(CineStreamError):
    """Rows that break the rules of their table: nothing of them was published."""

    def __init__(self, table: Table, partition_key: str, results: list[RuleResult]) -> None:
        self.table, self.partition_key, self.results = table, partition_key, results
        broken = "; ".join(
            f"{r.name}: {counted(r.failed_rows, 'row')}, e.g. {bounded(str(list(r.sample)[:2]), MAX_SAMPLE)}"
            for r in results
            if not r.passed
        )
        where = table.qualified_name if partition_key == "whole" else f"{table.qualified_name} ({partition_key})"
        super().__init__(bounded(f"{where} is not published, its rows break rules: {broken}"))


def table_rules(table: Table) -> list[NamedRule]:
    """The rules that rows of a dim or fact are held against before publish."""
    return list(named_rules(table))


def _check_function(rule: Rule) -> Callable[[Any], pl.LazyFrame]:
    def keeps(data: Any) -> pl.LazyFrame:
        # A null is the affair of the column's own NOT NULL.
        kept: pl.LazyFrame = data.lazyframe.select(rule_expression(rule, pl.col(data.key)).fill_null(True))
        return kept

    return keeps


@lru_cache(maxsize=128)
def pandera_schema(table: Table) -> DataFrameSchema:
    """The pandera schema of a table, the columns that a build brings, in any order."""
    import pandera.polars as pa

    columns = {}
    for column in table.built_columns:
        checks = [
            pa.Check(_check_function(rule), name=f"{column.name}_{rule.name}", error=f"{column.name} is {rule}")
            for rule in column.rules
        ]
        columns[column.name] = pa.Column(polars_type(column.type), checks=checks, nullable=column.nullable)
    grain_checks = [pa.Check(_grain_check(table.natural_key), name=GRAIN_RULE, error=table.grain)]
    return pa.DataFrameSchema(columns, checks=grain_checks, strict=True, name=table.qualified_name)


def _grain_check(grain: Sequence[str]) -> Callable[[Any], pl.LazyFrame]:
    def is_unique(data: Any) -> pl.LazyFrame:
        rows: pl.LazyFrame = data.lazyframe
        # Facts come sorted by their key: comparing neighbours takes 1 ms a million rows, hashing them 100.
        if rows.select(_ascends(grain).fill_null(False).all()).collect().item():
            return rows.select(pl.lit(True))
        return rows.select(~pl.struct(grain).is_duplicated())

    return is_unique


def _ascends(grain: Sequence[str]) -> pl.Expr:
    """True where a row's key is greater than that of the row before it, column by column from the left."""
    greater: pl.Expr = pl.lit(False)
    for name in reversed(grain):
        value, before = pl.col(name), pl.col(name).shift(1)
        greater = (value > before) | ((value == before) & greater)
    return greater | (pl.int_range(pl.len()) == 0)


def validate(table: Table, frame: pl.DataFrame) -> list[RuleResult]:
    """Hold a frame against every rule of its table.

    Returns:
        One result per rule, also for rules that nothing broke; the last is ``grain_unique``.

    Raises:
        RuleCrashedError: A rule could not be evaluated, or the frame has not the declared columns and types.
    """
    from pandera.errors import SchemaErrors

    failed: set[str] = set()
    try:
        pandera_schema(table).validate(frame, lazy=True)
    except SchemaErrors as errors:
        failed = {_rule_name(error) for error in errors.schema_errors}
    results = [_result(table, named, frame, named.name in failed) for named in table_rules(table)]
    return [*results, _grain_result(table, frame, GRAIN_RULE in failed)]


def _rule_name(error: Any) -> str:
    from pandera.errors import SchemaErrorReason

    reason = error.reason_code
    if reason is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return f"{error.schema.name}_required"
    if reason is SchemaErrorReason.DATAFRAME_CHECK and error.check is not None:
        return str(error.check.name)
    # What pandera says of columns and types quotes no value; a check that crashes does.
    is_structure = reason is not None and reason.name in STRUCTURE
    says = f": {bounded(one_line(str(error)), MAX_SAMPLE)}" if is_structure else ""
    raise RuleCrashedError(f"{error.schema.name}: {reason.name if reason else 'error'}{says}") from error


def _result(table: Table, named: NamedRule, frame: pl.DataFrame, failed: bool) -> RuleResult:
    if not failed:
        return RuleResult(named.name, 0)
    value = pl.col(named.column.name)
    bad = frame.filter(value.is_null() if named.rule is None else ~rule_expression(named.rule, value))
    return RuleResult(named.name, bad.height, _sample(table, bad, named.column.name))


def _sample(table: Table, bad: pl.DataFrame, *columns: str) -> tuple[dict[str, Any], ...]:
    """A few rows. Of a table with personal columns, the key and the offending column unless they are such themselves.

    There, texts are shown by their form alone, since a source may have put a value into the column of another.
    """
    personal = {column.name for column in table.columns if column.is_personal}
    shown = dict.fromkeys((*table.natural_key, *columns)) if personal else bad.columns
    names = [name for name in shown if name not in personal]
    rows = bad.head(SAMPLE_ROWS).select(names).to_dicts()
    return tuple({name: _shown(value, is_form=bool(personal)) for name, value in row.items()} for row in rows)


def _shown(value: Any, *, is_form: bool) -> Any:
    if not isinstance(value, str | list):
        return value
    text = str(value)
    return bounded(form_of(text) if is_form else text, MAX_VALUE)


def _grain_result(table: Table, frame: pl.DataFrame, failed: bool) -> RuleResult:
    if not failed:
        return RuleResult(GRAIN_RULE, 0)
    bad = frame.filter(pl.struct(table.natural_key).is_duplicated())
    return RuleResult(GRAIN_RULE, bad.height, _sample(table, bad))
