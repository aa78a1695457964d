"""From text fields to typed rows: every record either keeps all rules of its table or is rejected by name.

Input and output are frames; files and their framing are ``csv_reader``'s. Types are cast leniently here and the nulls
compared, because polars' own dropping of invalid rows would lose them without a trace. Numbers that tools write in
another form than declared are accepted where that changes no value, and counted (``tolerance``).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.frames import NamedRule, named_rules, polars_type, rule_expression
from cinestream_platform.declarations.table import Table
from cinestream_platform.reading.blocks import MAX_FOUND_CHARS
from cinestream_platform.reading.tolerance import is_number, tolerated

MICROSECONDS = 1_000_000
SPARE_DIGITS = 6
"""Decimals are read with this many more digits than declared, so that 3.25 is seen and not rounded to 3.2."""

_JSON_TEXT = (
    r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r'|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"'
)
JSON_TEXTS = rf"^\[\s*(?:(?:{_JSON_TEXT}|null)(?:\s*,\s*(?:{_JSON_TEXT}|null))*\s*)?\]$"
"""A JSON array of texts and nulls alone: no array in it, no number, no half of a surrogate pair."""

DATE_BYTES = len("2005-01-03")
TOLERATED = "tolerated_"

BROKEN_SCHEMA = {"line": pl.Int64(), "rule": pl.String(), "row": pl.Int64(), "found": pl.String()}


def _wide(column: Column) -> pl.Decimal:
    """The type in which decimals of a column are judged."""
    return pl.Decimal(38, (column.type.scale or 0) + SPARE_DIGITS)


def _plain_decimal(digits: int) -> str:
    """Pattern of the decimals that a cast to so many fractional digits keeps exact: it would round any other."""
    return rf"^[+-]?[0-9]*\.?[0-9]{{0,{digits}}}0*$"


def _instant(text: pl.Expr, time_zone: str) -> pl.Expr:
    """ISO 8601 text as an instant; without an offset it is a time in the declared zone. Null where it is none.

    A local time that a change of clocks skips does not exist; of one that comes twice the first is meant.
    """
    spaced = text.str.replace("T", " ", literal=True)
    naive = pl.coalesce(
        spaced.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
        spaced.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False),
        spaced.str.to_datetime("%Y-%m-%d", time_unit="us", strict=False),
    )
    local = naive.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    offset = spaced.str.replace("Z$", "+00:00").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False)
    return pl.coalesce(local.dt.convert_time_zone("UTC"), offset.dt.convert_time_zone("UTC"))


def _parsed(column: Column) -> pl.Expr:
    """The value as a number wide enough to judge it; null where the text is none."""
    text = pl.col(column.name)
    kind = column.type.kind
    if kind is Kind.TEXT:
        return text
    if column.is_epoch_seconds or kind in (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT):
        return text.cast(pl.Int64, strict=False)
    if kind is Kind.NUMERIC:
        wide = _wide(column)
        return pl.when(text.str.contains(_plain_decimal(wide.scale))).then(text.cast(wide, strict=False))
    if kind is Kind.DATE:
        # polars would also take 2005-1-3 and a blank or sign in front.
        is_plain = (text.str.len_bytes() == DATE_BYTES) & (text >= "0")
        return pl.when(is_plain).then(text.str.to_date("%Y-%m-%d", strict=False))
    if kind is Kind.BOOLEAN:
        return text.replace_strict({"t": True, "true": True, "f": False, "false": False}, default=None)
    if kind is Kind.TEXT_ARRAY:
        is_flat = text.str.contains(JSON_TEXTS)  # polars would fail on any other, for all records
        return pl.when(is_flat).then(text).str.json_decode(pl.List(pl.String()))
    if kind is Kind.TIMESTAMP and column.time_zone:
        return _instant(text, column.time_zone)
    if kind is Kind.DOUBLE:
        value = text.cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)
    return text.cast(polars_type(column.type), strict=False)


def _typed(column: Column) -> pl.Expr:
    """The judged value in its declared type; null where it does not fit."""
    value = pl.col(f"parsed_{column.name}")
    if column.is_epoch_seconds:
        return (value * MICROSECONDS).cast(pl.Datetime("us", "UTC"), strict=False)
    return value.cast(polars_type(column.type), strict=False)


def _breaks(table: Table, columns: Sequence[Column], not_after: datetime) -> list[tuple[NamedRule, pl.Expr]]:
    """Each rule with an expression that is true where a record breaks it.

    A type is judged twice: first whether the text is a number at all, last whether the number fits the column, so
    that a rating of 3.25 is reported by the rule on its steps and not as a misfit of numeric(2,1).
    """
    broken, misfits = [], []
    for named in named_rules(table, from_text=True):
        if named.column not in columns:
            continue
        text, value = pl.col(named.column.name), pl.col(f"parsed_{named.column.name}")
        if named.rule is not None:
            broken.append((named, ~rule_expression(named.rule, value)))
        elif named.name.endswith("_required"):
            broken.append((named, text.is_null()))
        elif named.name.endswith("_future"):
            epoch = named.column.is_epoch_seconds
            broken.append((named, value > (int(not_after.timestamp()) if epoch else pl.lit(not_after))))
        else:
            broken.append((named, text.is_not_null() & value.is_null()))
            misfits.append((named, value.is_not_null() & ~_fits(named.column, value)))
    return [(named, expression.fill_null(False)) for named, expression in broken + misfits]


def _fits(column: Column, value: pl.Expr) -> pl.Expr:
    """True where a number is one of the column's type."""
    typed = _typed(column)
    if column.type.kind is not Kind.NUMERIC:
        return typed.is_not_null()
    return (typed.cast(_wide(column)) == value).fill_null(False)


