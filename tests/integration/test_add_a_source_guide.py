"""The guide docs/contributing/add-a-source.md: its commands, exactly as they stand, in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import warm

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "contributing" / "add-a-source.md"
LEFT_OUT = (
    ".git",
    ".venv",
    ".cinestream*",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "logs",
    "target",
    "data",
    "*.egg-info",
)

CLI = """\
import sys
if sys.argv[1] == "demo":  # dbt is the tests' warm one: its imports are half of the demo's time
    from cinestream_platform.marts import project, resource
    project.dbt_executable = resource.dbt_executable = lambda: {dbt!r}
from cinestream_platform.cli import main
main()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository, installed: what is in ``.venv`` runs this Python on the copy's package."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "cinestream.py").write_text(CLI.format(dbt=warm.dbt_executable()))
    for name, how in {"python": "", "ruff": "-m ruff", "cinestream": programs / "cinestream.py"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {how} "$@"\n')
        (programs / name).chmod(0o755)
    done = subprocess.run("cat requirements.lock pyproject.toml | cksum", shell=True, cwd=copy, capture_output=True)
    (copy / ".venv" / f"installed-{done.stdout.split()[0].decode()}").touch()
    return copy


def test_the_guides_commands_work_as_they_stand(checkout: Path, environment: dict[str, str]) -> None:
    before = {path: path.read_bytes() for path in ROOT.glob("docs/*.md")}
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    script = "set -e\n" + "\n".join(f"{block}echo '-- end of block'" for block in blocks)
    variables = os.environ | {"PYTHONPATH": str(checkout), "COLUMNS": "200"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=checkout, env=variables, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, written, demo, proof = done.stdout.split("-- end of block\n")[:4]
    assert "trailers.csv: raw_trailers.trailers, 7 columns, key trailer_id" in written
    assert "views.csv: raw_trailers.views, 3 columns, key trailer_id, day" in written
    assert re.search(r"^trailers/dim_trailer +500 ", demo, re.MULTILINE)
    assert re.search(r"^trailers/mart_trailers_by_language +\d+ ", demo, re.MULTILINE)
    assert "2 bad records were planted, 2 were rejected (equal)" in demo
    assert "NOT AS IT SHOULD BE" not in demo
    assert re.search(r"^ +language +\| +trailer_count", demo, re.MULTILINE), "an analyst reads the mart"
    assert re.search(r"\d+ passed", proof) or "100%" in proof
    assert "All checks passed!" in proof
    assert {path: path.read_bytes() for path in ROOT.glob("docs/*.md")} == before, "the checkout itself stays as it is"
