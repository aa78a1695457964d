"""``cinestream new-source``: read the samples, plan all files, then write them; the catalogue is edited last.

What belongs here: what is refused before anything is written, and undoing what was written when a step fails.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path

from cinestream_platform.catalog import SOURCES, TABLES
from cinestream_platform.commands.new_source.example import example_dimension
from cinestream_platform.commands.new_source.inference import read_folder
from cinestream_platform.commands.new_source.names import NewSourceError, require_source_name
from cinestream_platform.commands.new_source.plan import PACKAGE, Plan
from cinestream_platform.declarations.source import Source
from cinestream_platform.declarations.table import Table
from cinestream_platform.marts.sources import SOURCES_FILE, sources_yml

ROOT = Path(__file__).parents[3]
"""The repository: a source is more than its package."""
CATALOG, INDEX = Path(PACKAGE, "catalog.py"), Path("docs", "README.md")
IMPORT = re.compile(rf"^from {PACKAGE}\.sources\.(\w+)\.source import SOURCE as \w+\n", re.MULTILINE)
LAST_SOURCE = "        # `cinestream new-source` adds its line above this one.\n"
LAST_PAGE = "<!-- cinestream new-source adds its line above this one -->\n"


def new_source(name: str, folder: Path) -> Iterator[str]:
    """Write the package of a source from a folder of sample CSV files, and what belongs to it; lines for people.

    Raises:
        NewSourceError: The name or a file cannot be taken. Nothing was written.
    """
    _require_free(name)
    if not folder.is_dir():
        raise NewSourceError(f"there is no folder {folder}. --from is a folder with a CSV file per table.")
    drafts = read_folder(name, folder)
    plan = Plan(name, drafts, example_dimension(drafts))
    if taken := next((path for path in plan.files if (ROOT / path).exists()), None):
        raise NewSourceError(f"{taken} exists already. Choose another name than {name}, or move it away.")
    _write(plan)
    for draft in drafts:
        key = ", ".join(draft.table.natural_key)
        yield f"{draft.file_name}: {draft.table.qualified_name}, {len(draft.profile.columns)} columns, key {key}"
        yield from (f"  {note}" for note in draft.notes)
    yield f"{len(plan.files)} files written, among them {PACKAGE}/sources/{name}/tables.py: read that first."
    yield f"Try it: make demo SOURCE={name}"


def _require_free(name: str) -> None:
    require_source_name(name)
    if name in SOURCES or (ROOT / PACKAGE / "sources" / name).exists():
        raise NewSourceError(f"there is a source {name} already. Choose another name, or edit its package.")
    if not all((ROOT / path).is_file() for path in (CATALOG, INDEX)) or not SOURCES_FILE.is_file():
        raise NewSourceError(f"{ROOT} is not a clone of the repository, and a source is added to one. Clone it first.")
    if re.search(rf"\b{name.upper()}\b", (ROOT / CATALOG).read_text(encoding="utf-8")):
        raise NewSourceError(f"{name} is a name that {CATALOG.name} uses itself. Choose another one.")


def _write(plan: Plan) -> None:
    """Write the new files, then what lists them; all or nothing."""
    listed = {CATALOG: _with_source((ROOT / CATALOG).read_text("utf-8"), plan.name)}
    index = (ROOT / INDEX).read_text("utf-8")
    listed = {INDEX: _above(index, LAST_PAGE, f"| {plan.title} | [{plan.name}.md]({plan.name}.md) |\n"), **listed}
    with _undone_on_failure() as made:
        for path, text in plan.files.items():
            _make(ROOT / path, text, made)
        tables = (*TABLES, *_declared(plan.name))
        for listing, text in {SOURCES_FILE.relative_to(ROOT): sources_yml(tables), **listed}.items():
            _replace(ROOT / listing, text)


def _declared(name: str) -> tuple[Table, ...]:
    """The tables of the package that was just written; a fault in it is seen before the catalogue names it."""
    invalidate_caches()
    source: Source = import_module(f"{PACKAGE}.sources.{name}.source").SOURCE
    return source.tables


@contextmanager
def _undone_on_failure() -> Iterator[list[Path]]:
    """Remove the files and folders that were made, newest first, if the block fails."""
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for path in reversed(made):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _make(path: Path, text: str, made: list[Path]) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        made.append(folder)
    made.append(path)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(path.stat().st_mode)
    partial.replace(path)


def _with_source(catalog: str, name: str) -> str:
    """The catalogue with one more import, in the order of names, and one more line in the tuple of sources."""
    line = f"from {PACKAGE}.sources.{name}.source import SOURCE as {name.upper()}\n"
    imports = list(IMPORT.finditer(catalog))
    place = next((found.start() for found in imports if found[1] > name), imports[-1].end())
    return _above(f"{catalog[:place]}{line}{catalog[place:]}", LAST_SOURCE, f"        {name.upper()},\n")


def _above(text: str, marker: str, line: str) -> str:
    if marker not in text:
        raise NewSourceError(f"the line {marker.strip()!r} is missing. Put it back below the last source.")
    return text.replace(marker, f"{line}{marker}", 1)
