"""The Dagster resource that runs dbt against the warehouse.

What belongs here: connection, artifact folder and executable of a dbt run, settled when the run starts. The password is
in the environment of the dbt process alone: never in run config, a command line, an artifact or a log.
"""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, OpExecutionContext, ResourceDependency
from packaging.version import Version

from cinestream_platform.marts.library import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource
from cinestream_platform.marts.project import PROFILE, PROJECT_DIR, TARGET, dbt_executable, target_dir, withheld
from cinestream_platform.messages import MAX_METADATA, bounded, without_rows
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, process_name, session_environment

PARTIAL_PARSE_FILE_NAME = "partial_parse.msgpack"
KEEP_FAILED_RUNS_SECONDS = 7 * 24 * 3600

_ENVIRONMENT = threading.Lock()


class MartsDbt(DbtCliResource):
    """``DbtCliResource`` of our project whose connection is looked up when dbt starts, not when definitions load.

    Override `postgres_target` to connect elsewhere.
    """

    settings: ResourceDependency[Settings]

    def __init__(self, **fields: Any) -> None:
        defaults = {
            "project_dir": str(PROJECT_DIR),
            "profiles_dir": str(PROJECT_DIR),
            "profile": PROFILE,
            "target": TARGET,
            "dbt_executable": dbt_executable(),
        }
        super().__init__(**(defaults | fields))

    def postgres_target(self) -> PostgresTarget:
        """Where the warehouse is, by its settings; the embedded server is started if need be."""
        return PostgresTarget.started(self.settings)

    @cached_property
    def _cli_version(self) -> Version:
        # dagster-dbt starts `dbt --version` for it: 2.8 s a run, and a question to pypi.org about newer releases.
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        # dagster-dbt would parse dbt's macros in this process, too (0.6 s of CPU a run), to ask for row counts and
        # columns. Rows are counted by the ledger, and columns are in the manifest.
        return None

    def cli(
        self,
        args: Sequence[str],
        *,
        raise_on_error: bool = True,
        manifest: Mapping[str, Any] | str | Path | None = None,
        dagster_dbt_translator: DagsterDbtTranslator | None = None,
        context: OpExecutionContext | AssetExecutionContext | None = None,
        target_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> DbtCliInvocation:
        """Start dbt with the warehouse's connection, in an artifact folder of its own below ``<home>/dbt/target``.

        ``environment`` is what it is told beside the connection; what the last run has parsed is given to it.
        """
        folder = target_path or target_dir(self.settings) / "runs" / _run_folder_name(context)
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(last_parse(self.settings), folder / PARTIAL_PARSE_FILE_NAME)
        # dagster-dbt hands its own environment to dbt, and reads the profile in this process too, for row counts and
        # columns; both are done when cli() returns.
        with _environment(connection_environment(self.postgres_target()) | dict(environment or {})):
            started = super().cli(
                args,
                raise_on_error=raise_on_error,
                manifest=manifest,
                dagster_dbt_translator=dagster_dbt_translator,
                context=context,
                target_path=folder,
            )
        return DiscreetInvocation(**{made.name: getattr(started, made.name) for made in fields(started) if made.init})


class DiscreetInvocation(DbtCliInvocation):
    """A dbt process whose errors quote no rows where everybody reads them: in events, and in the logs of runs.

    What dbt itself said stays in ``dbt.log`` of its artifact folder, in the home.
    """

    def _stream_stdout(self) -> Iterator[str | dict[str, Any]]:
        for said in super()._stream_stdout():
            if isinstance(said, str):
                yield without_rows(said)
                continue
            if said["info"]["level"] in ("warn", "error"):
                said["info"]["msg"] = without_rows(said["info"]["msg"])
            yield said

    def _format_error_messages(self) -> str:
        self._error_messages = [without_rows(message) for message in self._error_messages]
        return bounded(super()._format_error_messages(), MAX_METADATA)


def connection_environment(target: PostgresTarget) -> dict[str, str]:
    """The variables that ``dbt_project/profiles.yml`` reads, and what its sessions set (psycopg2 has no other way)."""
    return {
        "CINESTREAM_DBT_HOST": target.host,
        "CINESTREAM_DBT_PORT": str(target.port),
        "CINESTREAM_DBT_USER": target.user,
        "CINESTREAM_DBT_PASSWORD": target.password.get_secret_value(),
        "CINESTREAM_DBT_DBNAME": target.database,
        "CINESTREAM_DBT_SSLMODE": target.sslmode,
        "CINESTREAM_DBT_SSLROOTCERT": target.sslrootcert,
        # No variable of the profile: dbt parses everything anew when the profile is another one, by its name too.
        "PGAPPNAME": f"{process_name()}dbt",
        **session_environment(),
    }


def discard_artifacts(folder: Path, settings: Settings) -> None:
    """Remove the artifacts of a successful run, and those of failed runs that nobody has looked at for a week.

    What dbt parsed is kept for the next run, which then need not parse everything anew (3 s).
    """
    with suppress(FileNotFoundError):
        (folder / PARTIAL_PARSE_FILE_NAME).replace(last_parse(settings))
    shutil.rmtree(folder, ignore_errors=True)
    oldest = time.time() - KEEP_FAILED_RUNS_SECONDS
    for other in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)


def last_parse(settings: Settings) -> Path:
    """Where the last run's parse is kept; dbt itself sees what of it still holds."""
    return target_dir(settings) / PARTIAL_PARSE_FILE_NAME


def _run_folder_name(context: OpExecutionContext | AssetExecutionContext | None) -> str:
    unique = uuid.uuid4().hex[:8]
    return f"{context.run.run_id[:8]}-{unique}" if context else unique


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process for a moment, in the place of `withheld` ones; one caller at a time."""
    with _ENVIRONMENT:
        others = {name for name in os.environ if withheld(name) and name not in variables}
        before = {name: os.environ.get(name) for name in (*variables, *others)}
        for name in others:
            del os.environ[name]
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
