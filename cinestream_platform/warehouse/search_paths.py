"""Where names without a schema are looked for, for each role: said here and nowhere else.

It is a setting of the login in this database, since other databases of the server may be other warehouses. Staging
schemas, raw tables and ``ops`` are in no path, and ``ml`` only in that of its owners: whoever may create functions in a
schema of somebody's path could have him run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from cinestream_platform.declarations.star_table import StarTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.warehouse.access import ANALYST, DASHBOARD, ML_SCHEMA, PLATFORM_SCHEMA, SCIENTIST, login_name

Paths = Mapping[str, Sequence[str]]
"""Role to schemas, in the order in which they are searched."""


def search_paths(tables: Iterable[Table], mart_schemas: Iterable[str]) -> Paths:
    """The paths of roles that read. A name that several sources have means the first source's.

    Engineers and admins keep Postgres' own path: what they create without a schema would land in the first one, which
    readers may read.
    """
    stars = [table for table in tables if isinstance(table, StarTable)]
    open_first = [schema for table in stars for schema in _places(table, stars)]
    marts = list(mart_schemas)
    analyst = list(dict.fromkeys([*marts, *open_first, PLATFORM_SCHEMA]))
    return {ANALYST: analyst, SCIENTIST: [ML_SCHEMA, *analyst], DASHBOARD: [*marts, PLATFORM_SCHEMA]}


def _places(table: Table, stars: Iterable[Table]) -> list[str]:
    """The schemas of a table's star, the one with its open views first."""
    has_open_views = any(other.has_open_view for other in stars if other.schema == table.schema)
    return [table.open_schema, table.schema] if has_open_views else [table.schema]


def path_differences(
    conn: Connection[Any], paths: Paths, members: Mapping[Any, Sequence[str]] | None = None
) -> Iterator[Composed]:
    """The statements that logins still need. Logins of somebody's own (``members``) keep a path that they have."""
    known = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles")}
    for role, path in paths.items():
        for login in (login_name(role), *(members or {}).get(role, ())):
            if login in known and _needs(conn, login, path, is_own=login != login_name(role)):
                schemas = SQL(", ").join(map(Identifier, path))
                set_path = SQL("ALTER ROLE {} IN DATABASE {} SET search_path = {}")
                yield set_path.format(Identifier(login), Identifier(conn.info.dbname), schemas)


def _needs(conn: Connection[Any], login: str, path: Sequence[str], *, is_own: bool) -> bool:
    row = conn.execute(
        """
        SELECT NOT EXISTS (
            SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
            CROSS JOIN unnest(s.setconfig) AS c (said)
            WHERE r.rolname = %(login)s AND starts_with(said, 'search_path=')
                AND CASE WHEN %(is_own)s THEN s.setdatabase IN (0, d.oid)
                    ELSE s.setdatabase = d.oid AND said = 'search_path=' || (
                        SELECT string_agg(quote_ident(name), ', ' ORDER BY n) FROM unnest(%(path)s::text[])
                        WITH ORDINALITY AS p (name, n)) END)
        FROM pg_database d WHERE d.datname = current_database()
        """,
        {"login": login, "is_own": is_own, "path": list(path)},
    ).fetchone()
    return bool(row and row[0])
