"""``make docs`` opens with all marts by their questions."""

from __future__ import annotations

import json
from pathlib import Path

from cinestream_platform.marts.overview import LINK, OVERVIEW_FILE, overview
from cinestream_platform.marts.project import manifest_path
from cinestream_platform.marts.translator import table_of
from cinestream_platform.settings import Settings


def test_the_file_in_the_project_is_what_the_marts_say() -> None:
    assert OVERVIEW_FILE.read_text(encoding="utf-8") == overview(), "a mart has changed: run `make sources`"


def test_the_first_page_has_every_mart_with_the_question_of_the_catalogue(manifest_home: Path) -> None:
    manifest = json.loads(manifest_path(Settings(home=manifest_home)).read_bytes())
    shown = manifest["docs"]["doc.cinestream.__overview__"]["block_contents"]

    models = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    ]
    assert len(models) > 20
    for node in models:
        mart, link = f"{node['schema']}.{table_of(node)}", f"{LINK}{node['name']}"
        assert f"| {node['config']['meta']['question']} | [`{mart}`]({link}) |" in shown
    assert shown.count(LINK) == len(models)
