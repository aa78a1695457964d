"""What keeps logins from standing in the platform's way: connection limits, and what PUBLIC may do on the server.

Limits hold whatever a login does. Timeouts are only defaults for its sessions, which a plain SET undoes: what protects
the platform from long transactions is ``blockers``. Everything here is applied where this login may, and otherwise
shown to a DBA (``cinestream doctor``): the platform works without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier, Literal

from cinestream_platform.warehouse.access import (
    ADMIN,
    ANALYST,
    DASHBOARD,
    ENGINEER,
    READER_ROLES,
    ROLES,
    SCIENTIST,
    login_name,
)

SHARES = {ADMIN: 0.05, ENGINEER: 0.1, ANALYST: 0.15, SCIENTIST: 0.1, DASHBOARD: 0.1}
"""Part of the server's connections that a login of each role may have; half and more is left to the platform."""
DEFAULTS = {
    ANALYST: {"statement_timeout": "30min", "idle_in_transaction_session_timeout": "10min"},
    SCIENTIST: {"statement_timeout": "2h", "idle_in_transaction_session_timeout": "10min"},
    DASHBOARD: {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min"},
}
"""Settings that the sessions of a role's login begin with."""
TEMPORARY_FILES = {ANALYST: "2GB", SCIENTIST: "4GB", DASHBOARD: "512MB"}
"""Disk that sorts and hashes of one session may take; only a superuser may set it, and no session undoes it."""
SERVER_DATABASES = ("postgres", "template1")
"""Databases that every server has, and that everybody may log in to."""

CLOSED_FUNCTIONS = (
    "pronamespace = 'pg_catalog'::regnamespace"
    " AND proname ~ '^(pg_(try_)?advisory_|lo_|loread$|lowrite$|pg_logical_emit_message$)'"
)
"""Locks, large objects and WAL that everybody could otherwise make as much of as there is room for."""
_CLOSE_FUNCTIONS = (
    f"DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE {CLOSED_FUNCTIONS} "  # noqa: S608 - our own
    "LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f); END LOOP; END $$"
)


def connection_limit(conn: Connection[Any], share: float) -> int:
    """How many connections a login with this share may have on this server."""
    row = conn.execute("SELECT current_setting('max_connections')::int").fetchone()
    return max(2, int((row[0] if row else 100) * share))


def login_limits(conn: Connection[Any], role: str, login: str) -> Iterator[Composed]:
    """The statements that a login's limit and settings still need; the platform's own login has none."""
    if login == conn.info.user:
        return
    limit = connection_limit(conn, SHARES[role])
    if _differs(conn, "SELECT FROM pg_roles WHERE rolname = %s AND rolconnlimit = %s", login, limit):
        yield SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(Identifier(login), Literal(limit))
    for name, value in DEFAULTS.get(role, {}).items() if login == login_name(role) else ():
        yield from _setting(conn, login, name, value)
    if may_limit_files(conn):
        yield from file_limit(conn, role, login)


def file_limit(conn: Connection[Any], role: str, login: str) -> Iterator[Composed]:
    """The statement that a login's limit of temporary files still needs, whoever may run it."""
    if role in TEMPORARY_FILES:
        yield from _setting(conn, login, "temp_file_limit", TEMPORARY_FILES[role])


def may_limit_files(conn: Connection[Any]) -> bool:
    """Whether this login may set how much disk others take."""
    return not _differs(conn, "SELECT WHERE has_parameter_privilege('temp_file_limit', 'SET')")


def _setting(conn: Connection[Any], login: str, name: str, value: str) -> Iterator[Composed]:
    held = (
        "SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE s.setdatabase = 0 AND r.rolname = %s AND %s = ANY (s.setconfig)"
    )
    if _differs(conn, held, login, f"{name}={value}"):
        yield SQL("ALTER ROLE {} SET {} = {}").format(Identifier(login), Identifier(name), Literal(value))


def readers_to_end(conn: Connection[Any]) -> Iterator[Composed]:
    """What lets this login end sessions of readers that block the platform, where it may not yet."""
    me = conn.info.user
    may = (
        "SELECT FROM pg_roles r WHERE r.rolname = %s"
        " AND (r.rolsuper OR pg_has_role(r.oid, 'pg_signal_backend', 'USAGE'))"
    )
    if not _differs(conn, may, me):
        return
    for login in map(login_name, READER_ROLES):
        member = (
            "SELECT FROM pg_roles me, pg_roles r WHERE me.rolname = %s AND r.rolname = %s"
            " AND NOT pg_has_role(me.oid, r.oid, 'USAGE')"
        )
        if not _differs(conn, member, me, login):
            yield SQL("GRANT {} TO {}").format(Identifier(login), Identifier(me))


def public_rights(conn: Connection[Any], databases: Iterable[str]) -> Iterator[Composed]:
    """The statements that shut everybody out of what is the platform's, where PUBLIC may still come in.

    ``databases`` are those beside the one of ``conn`` in which only the platform works.
    """
    me, here = Identifier(conn.info.user), conn.info.dbname
    for name in dict.fromkeys([here, *databases, *SERVER_DATABASES]):
        open_rights = [
            right
            for (right,) in conn.execute(
                "SELECT x.privilege_type FROM pg_database d"
                " CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x"
                " WHERE d.datname = %s AND x.grantee = 0 ORDER BY 1",
                (name,),
            )
        ]
        if not open_rights:
            continue
        if name not in SERVER_DATABASES:
            workers = SQL(", ").join([me, Identifier(ENGINEER)] if name == here else [me])
            yield SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(Identifier(name), workers)
        if name == here:
            readers = SQL(", ").join(map(Identifier, READER_ROLES))
            yield SQL("GRANT CONNECT ON DATABASE {} TO {}").format(Identifier(name), readers)
        yield SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(Identifier(name))
    yield from open_functions(conn)


def open_functions(conn: Connection[Any]) -> Iterator[Composed]:
    """The statement that closes functions of the database of ``conn``, where PUBLIC may still run one."""
    everybody = "EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) x WHERE x.grantee = 0)"
    if not _differs(conn, f"SELECT FROM pg_proc WHERE {CLOSED_FUNCTIONS} AND {everybody} LIMIT 1"):
        yield Composed([SQL(_CLOSE_FUNCTIONS)])


def wanted(conn: Connection[Any], databases: Iterable[str]) -> list[Composed]:
    """Everything of this module that the server still lacks, in the order in which it can be applied."""
    found: list[Composed] = []
    for role in ROLES:
        if not _differs(conn, "SELECT FROM pg_roles WHERE rolname = %s", login_name(role)):
            found += login_limits(conn, role, login_name(role))
            if not may_limit_files(conn):
                found += file_limit(conn, role, login_name(role))
    return [*found, *readers_to_end(conn), *public_rights(conn, databases)]


def apply_where_possible(conn: Connection[Any], statements: Iterable[Composed]) -> None:
    """Run what this login may run, and leave the rest. ``conn`` acts as the login itself."""
    for statement in statements:
        with suppress(errors.InsufficientPrivilege, errors.InvalidGrantOperation), conn.transaction():
            conn.execute(statement)


def _differs(conn: Connection[Any], query: str, *parameters: object) -> bool:
    """Whether a query finds nothing."""
    return conn.execute(query.encode(), parameters).fetchone() is None
