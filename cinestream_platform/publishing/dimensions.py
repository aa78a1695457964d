"""Publishing dims and bridges: write modes ``upsert``, ``history`` and ``snapshot``, each in one transaction.

``upsert`` keeps surrogate keys for ever: new members get the next keys in the order of their natural key, changed
ones are updated in place, and those that the source no longer delivers are marked. Three statements and not one
MERGE, since MERGE promises no order of insertion and before PostgreSQL 17 does not see rows that vanished.
``history`` is the same for versions of members. A version that a late delivery or a retracted one has undone is
retired: it holds for no time (``valid_to = valid_from``), and is deleted once no fact points at it any more.
Facts are ``partition_publish``'s.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import polars as pl
from psycopg import Connection, sql
from psycopg.errors import ForeignKeyViolation
from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import Bridge, Type2Dimension
from cinestream_platform.declarations.table import Dimension, Table
from cinestream_platform.ledger.publications import MadeFrom, Publication, latest, publishing, record
from cinestream_platform.publishing.content_hash import content_hash
from cinestream_platform.services.disk import Room
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.staging import drop_staged, stage

IN_SOURCE = "is_in_source"


def publish_table(
    target: PostgresTarget,
    table: Dimension | Bridge,
    frame: pl.DataFrame,
    *,
    run_id: str,
    made_from: MadeFrom,
    room: Room | None = None,
) -> Publication:
    """Publish a whole dim or bridge from a validated frame; nothing is written where nothing changed."""
    frame, files, upstream = frame.select(c.name for c in table.built_columns), made_from.file_ids, made_from.upstream
    with connect(target) as conn, publishing(conn, table, WHOLE):
        before = latest(conn, table.schema, table.name, WHOLE)
        new_hash = content_hash(frame)
        if before and before.content_hash == new_hash and _row_count(conn, table) == before.rows:
            publication = Publication(WHOLE, before.rows, new_hash, files, False, None, before.rows, upstream)
            record(conn, table.schema, table.name, run_id, publication)
            return publication
        staged = stage(target, table, frame, table.name, room)
        with conn.transaction():
            changed = _write(conn, table, staged, frame.columns)
            rows = _row_count(conn, table)
            rows_before = before.rows if before else 0
            is_changed = changed > 0 or before is None
            publication = Publication(WHOLE, rows, new_hash, files, is_changed, None, rows_before, upstream)
            record(conn, table.schema, table.name, run_id, publication)
            drop_staged(conn, staged)
        conn.execute(SQL("ANALYZE {}").format(Identifier(table.schema, table.name)))
    return publication


def _row_count(conn: Connection[Any], table: Table) -> int:
    row = conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table.schema, table.name))).fetchone()
    return int(row[0]) if row else 0


def _columns(names: list[str] | tuple[str, ...], prefix: str | None = None) -> sql.Composed:
    return SQL(", ").join(Identifier(prefix, name) if prefix else Identifier(name) for name in names)


def _write(conn: Connection[Any], table: Dimension | Bridge, staged: Identifier, columns: list[str]) -> int:
    """How many rows were written, by the table's kind."""
    if isinstance(table, Bridge):
        return _replace(conn, table, staged, columns)
    if isinstance(table, Type2Dimension):
        return _write_history(conn, table, staged, columns)
    return _upsert(conn, table, staged, columns)


def _upsert(conn: Connection[Any], table: Dimension, staged: Identifier, columns: list[str]) -> int:
    """How many members were changed, added or marked."""
    parts: dict[str, sql.Composable] = {
        "target": Identifier(table.schema, table.name),
        "staged": staged,
        "all": _columns(columns),
        "values": _columns(columns, "s"),
        "same": SQL(" AND ").join(
            SQL("t.{} = s.{}").format(Identifier(name), Identifier(name)) for name in table.natural_key
        ),
        "order": _columns(table.natural_key, "s"),
    }
    rest = [name for name in columns if name not in table.natural_key]
    changed = 0
    if rest:
        parts |= {"old": _columns(rest, "t"), "new": _columns(rest, "s"), "rest": _columns(rest)}
        changed += conn.execute(
            SQL(
                "UPDATE {target} t SET ({rest}) = ROW ({new}) FROM {staged} s"
                " WHERE {same} AND ROW ({old}) IS DISTINCT FROM ROW ({new})"
            ).format(**parts)
        ).rowcount
    missing = SQL("NOT EXISTS (SELECT FROM {target} t WHERE {same})").format(**parts)
    changed += conn.execute(
        SQL("INSERT INTO {target} ({all}) SELECT {values} FROM {staged} s WHERE {missing} ORDER BY {order}").format(
            missing=missing, **parts
        )
    ).rowcount
    if IN_SOURCE in columns:
        changed += conn.execute(
            SQL(
                "UPDATE {target} t SET is_in_source = false"
                " WHERE is_in_source AND NOT EXISTS (SELECT FROM {staged} s WHERE {same})"
            ).format(**parts)
        ).rowcount
    return changed


