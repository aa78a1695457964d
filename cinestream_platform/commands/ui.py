"""``cinestream ui``: code server, daemon, webserver and pages of this home, started again when one of them ends.

With ``--read-only``: a webserver for stakeholders and the code server that it asks, no daemon.
``cinestream dashboards``: the pages alone.
"""

import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import yaml

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.instance import instance_environment, prepare_instance
from cinestream_platform.errors import CineStreamError
from cinestream_platform.processes.home import UiError, claimed, require_free_port, require_no_daemon
from cinestream_platform.processes.presence import refuse_second_daemon
from cinestream_platform.processes.rotating_log import RotatingLog
from cinestream_platform.processes.supervisor import Program, Supervisor
from cinestream_platform.services.postgres import PostgresServiceError, postgres_status
from cinestream_platform.settings import ALERT_URLS, Settings
from cinestream_platform.warehouse.access import DASHBOARD
from cinestream_platform.web.hosts import AllowedHosts
from cinestream_platform.web.login.choice import make_login, people_file

DEFAULT_PORT, DEFAULT_READ_ONLY_PORT, DEFAULT_DASHBOARDS_PORT = 3000, 3001, 3002
HOST = "127.0.0.1"
DASHBOARDS_STEP = DEFAULT_DASHBOARDS_PORT - DEFAULT_PORT  # from the UI's port to that of its pages
LONGEST_SOCKET_PATH = 90  # bytes; the kernel's limit is 107, macOS' 103
TICK_SECONDS = 5.0  # that a tick gets to end when the UI is stopped; one that is cut off changes nothing
SECRETS = ("PASSWORD", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", *ALERT_URLS)
"""Endings of variables that the webserver does not get; Dagster's own database is in the instance's environment."""
WEB_SECRETS = ("WEB_OIDC_CLIENT_SECRET", "WEB_METRICS_TOKEN")
"""Endings of variables that are the web servers' alone: neither runs nor the daemon get them."""
READER_PASSWORD = f"CINESTREAM_LOGIN_{DASHBOARD.upper()}_PASSWORD"
"""The one secret that the pages get: of their own login."""
NEEDED_BY_DASHBOARDS = ("altair", "fast_sugiyama", "prometheus_client", "psycopg_pool", "vl_convert")
"""What the extra [dashboards] installs."""


class NoDashboardsError(CineStreamError):
    """The pages cannot be served; the message says what to install."""


class WarehouseGround:
    """The Postgres of this home; an external one is its DBA's to start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def stands(self) -> bool:
        """Whether the embedded server runs and is ready."""
        try:
            return self._settings.postgres_host is not None or postgres_status(self._settings.home_dir) is not None
        except PostgresServiceError:
            return False

    def rebuild(self) -> Mapping[str, str]:
        """Start it; the environment says where it is now."""
        return instance_environment(self._settings)


def run_dashboards(settings: Settings, port: int | None) -> None:
    """Prepare the warehouse, then keep the pages served until Ctrl-C or SIGTERM.

    Raises:
        NoDashboardsError: The extra is not installed.
    """
    port = port or DEFAULT_DASHBOARDS_PORT
    if lacking := _not_installed():
        raise NoDashboardsError(f"the pages need {', '.join(lacking)}: pip install 'cinestream-platform[dashboards]'")
    AllowedHosts.of(port, settings.ui_hosts)
    _look_at_login(settings)
    with claimed(settings.home_dir, "dashboards", port):
        require_free_port(port)
        _print("starting …")
        prepare_instance(settings)
        _prepare(settings)
        told, logs = _teller(settings, "dashboards"), settings.home_dir / "logs"
        with Supervisor([pages_program(port)], WarehouseGround(settings), logs, told) as supervisor:
            _on_signals(lambda *_: supervisor.stop())
            supervisor.start_early(instance_environment(settings))
            threading.Thread(target=_tell_once_ready, args=(port, _pages_line(port)), daemon=True).start()
            supervisor.run()
    _print("stopped")


def _look_at_login(settings: Settings) -> None:
    """Refuse what the web servers would refuse, before anything starts; say so if nobody could log in."""
    make_login(settings, HOST)
    if settings.web_public_pages and not _not_installed():
        from cinestream_platform.dashboards.site import public_addresses

        public_addresses(settings.web_public_pages)
    if settings.web_login == "password" and not people_file(settings).exists():
        _print("nobody may log in yet: cinestream login add NAME --role operator")


def pages_program(port: int) -> Program:
    """The pages, on this port."""
    return Program("dashboards", ("dashboards", "--port", str(port)), SECRETS, kept=(READER_PASSWORD,))


def _not_installed() -> list[str]:
    """What the pages need and is missing."""
    return [name for name in NEEDED_BY_DASHBOARDS if find_spec(name) is None]


def _pages_line(port: int) -> str:
    return f"pages for stakeholders: http://127.0.0.1:{port}"


def _pages_beside(port: int, tell: Callable[[str], None]) -> int | None:
    """The port of the pages beside a UI; None if they cannot be served, and why is told."""
    beside = port + DASHBOARDS_STEP
    if lacking := _not_installed():
        tell(f"no pages for stakeholders: {', '.join(lacking)} missing, pip install 'cinestream-platform[dashboards]'")
        return None
    try:
        require_free_port(beside)
    except (UiError, OverflowError):
        tell(f"no pages for stakeholders: port {beside} is taken; cinestream dashboards --port … serves them elsewhere")
        return None
    return beside


def run_ui(settings: Settings, port: int | None, *, read_only: bool) -> None:
    """Prepare the home, then keep its processes running until Ctrl-C or SIGTERM."""
    name = "ui-read-only" if read_only else "ui"
    port = port or (DEFAULT_READ_ONLY_PORT if read_only else DEFAULT_PORT)
    AllowedHosts.of(port, settings.ui_hosts)
    _look_at_login(settings)
    with claimed(settings.home_dir, name, port):
        require_free_port(port)
        if not read_only:
            require_no_daemon(settings.home_dir)
        _print("starting …")
        prepare_instance(settings)
        if not read_only:
            refuse_second_daemon(settings)
        os.chdir(settings.home_dir)  # dagster writes what it has no other place for into its working folder
        with _socket_path(settings.home_dir, name) as address:
            _supervise(settings, name, port, address, read_only=read_only)
    _print("stopped" if settings.postgres_host else "stopped; Postgres goes on, cinestream services stop ends it")


def _supervise(settings: Settings, name: str, port: int, address: Path, *, read_only: bool) -> None:
    logs = settings.home_dir / "logs"
    workspace = settings.home_dir / "dagster" / f"{name}.yaml"
    server = {"socket": str(address), "location_name": "cinestream"}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    tell = _teller(settings, name)
    _on_signals(signal.default_int_handler)
    pages = None if read_only else _pages_beside(port, tell)
    wanted = programs(workspace, address, port, read_only=read_only)
    wanted += [pages_program(pages)] if pages else []
    if pages:  # what alerts link to, unless people reach it by another name
        os.environ.setdefault("CINESTREAM_PAGES_URL", f"http://127.0.0.1:{pages}")
    with Supervisor(wanted, WarehouseGround(settings), logs, tell) as supervisor:
        supervisor.start_early(instance_environment(settings))
        _prepare(settings)
        _on_signals(lambda *_: supervisor.stop())
        url = f"Dagster UI: http://127.0.0.1:{port}   landing zone: {settings.landing}   logs: {logs}   Ctrl-C stops"
        for one, line in [(port, url)] + ([(pages, _pages_line(pages))] if pages else []):
            threading.Thread(target=_tell_once_ready, args=(one, line), daemon=True).start()
        supervisor.run()


def _teller(settings: Settings, name: str) -> Callable[[str], None]:
    """Takes events: to the terminal and to the log of this name."""
    told = RotatingLog(settings.home_dir / "logs" / f"{name}.log")

    def tell(event: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {event}"
        _print(line)
        told.write(f"{time.strftime('%Y-%m-%d')} {line}\n".encode())

    return tell


def _prepare(settings: Settings) -> None:
    """What the definitions and sensors expect."""
    # Imported here: the children import theirs meanwhile.
    from cinestream_platform.marts.project import ensure_manifest
    from cinestream_platform.orchestration.warehouse import start_and_prepare

    start_and_prepare(CATALOG, settings)
    ensure_manifest(settings)


def _on_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have Ctrl-C, SIGTERM and the end of the terminal call this.

    A script's background job ignores SIGINT, and would hand that on to the children; handlers are not inherited.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup cinestream ui
            signal.signal(number, handler)


def _print(line: str) -> None:
    """To the terminal, if there still is one."""
    with suppress(OSError):
        print(line, flush=True)  # noqa: T201


def programs(workspace: Path, address: Path, port: int, *, read_only: bool) -> list[Program]:
    """What runs, in the order of its start; all import at once, and wait for the code server by themselves."""
    suffix = "-read-only" if read_only else ""
    after = ("--after", str(address))
    hidden = (*WEB_SECRETS, *ALERT_URLS)
    # The sensors tell channels, and they run in the code server that the daemon asks.
    of_code = hidden if read_only else WEB_SECRETS
    code = Program(f"code-server{suffix}", ("code-server", str(address)), of_code, is_base=True)
    daemon = Program("daemon", ("daemon", str(workspace), *after), hidden, stop_seconds=TICK_SECONDS)
    serve = ("webserver", str(workspace), "--port", str(port), *after)
    # Of Postgres it has the password anyway, as that of Dagster's database: with it, it shows that it lives.
    kept = ("CINESTREAM_POSTGRES_PASSWORD",)
    if read_only:
        return [code, Program("webserver-read-only", (*serve, "--read-only"), SECRETS, kept)]
    return [code, daemon, Program("webserver", serve, SECRETS, kept)]


def _tell_once_ready(port: int, text: str) -> None:
    while True:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    _print(text)


@contextmanager
def _socket_path(home: Path, name: str) -> Iterator[Path]:
    """Where the code server listens: in the home, which is private, or where its path is too long or odd, elsewhere."""
    path = home / "dagster" / f"{name}.sock"
    # gRPC reads the path as a URI.
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and re.fullmatch(r"[\w/.-]+", str(path), re.ASCII):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cinestream-", dir="/tmp") as folder:
        yield Path(folder) / f"{name}.sock"
