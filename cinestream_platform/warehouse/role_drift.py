"""Ways around the declared grants: memberships, attributes, views, copies and functions that nobody declared.

``access.drift`` compares grants. What belongs here is what makes them void: who is a member of which role, roles that
no grant binds, views and functions that read with their owner's rights, and rights that new tables would give away.
Each difference has the statement that mends it, unless only a person can decide what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composable, Composed, Identifier

from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.warehouse import limits
from cinestream_platform.warehouse.access import (
    ADMIN,
    ML_SCHEMA,
    PUBLIC,
    READER_ROLES,
    ROLES,
    declared_schemas,
    login_name,
)
from cinestream_platform.warehouse.connection import OWNER_ROLE
from cinestream_platform.warehouse.open_views import open_schemas
from cinestream_platform.warehouse.search_paths import path_differences, search_paths

Members = Mapping[Any, Sequence[str]]
"""Role to logins of somebody's own that were declared to be its members."""


@dataclass(frozen=True)
class Difference:
    """Something that is not as declared; ``mend`` is None where a person must decide."""

    what: str
    mend: Composed | None = None

    def __str__(self) -> str:
        return self.what


def differences(
    conn: Connection[Any], tables: Iterable[Table], mart_schemas: Iterable[str], members: Members
) -> list[Difference]:
    """All of them. ``conn`` acts as the login itself."""
    tables, mart_schemas = list(tables), list(mart_schemas)
    return [
        *_memberships(conn, members),
        *_attributes(conn),
        *_limits(conn, members),
        *_views(conn, tables, mart_schemas),
        *_copies(conn, tables, mart_schemas),
        *_functions(conn),
        *_server_rights(conn),
        *_owners(conn, tables, mart_schemas),
        *_default_privileges(conn, mart_schemas),
    ]


def mend(conn: Connection[Any], found: Iterable[Difference]) -> Iterator[tuple[Difference, str]]:
    """Fix what this login may fix; each difference with its outcome, in words."""
    for difference in found:
        if difference.mend is None:
            yield difference, "left as it is: decide yourself"
            continue
        try:
            with conn.transaction():
                conn.execute(difference.mend)
            yield difference, "mended"
        except errors.InsufficientPrivilege:
            yield difference, f"a DBA must run: {difference.mend.as_string(conn)};"


def _memberships(conn: Connection[Any], members: Members) -> Iterator[Difference]:
    is_new = conn.info.server_version >= 160_000
    guarded = [*ROLES, *map(login_name, ROLES), conn.info.user]
    readers = _names_of_readers()
    wanted = {(role, ADMIN) for role in ROLES[1:]} | {(role, login_name(role)) for role in ROLES}
    wanted |= {(role, member) for role, logins in members.items() for member in logins}
    # From PostgreSQL 16 on who makes a role may give it away, which neither inherits from it nor lets act as it.
    acts = "AND (m.inherit_option OR m.set_option)" if is_new else ""
    rows = conn.execute(
        f"""
        SELECT g.rolname, u.rolname, w.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        JOIN pg_roles u ON u.oid = m.member JOIN pg_roles w ON w.oid = m.grantor
        WHERE (g.rolname = ANY (%s) OR u.rolname = ANY (%s)) {acts}
            AND NOT u.rolsuper AND u.rolname <> session_user ORDER BY 1, 2
        """.encode(),  # noqa: S608 - this module's own words
        (guarded, readers),
    ).fetchall()
    for role, member, grantor in rows:
        if (role, member) not in wanted:
            by = SQL(" GRANTED BY {}").format(Identifier(grantor)) if is_new else SQL("")
            revoke = SQL("REVOKE {} FROM {}{} CASCADE").format(Identifier(role), Identifier(member), by)
            yield Difference(f"nobody declared: {member} is a member of {role}", revoke)
    has = {(role, member) for role, member, _ in rows}
    known = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles")}
    for role, member in sorted(wanted - has):
        if {role, member} <= known:
            option = SQL(" WITH ADMIN OPTION" if member == ADMIN else "")
            grant = SQL("GRANT {} TO {}{}").format(Identifier(role), Identifier(member), option)
            yield Difference(f"missing: {member} is not a member of {role}", grant)


