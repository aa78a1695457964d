"""The rules of the house (docs/architecture.md), read from the sources themselves."""

import ast
import builtins
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cinestream_platform"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Imports go down only: a module imports from layers further down in this list and from its own folder. First match counts.
LAYERS = [
    r"cli$",
    r"commands\.",
    r"processes\.",
    r"dashboards\.(server|app|site)$",
    r"dashboards\.\w+\.",  # each page
    r"dashboards\.",
    r"web\.guard$",
    r"web\.login\.",
    r"web\.",
    r"definitions$",
    r"automation\.",
    r"marts\.",
    r"metrics\.",
    r"reader$",
    r"catalog$",
    r"sources\.\w+\.assets$",
    r"orchestration\.",
    r"sources\.",
    r"samples\.",
    r"conformed\.",
    r"alerting\.",
    r"loading\.",
    r"publishing\.",
    r"ledger\.",
    r"reading\.",
    r"warehouse\.",
    r"lake\.",
    r"services\.",
    r"releases\.",
    r"declarations\.",
    r"settings$",
    r"messages$|progress$|errors$|store_urls$|regular_files$|page_links$",
]
DAGSTER_ALLOWED = re.compile(
    r"definitions|processes\.|web\.|automation\.|orchestration\.|marts\.|commands\.|sources\.\w+\.assets"
)
MOST_LINES = 400
BUILT_IN_ERRORS = {
    name for name, made in vars(builtins).items() if isinstance(made, type) and issubclass(made, Exception)
}


CONNECTING = {
    *("connect", "connect_bulk", "open", "started", "start_postgres", "start_and_prepare", "open_lake", "open_landing"),
    *("read_text", "read_bytes", "mkdir", "execute", "get_settings"),
}
"""What connects, starts, reads or writes."""
MACHINE = re.compile(
    r"/(work|root|home|Users)/\w|(pypi|files\.pythonhosted)\.\w+/|--(extra-)?index-url|PIP_INDEX_URL"
    r"|\b(?!127\.0\.0\.1|0\.0\.0\.0)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"
)
TEXTS = ("", ".py", ".md", ".sql", ".yml", ".yaml", ".toml", ".lock", ".txt", ".sh")


@cache
def text_files() -> list[Path]:
    """Every text file of the repository but tests, which name such things on purpose."""
    folders = (".ci", "cinestream_platform", "dbt_project", "docs", "benchmarks")
    paths = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    made = {".git", "__pycache__", "target", "logs", "dbt_packages"}  # .git is a file in a work tree
    return sorted(path for path in paths if path.is_file() and path.suffix in TEXTS and not made & set(path.parts))


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def name_of(path: Path) -> str:
    """Dotted name below the package; empty for the package itself."""
    return relative(path).removesuffix(".py").removesuffix("__init__").strip("/").replace("/", ".")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module that is imported anywhere in a module, also inside functions and (if asked) for types only."""
    tree = tree_of(path)
    if not for_types:
        body = [node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))]
        tree = ast.Module(body, type_ignores=[])
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    """Names of this package's modules that a module imports."""
    existing = {name_of(module) for module in MODULES}
    imported = imports_of(path, for_types=for_types)
    own = {name.removeprefix("cinestream_platform").strip(".") for name in imported if name.startswith("cinestream")}
    return {name for name in own if name in existing and name}


def folder_of(name: str) -> str:
    """The folder that a module belongs to; a source's declarations and its sample are one."""
    if re.fullmatch(r"sources\.\w+\.assets", name):
        return name  # the part of a source that knows Dagster
    source = re.match(r"sources\.\w+", name)
    return source[0] if source else name.rpartition(".")[0]


def height_of(name: str) -> int | None:
    """How far from the ground a module's layer is; none for the package itself."""
    heights = range(len(LAYERS), 0, -1)
    return next((height for height, layer in zip(heights, LAYERS, strict=True) if re.match(layer, name)), None)


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 60
    assert {"definitions", "ledger.landed_files", "lake.store"} <= {name_of(path) for path in MODULES}


