"""dagster-dbt without dbt: our own processes start dbt, and need none of its code.

What belongs here: the one place that imports dagster-dbt. Where dbt-core is installed, dagster-dbt imports it: 1 s of
CPU and 30 MB in each run, server and command, to choose models by their tags and to have the names of seven states. Of
both it has its own for installations without dbt-core, but for the choice by tags, which is here.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

_ABSENT = "dbt.version"
"""What dagster-dbt asks for to know whether dbt-core is installed."""

if _ABSENT not in sys.modules:
    sys.modules[_ABSENT] = None  # type: ignore[assignment]
    try:
        import dagster_dbt  # noqa: F401
    finally:
        del sys.modules[_ABSENT]

from dagster_dbt import (  # noqa: E402
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    asset_utils,
    dbt_assets,
)

__all__ = [
    "DagsterDbtTranslator",
    "DagsterDbtTranslatorSettings",
    "DbtCliInvocation",
    "DbtCliResource",
    "DbtProject",
    "dbt_assets",
    "select_by_tags",
]


def select_by_tags(
    *, select: str, exclude: str, selector: str, manifest_json: Mapping[str, Any], project: object = None
) -> set[str]:
    """The models and tests that dbt would choose: models with the tags, and every test of one of them.

    Args:
        select: ``fqn:*`` for all, or ``tag:…`` once or more often, separated by spaces.
        exclude: nothing, or ``tag:…`` likewise.
        selector: must be empty.
        manifest_json: the parsed project.
        project: not needed.

    Raises:
        ValueError: Anything else is asked for.
    """
    if selector:
        raise ValueError(f"models are chosen by their tags, not by the selector {selector!r}")
    nodes = manifest_json["nodes"]
    chosen = set(nodes) if select == "fqn:*" else _tagged(nodes, select.split())
    return chosen - _tagged(nodes, exclude.split())


def _tagged(nodes: Mapping[str, Any], words: Iterable[str]) -> set[str]:
    if others := [word for word in words if not word.startswith("tag:")]:
        raise ValueError(f"models are chosen by tag:…, not by {' '.join(others)}")
    tags = {word.removeprefix("tag:") for word in words}
    found = {key for key, node in nodes.items() if tags & set(node["tags"])}
    tests = {key for key, node in nodes.items() if node["resource_type"] == "test"}
    return found | {key for key in tests if found & set(nodes[key]["depends_on"]["nodes"])}


asset_utils.select_unique_ids = select_by_tags  # type: ignore[assignment, attr-defined]