def _names_of_readers() -> list[str]:
    return [name for role in READER_ROLES for name in (role, login_name(role))]


def _attributes(conn: Connection[Any]) -> Iterator[Difference]:
    rows = conn.execute(
        """
        SELECT rolname, word FROM pg_roles CROSS JOIN LATERAL (VALUES
            (rolsuper, 'SUPERUSER'), (rolbypassrls, 'BYPASSRLS'), (rolreplication, 'REPLICATION'),
            (rolcreatedb, 'CREATEDB'), (rolcreaterole AND rolname <> ALL (%s), 'CREATEROLE'),
            (rolcanlogin AND rolname = ANY (%s), 'LOGIN')) AS attribute (has, word)
        WHERE has AND rolname = ANY (%s) ORDER BY 1, 2
        """,
        ([ADMIN, login_name(ADMIN)], list(ROLES), [*ROLES, *map(login_name, ROLES)]),
    )
    for role, word in rows.fetchall():
        alter = SQL("ALTER ROLE {} {}").format(Identifier(role), SQL(f"NO{word}"))
        yield Difference(f"nobody declared: {role} is {word}", alter)


def _limits(conn: Connection[Any], members: Members) -> Iterator[Difference]:
    known = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles")}
    for role in ROLES:
        for login in (login_name(role), *members.get(role, ())):
            for statement in limits.login_limits(conn, role, login) if login in known else ():
                yield Difference(f"differs: {statement.as_string(conn)}", statement)


def path_drift(
    conn: Connection[Any], tables: Sequence[Table], mart_schemas: Sequence[str], members: Members
) -> Iterator[Difference]:
    """Search paths that are not as declared: no right depends on them. ``conn`` acts as the login itself."""
    for statement in path_differences(conn, search_paths(tables, mart_schemas), members):
        yield Difference(f"differs: {statement.as_string(conn)}", statement)


def _views(conn: Connection[Any], tables: Sequence[Table], mart_schemas: Sequence[str]) -> Iterator[Difference]:
    """Views through which somebody reads personal columns, or raw rows, by the rights of the view's owner."""
    closed = [
        (table.schema, table.name, column.name)
        for table in tables
        for column in table.columns
        if column.is_personal or isinstance(table, RawTable)
    ]
    rows = conn.execute(
        """
        WITH RECURSIVE declared AS (
            SELECT c.oid AS relation, a.attnum, a.attname
            FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[]) AS w (s, t, col)
            JOIN pg_namespace n ON n.nspname = s JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = col
        ), closed AS (
            SELECT relation, attnum FROM declared
            UNION SELECT i.inhrelid, a.attnum FROM declared d JOIN pg_inherits i ON i.inhparent = d.relation
            JOIN pg_attribute a ON a.attrelid = i.inhrelid AND a.attname = d.attname
        ), reads AS (
            SELECT r.ev_class AS view, d.refobjid AS relation, d.refobjsubid AS attnum FROM pg_rewrite r
            JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
        ), tainted AS (
            SELECT v.view FROM reads v JOIN closed c USING (relation) JOIN pg_class w ON w.oid = v.view
            JOIN pg_namespace n ON n.oid = w.relnamespace
            -- In marts and open views only the columns count. Elsewhere the table does: a whole row names no column.
            WHERE (v.attnum IN (0, c.attnum) OR n.nspname <> ALL (%(by_column)s))
                AND (w.relkind = 'm' OR has_column_privilege(w.relowner, c.relation, c.attnum, 'SELECT'))
                AND NOT coalesce(w.reloptions @> '{security_invoker=true}', false)
            UNION SELECT v.view FROM reads v JOIN tainted t ON v.relation = t.view
        )
        SELECT DISTINCT n.nspname, w.relname, coalesce(g.rolname, %(public)s), o.rolname
        FROM tainted JOIN pg_class w ON w.oid = view JOIN pg_namespace n ON n.oid = w.relnamespace
        JOIN pg_roles o ON o.oid = w.relowner
        CROSS JOIN LATERAL (
            SELECT x.grantee FROM aclexplode(w.relacl) x
            UNION SELECT x.grantee FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x WHERE a.attrelid = w.oid
        ) AS granted LEFT JOIN pg_roles g ON g.oid = granted.grantee
        WHERE granted.grantee <> w.relowner AND NOT coalesce(g.rolsuper, false)
            AND NOT coalesce(pg_has_role(g.oid, %(owner)s, 'MEMBER'), false) ORDER BY 1, 2, 3
        """,
        {
            "schemas": [schema for schema, _, _ in closed],
            "tables": [name for _, name, _ in closed],
            "columns": [column for _, _, column in closed],
            "by_column": [*mart_schemas, *open_schemas(tables)],
            "public": PUBLIC,
            "owner": OWNER_ROLE,
        },
    )
    for schema, view, grantee, owner in rows.fetchall():
        what = f"nobody declared: view {schema}.{view} of {owner} lets {grantee} read what is closed to it"
        if schema in mart_schemas:
            yield Difference(f"{what}: change the model")
            continue
        revoke = SQL("REVOKE ALL ON {} FROM {} CASCADE").format(Identifier(schema, view), _grantee(grantee))
        yield Difference(what, revoke)


