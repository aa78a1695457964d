"""Exposures are what exists: exports of marts, and the ratings that recommenders get. No page reads a mart yet."""

from __future__ import annotations

import json
from pathlib import Path

from cinestream_platform.catalog import CATALOG
from cinestream_platform.marts.exports import EXPORT_TAG
from cinestream_platform.marts.project import manifest_path
from cinestream_platform.settings import Settings


def test_every_exposure_reads_what_is_exported(manifest_home: Path) -> None:
    manifest = json.loads(manifest_path(Settings(home=manifest_home)).read_bytes())
    matrices = [source.user_item_matrix for source in CATALOG.sources if source.user_item_matrix]
    written = {matrix.fact.name for matrix in matrices}
    written |= {table.name for matrix in matrices for table, _ in matrix.files.values()}
    for exposure in manifest["exposures"].values():
        assert exposure["type"] != "dashboard", exposure["name"]
        for name in exposure["depends_on"]["nodes"]:
            model = manifest["nodes"].get(name)
            if model:
                assert EXPORT_TAG in model["tags"], f"{exposure['name']}: {name} is written nowhere"
            else:
                assert manifest["sources"][name]["name"] in written, f"{exposure['name']}: {name} is written nowhere"
