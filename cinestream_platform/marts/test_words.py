"""What dbt's tests are called, and what they say in words, for checks in Dagster and in the catalogue.

dbt knows a test by one name in the whole project, which begins with its mart's. Beside the mart the rest says it. That
is a sentence without blanks; a generic test adds what it compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Arguments = Mapping[str, Any]


def _range(of: Arguments) -> str:
    low, high = of.get("minimum"), of.get("maximum")
    if low is None or high is None:
        return f"{of['column_name']} is at least {low}" if high is None else f"{of['column_name']} is at most {high}"
    return f"{of['column_name']} is from {low} to {high}"


COMPARED: dict[str, Callable[[Arguments], str]] = {
    "relationships": lambda of: f"{of['column_name']} names a row of {_table(of['to'])}",
    "unique_combination": lambda of: f"one row per {', '.join(of['columns'])}",
    "reconciles_with": lambda of: f"{of['total']} is {of['source_total']} of {_table(of['source_table'])}",
    "in_range": _range,
    "expression_holds": lambda of: " ".join(of["expression"].split()),
    "shares_sum_to_one": lambda of: f"{of['column_name']} adds up to 1 within each {of['within']}",
    "has_everything_in_source": lambda of: f"every {of['id']} of {_table(of['of'])} that the source has is here",
}
"""Generic test to what it compares; of the others the name says it all."""


def _table(reference: str) -> str:
    """``source('shop_dw', 'dim_film')`` -> ``shop_dw.dim_film``."""
    return ".".join(re.findall(r"'([^']+)'", reference)) or reference


def with_short_names(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the short name of each test, by which Dagster calls its check. dbt selects by other names."""
    nodes = {
        unique_id: {**node, "name": short_name(node)} if node["resource_type"] == "test" else node
        for unique_id, node in manifest["nodes"].items()
    }
    return {**manifest, "nodes": nodes}


def short_name(test: Mapping[str, Any]) -> str:
    """A test's name without that of its mart; that may be without the source, too."""
    model = str(test.get("attached_node") or "").rpartition(".")[2]
    mart = re.sub(r"^(mart|mv|v|gold)_", "", model)
    source = str(test.get("fqn", ["", ""])[1])
    for prefix in (model, mart, mart.removeprefix(f"{source}_")):
        if prefix and test["name"].startswith(f"{prefix}_"):
            return str(test["name"].removeprefix(f"{prefix}_"))
    return str(test["name"])


def described(test: Mapping[str, Any]) -> str:
    """A test of dbt's manifest in words: what the project says of it, or else its name and what it compares."""
    if test.get("description"):
        return str(test["description"])
    name = short_name(test).replace("_", " ")
    generic = test.get("test_metadata") or {}
    compare = COMPARED.get(generic.get("name", ""))
    compared = f": {compare(generic['kwargs'])}" if compare else ""
    return f"{name[:1].upper()}{name[1:]}{compared}."
