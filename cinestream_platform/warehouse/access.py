"""Who may do what, declared as data, applied idempotently, and compared with what Postgres really grants.

Group roles cannot log in; logins are made from secrets and are members of one group. ``data_engineer`` owns all
that the platform makes; readers get what ``readers_of`` says, on the table and on every new partition of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier
from pydantic import SecretStr

from cinestream_platform.declarations.star_table import Fact
from cinestream_platform.declarations.table import Layer, Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.warehouse.connection import OWNER_ROLE
from cinestream_platform.warehouse.open_views import ensure_open_views, open_schemas

ADMIN, ENGINEER, ANALYST, SCIENTIST, DASHBOARD = ROLES = (
    "admin",
    OWNER_ROLE,
    "data_analyst",
    "ml_engineer",
    "dashboard_reader",
)
PUBLIC = "PUBLIC"
"""Everybody who can log in; no role, and never quoted."""
READER_ROLES = (ANALYST, SCIENTIST, DASHBOARD)
"""Those that change nothing but what is their own; their sessions give way to the platform's."""
MART_READERS = READER_ROLES
"""Who may read marts, and the platform's views about itself: said here and nowhere else. A mart gets its grants when it
is created, by the default privileges of its schema."""
ML_SCHEMA = "ml"
PLATFORM_SCHEMA = "platform"
"""Views about the platform itself, made by migrations."""


def login_name(role: str) -> str:
    """The login that belongs to a group role."""
    return f"cinestream_{role}"


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege of one role on a relation (``column`` = on that column only) or a schema (``relation`` empty)."""

    role: str
    privilege: str
    schema: str
    relation: str = ""
    column: str = ""

    def __str__(self) -> str:
        where = ".".join(part for part in (self.schema, self.relation, self.column) if part)
        return f"{self.role}: {self.privilege} on {where}"


def readers_of(layer: Layer) -> tuple[str, ...]:
    """The roles that may read tables of a layer, besides their owner and ``admin``."""
    return () if layer is Layer.RAW else (ANALYST, SCIENTIST)


def table_grants(table: Table, relation: str | None = None) -> list[Grant]:
    """The declared grants on a table or on one of its partitions; with personal columns none, but on its open view."""
    readers = readers_of(table.layer)
    name = table.name if table.has_open_view else relation or table.name
    return [Grant(role, "SELECT", table.readable_schema, name) for role in readers]


def _statement(grant: Grant, verb: str) -> Composed:
    privilege = SQL(grant.privilege)  # one of this module's own words
    if grant.column:
        privilege_on = SQL("{} ({})").format(privilege, Identifier(grant.column))
    else:
        privilege_on = SQL("{}").format(privilege)
    relation, schema = Identifier(grant.schema, grant.relation), Identifier(grant.schema)
    where = SQL("TABLE {}").format(relation) if grant.relation else SQL("SCHEMA {}").format(schema)
    link = SQL("TO" if verb == "GRANT" else "FROM")
    grantee = SQL("PUBLIC") if grant.role == PUBLIC else Identifier(grant.role)
    # CASCADE: whoever was given the right with GRANT OPTION may have passed it on.
    end = SQL("" if verb == "GRANT" else " CASCADE")
    verb_word = SQL("GRANT" if verb == "GRANT" else "REVOKE")
    return SQL("{} {} ON {} {} {}{}").format(verb_word, privilege_on, where, link, grantee, end)


def grant_on_relation(conn: Connection[Any], table: Table, schema: str, relation: str) -> None:
    """Give a table that is about to become a partition the grants of its parent."""
    for grant in [] if table.has_open_view else table_grants(table, relation):
        conn.execute(_statement(Grant(grant.role, grant.privilege, schema, relation, grant.column), "GRANT"))


def declared_grants(tables: Iterable[Table], mart_schemas: Iterable[str]) -> set[Grant]:
    """Every grant that should be, except on marts' tables (default privileges give those) and to owners."""
    wanted: set[Grant] = set()
    for table in tables:
        wanted.update(table_grants(table))
        schemas = (table.schema, table.readable_schema)
        wanted.update(Grant(role, "USAGE", schema) for role in readers_of(table.layer) for schema in schemas)
    for schema in (*mart_schemas, PLATFORM_SCHEMA):
        wanted.update(Grant(role, "USAGE", schema) for role in MART_READERS)
    return wanted


