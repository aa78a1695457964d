"""The foreign keys of a partition that is being built: validated by Postgres, or proved by the join that made them.

A key that was joined in from its dimension is there. So the foreign keys are declared on the empty table, where they
are valid at once, the rows are copied without the triggers that would look every one up, and what the join relied on is
proved afterwards: from the commit of the rows on, no member that they name can be deleted, and the dimension still has
all the members that it had when it was read. Validating 100 million rows' three keys takes Postgres 58 s of a core.

Where that cannot be (the login may not switch triggers off, a dimension deletes versions, a key was not joined in),
Postgres validates the rows as usual. Both ways end with validated constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.star_table import Fact, Type2Dimension
from cinestream_platform.declarations.table import Reference
from cinestream_platform.warehouse.connection import OWNER_ROLE

MAX_LOOKED_UP = 10_000
"""Distinct values of a key that was computed and not joined (a day) that are looked up in its dimension."""

Joined = Mapping[str, pl.Series]
"""Column of a reference to all keys that its dimension had when it was joined."""


def can_be_proved(conn: Connection[Any], table: Fact, frame: pl.DataFrame, joined: Joined) -> bool:
    """Whether the join can stand for the validation of all of a partition's foreign keys."""
    for reference in table.references:
        if isinstance(reference.table, Type2Dimension):  # it deletes retired versions
            return False
        if reference.column not in joined and frame[reference.column].n_unique() > MAX_LOOKED_UP:
            return False
    row = conn.execute("SELECT has_parameter_privilege(session_user, 'session_replication_role', 'SET')").fetchone()
    return bool(table.references and row and row[0])


def add(conn: Connection[Any], table: Fact, staged: Identifier) -> None:
    """Declare the foreign keys and validate them; on an empty table that is nothing."""
    alter = SQL("ALTER TABLE {} ").format(staged)
    # In one order everywhere: adding one locks its dimension.
    for reference in sorted(table.references, key=lambda r: (r.table.schema, r.table.name, r.column)):
        name = Identifier(f"{table.name}_{reference.column}_fkey")
        foreign = SQL("ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) NOT VALID").format(
            name,
            Identifier(reference.column),
            Identifier(reference.table.schema, reference.table.name),
            Identifier(reference.target_column),
        )
        # Apart: readers of the dimension and other builds do not wait for the look at the rows.
        conn.execute(alter + foreign)
        conn.execute(alter + SQL("VALIDATE CONSTRAINT {}").format(name))


def switch_off(conn: Connection[Any]) -> None:
    """Until the end of the transaction rows are not looked up in what they refer to."""
    conn.execute("SET LOCAL ROLE NONE")
    conn.execute("SET LOCAL session_replication_role = replica")
    conn.execute(SQL("SET LOCAL ROLE {}").format(Identifier(OWNER_ROLE)))


def is_proved(conn: Connection[Any], table: Fact, frame: pl.DataFrame, joined: Joined) -> bool:
    """Whether every key of the committed rows is in its dimension."""
    return all(
        _has_all(conn, reference, joined[reference.column])
        if reference.column in joined
        else _finds_all(conn, reference, frame[reference.column].drop_nulls().unique())
        for reference in table.references
    )


def _has_all(conn: Connection[Any], reference: Reference, known: pl.Series) -> bool:
    """Whether the dimension still has the members that were read: as many up to the last, with the same sum."""
    key = Identifier(reference.target_column)
    query = SQL("SELECT count(*), coalesce(sum({}), 0) FROM {} WHERE {} <= %s").format(
        key, Identifier(reference.table.schema, reference.table.name), key
    )
    row = conn.execute(query, (known.max() or 0,)).fetchone()
    return row == (known.len(), known.cast(pl.Int64).sum())


def _finds_all(conn: Connection[Any], reference: Reference, keys: pl.Series) -> bool:
    """Whether each of a few keys is in the dimension."""
    query = SQL("SELECT count(*) FROM {} WHERE {} = ANY (%s)").format(
        Identifier(reference.table.schema, reference.table.name), Identifier(reference.target_column)
    )
    return conn.execute(query, (keys.to_list(),)).fetchone() == (keys.len(),)
