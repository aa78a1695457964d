"""``cinestream dsn`` and ``cinestream roles``: who gets in, and who may do what."""

from dataclasses import replace

from rich.console import Console

from cinestream_platform.catalog import MART_SCHEMAS, TABLES
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.access import apply_grants, drift, login_name
from cinestream_platform.warehouse.connection import connect


class NoLoginError(LookupError):
    """The role has no login."""


def dsn_of(role: str | None) -> str:
    """A DSN with password, for psql.

    Raises:
        NoLoginError: An external Postgres, and no secret was given for the role.
    """
    settings, target = get_settings(), prepared_target()
    if role is None:
        return target.uri()
    secrets = login_secrets(settings)
    if role not in secrets:
        raise NoLoginError(
            f"{role} has no login. Set CINESTREAM_LOGIN_{role.upper()}_PASSWORD; cinestream doctor then creates it."
        )
    return replace(target, user=login_name(role), password=secrets[role]).uri()


def report_grants(*, apply: bool) -> int:
    """Print how the grants differ from the declared ones; 1 if they do and are left so."""
    console = Console()
    with connect(prepared_target()) as conn:
        missing, surplus = drift(conn, TABLES, MART_SCHEMAS)
        for grant in missing:
            console.print(f"missing: {grant}", markup=False)
        for grant in surplus:
            console.print(f"nobody declared: {grant}", markup=False)
        if not (missing or surplus):
            console.print("All grants are as declared.")
            return 0
        if not apply:
            console.print("cinestream roles --apply makes them so.")
            return 1
        with conn.transaction():
            for change in apply_grants(conn, TABLES, MART_SCHEMAS):
                console.print(change, markup=False)
    return 0
