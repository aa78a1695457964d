"""``cinestream dsn``, ``psql`` and ``roles``: who gets in, and who may do what."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from psycopg import Connection
from rich.console import Console

from cinestream_platform.catalog import CATALOG, MART_SCHEMAS, TABLES
from cinestream_platform.commands.tables import say
from cinestream_platform.errors import CineStreamError
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import limits
from cinestream_platform.warehouse.access import apply_grants, drift, login_name
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.open_views import view_drift
from cinestream_platform.warehouse.role_drift import Difference, differences, mend, path_drift


class NoLoginError(CineStreamError):
    """The role has no login."""


def dsn_of(settings: Settings, role: str | None) -> str:
    """A DSN with password, for psql.

    Raises:
        NoLoginError: An external Postgres, and no secret was given for the role.
    """
    return _target_of(settings, role).uri()


def run_psql(settings: Settings, role: str | None, arguments: Sequence[str]) -> NoReturn:
    """Become the psql that comes along, logged in; the password is in its environment, where no process list shows it.

    Raises:
        NoLoginError: An external Postgres, and no secret was given for the role.
        PostgresServiceError: There is no psql.
    """
    program = str(postgres_binary(settings.home_dir, "psql"))
    inherited = {name: value for name, value in os.environ.items() if not is_login_setting(name)}
    os.execve(program, [program, *arguments], inherited | _target_of(settings, role).client_environment())  # noqa: S606


def is_login_setting(name: str) -> bool:
    """Whether a variable of the shell would say to libpq where to log in, or as whom or how."""
    return name.startswith("PG") or name.startswith("CINESTREAM_")


def _target_of(settings: Settings, role: str | None) -> PostgresTarget:
    target = start_and_prepare(CATALOG, settings)
    if role is None:
        return target
    secrets = login_secrets(settings)
    if role not in secrets:
        raise NoLoginError(
            f"{role} has no login. Set CINESTREAM_LOGIN_{role.upper()}_PASSWORD; cinestream doctor then creates it."
        )
    return replace(target, user=login_name(role), password=secrets[role])


def report_grants(settings: Settings, *, apply: bool) -> int:
    """Print how grants, memberships and roles differ from what is declared; 1 if anything does and is left so."""
    console = Console()
    target = start_and_prepare(CATALOG, settings)
    with connect(target) as conn, connect(target, role=None) as as_login:
        missing, surplus = drift(conn, TABLES, MART_SCHEMAS)
        views = view_drift(conn, TABLES)
        others = _others(as_login, settings)
        if not (missing or surplus or views or others):
            console.print("All grants are as declared.")
            return 0
        if not apply:
            lines = [f"missing: {grant}" for grant in missing] + [f"nobody declared: {grant}" for grant in surplus]
            for line in [*lines, *views, *map(str, others)]:
                say(console, line)
            console.print("cinestream roles --apply makes them so.")
            return 1
        with conn.transaction():
            for change in apply_grants(conn, TABLES, MART_SCHEMAS):
                say(console, change)
        if views:  # one that showed too much is mended, and its grants are right again
            others = _others(as_login, settings)
        for difference, outcome in mend(as_login, others):
            say(console, f"{difference}: {outcome}")
        limits.apply_where_possible(as_login, limits.wanted(as_login, [settings.postgres_dagster_database]))
        return 1 if view_drift(conn, TABLES) or _others(as_login, settings) else 0


def _others(as_login: Connection[Any], settings: Settings) -> list[Difference]:
    """What differs beside grants and open views."""
    found = differences(as_login, TABLES, MART_SCHEMAS, settings.role_members)
    return [*found, *path_drift(as_login, TABLES, MART_SCHEMAS, settings.role_members)]
