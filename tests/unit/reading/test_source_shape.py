"""What of a source's tables no longer fits the declarations: every difference is named, none that means the same."""

from dataclasses import replace

import pytest

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.reading.source_shape import SourceColumn, SourceTable, drift

READER = "reader"
TYPES = {
    Kind.TEXT: ("mpaa_rating", "E", None),
    Kind.TEXT_ARRAY: ("text[]", "A", "S"),
    Kind.TIMESTAMP: ("timestamp without time zone", "D", None),
    Kind.SMALLINT: ("integer", "N", None),
    Kind.INTEGER: ("bigint", "N", None),
    Kind.NUMERIC: ("numeric", "N", None),
    Kind.BOOLEAN: ("boolean", "B", None),
    Kind.DATE: ("date", "D", None),
}


def source_column(column: Column) -> SourceColumn:
    return SourceColumn(*TYPES[column.type.kind], may_be_read=True)


def shape() -> dict[str, SourceTable]:
    return {
        feed.table.name: SourceTable(
            "r", False, {c.source_name: source_column(c) for c in feed.table.columns if c.source_name}
        )
        for feed in EXTRACTS
    }


def test_types_whose_values_mean_the_same_are_no_drift() -> None:
    assert drift(shape(), EXTRACTS, READER) == []
    partitioned = {name: replace(table, kind="p") for name, table in shape().items()}
    assert drift(partitioned, EXTRACTS, READER) == []


def test_all_that_is_missing_is_named_with_what_a_column_may_be_called_now() -> None:
    found = shape()
    del found["actor"], found["payment"].columns["amount"], found["film"].columns["title"]
    found["film"].columns["fulltext"] = SourceColumn("tsvector", "U", None, True)
    found["film"].columns["name"] = SourceColumn("character varying", "S", None, True)
    assert drift(found, EXTRACTS, READER) == [
        "table actor is missing",
        "column film.title is missing (is it name now?)",
        "column payment.amount is missing",
    ]


@pytest.mark.parametrize(
    ("table", "column", "type", "category", "element", "declared"),
    [
        ("payment", "amount", "text", "S", None, "numeric(5,2)"),
        ("payment", "payment_id", "text", "S", None, "integer"),
        ("payment", "payment_id", "numeric", "N", None, "integer"),
        ("rental", "last_update", "date", "D", None, "timestamptz"),
        ("customer", "create_date", "timestamp without time zone", "D", None, "date"),
        ("customer", "email", "jsonb", "U", None, "text"),
        ("customer", "activebool", "integer", "N", None, "boolean"),
        ("film", "special_features", "text", "S", None, "text[]"),
        ("film", "special_features", "integer[]", "A", "N", "text[]"),
    ],
)
def test_a_column_of_another_type_is_named_with_both_types(
    table: str, column: str, type: str, category: str, element: str | None, declared: str
) -> None:
    found = shape()
    found[table].columns[column] = SourceColumn(type, category, element, True)
    assert drift(found, EXTRACTS, READER) == [f"column {table}.{column} is of type {type}, declared as {declared}"]


def test_what_may_not_be_read_whole_is_named_with_what_the_owner_has_to_say() -> None:
    found = shape()
    found["staff"].columns.update({name: replace(c, may_be_read=False) for name, c in found["staff"].columns.items()})
    found["customer"].columns["email"] = replace(found["customer"].columns["email"], may_be_read=False)
    found["rental"] = replace(found["rental"], hides_rows=True)
    found["payment"] = replace(found["payment"], hides_rows=True)
    found["city"] = replace(found["city"], kind="v")
    assert drift(found, EXTRACTS, READER) == [
        "city is a view and no table",
        "permission denied for column customer.email (GRANT SELECT ON customer TO reader)",
        "permission denied for table staff (GRANT SELECT ON staff TO reader)",
        "row-level security hides rows of rental, payment from reader (ALTER ROLE reader BYPASSRLS lets it read all of "
        "them)",
    ]