def _replace(conn: Connection[Any], table: Bridge, staged: Identifier, columns: list[str]) -> int:
    """How many rows left and came."""
    target = Identifier(table.schema, table.name)
    gone = conn.execute(SQL("DELETE FROM {}").format(target)).rowcount
    insert = SQL("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY {}")
    names = _columns(columns)
    return gone + conn.execute(insert.format(target, names, names, staged, _columns(table.primary_key))).rowcount


def _write_history(conn: Connection[Any], table: Type2Dimension, staged: Identifier, columns: list[str]) -> int:
    """How many versions were changed, added or retired.

    Of a member that no delivery has any more the first version stays and holds for all time: facts point at it, as at
    an inferred member.
    """
    changed = _upsert(conn, table, staged, columns)
    changed += _retire(conn, table, staged)
    _delete_retired(conn, table)
    return changed


def _retire(conn: Connection[Any], table: Type2Dimension, staged: Identifier) -> int:
    """How many versions that no delivery gives any more hold for no time from now on, or go on if there is no other."""
    member_id, valid_from = table.natural_key
    parts: dict[str, sql.Composable] = {
        "target": Identifier(table.schema, table.name),
        "staged": staged,
        "id": Identifier(member_id),
        "from": Identifier(valid_from),
    }
    parts["first"] = SQL("(SELECT min(f.{from}) FROM {target} f WHERE f.{id} = t.{id})").format(**parts)
    retire = SQL(
        "UPDATE {target} t SET valid_to = {from}, is_current = false"
        " WHERE valid_to IS DISTINCT FROM {from} AND {from} > {first}"
        " AND NOT EXISTS (SELECT FROM {staged} s WHERE s.{id} = t.{id} AND s.{from} = t.{from})"
    )
    go_on = SQL(
        "UPDATE {target} t SET valid_to = NULL, is_current = true WHERE valid_to IS NOT NULL AND {from} = {first}"
        " AND NOT EXISTS (SELECT FROM {staged} s WHERE s.{id} = t.{id})"
    )
    return sum(conn.execute(statement.format(**parts)).rowcount for statement in (retire, go_on))


def delete_retired_versions(target: PostgresTarget, dimension: Type2Dimension) -> None:
    """Delete the retired versions of a type-2 dim at which no fact points any more."""
    with connect(target) as conn:
        _delete_retired(conn, dimension)


def _delete_retired(conn: Connection[Any], dimension: Type2Dimension) -> None:
    """Each version by itself stays if a fact points at it: the next build of the fact will not.

    A partition that is being built may have taken one up meanwhile; then all stay until the end of that build.
    """
    key = Identifier(dimension.primary_key[0])
    retired = "SELECT FROM {} WHERE valid_to = valid_from"
    if not conn.execute(SQL(retired + " LIMIT 1").format(Identifier(dimension.schema, dimension.name))).fetchall():
        return
    pointing = conn.execute(
        """
        SELECT n.nspname, c.relname, a.attname FROM pg_constraint
        JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
        WHERE contype = 'f' AND confrelid = %s::regclass AND NOT c.relispartition
        """,
        (f'"{dimension.schema}"."{dimension.name}"',),
    ).fetchall()
    unused = [
        SQL("NOT EXISTS (SELECT FROM {} f WHERE f.{} = d.{})").format(Identifier(schema, name), Identifier(column), key)
        for schema, name, column in pointing
    ]
    delete = SQL("DELETE FROM {} d WHERE {}").format(
        Identifier(dimension.schema, dimension.name), SQL(" AND ").join([SQL("valid_to = valid_from"), *unused])
    )
    with suppress(ForeignKeyViolation), conn.transaction():
        conn.execute(delete)
