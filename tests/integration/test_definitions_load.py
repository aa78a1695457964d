"""Loading the definitions: quickly, without any connection, and every asset has all that people are promised."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "cinestream_platform"

LOAD = """
import socket, time, warnings

def refuse(*arguments, **options):
    raise AssertionError(f"a connection to {arguments[1:]}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
started = time.process_time()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from cinestream_platform.definitions import defs
    graph = defs.resolve_asset_graph()
    defs.resolve_all_job_defs()
print(f"{time.process_time() - started:.2f}")
print(len(graph.executable_asset_keys))
for warning in caught:
    text = str(warning.message)
    if issubclass(warning.category, DeprecationWarning) and "cinestream_platform" in warning.filename:
        print("deprecated:", warning.filename, text)
"""

CHOOSE = """
import json, sys
from cinestream_platform.definitions import defs
assert not {"dbt", "dbt_common"} & set(sys.modules)

import dagster_dbt.utils
from packaging.version import Version
from cinestream_platform.marts.library import select_by_tags
from cinestream_platform.marts.project import require_manifest
from cinestream_platform.marts.rebuild import REBUILDS
from cinestream_platform.settings import get_settings

dagster_dbt.utils.DBT_PYTHON_VERSION = Version("1.11")
manifest = json.loads(require_manifest(get_settings()).read_bytes())
tags = [f"tag:{rebuild.tag}" for rebuild in REBUILDS]
for select, exclude in [("fqn:*", ""), ("fqn:*", " ".join(tags)), (" ".join(tags), ""), *((tag, "") for tag in tags)]:
    dbts = dagster_dbt.utils._select_unique_ids_from_manifest(select, exclude, "", manifest, None)
    ours = select_by_tags(select=select, exclude=exclude, selector="", manifest_json=manifest)
    assert ours and ours == dbts & set(manifest["nodes"]), (select, exclude, ours ^ dbts)
"""


@pytest.fixture(scope="module")
def parsed_home(manifest_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with nothing but the dbt manifest."""
    home = tmp_path_factory.mktemp("definitions") / "home"
    shutil.copytree(manifest_home / "dbt", home / "dbt")
    return home


def in_process(script: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CINESTREAM_", "DAGSTER_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=inherited | {"CINESTREAM_HOME": str(home)} | settings,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"CINESTREAM_POSTGRES_HOST": "127.0.0.1", "CINESTREAM_POSTGRES_PORT": "1"},
        {"CINESTREAM_LANDING_URL": "s3://nowhere/landing", "CINESTREAM_S3_ENDPOINT_URL": "http://127.0.0.1:1"},
    ],
    ids=["embedded", "external", "s3"],
)
def test_the_definitions_load_without_any_connection(
    parsed_home: Path, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    done = in_process(LOAD, parsed_home, **settings)
    assert done.returncode == 0, done.stderr
    seconds, assets, *deprecated = done.stdout.splitlines()
    with capsys.disabled():
        print(f" definitions loaded in {seconds} s of CPU", end="")
    assert float(seconds) < 15  # 3 to 5; a busy machine, where they take long, gives them no more CPU
    assert int(assets) > 20
    assert deprecated == []
    assert {path.name for path in parsed_home.iterdir()} == {"dbt"}, "loading has written into the home"


def test_without_a_manifest_the_error_says_how_to_make_it(tmp_path: Path) -> None:
    done = in_process("import cinestream_platform.definitions", tmp_path / "home")
    assert done.returncode != 0
    assert "ensure_manifest" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "home").exists()


def test_help_imports_neither_dagster_nor_polars() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from cinestream_platform.cli import cli\n"
        "answer = CliRunner().invoke(cli, ['--help']); assert answer.exit_code == 0 and 'doctor' in answer.output\n"
        "print([name for name in ('dagster', 'polars', 'dbt', 'boto3', 'psycopg', 'pandera') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def graph(environment: dict[str, str]) -> Any:
    from cinestream_platform.definitions import build_definitions

    return build_definitions().resolve_asset_graph()


def test_every_asset_has_what_people_are_promised(graph: Any) -> None:
    checks = {key.asset_key for key in graph.asset_check_keys}
    lacking = []
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        wants = {
            "group": bool(node.group_name) and node.group_name != "default",
            "owners": bool(node.owners),
            "kinds": bool(node.kinds),
            "description": bool(node.description),
        }
        if not _publishes_no_table(node):
            wants |= {
                "columns": bool(node.metadata.get("dagster/column_schema")),
                "described columns": all(c.description for c in _columns(node)),
                "table_name": "dagster/table_name" in node.metadata or not node.is_executable,
            }
        if node.is_executable:
            wants |= {"a check": key in checks}
        lacking += [f"{key.to_user_string()}: {name}" for name, has in wants.items() if not has]
    assert lacking == []


def _publishes_no_table(node: Any) -> bool:
    """Whether the content of the asset is its metadata, or files."""
    return node.group_name.endswith(("_reports", "_exports"))


def _columns(node: Any) -> list[Any]:
    schema = node.metadata.get("dagster/column_schema")
    return list(schema.columns) if schema else []


def test_table_names_are_those_in_postgres(graph: Any, platform: Any) -> None:
    tables = {f"{schema}.{name}" for schema, name in platform.query("SELECT schemaname, tablename FROM pg_tables")}
    for key in graph.executable_asset_keys:
        node = graph.get(key)
        if _publishes_no_table(node):
            continue
        name = node.metadata["dagster/table_name"]
        if node.group_name.endswith("_marts"):  # dbt makes those at their first run
            assert name == f"{node.group_name}.{key.path[-1]}"
        else:
            assert name in tables, name


@pytest.mark.parametrize(
    "name",
    ["AutoMaterializePolicy", "auto_materialize", "compute_kind", "SourceAsset", "get_s3_keys"],
)
def test_no_module_uses_what_dagster_has_retired(name: str) -> None:
    assert [path.name for path in PACKAGE.rglob("*.py") if name in path.read_text()] == []


def test_no_module_imports_dagsters_private_parts() -> None:
    private = re.compile(r"(from|import) dagster(_\w+)?\._")
    assert [path.name for path in PACKAGE.rglob("*.py") if private.search(path.read_text())] == []


def test_our_processes_need_none_of_dbts_code_and_choose_the_marts_that_dbt_chooses(parsed_home: Path) -> None:
    chosen = in_process(CHOOSE, parsed_home)
    assert chosen.returncode == 0, chosen.stderr
