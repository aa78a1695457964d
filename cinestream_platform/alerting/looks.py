"""Looking where SQL cannot: disks at every look, and certificates, logins and declarations now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.ledger import troubles
from cinestream_platform.ledger.troubles import Trouble
from cinestream_platform.messages import counted, describe, first_of
from cinestream_platform.services.disk import disks
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import drift, login_name
from cinestream_platform.warehouse.certificates import certificate_problem
from cinestream_platform.warehouse.connection import PostgresTarget
from cinestream_platform.warehouse.ddl import drifted_tables
from cinestream_platform.warehouse.open_views import view_drift
from cinestream_platform.warehouse.role_drift import differences

SLOW_SECONDS = 900.0
"""Between two looks at what seldom changes: each logs in once for each login that there is a secret for."""
AGAIN_SECONDS = 60.0
"""Until a second look, where the first found tables or rights changed: a build may be making them just then."""
LOGIN_SECONDS = 3
SHOWN = 5


class Looks:
    """The looks of one process, which remembers when it looked last."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._suspected: set[str] = set()

    def note(self, conn: Connection[Any], target: PostgresTarget, settings: Settings, catalog: Catalog) -> None:
        """Look at what is due, and note what is wrong there."""
        troubles.replace(conn, "disks", list(short_disks(settings)))
        if self._is_due(f"logins {target}"):
            found = [*certificates(target, settings), *refused_logins(target, settings)]
            troubles.replace(conn, "logins", found)
        if self._is_due(f"declarations {target}"):
            drifted = list(drifted_declarations(conn, target, settings, catalog))
            known = self._suspected
            self._suspected = {one.key for one in drifted}
            if self._suspected - known:
                self._next[f"declarations {target}"] = time.monotonic() + AGAIN_SECONDS
            troubles.replace(conn, "declarations", [one for one in drifted if one.key in known])

    def _is_due(self, look: str) -> bool:
        now = time.monotonic()
        if now < self._next.get(look, 0.0):
            return False
        self._next[look] = now + SLOW_SECONDS
        return True


def short_disks(settings: Settings) -> Iterator[Trouble]:
    """Disks with less free space than is kept free. No number that changes with every look: the page has it."""
    for disk in disks(settings):
        if disk.free < disk.reserve:
            uses = ", ".join(disk.uses)
            text = f"The disk of {uses} is nearly full: less than {disk.reserve / 1e6:,.0f} MB are free"
            yield Trouble("disk", uses, f"{text}. No work begins until there is room")


def certificates(target: PostgresTarget, settings: Settings) -> Iterator[Trouble]:
    """The certificate of an external Postgres, and the file with its CA's, if they end soon."""
    if settings.postgres_host and target.sslmode != "disable" and (problem := certificate_problem(target)):
        yield Trouble("certificate", "postgres", problem)


def refused_logins(target: PostgresTarget, settings: Settings) -> Iterator[Trouble]:
    """Logins that the platform made, or was told of, and that are not let in."""
    for role, password in login_secrets(settings).items():
        login = replace(target, user=login_name(role), password=password)
        try:
            psycopg.connect(login.conninfo("look"), connect_timeout=LOGIN_SECONDS).close()
        except psycopg.OperationalError as error:
            if "too many connections" not in str(error):  # its limit acts: the login itself is good
                text = f"The login {login.user} is not let in: {describe(error)}. cinestream doctor says what to do"
                yield Trouble("login", role, text)


def drifted_declarations(
    conn: Connection[Any], target: PostgresTarget, settings: Settings, catalog: Catalog
) -> Iterator[Trouble]:
    """Tables and rights of the warehouse that somebody has changed."""
    if tables := drifted_tables(conn, catalog.tables):
        text = f"{first_of(tables, SHOWN)} {'has' if len(tables) == 1 else 'have'} other columns than declared"
        yield Trouble("schema_drift", "tables", f"{text}. cinestream doctor says more")
    missing, surplus = drift(conn, catalog.tables, catalog.mart_schemas)
    views = view_drift(conn, catalog.tables)
    with psycopg.connect(target.conninfo("look"), autocommit=True) as as_login:
        others = differences(as_login, catalog.tables, catalog.mart_schemas, settings.role_members)
    if count := len(missing) + len(surplus) + len(views) + len(others):
        are = counted(count, "right in the warehouse is", "rights in the warehouse are")
        yield Trouble("schema_drift", "rights", f"{are} not as declared. cinestream roles shows them")
