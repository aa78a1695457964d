"""Dagster's webserver behind the guard of ``web``: its own command in all but the application that is served."""

from collections.abc import Sequence
from typing import Any

from dagster_webserver import cli

from cinestream_platform.processes.presence import show_presence
from cinestream_platform.settings import Settings
from cinestream_platform.web.guard import READS_ONLY, Guard
from cinestream_platform.web.hosts import AllowedHosts
from cinestream_platform.web.login.choice import make_login

APPLICATION = "create_app_from_workspace_process_context"


def run_webserver(
    settings: Settings, host: str, port: int, workspace: str, *, read_only: bool, reached_at: str
) -> None:
    """Serve until SIGTERM.

    Args:
        settings: Say the public names behind a proxy, and which login there is.
        host: The address to listen on.
        port: The port; also the one of the loopback names that are answered.
        workspace: Path of the workspace file, which says where the code server is.
        read_only: The stakeholders': no mutations, no logs.
        reached_at: The address at which others reach it.

    Raises:
        LoginError: It may not be served like that; the message says why.
    """
    hosts = AllowedHosts.of(port, settings.ui_hosts)
    login = make_login(settings, reached_at)
    original = getattr(cli, APPLICATION)  # gone in some later version: an error, not an open door

    def guarded(context: Any, *args: Any, **options: Any) -> Guard:
        show_presence(settings, "webserver-read-only" if read_only else "webserver")
        app = original(read_only_for_viewers(context), *args, **options)
        return Guard(app, hosts, read_only=read_only, login=login)

    setattr(cli, APPLICATION, guarded)
    arguments: Sequence[str] = ["--host", host, "--port", str(port), "--workspace", workspace]
    cli.dagster_webserver.main([*arguments, *(["--read-only"] if read_only else [])], standalone_mode=False)


def read_only_for_viewers(context: Any) -> Any:
    """Have Dagster show those who only look what it shows with ``--read-only``: no buttons that would be refused."""
    make = context.create_request_context

    def made_for(source: Any = None) -> Any:
        made = make(source)
        if source is not None and source.scope.get(READS_ONLY):
            made._read_only = True
            if not made.read_only:
                raise AttributeError("this version of Dagster keeps elsewhere what a viewer may do")
        return made

    context.create_request_context = made_for
    return context
