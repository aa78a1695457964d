"""The rules of the house (docs/architecture.md), read from the sources themselves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cinestream_platform"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Imports go down only: a module imports from lower levels and from its own folder. First match counts.
LEVELS = [
    (r"cli", 100),
    (r"commands\.", 90),
    (r"definitions", 80),
    (r"automation\.", 70),
    (r"(sources\.\w+|conformed)\.assets|marts\.", 60),
    (r"orchestration\.", 50),
    (r"catalog", 40),
    (r"sources\.\w+\.(tables|feeds|transforms)", 31),
    (r"conformed\.(tables|transforms)", 30),
    (r"lake\.", 21),
    (r"warehouse\.", 20),
    (r"samples\.", 12),
    (r"services\.", 11),
    (r"settings", 10),
]
DAGSTER_ALLOWED = re.compile(r"definitions|automation\.|orchestration\.|marts\.|commands\.|(sources\.\w+|conformed)\.assets")
MOST_LINES = 400
LONG_MODULES = {"warehouse/ledger.py": 500}
"""The ledger's states and all SQL that changes them stand in one place, so that they can be read together."""


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def name_of(path: Path) -> str:
    """Dotted name below the package; empty for the package itself."""
    return relative(path).removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """Every module that is imported anywhere in a module, also inside functions and for types only."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_imports_of(path: Path) -> set[str]:
    """Names of this package's modules that a module imports."""
    existing = {name_of(module) for module in MODULES}
    own = {name.removeprefix("cinestream_platform").strip(".") for name in imports_of(path) if name.startswith("cinestream")}
    return {name for name in own if name in existing and name}


def level_of(name: str) -> int | None:
    return next((level for pattern, level in LEVELS if re.match(rf"(?:{pattern})(?:\b|$)|{pattern}", name)), None)


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 60
    assert {"definitions", "warehouse.ledger", "lake.store"} <= {name_of(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_opens_with_a_docstring(path: Path):
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.rstrip()[-1] in ".:`)"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=relative)
def test_an_init_file_is_a_docstring_only(path: Path):
    [only] = tree_of(path).body
    assert isinstance(only, ast.Expr)


def test_every_module_has_a_level():
    packages = {name_of(path) for path in MODULES if path.name == "__init__.py"}
    assert [name for path in MODULES if (name := name_of(path)) not in packages and level_of(name) is None] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down_only(path: Path):
    name = name_of(path)
    folder = name.rpartition(".")[0]
    upwards = [
        other
        for other in own_imports_of(path)
        if other.rpartition(".")[0] != folder and (level_of(other) or 0) >= (level_of(name) or 0)
    ]
    assert upwards == []


def test_modules_import_one_another_without_a_circle():
    graph = {name_of(path): own_imports_of(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, on_the_way: tuple[str, ...]) -> None:
        assert name not in on_the_way, f"circle: {' -> '.join((*on_the_way, name))}"
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, (*on_the_way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_dagster_is_imported_only_where_assets_and_runs_are_made(path: Path):
    foreign = {name for name in imports_of(path) if re.match(r"dagster", name)}
    if not DAGSTER_ALLOWED.match(name_of(path)):
        assert foreign == set()
    private = {name for name in foreign if any(part.startswith("_") for part in name.split("."))}
    assert private == set()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_pure_transforms_know_neither_database_nor_store(path: Path):
    if path.name == "transforms.py":
        roots = {name.partition(".")[0] for name in imports_of(path)}
        assert roots <= {"polars", "datetime", "__future__", "collections", "decimal"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_can_be_read_in_one_sitting(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONG_MODULES.get(relative(path), MOST_LINES)


MACHINE = re.compile(
    r"/(work|root|home|Users)/\w|[A-Z]:\\\\|(pypi|files\.pythonhosted)\.\w+/|--index-url|--extra-index-url|PIP_INDEX_URL"
    r"|\b(?!127\.0\.0\.1|0\.0\.0\.0)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"
)
TEXT_FILES = [
    path
    for pattern in ("*", ".ci/*", "cinestream_platform/**/*", "dbt_project/**/*", "docs/**/*", "benchmarks/**/*")
    for path in sorted(ROOT.glob(pattern))
    if path.is_file()
    and path.suffix in ("", ".py", ".md", ".sql", ".yml", ".yaml", ".toml", ".lock", ".txt", ".sh")
    and not {".cinestream", "__pycache__", "target", "logs"} & set(path.parts)
]


@pytest.mark.parametrize("path", TEXT_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_names_a_folder_of_some_machine_or_a_package_index(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if MACHINE.search(line)] == []


def test_the_search_for_machine_paths_finds_them():
    for text in ("/work/main", "/root/x", "/home/me/x", "https://pypi.org/simple", "pip --index-url x", "host 10.1.2.3:80"):
        assert MACHINE.search(text), text
    for text in ("http://127.0.0.1:3000", "/var/lib/x", "questions to pypi.org about", "polars 2.1.0", "below /root, or"):
        assert not MACHINE.search(text), text


UNCALLED = {"connect", "connect_bulk", "open", "get_settings", "ensure_postgres", "prepared_target", "open_lake", "open_landing"}
"""What connects, starts or reads."""


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_connects_or_reads_files_at_import(path: Path):
    called = {
        getattr(call.func, "attr", getattr(call.func, "id", ""))
        for statement in tree_of(path).body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef | ast.If)
        for call in ast.walk(statement)
        if isinstance(call, ast.Call)
    }
    assert called & (UNCALLED | {"read_text", "read_bytes", "mkdir", "execute"}) == set()