class MissingRightError(CineStreamError):
    """The login may not do what the platform needs once; the message holds the statements that a DBA must run."""

    def __init__(self, conn: Connection[Any], statements: list[str]) -> None:
        super().__init__(
            f"{conn.info.user} may not do all that the platform needs in database {conn.info.dbname}. Have a DBA run "
            f"there, once: {' '.join(statements)} (Or give the login CREATEROLE and the database: "
            f'ALTER ROLE "{conn.info.user}" CREATEROLE; '
            f'ALTER DATABASE "{conn.info.dbname}" OWNER TO "{conn.info.user}";)'
        )


def ensure_roles(conn: Connection[Any], logins: Mapping[str, SecretStr]) -> None:
    """Create group roles, their schema and the logins for which there is a secret.

    ``conn`` acts as the connecting user itself, who need not be a superuser: the owner of the database with CREATEROLE
    will do (from PostgreSQL 16 on such a user rules the roles that it made itself), and where a DBA has made
    everything, any login that is a member of ``data_engineer``.

    Raises:
        MissingRightError: Something is missing that this user may not make.
    """
    missing: list[str] = []
    for shown, statement in _role_statements(conn, logins):
        try:
            with conn.transaction():
                conn.execute(statement)
        except (errors.InsufficientPrivilege, errors.UndefinedObject) as error:
            if isinstance(error, errors.UndefinedObject) and not missing:
                raise
            missing.append(shown)
    # GRANT without the right to grant is a warning only where the user has another right on the database.
    if missing or _lacks(conn, "has_database_privilege(%s, current_database(), 'CREATE')", OWNER_ROLE):
        create = SQL("GRANT CREATE ON DATABASE {} TO {};").format(Identifier(conn.info.dbname), Identifier(OWNER_ROLE))
        raise MissingRightError(conn, missing or [create.as_string(conn)])


def _lacks(conn: Connection[Any], condition: str, *parameters: str) -> bool:
    row = conn.execute(f"SELECT NOT {condition}".encode(), parameters).fetchone()  # the conditions are this module's
    return bool(row and row[0])


def _role_statements(conn: Connection[Any], logins: Mapping[str, SecretStr]) -> Iterator[tuple[str, Composed]]:
    """Each statement that is still needed, with the text that a DBA is shown; asked for one by one."""

    def shown(statement: Composed) -> tuple[str, Composed]:
        return f"{statement.as_string(conn)};", statement

    for role in ROLES:
        if _lacks(conn, "EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", role):
            attributes = SQL("NOLOGIN CREATEROLE" if role == ADMIN else "NOLOGIN")
            yield shown(SQL("CREATE ROLE {} {}").format(Identifier(role), attributes))
    # From PostgreSQL 16 on CREATEROLE alone does not let admins hand out roles: they need the ADMIN OPTION.
    for role in ROLES[1:]:
        granted = "EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        granted += " JOIN pg_roles u ON u.oid = m.member WHERE r.rolname = %s AND u.rolname = %s AND m.admin_option)"
        if _lacks(conn, granted, role, ADMIN):
            yield shown(SQL("GRANT {} TO {} WITH ADMIN OPTION").format(Identifier(role), Identifier(ADMIN)))
    may_set = "SET" if conn.info.server_version >= 160_000 else "MEMBER"
    for role in (OWNER_ROLE, SCIENTIST):
        if _missing_role(conn, role) or _lacks(conn, f"pg_has_role(%s, '{may_set}')", role):
            yield shown(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(conn.info.user)))
    # A DBA may have taken from PUBLIC what every database gives it.
    database = Identifier(conn.info.dbname)
    owner_rights = [(OWNER_ROLE, right) for right in ("CREATE", "TEMPORARY", "CONNECT")]
    for role, right in [*owner_rights, *((role, "CONNECT") for role in ROLES[2:])]:
        granted = f"has_database_privilege(%s, current_database(), '{right}')"
        if _missing_role(conn, role) or _lacks(conn, granted, role):
            yield shown(SQL("GRANT {} ON DATABASE {} TO {}").format(SQL(right), database, Identifier(role)))
    if _lacks(conn, "to_regnamespace(%s) IS NOT NULL", ML_SCHEMA):
        create = SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
        yield shown(create.format(Identifier(ML_SCHEMA), Identifier(SCIENTIST)))
    for role, password in logins.items():
        yield from _login_statements(conn, role, password)


def _missing_role(conn: Connection[Any], role: str) -> bool:
    """Whether a statement before this one failed to make it; functions of rights raise for an unknown role."""
    return _lacks(conn, "EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", role)


def password_verifier(conn: Connection[Any], login: str, password: SecretStr) -> str:
    """What to send instead of the password itself, for statements may be logged."""
    return conn.pgconn.encrypt_password(password.get_secret_value().encode(), login.encode(), b"scram-sha-256").decode()


