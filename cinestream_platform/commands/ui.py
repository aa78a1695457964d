"""``cinestream ui``: webserver, daemon and code location of this home."""

import os
import signal

from cinestream_platform.commands.instance import PROJECT_ROOT, dagster_executable, prepare_instance
from cinestream_platform.marts.project import ensure_manifest
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.settings import get_settings


def run_ui(port: int) -> None:
    """Prepare the home, then become ``dagster dev``."""
    settings = get_settings()
    prepared_target()
    ensure_manifest(settings)
    prepare_instance(settings)
    print(f"Dagster UI: http://127.0.0.1:{port}   landing zone: {settings.landing}   Ctrl-C stops", flush=True)  # noqa: T201
    os.chdir(settings.home_dir)  # dagster writes what it has no other place for into its working folder
    command = [
        dagster_executable(),
        "dev",
        "-w",
        str(PROJECT_ROOT / "workspace.yaml"),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    # A script's background job ignores them, and would hand that on: Dagster could not be stopped but by SIGKILL.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - our own arguments
