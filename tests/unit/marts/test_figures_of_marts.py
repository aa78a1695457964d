"""No mart adds up rounded numbers or averages averages of another: it computes from counts and sums."""

import re
from functools import cache
from typing import Any

import pytest
import yaml

from cinestream_platform.marts.project import PROJECT_DIR

MODELS = {path.stem: path for path in sorted((PROJECT_DIR / "models").rglob("*.sql"))}
ROUNDED = re.compile(r"round\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)(?:::[a-z]+(?:\([\d, ]+\))?)? as (\w+)")
ADDED = re.compile(r"\b(?:sum|avg)\(\s*(?:\w+\.)?(\w+)\s*\)")
RATIO = re.compile(r".*_(share|mean|growth|rank|score)|(mean|average)_.*|.*_per_.*|turnover|credibility")
"""Names of columns that are computed by dividing or ranking."""
NESTED = re.compile(r"\b(?:sum|avg)\(\s*(?:round|avg)\(")


@cache
def sql_of(model: str) -> str:
    return re.sub(r"--[^\n]*|\{#.*?#\}", "", MODELS[model].read_text(), flags=re.DOTALL)


@cache
def described(model: str) -> dict[str, Any]:
    """Columns of a model by its yml; none where it has none of its own."""
    path = MODELS[model].with_suffix(".yml")
    found = yaml.safe_load(path.read_text())["models"] if path.is_file() else []
    return {column["name"]: column for one in found for column in one.get("columns", [])}


def not_to_be_added(model: str) -> set[str]:
    """Columns that are rounded, or whose metric is not additive."""
    said = {name: column.get("config", {}).get("meta", {}) for name, column in described(model).items()}
    ratios = {name for name, meta in said.items() if "metric" in meta and not meta["additive_over"]}
    ratios |= {name for name in said if RATIO.fullmatch(name)}
    return ratios | set(ROUNDED.findall(sql_of(model)))


def faults(sql: str) -> set[str]:
    """What a query adds up that may not be added up."""
    read = re.findall(r"ref\(\s*[\"'](\w+)[\"']\s*\)", sql)
    rounded = set().union(*(not_to_be_added(name) for name in read if name in MODELS))
    return (set(ADDED.findall(sql)) & rounded) | set(NESTED.findall(sql))


@pytest.mark.parametrize("model", MODELS)
def test_a_mart_adds_up_no_rounded_number_and_averages_no_average(model: str) -> None:
    assert faults(sql_of(model)) == set()


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(rating_mean) from {{ ref('mart_movie_ratings') }}",
        "select avg(m.revenue_share) from {{ ref('mart_country_sales') }} m",
        "select sum( round(x, 2)) from y",
        "select avg(average_invoice) from {{ ref('mart_country_sales') }}",
    ],
)
def test_such_a_sum_is_found(sql: str) -> None:
    assert faults(sql)