def test_every_module_opens_with_a_docstring():
    assert [relative(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []


def test_an_init_file_is_a_docstring_only():
    init_files = [path for path in MODULES if path.name == "__init__.py"]
    assert [relative(path) for path in init_files if len(tree_of(path).body) != 1] == []


def test_every_module_belongs_to_a_layer():
    names = [name_of(path) for path in MODULES if path.name != "__init__.py"]
    assert [name for name in names if height_of(name) is None] == []


def test_imports_go_down_only():
    upwards = [
        f"{name_of(path)} imports {other}"
        for path in MODULES
        for other in own_imports_of(path)
        if folder_of(other) != folder_of(name_of(path)) and (height_of(other) or 0) >= (height_of(name_of(path)) or 0)
    ]
    assert upwards == []


def test_modules_import_one_another_without_a_circle():
    graph = {name_of(path): own_imports_of(path, for_types=False) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, on_the_way: tuple[str, ...]) -> None:
        assert name not in on_the_way, f"circle: {' -> '.join((*on_the_way, name))}"
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, (*on_the_way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_errors_of_our_own_have_one_base_so_that_others_are_known_as_faults():
    described = {"CineStreamError", "DescribedError"}  # the base; and what stands for a library's error
    others = [
        f"{name_of(path)}.{node.name}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error") and not node.name.startswith("_")
        if {ast.unparse(base) for base in node.bases} & BUILT_IN_ERRORS and node.name not in described
    ]
    assert others == []


def test_dagster_is_imported_only_where_assets_and_runs_are_made():
    users = [
        relative(path)
        for path in MODULES
        if any(name.startswith("dagster") for name in imports_of(path)) and not DAGSTER_ALLOWED.match(name_of(path))
    ]
    assert users == []


def test_pages_read_the_warehouse_and_know_neither_sources_nor_how_they_are_loaded():
    """They read marts and schema platform: what they need to know of a table is a row there."""
    pages = [path for path in MODULES if name_of(path).startswith("dashboards.")]
    used = {name for path in pages for name in own_imports_of(path) if not name.startswith("dashboards")}
    allowed = ("web.", "warehouse.access", "warehouse.connection", "warehouse.sessions", "services.", "settings")
    assert [name for name in used if not name.startswith((*allowed, "errors", "messages", "page_links"))] == []
    for path in (PACKAGE / "dashboards").rglob("*.sql"):
        read = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)\.", path.read_text(encoding="utf-8"), re.IGNORECASE))
        assert {schema for schema in read if schema != "platform" and not schema.endswith("_marts")} == set(), path


def test_no_private_module_of_dagster_is_imported():
    private = [
        f"{relative(path)}: {name}"
        for path in MODULES
        for name in imports_of(path)
        if name.startswith("dagster") and re.search(r"\._", name)
    ]
    assert private == []


def test_transforms_know_neither_database_nor_store():
    pure = [path for path in MODULES if path.name in ("transforms.py", "history.py")]
    assert {name.partition(".")[0] for path in pure for name in imports_of(path)} == {
        *("polars", "datetime", "cinestream_platform")
    }
    own = {"conformed.transforms", "conformed.history", "ledger.deliveries"}  # the last is pure too
    assert {name for path in pure for name in own_imports_of(path)} <= own


def test_no_asset_is_a_function_that_only_calls_another_of_its_name():
    """``table_asset(TABLE, SOURCE)(transforms.dim_movie)`` says it once, with one docstring."""
    delegating = [
        f"{relative(path)}: {function.name}"
        for path in MODULES
        if DAGSTER_ALLOWED.match(name_of(path)) and "assets" in path.name
        for function in tree_of(path).body
        if isinstance(function, ast.FunctionDef)
        and len(body := function.body[bool(ast.get_docstring(function)) :]) == 1
        if isinstance(body[0], ast.Return) and isinstance(body[0].value, ast.Call)
        if getattr(body[0].value.func, "attr", "") == function.name
    ]
    assert delegating == []


def test_a_module_can_be_read_in_one_sitting():
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_nothing_connects_or_reads_files_at_import():
    callers = []
    for path in MODULES:
        for statement in tree_of(path).body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                continue
            called = {
                getattr(call.func, "attr", getattr(call.func, "id", ""))
                for call in ast.walk(statement)
                if isinstance(call, ast.Call)
            }
            callers += [f"{relative(path)}: {name}" for name in called & CONNECTING]
    assert callers == []


def test_no_file_names_a_folder_of_some_machine_or_a_package_index():
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in text_files()
        for line in path.read_text(encoding="utf-8").splitlines()
        if MACHINE.search(line)
    ]
    assert found == []


def test_the_search_for_machine_paths_finds_them():
    assert len(text_files()) > 80
    for text in ("/work/main", "/root/x", "/home/me/x", "https://pypi.org/simple", "--index-url x", "host 10.1.2.3:80"):
        assert MACHINE.search(text), text
    for text in (
        "http://127.0.0.1:3000",
        "/var/lib/x",
        "questions to pypi.org about",
        "polars 2.1.0",
        "below /root, or",
    ):
        assert not MACHINE.search(text), text
