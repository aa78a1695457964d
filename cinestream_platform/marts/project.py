"""Where the dbt project and its manifest are, and how the manifest is made.

What belongs here: paths, running dbt outside Dagster, and ``ensure_manifest()``, which runs ``dbt parse``. Loading the
definitions only *reads* the manifest (`manifest_path`); making it is a step of installing (the command line, the image,
``.ci/run``). No Dagster.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings, is_foreign, is_secret

PROJECT_DIR = Path(__file__).parents[2] / "dbt_project"
"""The dbt project, beside the package in the checkout and in the image."""

PROFILE, TARGET = "cinestream", "warehouse"
"""By the names of ``dbt_project/profiles.yml``; said on dbt's command line, where no variable changes them."""

_NOT_SOURCES = {"target", "logs", "dbt_packages"}


class MartsNotPreparedError(CineStreamError):
    """The manifest of the dbt project is missing, or could not be made."""


class DbtFailedError(CineStreamError):
    """dbt ended with an error; the message is dbt's."""


def target_dir(settings: Settings) -> Path:
    """Folder of dbt's artifacts: ``<home>/dbt/target``; each run gets a folder of its own below it."""
    return settings.home_dir / "dbt" / "target"


def manifest_path(settings: Settings) -> Path:
    """The manifest that the definitions read; `ensure_manifest` makes it."""
    return target_dir(settings) / "manifest.json"


def require_manifest(settings: Settings) -> Path:
    """The manifest's path.

    Raises:
        MartsNotPreparedError: it is not there.
    """
    path = manifest_path(settings)
    if not path.is_file():
        raise MartsNotPreparedError(
            f"{path} is missing: the dbt project has not been parsed. "
            "Call cinestream_platform.marts.project.ensure_manifest(settings) once before loading the definitions."
        )
    return path


def ensure_manifest(settings: Settings) -> Path:
    """Run ``dbt parse`` if the manifest is missing or not of these project files, and return its path.

    "Of these files" is decided by a fingerprint of their content, the dbt versions and the database's name (dbt writes
    it into every relation name), not by modification times, which a checkout or an image sets anew. Needs no database.
    Safe to call from several processes at once: each parses for itself, the last one's files stay.

    Raises:
        MartsNotPreparedError: dbt could not parse the project; the message is dbt's.
    """
    manifest, stamp = manifest_path(settings), target_dir(settings) / "manifest.fingerprint"
    fingerprint = _fingerprint(settings.postgres_database)
    if manifest.is_file() and stamp.is_file() and stamp.read_text() == fingerprint:
        return manifest
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parse-", dir=manifest.parent) as scratch:
        _parse(Path(scratch), settings.postgres_database)
        Path(scratch, stamp.name).write_text(fingerprint)
        stamp.unlink(missing_ok=True)  # a crash between the two moves must not leave an old manifest that looks new
        Path(scratch, manifest.name).replace(manifest)
        Path(scratch, stamp.name).replace(stamp)
    return manifest


def dbt_executable() -> str:
    """The ``dbt`` of this Python environment, also when its ``bin`` is not on the PATH."""
    beside_python = Path(sys.executable).with_name("dbt")
    found = str(beside_python) if beside_python.is_file() else shutil.which("dbt")
    if not found:
        raise MartsNotPreparedError("No dbt executable: install dbt-core and dbt-postgres into this environment.")
    return found


def run_dbt(arguments: Sequence[str], artifacts: Path, environment: Mapping[str, str]) -> None:
    """Run dbt on the project and wait for it; it is silent, and writes its artifacts and log into one folder.

    Args:
        arguments: The command and its options, such as ``["parse"]``.
        artifacts: The folder.
        environment: Variables that ``dbt_project/profiles.yml`` reads, on top of this process's but `withheld` ones.

    Raises:
        DbtFailedError: It failed.
    """
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    profile = ["--profile", PROFILE, "--target", TARGET]
    inherited = {name: value for name, value in os.environ.items() if not withheld(name)}
    done = subprocess.run(
        [dbt_executable(), "--no-use-colors", *arguments, *folders, *profile],
        env={**inherited, "DBT_TARGET_PATH": str(artifacts), "DBT_LOG_PATH": str(artifacts), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DbtFailedError(f"dbt {arguments[0]} failed for {PROJECT_DIR}:\n{done.stdout}{done.stderr}")


def withheld(name: str) -> bool:
    """Whether dbt must not see a variable of this process: a secret of others, or what would change its settings."""
    return is_secret(name) or is_foreign(name)


def _parse(target: Path, database: str) -> None:
    try:
        run_dbt(["parse"], target, {"CINESTREAM_DBT_DBNAME": database})
    except DbtFailedError as error:
        raise MartsNotPreparedError(str(error)) from error


def _fingerprint(database: str) -> str:
    """SHA-256 over the project's files (path and content), dbt's versions and the database's name."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-postgres')} {database}\n".encode())
    for path in sorted(PROJECT_DIR.rglob("*")):
        relative = path.relative_to(PROJECT_DIR)
        if path.is_file() and relative.parts[0] not in _NOT_SOURCES:
            content = path.read_bytes()
            digest.update(f"{relative.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