def _login_statements(conn: Connection[Any], role: str, password: SecretStr) -> Iterator[tuple[str, Composed]]:
    name = login_name(role)
    login = Identifier(name)
    verifier = password_verifier(conn, name, password)
    attributes = SQL("LOGIN CREATEROLE" if role == ADMIN else "LOGIN")
    verb = SQL("CREATE ROLE" if _missing_role(conn, name) else "ALTER ROLE")
    made = SQL("{} {} {}").format(verb, login, attributes)
    yield f"{made.as_string(conn)} PASSWORD '…';", made + SQL(" PASSWORD {}").format(verifier)
    member = SQL("GRANT {} TO {}").format(Identifier(role), login)
    yield f"{member.as_string(conn)};", member


def apply_grants(conn: Connection[Any], tables: Iterable[Table], mart_schemas: Iterable[str]) -> list[str]:
    """Make open views and grants what is declared; every change, in words. ``conn`` acts as the owner."""
    tables = list(tables)
    changes = ensure_open_views(conn, tables)
    for schema in mart_schemas:
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        readers = SQL(", ").join(map(Identifier, MART_READERS))
        conn.execute(
            SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}").format(
                Identifier(schema), readers
            )
        )
    missing, surplus = drift(conn, tables, mart_schemas)
    for grant in missing:
        conn.execute(_statement(grant, "GRANT"))
    for grant in surplus:
        conn.execute(_statement(grant, "REVOKE"))
    return changes + [f"granted {grant}" for grant in missing] + [f"revoked {grant}" for grant in surplus]


def drift(
    conn: Connection[Any], tables: Iterable[Table], mart_schemas: Iterable[str]
) -> tuple[list[Grant], list[Grant]]:
    """Grants that are declared and missing, and grants that nobody declared, within the platform's schemas."""
    tables = list(tables)
    wanted = declared_grants(tables, mart_schemas)
    partitions = _partitions(conn, tables)
    for table, child in partitions:
        wanted.update(table_grants(table, child))
    read_by_all = {*mart_schemas, PLATFORM_SCHEMA}
    schemas = sorted(declared_schemas(tables, mart_schemas))
    for schema, relation in _relations(conn, read_by_all):
        wanted.update(Grant(role, "SELECT", schema, relation) for role in MART_READERS)
    actual = _actual_grants(conn, schemas)
    return sorted(wanted - actual), sorted(actual - wanted)


def declared_schemas(tables: Iterable[Table], mart_schemas: Iterable[str]) -> set[str]:
    """The schemas in which everything is declared."""
    tables = list(tables)
    of_tables = {schema for table in tables for schema in (table.schema, table.staging_schema)}
    return of_tables | {*open_schemas(tables), *mart_schemas, PLATFORM_SCHEMA, "ops"}


def _partitions(conn: Connection[Any], tables: list[Table]) -> list[tuple[Table, str]]:
    by_name = {(table.schema, table.name): table for table in tables if isinstance(table, Fact)}
    rows = conn.execute(
        """
        SELECT n.nspname, parent.relname, child.relname FROM pg_inherits
        JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid
        JOIN pg_namespace n ON n.oid = parent.relnamespace WHERE child.relkind = 'r'
        """
    )
    return [(by_name[schema, parent], child) for schema, parent, child in rows if (schema, parent) in by_name]


def _relations(conn: Connection[Any], schemas: Iterable[str]) -> list[tuple[str, str]]:
    return conn.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm')",
        (list(schemas),),
    ).fetchall()


def _actual_grants(conn: Connection[Any], schemas: list[str]) -> set[Grant]:
    """What the catalog says, owners' own privileges left out; the right to pass one on is a privilege of its own."""
    rows = conn.execute(
        """
        WITH acl AS (
            SELECT nspname, '' AS relation, '' AS col, nspowner AS owner, nspacl AS acl FROM pg_namespace
            UNION ALL
            SELECT n.nspname, c.relname, '', c.relowner, c.relacl
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL
            SELECT n.nspname, c.relname, a.attname, c.relowner, a.attacl
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attacl IS NOT NULL
        )
        SELECT coalesce(r.rolname, 'PUBLIC'), passed_on.word || x.privilege_type, acl.nspname, acl.relation, acl.col
        FROM acl CROSS JOIN aclexplode(acl.acl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
        CROSS JOIN (VALUES ('', false), ('GRANT OPTION FOR ', true)) AS passed_on (word, is_option)
        WHERE acl.nspname = ANY (%s) AND x.grantee <> acl.owner AND (x.is_grantable OR NOT passed_on.is_option)
        """,
        (schemas,),
    )
    return {Grant(*row) for row in rows}
