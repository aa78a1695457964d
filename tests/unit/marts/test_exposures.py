"""Exposures are exactly what reads marts beyond SQL: the pages that do, exports, and the ratings for recommenders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp, parse_one

from cinestream_platform.catalog import CATALOG, MART_SCHEMAS
from cinestream_platform.dashboards.site import PAGES
from cinestream_platform.marts.exports import EXPORT_TAG
from cinestream_platform.marts.project import manifest_path
from cinestream_platform.settings import Settings


@pytest.fixture(scope="module")
def manifest(manifest_home: Path) -> Any:
    return json.loads(manifest_path(Settings(home=manifest_home)).read_bytes())


def marts_read_by_pages() -> dict[str, set[tuple[str, str]]]:
    """Page to the marts that the SQL of its tiles reads."""
    found: dict[str, set[tuple[str, str]]] = {}
    for page in PAGES:
        for tile in page.queries.values():
            query = parse_one(re.sub(r"%\(\w+\)s", "''", tile), dialect="postgres")
            tables = {(table.db, table.name) for table in query.find_all(exp.Table)}
            if marts := {table for table in tables if table[0] in MART_SCHEMAS}:
                found.setdefault(page.folder, set()).update(marts)
    return found


def exposed(manifest: Mapping[str, Any], *, dashboards: bool) -> dict[str, set[tuple[str, str]]]:
    """Exposure to what it depends on, of pages or of everything else."""
    nodes = manifest["nodes"] | manifest["sources"]
    return {
        exposure["name"]: {(nodes[name]["schema"], nodes[name]["name"]) for name in exposure["depends_on"]["nodes"]}
        for exposure in manifest["exposures"].values()
        if (exposure["type"] == "dashboard") is dashboards
    }


def test_an_exposure_of_a_page_is_a_page_that_reads_these_marts_and_each_of_them_has_one(manifest: Any) -> None:
    assert exposed(manifest, dashboards=True) == marts_read_by_pages()


def test_what_is_exported_is_what_the_other_exposures_read(manifest: Any) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    written = {(node["schema"], node["name"]) for node in models if EXPORT_TAG in node["tags"]}
    for matrix in (source.user_item_matrix for source in CATALOG.sources if source.user_item_matrix):
        tables = [matrix.fact, *(table for table, _ in matrix.files.values())]
        written |= {(table.schema, table.name) for table in tables}
    assert set().union(*exposed(manifest, dashboards=False).values()) == written