def _copies(conn: Connection[Any], tables: Sequence[Table], mart_schemas: Sequence[str]) -> Iterator[Difference]:
    """Tables and sequences of engineers outside the declared schemas that others may use.

    Nobody can see what a table was copied from (``CREATE TABLE AS``): where its owner reads everything, it may hold
    everything. ``access.drift`` compares the declared schemas.
    """
    rows = conn.execute(
        """
        SELECT DISTINCT n.nspname, c.relname, c.relkind = 'S', o.rolname, coalesce(g.rolname, %(public)s)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
        CROSS JOIN LATERAL (
            SELECT x.grantee FROM aclexplode(c.relacl) x
            UNION SELECT x.grantee FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x WHERE a.attrelid = c.oid
        ) AS granted LEFT JOIN pg_roles g ON g.oid = granted.grantee
        WHERE c.relkind IN ('r', 'p', 'f', 'S') AND granted.grantee <> c.relowner
            AND n.nspname <> ALL (%(declared)s) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND pg_has_role(o.oid, %(owner)s, 'MEMBER') AND (NOT o.rolsuper OR n.nspname = %(ml)s)
            AND NOT coalesce(g.rolsuper OR pg_has_role(g.oid, %(owner)s, 'MEMBER'), false) ORDER BY 1, 2, 5
        """,
        {
            "public": PUBLIC,
            "declared": sorted(declared_schemas(tables, mart_schemas)),
            "owner": OWNER_ROLE,
            "ml": ML_SCHEMA,
        },
    )
    for schema, name, is_sequence, owner, grantee in rows.fetchall():
        what = "sequence" if is_sequence else "table"
        revoke = SQL("REVOKE ALL ON {} FROM {} CASCADE").format(Identifier(schema, name), _grantee(grantee))
        yield Difference(
            f"nobody declared: {what} {schema}.{name} of {owner}, who reads everything, is open to {grantee}", revoke
        )


def _server_rights(conn: Connection[Any]) -> Iterator[Difference]:
    """Rights of readers on this database and the server's own, and on functions that are closed to everybody.

    Other databases of the server may be other warehouses, whose readers have the same roles.
    """
    readers = _names_of_readers()
    rows = conn.execute(
        """
        SELECT d.datname, x.privilege_type, g.rolname FROM pg_database d
        CROSS JOIN aclexplode(d.datacl) x JOIN pg_roles g ON g.oid = x.grantee
        WHERE g.rolname = ANY (%s) AND (d.datname = ANY (%s) OR d.datname = current_database())
            AND (d.datname <> current_database() OR x.privilege_type <> 'CONNECT')
        ORDER BY 1, 2, 3
        """,
        (readers, list(limits.SERVER_DATABASES)),
    ).fetchall()
    for database, privilege, grantee in rows:
        revoke = SQL("REVOKE {} ON DATABASE {} FROM {} CASCADE").format(
            SQL(privilege), Identifier(database), Identifier(grantee)
        )
        yield Difference(f"nobody declared: {grantee}: {privilege} on database {database}", revoke)
    functions = conn.execute(
        f"""
        SELECT p.oid::regprocedure::text, g.rolname FROM pg_proc p CROSS JOIN aclexplode(p.proacl) x
        JOIN pg_roles g ON g.oid = x.grantee WHERE {limits.CLOSED_FUNCTIONS} AND g.rolname = ANY (%s) ORDER BY 1, 2
        """.encode(),  # noqa: S608 - our own
        (readers,),
    ).fetchall()
    for signature, grantee in functions:
        revoke = SQL("REVOKE ALL ON FUNCTION {} FROM {} CASCADE").format(SQL(signature), Identifier(grantee))
        yield Difference(f"nobody declared: {grantee} may run {signature}", revoke)


