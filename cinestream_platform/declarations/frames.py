"""A declaration in polars' terms: schemas, and rules as expressions that are true where a value is good."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from cinestream_platform.declarations.column import (
    Between,
    Column,
    DataType,
    Kind,
    MaxLength,
    MultipleOf,
    NotBlank,
    Rule,
)
from cinestream_platform.declarations.table import Table

_DTYPES: dict[Kind, pl.DataType] = {
    Kind.SMALLINT: pl.Int16(),
    Kind.INTEGER: pl.Int32(),
    Kind.BIGINT: pl.Int64(),
    Kind.DOUBLE: pl.Float64(),
    Kind.TEXT: pl.String(),
    Kind.TEXT_ARRAY: pl.List(pl.String()),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.DATE: pl.Date(),
    Kind.TIMESTAMP: pl.Datetime("us", "UTC"),
}


def polars_type(data_type: DataType) -> pl.DataType:
    """The polars type that holds the same values as the declared type does in Postgres."""
    if data_type.kind is Kind.NUMERIC:
        return pl.Decimal(data_type.precision or 38, data_type.scale or 0)
    return _DTYPES[data_type.kind]


def polars_schema(table: Table) -> dict[str, pl.DataType]:
    """Column names and polars types of a table, in declared order."""
    return {column.name: polars_type(column.type) for column in table.columns}


def rule_expression(rule: Rule, value: pl.Expr) -> pl.Expr:
    """True where ``value`` keeps the rule, null where it is null."""
    if isinstance(rule, Between):
        low = value >= rule.low if rule.low is not None else pl.lit(True)
        high = value <= rule.high if rule.high is not None else pl.lit(True)
        return low & high
    if isinstance(rule, MultipleOf):
        return value % rule.step == 0
    if isinstance(rule, MaxLength):
        return value.str.len_chars() <= rule.characters
    if isinstance(rule, NotBlank):
        return value.str.strip_chars(" ") != ""
    return value.is_in(rule.values)


@dataclass(frozen=True)
class NamedRule:
    """A rule of a column under the name that its check, its counts and its rejected rows carry."""

    name: str
    column: Column
    rule: Rule | None
    description: str


def named_rules(table: Table, *, from_text: bool = False) -> Iterator[NamedRule]:
    """Every rule of a table in the order in which a record is held against them.

    ``from_text`` adds what only a text file can break: a value that is not of the column's type, an event after
    the file arrived.
    """
    for column in table.columns:
        if column.name.startswith("_") or column not in table.built_columns:
            continue
        if not column.nullable:
            yield NamedRule(f"{column.name}_required", column, None, f"{column.name} is not empty")
        if from_text and (column.type.kind is not Kind.TEXT):
            yield NamedRule(f"{column.name}_type", column, None, f"{column.name} is written as {column.type}")
        for rule in column.rules:
            yield NamedRule(f"{column.name}_{rule.name}", column, rule, f"{column.name} is {rule}")
        if from_text and (column.is_epoch_seconds or column.time_zone) and not column.may_be_future:
            yield NamedRule(f"{column.name}_future", column, None, f"{column.name} is not after the file's arrival")