class Split(NamedTuple):
    """Typed rows, rejected records, and how many of the rows' values were tolerated, by column."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    tolerated: Counter[str]


def split_records(records: pl.DataFrame, table: Table, *, file_id: int, not_after: datetime) -> Split:
    """Split text records into typed rows of ``table`` and rejected records.

    Args:
        records: ``line`` (Int64) and one String column per source column under the table's column names; an empty
            field is null.
        table: A raw table.
        file_id: The landed file, written into ``_file_id``.
        not_after: Events later than this are rejected.

    Returns:
        The typed rows in declared columns, and the rejected as ``line``, ``rule`` (the first that is broken), ``row``
        (index into ``records``) and ``found``.
    """
    columns = [column for column in table.columns if column.source_name]
    found = judged(records, columns, table, not_after=not_after)
    broken = first_broken(found, columns, table, not_after=not_after)
    return Split(typed_rows(found, columns, file_id=file_id), broken, count_tolerated(found))


def judged(records: pl.DataFrame, columns: Sequence[Column], table: Table, *, not_after: datetime) -> pl.DataFrame:
    """The records with the value of each column as ``parsed_<name>``, and ``is_bad`` where one breaks a rule.

    Where values of a column were tolerated, ``tolerated_<name>`` says which.
    """
    breaks = [breaks for _, breaks in _breaks(table, columns, not_after)] or [pl.lit(False)]
    is_bad = pl.any_horizontal(breaks).alias("is_bad")
    parsed = records.lazy().with_columns(_parsed(c).alias(f"parsed_{c.name}") for c in columns)
    found = parsed.with_columns(is_bad).collect()
    again = _with_tolerated(found, columns)
    return found if again is None else again.with_columns(is_bad)


def _with_tolerated(found: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame | None:
    """The records with the values that can be tolerated; ``None`` where there are none, as in nearly every block.

    Only records that are bad are looked at, so that good ones cost nothing more.
    """
    numbers = [column for column in columns if is_number(column)]
    rows = found["is_bad"].arg_true()
    if not numbers or rows.is_empty():
        return None
    bad = found.select(name for c in numbers for name in (c.name, f"parsed_{c.name}"))[rows]
    unread = {c.name: pl.col(c.name).is_not_null() & pl.col(f"parsed_{c.name}").is_null() for c in numbers}
    suspects = bad.select(**{name: is_unread.any() for name, is_unread in unread.items()}).row(0, named=True)
    suspected = [column for column in numbers if suspects[column.name]]
    if not suspected:
        return None
    values = bad.select(tolerated(c, _wide(c)).alias(c.name) for c in suspected)
    names = [c.name for c in suspected if values[c.name].null_count() < values.height]
    if not names:
        return None
    places = pl.Series([None], dtype=pl.Int64).new_from_index(0, found.height)
    places = places.scatter(rows, pl.int_range(rows.len(), eager=True))
    read = {name: values[name].gather(places) for name in names}
    is_tolerated = {name: read[name].is_not_null() & found[f"parsed_{name}"].is_null() for name in names}
    return found.with_columns(
        *(pl.coalesce(f"parsed_{name}", read[name]).alias(f"parsed_{name}") for name in names),
        *(flags.alias(f"{TOLERATED}{name}") for name, flags in is_tolerated.items()),
    )


def count_tolerated(found: pl.DataFrame) -> Counter[str]:
    """How many values of the ``judged`` records that are not bad were tolerated, by column."""
    flags = [name for name in found.columns if name.startswith(TOLERATED)]
    counts = found.select((pl.col(name) & ~pl.col("is_bad")).sum() for name in flags)
    return +Counter({name.removeprefix(TOLERATED): counts[name][0] for name in flags})


def typed_rows(found: pl.DataFrame, columns: Sequence[Column], *, file_id: int) -> pl.DataFrame:
    """The rows of the ``judged`` records that are not bad, in the table's types."""
    good = found.filter(~pl.col("is_bad")) if found["is_bad"].any() else found
    return good.select(
        *(_typed(c).alias(c.name) for c in columns),
        pl.lit(file_id, pl.Int64).alias("_file_id"),
        pl.col("line").alias("_line"),
    )


