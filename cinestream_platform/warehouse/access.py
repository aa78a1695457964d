"""Who may do what, declared as data, applied idempotently, and compared with what Postgres really grants.

Group roles cannot log in; logins are made from secrets and are members of one group. ``data_engineer`` owns all
that the platform makes; readers get what ``readers_of`` says, on the table and on every new partition of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier
from pydantic import SecretStr

from cinestream_platform.warehouse.connection import OWNER_ROLE
from cinestream_platform.warehouse.table import Layer, Table

ADMIN, ENGINEER, ANALYST, SCIENTIST, DASHBOARD = ROLES = (
    "admin",
    OWNER_ROLE,
    "data_analyst",
    "ml_engineer",
    "dashboard_reader",
)
ML_SCHEMA = "ml"
DASHBOARD_TIMEOUT = "30s"
DASHBOARD_CONNECTIONS = 20


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


MART_READERS = (ANALYST, SCIENTIST, DASHBOARD)


def table_grants(table: Table, relation: str | None = None) -> list[Grant]:
    """The declared grants on a table or on one of its partitions; analysts do not see personal columns."""
    name = relation or table.name
    personal = any(column.is_personal for column in table.columns)
    grants = []
    for role in readers_of(table.layer):
        if role == ANALYST and personal:
            open_columns = (column.name for column in table.columns if not column.is_personal)
            grants += [Grant(role, "SELECT", table.schema, name, column) for column in open_columns]
        else:
            grants.append(Grant(role, "SELECT", table.schema, name))
    return grants


def _statement(grant: Grant, verb: str) -> Composed:
    privilege = SQL(grant.privilege)  # type: ignore[arg-type]  # one of this module's own words
    if grant.column:
        privilege_on = SQL("{} ({})").format(privilege, Identifier(grant.column))
    else:
        privilege_on = SQL("{}").format(privilege)
    where = SQL("TABLE {}").format(Identifier(grant.schema, grant.relation)) if grant.relation else SQL("SCHEMA {}").format(Identifier(grant.schema))
    link = SQL("TO" if verb == "GRANT" else "FROM")
    return SQL("{} {} ON {} {} {}").format(SQL("GRANT" if verb == "GRANT" else "REVOKE"), privilege_on, where, link, Identifier(grant.role))


def grant_on_relation(conn: Connection[Any], table: Table, schema: str, relation: str) -> None:
    """Give a table that is about to become a partition the grants of its parent."""
    for grant in table_grants(table, relation):
        conn.execute(_statement(Grant(grant.role, grant.privilege, schema, relation, grant.column), "GRANT"))


def declared_grants(tables: Iterable[Table], mart_schemas: Iterable[str]) -> set[Grant]:
    """Every grant that should be, except on marts' tables (default privileges give those) and to owners."""
    wanted: set[Grant] = set()
    for table in tables:
        wanted.update(table_grants(table))
        wanted.update(Grant(role, "USAGE", table.schema) for role in readers_of(table.layer))
    for schema in mart_schemas:
        wanted.update(Grant(role, "USAGE", schema) for role in MART_READERS)
    return wanted


def ensure_roles(conn: Connection[Any], logins: Mapping[str, SecretStr]) -> None:
    """Create group roles and the logins for which there is a secret; ``conn`` acts as the connecting user itself."""
    existing = {row[0] for row in conn.execute("SELECT rolname FROM pg_roles")}
    for role in ROLES:
        if role not in existing:
            attributes = SQL("NOLOGIN CREATEROLE" if role == ADMIN else "NOLOGIN")
            conn.execute(SQL("CREATE ROLE {} {}").format(Identifier(role), attributes))
    for role in (OWNER_ROLE, SCIENTIST):
        conn.execute(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(ADMIN)))
        if conn.info.user not in ROLES:
            conn.execute(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(conn.info.user)))
    database = Identifier(conn.info.dbname)
    conn.execute(SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, Identifier(OWNER_ROLE)))
    for role, password in logins.items():
        _ensure_login(conn, role, password, exists=login_name(role) in existing)


def _ensure_login(conn: Connection[Any], role: str, password: SecretStr, *, exists: bool) -> None:
    name = login_name(role)
    # The verifier and not the password is sent: statements may be logged.
    verifier = conn.pgconn.encrypt_password(password.get_secret_value().encode(), name.encode(), b"scram-sha-256").decode()
    attributes = "LOGIN CREATEROLE" if role == ADMIN else "LOGIN"
    verb = SQL("ALTER ROLE" if exists else "CREATE ROLE")
    conn.execute(SQL("{} {} {} PASSWORD {}").format(verb, Identifier(name), SQL(attributes), verifier))
    conn.execute(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(name)))
    if role == DASHBOARD:
        limit = SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(Identifier(name), DASHBOARD_CONNECTIONS)
        conn.execute(limit)
        conn.execute(SQL("ALTER ROLE {} SET statement_timeout = {}").format(Identifier(name), DASHBOARD_TIMEOUT))


def apply_grants(conn: Connection[Any], tables: Iterable[Table], mart_schemas: Iterable[str]) -> list[str]:
    """Make the grants what is declared; every change, in words. ``conn`` acts as the owner."""
    tables = list(tables)
    for schema in mart_schemas:
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        readers = SQL(", ").join(map(Identifier, MART_READERS))
        conn.execute(
            SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}").format(Identifier(schema), readers)
        )
    missing, surplus = drift(conn, tables, mart_schemas)
    for grant in missing:
        conn.execute(_statement(grant, "GRANT"))
    for grant in surplus:
        conn.execute(_statement(grant, "REVOKE"))
    return [f"granted {grant}" for grant in missing] + [f"revoked {grant}" for grant in surplus]


def drift(conn: Connection[Any], tables: Iterable[Table], mart_schemas: Iterable[str]) -> tuple[list[Grant], list[Grant]]:
    """Grants that are declared and missing, and grants that nobody declared, within the platform's schemas."""
    tables = list(tables)
    wanted = declared_grants(tables, mart_schemas)
    partitions = _partitions(conn, tables)
    for table, child in partitions:
        wanted.update(table_grants(table, child))
    schemas = sorted({t.schema for t in tables} | {t.staging_schema for t in tables} | set(mart_schemas) | {"ops"})
    for schema, relation in _relations(conn, mart_schemas):
        wanted.update(Grant(role, "SELECT", schema, relation) for role in MART_READERS)
    actual = _actual_grants(conn, schemas)
    return sorted(wanted - actual), sorted(actual - wanted)


def _partitions(conn: Connection[Any], tables: list[Table]) -> list[tuple[Table, str]]:
    by_name = {(table.schema, table.name): table for table in tables if table.partitioning}
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
    """What the catalog says, owners' own privileges left out."""
    rows = conn.execute(
        """
        WITH acl AS (
            SELECT nspname, '' AS relation, '' AS col, nspowner AS owner, nspacl AS acl FROM pg_namespace
            UNION ALL
            SELECT n.nspname, c.relname, '', c.relowner, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm')
            UNION ALL
            SELECT n.nspname, c.relname, a.attname, c.relowner, a.attacl
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attacl IS NOT NULL
        )
        SELECT coalesce(r.rolname, 'PUBLIC'), x.privilege_type, acl.nspname, acl.relation, acl.col
        FROM acl CROSS JOIN aclexplode(acl.acl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
        WHERE acl.nspname = ANY (%s) AND x.grantee <> acl.owner
        """,
        (schemas,),
    )
    return {Grant(*row) for row in rows}
