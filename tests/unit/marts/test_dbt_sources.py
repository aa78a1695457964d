"""What dbt is told of dims and facts is what their declarations say: the docs of the marts are made from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cinestream_platform.catalog import TABLES
from cinestream_platform.marts.project import PROJECT_DIR

FILES = sorted(PROJECT_DIR.glob("models/**/*sources.yml"))
DECLARED = {(table.schema, table.name): {column.name: str(column.type) for column in table.columns} for table in TABLES}


def described_in(path: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(schema, table) to its columns as dbt has them."""
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    return {(source["schema"], table["name"]): table["columns"] for source in sources for table in source["tables"]}


def test_every_star_is_described():
    assert {"chinook", "movielens"} <= {path.parent.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT_DIR / "models")))
def test_every_column_that_dbt_knows_is_declared_with_that_type(path: Path):
    described = described_in(path)
    assert described
    differing = {
        f"{schema}.{table}.{column['name']}": (column["data_type"], declared)
        for (schema, table), columns in described.items()
        for column in columns
        if (declared := DECLARED.get((schema, table), {}).get(column["name"])) != column["data_type"]
    }
    assert differing == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT_DIR / "models")))
def test_dbt_knows_a_column_once_and_says_what_it_is(path: Path):
    for table, columns in described_in(path).items():
        names = [column["name"] for column in columns]
        assert len(set(names)) == len(names), table
        assert [column["name"] for column in columns if not column.get("description")] == []
