"""The first page of ``make docs``: all marts by the question that they answer, written from the marts' own files.

``make sources`` writes it into the dbt project; a test tells when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.source import Source
from cinestream_platform.marts.project import PROJECT_DIR

OVERVIEW_FILE = PROJECT_DIR / "models" / "overview.md"
BEGINNING = """\
{#- Written by `make sources` from the questions in the marts' own files: change those. -#}
{% docs __overview__ %}
# The marts, by question

Each mart answers one question. Open it for its columns, its SQL, the tests that it passes, and its lineage. Whether it
is fresh and right now is on the pages of `make ui`. Analysts read `<source>_marts` with `SELECT *`.
"""
LINK = "#!/model/model.cinestream."


def overview() -> str:
    """The text of the file."""
    return BEGINNING + "".join(line for source in CATALOG.sources for line in _section(source)) + "\n{% enddocs %}\n"


def _section(source: Source) -> Iterator[str]:
    models = sorted(_models(PROJECT_DIR / "models" / source.name), key=lambda model: str(model["name"]))
    if models:
        yield f"\n## {source.shown_name}\n\n| question | mart |\n|---|---|\n"
        for model in models:
            question, name = model["config"]["meta"]["question"], model["name"]
            yield f"| {question} | [`{source.mart_schema}.{_table(source, name)}`]({LINK}{name}) |\n"


def _models(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ())


def _table(source: Source, model: str) -> str:
    """The table that a model makes: of its name, or of the one that its SQL says."""
    alias = re.search(r'alias="(\w+)"', (PROJECT_DIR / "models" / source.name / f"{model}.sql").read_text("utf-8"))
    return alias[1] if alias else model


def write_overview(path: Path = OVERVIEW_FILE) -> None:
    """Write the file."""
    path.write_text(overview(), encoding="utf-8")
