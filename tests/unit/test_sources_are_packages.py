"""A source is one package: no other module names one, all packages have the same files, and docs know them all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.source import Source

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cinestream_platform"
NAMES = re.compile("|".join((*CATALOG.names, "dvddw", "pagila")), re.IGNORECASE)
"""Also inside words, and the names that publishers give."""
SAME_FILES = ("source.py", "feeds.py", "tables.py", "transforms.py", "assets.py", "sample/generator.py")


def texts_of(tree: ast.AST) -> list[str]:
    """All texts, docstrings too, all names, and all imports of a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.arg):
            found.append(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
    return found


def test_no_module_outside_the_packages_of_sources_names_a_source() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if PACKAGE / "sources" not in path.parents]
    naming = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in sorted(modules)
        if path != PACKAGE / "catalog.py"  # the tuple of them
        for text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
        if (found := NAMES.search(text))
    ]
    assert naming == []


def test_the_catalogue_names_a_source_by_importing_it_and_in_its_tuple_alone() -> None:
    lines = (PACKAGE / "catalog.py").read_text(encoding="utf-8").splitlines()
    naming = [line for line in lines if NAMES.search(line)]
    imports = [line for line in naming if line.startswith("from cinestream_platform.sources.")]
    assert len(imports) == len(CATALOG.sources)
    constants = "|".join(name.upper() for name in CATALOG.names)
    listed = [line for line in naming if line not in imports]
    assert [line for line in listed if NAMES.search(re.sub(rf"\b({constants})\b", "", line))] == []


@pytest.mark.parametrize(
    "text",
    [
        "SOURCES = ('netflix',)",
        "from cinestream_platform.sources.chinook import feeds",
        'def f():\n    """Of MovieLens."""',
        "settings.dvdrental_host",
        "def fetch_netflix(): pass",
    ],
)
def test_a_source_that_is_named_is_found(text: str) -> None:
    assert any(NAMES.search(found) for found in texts_of(ast.parse(text)))


@pytest.mark.parametrize("source", CATALOG.sources, ids=lambda source: source.name)
def test_all_packages_have_the_same_files(source: Source) -> None:
    package = PACKAGE / "sources" / source.name
    assert [name for name in SAME_FILES if not (package / name).is_file()] == []


def test_every_package_is_in_the_catalogue() -> None:
    packages = {path.parent.name for path in (PACKAGE / "sources").glob("*/__init__.py")}
    assert packages == set(CATALOG.names)


@pytest.mark.parametrize("source", CATALOG.sources, ids=lambda source: source.name)
def test_the_docs_have_a_page_of_every_source_and_tables_name_its_schemas(source: Source) -> None:
    assert (ROOT / "docs" / f"{source.name}.md").is_file()
    assert f"[{source.name}.md]({source.name}.md)" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in [line for line in readme.splitlines() if line.startswith("|") and f"(docs/{source.name}.md)" in line]:
        named = set(re.findall(r"`(\w+)`", row))
        assert {table.schema for table in source.star_tables} | {source.mart_schema} <= named
