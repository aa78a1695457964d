"""One child of the supervisor: Dagster's code server, daemon or webserver, or the pages, as a program of its own.

``python -m cinestream_platform.processes.child …`` imports what it needs, waits for the code server, and becomes it.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import click
import psutil

from cinestream_platform.errors import CineStreamError
from cinestream_platform.processes.lifeline import follow_supervisor
from cinestream_platform.settings import get_settings

CODE_SERVER_SECONDS = 600.0  # until it must listen; it imports all definitions first
LOOK_SECONDS = 1.0


@click.group()
@click.option("--lifeline", type=int, help="Descriptor of the pipe to the supervisor.")
def child(lifeline: int | None) -> None:
    """Run one of the platform's processes."""
    os.umask(0o077)  # in containers too: what it writes is for its account alone
    if lifeline is not None:
        follow_supervisor(lifeline)


@child.command("code-server")
@click.argument("address", type=click.Path(path_type=Path), required=False)
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=int, help="Listen there instead of at a Unix socket.")
def code_server(address: Path | None, host: str, port: int | None) -> None:
    """The assets, sensors and runs, at a Unix socket or a port."""
    if address is not None:
        address.unlink(missing_ok=True)  # a killed one's: others wait for this file
        place = ["--socket", str(address)]
    elif port is not None:
        place = ["--host", host, "--port", str(port)]
    else:
        raise click.UsageError("name a socket or a port")
    threading.Thread(target=_end_with_inner_server, name="inner-server", daemon=True).start()
    arguments = ["code-server", "start", *place, "--location-name", "cinestream"]
    run_program("dagster", [*arguments, "--module-name", "cinestream_platform.definitions"])


@child.command("daemon")
@click.argument("workspace", type=click.Path(path_type=Path))
@click.option("--after", type=click.Path(path_type=Path), help="Socket of the code server that must listen first.")
def daemon(workspace: Path, after: Path | None) -> None:
    """Dagster's daemon: sensors, schedules, the run queue. One for each of Dagster's databases."""
    from cinestream_platform.processes.intervals import poll_less
    from cinestream_platform.processes.presence import hold_presence

    hold_presence(get_settings())
    load_program("dagster-daemon")
    poll_less()
    wait_for_server(after)
    run_program("dagster-daemon", ["run", "--workspace", str(workspace)])


@child.command("webserver")
@click.argument("workspace", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=int, required=True)
@click.option("--read-only", is_flag=True)
@click.option("--after", type=click.Path(path_type=Path), help="Socket of the code server that must listen first.")
@click.option("--published-at", help="Address at which a container's port is published, if it is not the host.")
def webserver(
    workspace: Path, host: str, port: int, read_only: bool, after: Path | None, published_at: str | None
) -> None:
    """Dagster's UI, behind the guard."""
    from cinestream_platform.processes.intervals import poll_less
    from cinestream_platform.processes.webserver import run_webserver

    poll_less()
    wait_for_server(after)
    reached_at = published_at or host
    with said_in_one_line():
        run_webserver(get_settings(), host, port, str(workspace), read_only=read_only, reached_at=reached_at)


@child.command("dashboards")
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=int, required=True)
@click.option("--published-at", help="Address at which a container's port is published, if it is not the host.")
def dashboards(host: str, port: int, published_at: str | None) -> None:
    """The pages for stakeholders. They know no code server: they read the warehouse."""
    from cinestream_platform.dashboards.server import serve

    with said_in_one_line():
        serve(get_settings(), host, port, reached_at=published_at or host)


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """Show what people can mend as a sentence, without a traceback."""
    try:
        yield
    except CineStreamError as error:
        sys.exit(str(error))


def load_program(name: str) -> click.Command:
    """The command of a console script of Dagster's packages."""
    (found,) = entry_points(group="console_scripts", name=name)
    program: click.Command = found.load()
    return program


def run_program(name: str, arguments: list[str]) -> None:
    """Become a console script of Dagster's packages."""
    sys.argv = [name, *arguments]
    load_program(name)()


def wait_for_server(address: Path | None) -> None:
    """Wait until a server listens at the Unix socket, if one is named.

    Raises:
        TimeoutError: None did.
    """
    deadline = time.monotonic() + CODE_SERVER_SECONDS
    while address is not None and not _listens(address):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the code server did not listen within {CODE_SERVER_SECONDS:.0f} s; its log says why")
        time.sleep(0.1)


def _listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
        return True


def _end_with_inner_server() -> None:
    """End this process once the server that it hands requests to is gone: it would answer with errors for ever.

    Reloading starts the new inner server before it ends the old one.
    """
    known: list[psutil.Process] = []
    seen = False
    while True:
        time.sleep(LOOK_SECONDS)
        known = [process for process in known if _runs(process)]
        if not known:
            known = [process for process in psutil.Process().children() if _runs(process)]
        if seen and not known:
            sys.stderr.write("the inner code server has ended; so does this one\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        seen = seen or bool(known)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


if __name__ == "__main__":
    child()
