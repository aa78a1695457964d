"""From natural ids to surrogate keys, with an inferred member where a dimension lacks the id.

No fact row is ever lost or re-keyed for lack of its dimension: the member is completed in place later. Of a type-2 dim
only who is in no version at all is inferred, as the first version: any other one is published by the dim's own build.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import polars as pl
from psycopg import sql

from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.frames import polars_type
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import Type2Dimension
from cinestream_platform.declarations.table import Dimension, Reference, Table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger.deliveries import BEGINNING
from cinestream_platform.ledger.publications import publishing, record_added_members
from cinestream_platform.messages import counted
from cinestream_platform.warehouse.connection import PostgresTarget, connect, connect_bulk


class UnpublishedVersionError(CineStreamError):
    """A fact needs a version of a member that its dimension does not have: it was made from other deliveries."""


@dataclass
class KeyResolver:
    """Looks surrogate keys up, reading each dimension once a run and again only where an id is new.

    Several partitions may be resolved at once.
    """

    target: PostgresTarget
    run_id: str
    inferred: dict[str, int] = field(default_factory=dict)
    _known: dict[str, pl.DataFrame] = field(default_factory=dict)
    _turn: Lock = field(default_factory=Lock)

    def resolve(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace the natural ids that the table's references name by keys; gives the table's ``built_columns``.

        A NULL among the ids gives a NULL key.
        """
        for reference in table.references:
            if reference.on:
                frame = self._with_key(frame, reference)
        return frame.select(column.name for column in table.built_columns)

    def joined(self, table: Table) -> dict[str, pl.Series]:
        """Column of each reference that ``resolve`` looked up to all keys that its dimension had then."""
        with self._turn:
            return {
                reference.column: self._members(reference.table)[reference.target_column]
                for reference in table.references
                if reference.on
            }

    def _with_key(self, frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
        with self._turn:
            members = self._members(reference.table)
        ids = list(reference.on)
        names = list(reference.on.values())
        found = self._join(frame, members, reference)
        without = found.filter(pl.col(reference.column).is_null()).select(names).drop_nulls().unique()
        if without.is_empty():
            return found
        with self._turn:
            new = without.rename(dict(zip(names, ids, strict=True))).join(
                self._members(reference.table), on=ids, how="anti"
            )
            if new.height and isinstance(reference.table, Type2Dimension):
                self._require_unknown(reference.table, new)
            if new.height:
                self._infer(reference.table, new.sort(ids))
            members = self._members(reference.table, again=True)
        return self._join(frame, members, reference)

    def _require_unknown(self, dimension: Type2Dimension, new: pl.DataFrame) -> None:
        """Only the first version of a member of whom there is none may be inferred; no other holds at its time."""
        member_id, valid_from = dimension.natural_key
        known = self._members(dimension, again=True).select(member_id).to_series()
        bad = new.filter(pl.col(member_id).is_in(known.implode()) | (pl.col(valid_from) != BEGINNING))
        if bad.height:
            lacking = counted(bad.height, "version")
            raise UnpublishedVersionError(
                f"{dimension.qualified_name} lacks {lacking} that the rows need: it was published again, from "
                "other deliveries. Nothing of this partition is published. The staleness sensor asks for both again; "
                "by hand, materialize the dimension together with the table."
            )

    @staticmethod
    def _join(frame: pl.DataFrame, members: pl.DataFrame, reference: Reference) -> pl.DataFrame:
        keys = members.rename({reference.target_column: reference.column} | dict(reference.on))
        return frame.join(keys, on=list(reference.on.values()), how="left", maintain_order="left")

    def _members(self, dimension: Dimension, *, again: bool = False) -> pl.DataFrame:
        if again or dimension.name not in self._known:
            columns = [*dimension.natural_key, *dimension.primary_key]
            names = ", ".join(f'"{name}"' for name in columns)
            with connect_bulk(self.target) as conn, conn.cursor() as cursor:
                # A retired version holds at no time, so that no row may point at it any more.
                holds = "WHERE valid_to IS DISTINCT FROM valid_from" if isinstance(dimension, Type2Dimension) else ""
                cursor.execute(f'SELECT {names} FROM "{dimension.schema}"."{dimension.name}" {holds}')  # noqa: S608 - declared
                schema: Any = {name: polars_type(dimension.column(name).type) for name in columns}
                found = pl.DataFrame(pl.from_arrow(cursor.fetch_arrow_table()))
                self._known[dimension.name] = found.cast(schema) if found.width else pl.DataFrame(schema=schema)
        return self._known[dimension.name]

    def _infer(self, dimension: Dimension, ids: pl.DataFrame) -> None:
        """Insert members that only facts mention; another run may have been faster.

        The dimension counts as published again: marts that list its members are stale by them.
        """
        filled = {c.name: _default(dimension, c) for c in dimension.columns if _needs_default(dimension, c)}
        columns = [*dimension.natural_key, *filled]
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            sql.Identifier(dimension.schema, dimension.name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        )
        with connect(self.target) as conn, publishing(conn, dimension, WHOLE), conn.transaction():
            conn.cursor().executemany(statement, [(*row, *filled.values()) for row in ids.iter_rows()])
            record_added_members(conn, dimension, self.run_id)
        self.inferred[dimension.name] = self.inferred.get(dimension.name, 0) + ids.height


def _needs_default(dimension: Dimension, column: Column) -> bool:
    return not column.nullable and column.name not in (*dimension.natural_key, dimension.surrogate_key)


def _default(dimension: Dimension, column: Column) -> bool | int:
    if column.name in ("is_inferred", "is_current"):
        return True
    if column.type.kind is Kind.BOOLEAN:
        return False
    if column.type.kind in (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.NUMERIC, Kind.DOUBLE):
        return 0
    raise TypeError(
        f"{dimension.qualified_name} cannot have inferred members: {column.name} is not nullable, and no count or flag"
    )
