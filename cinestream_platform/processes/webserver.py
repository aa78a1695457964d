"""Dagster's webserver behind the guard of ``web``: its own command in all but the application that is served."""

from collections.abc import Sequence
from typing import Any

from dagster_webserver import cli

from cinestream_platform.web.guard import Guard
from cinestream_platform.web.hosts import AllowedHosts

APPLICATION = "create_app_from_workspace_process_context"


def run_webserver(host: str, port: int, workspace: str, *, read_only: bool, public_names: str) -> None:
    """Serve until SIGTERM.

    Args:
        host: The address to listen on.
        port: The port; also the one of the loopback names that are answered.
        workspace: Path of the workspace file, which says where the code server is.
        public_names: Names of the UI behind a proxy, separated by commas.
        read_only: The stakeholders': no mutations, no logs.
    """
    hosts = AllowedHosts.of(port, public_names)
    original = getattr(cli, APPLICATION)  # gone in some later version: an error, not an open door

    def guarded(*args: Any, **options: Any) -> Guard:
        return Guard(original(*args, **options), hosts, read_only=read_only)

    setattr(cli, APPLICATION, guarded)
    arguments: Sequence[str] = ["--host", host, "--port", str(port), "--workspace", workspace]
    cli.dagster_webserver.main([*arguments, *(["--read-only"] if read_only else [])], standalone_mode=False)
