"""What dbt is told of dims and facts is what their declarations say: the docs of the marts are made from it."""

import yaml

from cinestream_platform.catalog import TABLES
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.marts.sources import SOURCES_FILE, sources_yml


def test_the_file_in_the_project_is_what_the_declarations_say():
    stored = SOURCES_FILE.read_text(encoding="utf-8")
    assert stored == sources_yml(TABLES), "a declaration has changed: run `make sources`"


def test_dbt_knows_every_open_column_of_dims_and_facts_and_nothing_else():
    sources = yaml.safe_load(sources_yml(TABLES))["sources"]
    described = {
        (source["name"], table["name"], column["name"]): column["data_type"]
        for source in sources
        for table in source["tables"]
        for column in table["columns"]
    }
    assert described == {
        (table.schema, table.name, column.name): str(column.type)
        for table in TABLES
        if not isinstance(table, RawTable)
        for column in table.columns
        if not column.is_personal
    }


def test_a_description_with_quotes_and_colons_is_read_back_as_it_was():
    sources = yaml.safe_load(sources_yml(TABLES))["sources"]
    found = {(source["name"], table["name"]): table for source in sources for table in source["tables"]}
    for table in TABLES:
        if not isinstance(table, RawTable):
            stored = found[table.schema, table.name]
            assert stored["description"].startswith(f"{table.description} Grain: {table.grain}.")
            descriptions = [column.description for column in table.columns if not column.is_personal]
            assert [column["description"] for column in stored["columns"]] == descriptions
