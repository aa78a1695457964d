"""``cinestream doctor``: one line a check, and for each failure what to do.

What belongs here: the report, and the checks of this machine. Those of the services are ``doctor_services``'.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from rich.console import Console

from cinestream_platform.commands.findings import FAILED, OK, WARNING, Finding, mask_secrets
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import counted, describe
from cinestream_platform.services.disk import disks, shortage
from cinestream_platform.settings import Settings, SettingsError

OLDEST_PYTHON, FIRST_UNTRIED_PYTHON = (3, 11), (3, 14)
LOW_DISK_GB = 10
SHOWN_PACKAGES = ("dagster", "dbt-core", "polars", "pandera", "psycopg")

Check = Callable[[], Iterator[Finding]]


def run_doctor(read_settings: Callable[[], Settings]) -> int:
    """Check everything, the settings too, and print it; 1 if anything failed."""
    console = Console(file=sys.stdout)
    failed = warned = 0
    for finding in _findings(read_settings):
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        line = mask_secrets(" ".join(f"{finding.level:<8} {finding.what:<18} {finding.text}{remedy}".splitlines()))
        style = {FAILED: "red", WARNING: "yellow"}.get(finding.level)
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
        failed += finding.level == FAILED
        warned += finding.level == WARNING
    verdict = f"{failed} failed, {counted(warned, 'warning')}." if failed or warned else "All is well."
    console.print(verdict, soft_wrap=True)
    return 1 if failed else 0


def _findings(read_settings: Callable[[], Settings]) -> Iterator[Finding]:
    yield from _guarded("python", _python)
    yield from _guarded("packages", _packages)
    try:
        settings = read_settings()
    except SettingsError as error:
        yield Finding(FAILED, "settings", str(error), "correct these environment variables")
        return
    yield from _guarded("home", lambda: _home(settings))
    yield from _guarded("disk", lambda: _disk(settings))
    yield from _guarded("login", lambda: login_findings(settings))
    from cinestream_platform.commands.doctor_services import ServiceChecks

    for name, check in ServiceChecks(settings).all():
        yield from _guarded(name, check)


def _guarded(name: str, check: Check) -> Iterator[Finding]:
    """A check that crashes is a failure with its own words, never a traceback."""
    try:
        yield from check()
    except Exception as error:
        yield Finding(FAILED, name, describe(error), "a check that crashes is a bug: report it")


def login_findings(settings: Settings) -> Iterator[Finding]:
    """Who may come in to the pages and Dagster's UI, and whether the web servers would start like that."""
    from cinestream_platform.web.login.choice import make_login, people_file

    try:
        login = make_login(settings, "127.0.0.1")
    except CineStreamError as error:
        yield Finding(FAILED, "login", str(error), "see docs/login.md")
        return
    if login is None:
        asks = "the proxy asks, or nobody" if settings.web_login else "on this machine alone"
        yield Finding(OK, "login", f"none: {asks}")
    elif settings.web_login == "oidc":
        yield Finding(OK, "login", f"people whom {settings.web_oidc_issuer} knows")
    else:
        from cinestream_platform.web.login.people import People

        roles = [entry.role for entry in People(people_file(settings)).entries().values()]
        text = f"by password: {counted(len(roles), 'person', 'people')}, {counted(roles.count('operator'), 'operator')}"
        if "operator" in roles:
            yield Finding(OK, "login", text)
        else:
            yield Finding(WARNING, "login", text, "cinestream login add NAME --role operator")


def _python() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:3]))
    if OLDEST_PYTHON <= sys.version_info[:2] < FIRST_UNTRIED_PYTHON:
        yield Finding(OK, "python", running)
    else:
        yield Finding(FAILED, "python", f"{running}; 3.11 to 3.13 is needed", "make install PYTHON=python3.12")


def _packages() -> Iterator[Finding]:
    wrong, found = [], {}
    for line in requires("cinestream-platform") or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found[requirement.name] = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(found[requirement.name], prereleases=True):
            wrong.append(f"{requirement.name} is {found[requirement.name]}, needed is {requirement.specifier}")
    if wrong:
        yield Finding(FAILED, "packages", "; ".join(wrong), "make install (pip install -r requirements.lock)")
    else:
        shown = ", ".join(f"{name} {found[name]}" for name in SHOWN_PACKAGES if name in found)
        yield Finding(OK, "packages", f"{len(found)} as required: {shown}, …")


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home_dir
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-"):
            pass
    except OSError as error:
        remedy = "make the folder writable for this user, or set CINESTREAM_HOME to one that is"
        yield Finding(FAILED, "home", f"{home}: {error.strerror or error}", remedy)
        return
    if home.stat().st_mode & 0o007:
        yield Finding(
            WARNING, "home", f"{home} is open to other accounts", "chmod 700, or set CINESTREAM_HOME elsewhere"
        )
    else:
        yield Finding(OK, "home", f"{home} is writable, and closed to other accounts")


def _disk(settings: Settings) -> Iterator[Finding]:
    text = "; ".join(map(str, disks(settings)))
    if reason := shortage(settings):
        yield Finding(FAILED, "disk", reason, "free some, move CINESTREAM_HOME, or lower CINESTREAM_DISK_RESERVE_MB")
    elif min(disk.free for disk in disks(settings)) < LOW_DISK_GB * 1e9:
        remedy = f"free some, or move CINESTREAM_HOME; below {LOW_DISK_GB} GB a large load may fill the disk"
        yield Finding(WARNING, "disk", text, remedy)
    else:
        yield Finding(OK, "disk", text)
