"""Which checks a table has, and what their metadata shows."""

import pytest
from dagster import AssetKey

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.frames import named_rules
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.orchestration.check_results import (
    MAX_SHOWN,
    OTHER_COLUMNS,
    check_result,
    column_checks,
    rows_table,
)
from cinestream_platform.orchestration.raw_checks import raw_check_specs
from cinestream_platform.orchestration.table_checks import table_check_specs

KEY = AssetKey(["a", "b"])
TABLES = [table for table in CATALOG.tables if table not in CATALOG.predictions]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified_name)
def test_every_rule_belongs_to_one_check_and_a_column_with_rules_of_its_own_has_one(table):
    from_text = isinstance(table, RawTable)
    checks = column_checks(table, from_text=from_text)
    said = [rule.name for rules in checks.values() for rule in rules]
    assert sorted(said) == sorted(rule.name for rule in named_rules(table, from_text=from_text))
    with_rules = {column.name for column in table.built_columns if column.rules}
    assert set(checks) - {OTHER_COLUMNS} == {f"column_{name}" for name in with_rules}
    assert all(
        len({rule.column.name for rule in rules}) == 1 for name, rules in checks.items() if name != OTHER_COLUMNS
    )


def test_every_check_is_described_by_sentences_and_no_name_occurs_twice():
    specs = [spec for feed in (*CATALOG.feeds, *CATALOG.extracts) for spec in raw_check_specs(feed, KEY)]
    specs += [spec for table in TABLES if not isinstance(table, RawTable) for spec in table_check_specs(table, KEY)]
    assert [spec.name for spec in specs if not (spec.description or "").endswith(".")] == []
    for feed in CATALOG.feeds:
        names = [spec.name for spec in raw_check_specs(feed, KEY)]
        assert len(names) == len(set(names))


def test_samples_are_a_table_of_few_bounded_texts():
    rows = [{"file": "a.csv", "value": "x" * 10_000}, {"file": "b.csv", "line": 3}]
    table = rows_table(rows)
    assert [column.name for column in table.schema.columns] == ["file", "value", "line"]
    assert [set(record.data) for record in table.records] == [{"file", "value", "line"}] * 2
    assert max(len(text) for record in table.records for text in record.data.values()) <= MAX_SHOWN
    assert table.records[1].data == {"file": "b.csv", "value": "", "line": "3"}
    shown = check_result(KEY, "c", False, {"text": "y" * 100_000}, rows * 50)
    assert len(shown.metadata["samples"].records) == 5
    assert len(shown.metadata["text"].value) <= 20_000