def first_broken(found: pl.DataFrame, columns: Sequence[Column], table: Table, *, not_after: datetime) -> pl.DataFrame:
    """The first rule that each bad one of the ``judged`` records breaks: ``line``, ``rule``, ``row`` and ``found``.

    Of these alone, since naming costs more than judging. ``found`` is the beginning of the field that breaks it; of a
    personal column it is NULL.
    """
    if not found["is_bad"].any():
        return pl.DataFrame(schema=BROKEN_SCHEMA)
    broken = _breaks(table, columns, not_after)
    first = pl.coalesce(pl.when(breaks).then(pl.lit(named.name)) for named, breaks in broken)
    rows = found["is_bad"].arg_true()
    named = found[rows].with_columns(row=rows.cast(pl.Int64), rule=first)
    return named.select("line", "rule", "row", found=_offending(named["rule"], broken))


def _offending(rules: pl.Series, broken: Sequence[tuple[NamedRule, pl.Expr]]) -> pl.Expr:
    """The beginning of the field that breaks the rule."""
    occurring = set(rules.unique())
    columns = {named.name: named.column for named, _ in broken if named.name in occurring}
    return pl.coalesce(
        pl.lit(None, pl.String()),
        *(
            pl.when(pl.col("rule") == name).then(pl.col(column.name).str.slice(0, MAX_FOUND_CHARS))
            for name, column in columns.items()
            if not column.is_personal
        ),
    )


def with_nulls(records: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The records with NULL where the feed's spelling of it stands."""

    def words(column: Column) -> tuple[str, ...]:
        return ("", *feed.null_words) if column.nullable else ("",)

    columns = [column for column in feed.table.columns if column.source_name]
    text = {column.name: pl.col(column.name) for column in columns}
    return records.with_columns(
        pl.when(pl.all_horizontal(text[c.name] != word for word in words(c))).then(text[c.name]).alias(c.name)
        for c in columns
    )
