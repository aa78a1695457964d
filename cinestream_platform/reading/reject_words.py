"""What may be said of rejected records to everybody: line, column, rule and, where it is not a personal one, the field.

The records themselves are in ``ops.rejected_row``, for engineers. What does not belong here: which rule a record breaks
(``records`` and the readers).
"""

from __future__ import annotations

import polars as pl

from cinestream_platform.declarations.frames import named_rules
from cinestream_platform.declarations.table import Table
from cinestream_platform.messages import MAX_VALUE, form_of
from cinestream_platform.reading.csv_records import FIELD_COUNT, FORMAT_RULES, VALUE_SIZE

SAID_RECORDS = 3


def reject_samples(samples: pl.DataFrame, table: Table) -> list[dict[str, object]]:
    """Rejected records (``line``, ``rule``, ``found``) as line, rule and value.

    ``value`` is the offending field as far as everybody may see it: null where nothing stood there, where the format of
    the record is broken, and of a personal column.
    """
    of_columns = {named.name for named in named_rules(table, from_text=True)}

    def value(rule: str, found: str | None) -> str | None:
        if rule in of_columns:
            return None if found is None else _field(found, table)
        return found if rule in (FIELD_COUNT, VALUE_SIZE) else None

    ordered = samples.sort("line", maintain_order=True)
    return [{"line": line, "rule": rule, "value": value(rule, found)} for line, rule, found in ordered.iter_rows()]


def reject_words(rejected: pl.DataFrame, table: Table) -> str:
    """The first rejected records (``REJECT_SCHEMA``) of a raw table in words."""
    first = rejected.head(SAID_RECORDS).select("line", "rule", "found")
    return "; ".join(f"line {line:,}{_words(rule, found, table)}" for line, rule, found in first.iter_rows())


def _words(rule: str, found: str | None, table: Table) -> str:
    named = next((named for named in named_rules(table, from_text=True) if named.name == rule), None)
    if named is not None:
        column = f", column {named.column.source_name or named.column.name}"
        return f"{column}: {_field(found, table)} breaks {rule} ({named.description})"
    count = ""
    if rule == FIELD_COUNT and found:
        count = f"; {found} instead of {sum(column.source_name is not None for column in table.columns)}"
    if rule == VALUE_SIZE and found:
        count = f"; of column {found} it is left out"
    return f" breaks {rule} ({FORMAT_RULES.get(rule, 'the format')}{count})"


def _field(found: str | None, table: Table) -> str:
    """The offending field.

    Where a table has personal columns, only the form of it: in a record with a field too many and one too few, a value
    stands in the column of another.
    """
    if found is None:
        return "the field"
    cut = found[:MAX_VALUE]
    text = form_of(cut) if any(column.is_personal for column in table.columns) else cut
    more = "…" if len(found) > MAX_VALUE else ""
    return f"{'a field like ' if text != cut else ''}{text!r}{more}"
