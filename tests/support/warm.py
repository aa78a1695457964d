"""dbt and ``cinestream`` as executables that need not import anything: their zygotes are started when first asked for."""

from __future__ import annotations

import atexit
import io
import multiprocessing
import os
import tempfile
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib import import_module

import pytest

from cinestream_platform.marts import project, resource
from cinestream_platform.settings import get_settings
from tests.support.zygote import Zygote

WARM_DBT = "TESTS_WARM_DBT"


@cache
def dbt_executable() -> str:
    """A dbt for this process and those that it starts; what has another parent has the real one."""
    if multiprocessing.parent_process():
        return os.environ.get(WARM_DBT) or project.dbt_executable()
    imports = ["dbt.adapters.postgres", "dbt.task.build"]
    zygote = Zygote("dbt", "dbt.cli.main:cli", imports, "tests.support.warm:prepare_dbt").start()
    atexit.register(zygote.stop)
    os.environ[WARM_DBT] = str(zygote.executable)
    return str(zygote.executable)


def prepare_dbt() -> None:
    """What dbt's zygote does before it forks: it parses, so that the classes of all nodes are made (2 s of each start).

    The second time it reads what the first has written. Without its static parser, whose threads no fork has.
    """
    cli = import_module("dbt.cli.main").cli
    with tempfile.TemporaryDirectory(prefix="zygote-") as folder, redirect_stdout(io.StringIO()):
        places = ["--project-dir", project.PROJECT_DIR, "--profiles-dir", project.PROJECT_DIR]
        places += ["--target-path", folder, "--log-path", folder]
        for _ in range(2):
            cli(["parse", "--no-static-parser", *map(str, places)], standalone_mode=False)
    import_module("dbt.adapters.factory").reset_adapters()


@cache
def cinestream_executable() -> str:
    """The command line, which uses the warm dbt too."""
    dbt_executable()
    imports = [f"cinestream_platform.commands.{name}" for name in ("demo", "doctor", "status", "files")]
    prepare = "tests.support.warm:prepare_command_line"
    zygote = Zygote("cinestream", "cinestream_platform.cli:main", imports, prepare).start()
    atexit.register(zygote.stop)
    return str(zygote.executable)


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
