"""dbt and ``cinestream`` as executables that need not import anything: their zygotes are started when first asked for."""

from __future__ import annotations

import atexit
import multiprocessing
import os
from contextlib import suppress
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
    zygote = Zygote("dbt", "dbt.cli.main:cli", ["dbt.adapters.postgres", "dbt.task.build"]).start()
    atexit.register(zygote.stop)
    os.environ[WARM_DBT] = str(zygote.executable)
    return str(zygote.executable)


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