def _functions(conn: Connection[Any]) -> Iterator[Difference]:
    """Functions that do what their owner may, for others."""
    rows = conn.execute(
        """
        SELECT p.oid::regprocedure::text, o.rolname, coalesce(g.rolname, %(public)s)
        FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner
        CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
        LEFT JOIN pg_roles g ON g.oid = x.grantee
        WHERE p.prosecdef AND p.pronamespace <> ALL ('{pg_catalog,information_schema}'::regnamespace[])
            AND (o.rolsuper OR pg_has_role(o.oid, %(owner)s, 'MEMBER')) AND x.grantee <> p.proowner
            AND NOT coalesce(g.rolsuper OR pg_has_role(g.oid, %(owner)s, 'MEMBER'), false)
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1, 3
        """,
        {"public": PUBLIC, "owner": OWNER_ROLE},
    )
    for signature, owner, grantee in rows.fetchall():
        # The signature is the server's own, quoted where need be.
        revoke = SQL("REVOKE ALL ON ROUTINE {} FROM {} CASCADE").format(SQL(signature), _grantee(grantee))
        yield Difference(f"nobody declared: {grantee} may run {signature} with the rights of {owner}", revoke)


def _grantee(name: str) -> Composable:
    return SQL(PUBLIC) if name == PUBLIC else Identifier(name)


def _owners(conn: Connection[Any], tables: Sequence[Table], mart_schemas: Sequence[str]) -> Iterator[Difference]:
    """Relations of others in the platform's schemas. None is taken over: a view would then read with more rights."""
    rows = conn.execute(
        "SELECT n.nspname, c.relname, o.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_roles o ON o.oid = c.relowner WHERE n.nspname = ANY (%s) AND o.rolname <> %s"
        " AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') ORDER BY 1, 2",
        (sorted(declared_schemas(tables, mart_schemas)), OWNER_ROLE),
    )
    for schema, name, owner in rows.fetchall():
        yield Difference(f"nobody declared: {schema}.{name} belongs to {owner}: drop it, or give it to {OWNER_ROLE}")


def _default_privileges(conn: Connection[Any], mart_schemas: Sequence[str]) -> Iterator[Difference]:
    """What new tables of the owner would grant, but reading marts."""
    rows = conn.execute(
        """
        SELECT coalesce(n.nspname, ''), d.defaclobjtype::text, x.privilege_type, coalesce(g.rolname, %s)
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
        CROSS JOIN aclexplode(d.defaclacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee
        WHERE d.defaclrole = %s::regrole AND x.grantee <> d.defaclrole AND d.defaclobjtype IN ('r', 'S')
        ORDER BY 1, 2, 3
        """,
        (PUBLIC, OWNER_ROLE),
    )
    for schema, kind, privilege, grantee in rows.fetchall():
        if schema in mart_schemas and kind == "r" and privilege == "SELECT" and grantee in READER_ROLES:
            continue
        statement = SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}{} REVOKE {} ON {} FROM {}").format(
            Identifier(OWNER_ROLE),
            SQL(" IN SCHEMA {}").format(Identifier(schema)) if schema else SQL(""),
            SQL(privilege),
            SQL("TABLES" if kind == "r" else "SEQUENCES"),
            _grantee(grantee),
        )
        where = f"schema {schema}" if schema else "every schema"
        yield Difference(f"nobody declared: {grantee} gets {privilege} on new tables of {where}", statement)
