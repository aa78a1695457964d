"""Finding constraints, indexes and partitioning of an existing table that are no longer those of its declaration.

Postgres itself says what a declaration means: the table is created in a scratch schema, read back in Postgres' own
words, and rolled back. No parsing of SQL, no list of spellings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from psycopg import Connection, sql

from cinestream_platform.declarations.table import Table

SCRATCH = "cinestream_declared"

_CONSTRAINTS = """
SELECT pg_get_constraintdef(oid), conname FROM pg_constraint
WHERE conrelid = to_regclass(%s) AND contype IN ('c', 'p', 'u', 'f') AND conparentid = 0
"""
_INDEXES = """
SELECT regexp_replace(pg_get_indexdef(indexrelid), '^.*? USING ', 'USING '), indexrelid::regclass::text FROM pg_index
WHERE indrelid = to_regclass(%s) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_PARTITIONING = """
SELECT pg_get_partkeydef(oid), '' FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'
"""


def constraint_drift(conn: Connection[Any], table: Table, create: Callable[[Table, str], Iterable[str]]) -> list[str]:
    """The migration that would give an existing table its declared constraints; empty where nothing differs.

    An index that the declaration does not have is not a difference: somebody needs it.

    Args:
        conn: A connection in a transaction.
        table: The declaration.
        create: Gives the statements that create a table in a schema (``ddl.create_statements``).
    """
    name = table.qualified_name
    with conn.transaction(force_rollback=True):
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCRATCH)))
        for statement in create(table, SCRATCH):
            conn.execute(statement.encode())
        declared = [_read(conn, query, SCRATCH, table.name) for query in (_CONSTRAINTS, _INDEXES, _PARTITIONING)]
    has = [_read(conn, query, table.schema, table.name) for query in (_CONSTRAINTS, _INDEXES, _PARTITIONING)]
    migration = [f"ALTER TABLE {name} DROP CONSTRAINT {has[0][text]}" for text in has[0].keys() - declared[0].keys()]
    migration += [
        f"ALTER TABLE {name} ADD CONSTRAINT {declared[0][text]} {text}" for text in declared[0].keys() - has[0].keys()
    ]
    migration += [f"CREATE INDEX ON {name} {text}" for text in declared[1].keys() - has[1].keys()]
    if declared[2].keys() != has[2].keys():
        wanted = " ".join(declared[2]) or "nothing"
        migration.append(f"create {name} anew, partitioned by {wanted} (it is by {' '.join(has[2]) or 'nothing'})")
    return sorted(migration, key=lambda step: ("DROP CONSTRAINT" not in step, step))


def _read(conn: Connection[Any], query: str, schema: str, name: str) -> dict[str, str]:
    """Definition to name."""
    return dict(conn.execute(query.encode(), (f'"{schema}"."{name}"',)).fetchall())
