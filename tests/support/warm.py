"""dbt and ``cinestream`` as executables that need not import anything.

Their zygotes are started when first asked for, once for all processes of a test run.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from cinestream_platform.marts import project, resource
from cinestream_platform.services.process import exclusive_lock
from cinestream_platform.settings import get_settings
from tests.support.zygote import Zygote

WARM_DBT = "TESTS_WARM_DBT"
_RUN = uuid.uuid4().hex
"""Of a run without other processes."""


@cache
def dbt_executable() -> str:
    """A dbt for this process and those that it starts; what has another parent has the real one."""
    if told := os.environ.get(WARM_DBT):
        return told
    if multiprocessing.parent_process():
        return project.dbt_executable()
    imports = ["dbt.adapters.postgres", "dbt.task.build"]
    os.environ[WARM_DBT] = _started("dbt", "dbt.cli.main:cli", imports, "tests.support.warm:prepare_dbt")
    return os.environ[WARM_DBT]


def _started(name: str, main: str, imports: Sequence[str], prepare: str) -> str:
    """The executable of a zygote; what another process of this test run has started is used."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir(), f"zygotes-{os.environ.get('PYTEST_XDIST_TESTRUNUID', _RUN)}")
    folder.mkdir(mode=0o700, exist_ok=True)
    with exclusive_lock(folder / "lock", timeout=60):
        zygote = Zygote(folder, name, main, imports, prepare)
        if not zygote.executable.exists():
            zygote.start(owner)
    return str(zygote.executable)


def prepare_dbt() -> None:
    """What dbt's zygote does before it forks: it parses, so that the classes of all nodes are made (2 s of each start).

    The second time it reads what the first has written. Without its static parser, whose threads no fork has. All
    macros are compiled, and what a flag is called that names no source is not looked up on the stack.
    """
    flags = import_module("dbt_common.behavior_flags")
    flags.BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters.postgres.impl")
    runner = import_module("dbt.cli.main").dbtRunner()
    with tempfile.TemporaryDirectory(prefix="zygote-") as folder, redirect_stdout(io.StringIO()):
        places = ["--project-dir", project.PROJECT_DIR, "--profiles-dir", project.PROJECT_DIR]
        places += ["--target-path", folder, "--log-path", folder]
        for _ in range(2):
            parsed = runner.invoke(["parse", "--no-static-parser", *map(str, places)])
    for macro in parsed.result.macros.values():
        import_module("dbt_common.clients.jinja").template_cache.get_node_template(macro)
    import_module("dbt.adapters.factory").reset_adapters()


@cache
def cinestream_executable() -> str:
    """The command line, which uses the warm dbt too."""
    dbt_executable()
    imports = [f"cinestream_platform.commands.{name}" for name in ("demo", "doctor", "status", "files")]
    prepare = "tests.support.warm:prepare_command_line"
    return _started("cinestream", "cinestream_platform.cli:main", imports, prepare)


def prepare_command_line() -> None:
    """What the command line's zygote does before it forks: it uses the warm dbt, and imports all definitions."""
    executable = os.environ[WARM_DBT]
    for module in (project, resource):
        module.dbt_executable = lambda: executable  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINESTREAM_HOME", os.devnull)  # where no manifest is: they are imported, not made
        with suppress(project.MartsNotPreparedError):
            import_module("cinestream_platform.definitions")
    get_settings.cache_clear()
