"""What only one module may do, read from the code: writing the ledger of files, taking locks."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cinestream_platform"
MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
OTHERS = {
    path.relative_to(ROOT).as_posix(): path
    for folder in ("dbt_project", "benchmarks", "docker")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".sql", ".sh") and not {"target", "dbt_packages"} & set(path.parts)
}

TESTS = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "tests").rglob("*.py"))}

WRITES = re.compile(
    r"\b(INSERT\s+INTO|UPDATE(\s+ONLY)?|DELETE\s+FROM(\s+ONLY)?|MERGE\s+INTO|TRUNCATE(\s+TABLE)?|COPY)"
    r"\s+\"?ops\"?\.\"?landed_file\b",
    re.IGNORECASE,
)
READS = re.compile(r"\bops\.landed_file\b")
LOCKS = re.compile(
    r"\bpg_(try_)?advisory_(xact_)?lock|\bLOCK\s+TABLE\b|\bFOR\s+(NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(KEY\s+)?SHARE\b"
    r"|\bops\.(lock|turn)\b",
    re.IGNORECASE,
)
FILE_LOCKS = {"fcntl", "filelock", "portalocker", "msvcrt"}


@cache
def tree_of(path: Path) -> ast.Module:
    """A module's code, parsed once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def texts_of(path: Path) -> tuple[str, ...]:
    """Every text that a module holds but docstrings: statements, put together from parts too."""
    return tuple(_texts_of(tree_of(path)))


def _texts_of(tree: ast.Module) -> Iterable[str]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node.value.decode("utf-8", "replace") if isinstance(node.value, bytes) else str(node.value)


def modules_that_say(pattern: re.Pattern[str]) -> set[str]:
    """Modules with such a text, and files in SQL or of benchmarks."""
    found = {name for name, path in MODULES.items() if any(pattern.search(text) for text in texts_of(path))}
    return found | {
        name
        for name, path in OTHERS.items()
        if any(
            pattern.search(text)
            for text in (texts_of(path) if path.suffix == ".py" else [path.read_text(encoding="utf-8")])
        )
    }


def test_one_module_writes_the_ledger_of_landed_files():
    assert modules_that_say(WRITES) == {"ledger/file_writes.py"}


def test_one_helper_of_the_tests_writes_it_too():
    writers = {name for name, path in TESTS.items() if any(WRITES.search(text) for text in texts_of(path))}
    quoting = {"tests/unit/test_one_place.py", "tests/faults/test_hostile_names.py"}  # as texts that are never run
    assert writers - quoting == {"tests/support/ledger.py"}


def test_whoever_wants_to_know_of_landed_files_asks_the_ledger():
    readers = {name for name in modules_that_say(READS) if not name.startswith(("ledger/", "benchmarks/"))}
    assert readers == {"warehouse/locks.py", "declarations/raw_table.py"}  # who locks rows; a column's comment


def test_one_module_takes_locks_and_one_macro_of_dbt():
    assert modules_that_say(LOCKS) == {"warehouse/locks.py", "dbt_project/macros/in_place_rebuild.sql"}


def test_one_module_locks_files():
    importers = set()
    for name, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importers |= {name for imported in names if imported.partition(".")[0] in FILE_LOCKS}
    assert importers == {"services/file_locks.py"}


@pytest.mark.parametrize(
    ("pattern", "statement"),
    [
        (WRITES, "UPDATE ops.landed_file SET status = 'loaded'"),
        (WRITES, "with x as (\n  insert into\n  ops.landed_file (key) values (1)) select 1"),
        (WRITES, 'DELETE FROM ONLY "ops"."landed_file"'),
        (WRITES, "TRUNCATE ops.landed_file"),
        (LOCKS, "SELECT 1 FROM a FOR NO KEY UPDATE SKIP LOCKED"),
        (LOCKS, "select pg_try_advisory_xact_lock(1)"),
        (LOCKS, "lock table ops.migration in exclusive mode"),
        (LOCKS, "INSERT INTO ops.turn (name) VALUES ('x')"),
        (LOCKS, "SELECT 1 FROM a FOR KEY SHARE"),
    ],
)
def test_the_search_finds_what_it_is_for(pattern, statement):
    assert pattern.search(statement)
    assert not pattern.search("SELECT key FROM ops.v_feed WHERE status = 'loaded' FOR XML")


def test_every_lock_that_is_taken_stands_in_the_list_of_locks():
    module = tree_of(MODULES["warehouse/locks.py"])
    documented = ast.get_docstring(module) or ""
    public = {node.name for node in module.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    named = {
        "raw_lock",
        "file_turn",
        "extraction_turn",
        "publication_turn",
        "channel_turn",
    }  # the list has the names that they give
    kept = {"end_turn", "forget_dead_turns"}  # they take none
    assert [name for name in sorted(public - named - kept) if f"``{name}" not in documented] == []
    assert re.findall(r"^``(?:extract|file|publish|tell|prepare|raw|ledger|mart)\b", documented, re.M) == [
        *("``extract", "``file", "``publish", "``tell"),
        *("``prepare", "``raw", "``ledger", "``mart"),
    ]


ENTRANCES = {
    "commands/grouped.py",  # the command line, and the commands that it calls
    "definitions.py",  # what Dagster loads, and asks for settings when a run or a sensor begins
    "orchestration/storage.py",  # what dagster.yaml names: Dagster makes it, with that file's text alone
    "processes/child.py",  # a program of its own
    "reader.py",  # what notebooks call
}


def test_settings_are_fetched_at_the_entrances_and_passed_on_from_there():
    fetching = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Name | ast.Attribute)
        and "get_settings" in (getattr(node, "id", ""), getattr(node, "attr", ""))
    }
    assert fetching - {"settings.py"} == ENTRANCES
    # Nobody makes settings of the environment by himself either: what is made is for tests and for another home.
    makers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Settings"
    }
    assert makers <= {"settings.py"}
