"""What every check of a declared table shares: which rules it speaks of, and how it shows numbers, rules and samples.

A column with rules of its own has a check. What follows from the types alone (a value is not empty, and is written as
its type) is one check for all other columns: a list of a hundred checks that say "is not empty" is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    MetadataValue,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
)

from cinestream_platform.declarations.frames import NamedRule, named_rules
from cinestream_platform.declarations.table import Table
from cinestream_platform.messages import MAX_METADATA, bounded

OTHER_COLUMNS = "other_columns"
SAMPLE_ROWS = 5
MAX_SHOWN = 500
"""Characters of one value in a sample."""


def column_checks(table: Table, *, from_text: bool = False) -> dict[str, list[NamedRule]]:
    """Name of each check of columns to the rules that it speaks of, in the order of the columns."""
    own: dict[str, list[NamedRule]] = {}
    others: list[NamedRule] = []
    for named in named_rules(table, from_text=from_text):
        if named.column.rules:
            own.setdefault(f"column_{named.column.name}", []).append(named)
        else:
            others.append(named)
    return own | ({OTHER_COLUMNS: others} if others else {})


def column_description(name: str, rules: Sequence[NamedRule]) -> str:
    """What a check of columns says, in words."""
    if name != OTHER_COLUMNS:
        return f"{'; '.join(rule.description for rule in rules)}."
    columns = ", ".join(dict.fromkeys(rule.column.name for rule in rules))
    return f"Columns without rules of their own hold values of their types, and are not empty if required: {columns}."


def rules_table(counts: Iterable[tuple[str, int]], counted: str) -> TableMetadataValue:
    """Rules in words with a number each."""
    schema = TableSchema([TableColumn("rule", "string"), TableColumn(counted, "int")])
    return MetadataValue.table([TableRecord({"rule": rule, counted: count}) for rule, count in counts], schema=schema)


def rows_table(rows: Sequence[Mapping[str, Any]]) -> TableMetadataValue:
    """A few rows, as texts of bounded length; they may have different columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    records = [
        TableRecord({name: "" if row.get(name) is None else bounded(str(row[name]), MAX_SHOWN) for name in names})
        for row in rows
    ]
    return MetadataValue.table(records, schema=TableSchema([TableColumn(name, "string") for name in names]))


def per_partition(numbers: Mapping[str, int]) -> dict[str, Any]:
    """Numbers of several partitions as a table; of one nothing."""
    if len(numbers) < 2:
        return {}
    schema = TableSchema([TableColumn("partition", "string"), TableColumn("rows", "int")])
    records = [TableRecord({"partition": key, "rows": value}) for key, value in numbers.items()]
    return {"by_partition": MetadataValue.table(records, schema=schema)}


def check_result(
    key: AssetKey,
    name: str,
    passed: bool,
    numbers: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
) -> AssetCheckResult:
    """What a check found: numbers, and a table of the first failing rows."""
    metadata = {k: bounded(v, MAX_METADATA) if isinstance(v, str) else v for k, v in numbers.items()}
    if samples:
        metadata["samples"] = rows_table(samples[:SAMPLE_ROWS])
    return AssetCheckResult(asset_key=key, check_name=name, passed=passed, metadata=metadata, severity=severity)
