"""COPY: the rows of a frame into a table, binary where every value has a fixed width, else as text.

Binary, as numpy lays it out, costs the server three quarters of what text does; text takes every type
(docs/decisions/029-binary-copy.md). Both can FREEZE, which ADBC's ingest cannot.
The formats: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from cinestream_platform import progress
from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.services.disk import Room

SLICE_ROWS = 100_000
"""So many rows are in memory in the format of COPY at a time."""
ARRAY_ESCAPES = {"\\": "\\\\", '"': '\\"'}
"""What would end a quoted element of an array literal: https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO."""
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
"""What would end a field or a line; the backslash too, so that no text reads as ``\\N`` (NULL) or ``\\.`` (the end)."""

INSTANT = "%Y-%m-%d %H:%M:%S%.f+00"
"""Of the spellings of a time that Postgres reads the fastest: half of a narrow row's time goes into this column."""

BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_TRAILER = b"\xff\xff"
BIG_ENDIAN = {Kind.SMALLINT: ">i2", Kind.INTEGER: ">i4", Kind.BIGINT: ">i8", Kind.DATE: ">i4"}
"""The kinds that have one width, as the binary format writes them."""
DAYS_BEFORE_2000 = (date(2000, 1, 1) - date(1970, 1, 1)).days
"""Postgres counts days from 2000-01-01, polars from 1970-01-01."""


def copy_frames(
    conn: Connection[Any],
    relation: Identifier,
    columns: list[str],
    frames: Iterable[pl.DataFrame],
    *,
    freeze: bool = False,
    declared: Sequence[Column] = (),
    room: Room | None = None,
) -> None:
    """Append the rows of all frames, whose columns are ``columns``.

    Args:
        conn: The connection; rows belong to its transaction.
        relation: The table.
        columns: The columns that are filled.
        frames: Read one at a time.
        freeze: Make the rows visible to every snapshot, also to those taken before. Needs a table that the same
            transaction created or truncated.
        declared: The declarations of these columns, where there are any.
        room: Asked between two slices of rows, where many are written.

    Raises:
        DiskFullError: There is none left.
    """
    is_binary = bool(declared) and all(c.type.kind in BIG_ENDIAN and not c.nullable for c in declared)
    names = SQL(", ").join(map(Identifier, columns))
    form = SQL("FORMAT binary") if is_binary else SQL("ENCODING 'UTF8'")
    statement = SQL("COPY {} ({}) FROM STDIN ({}, FREEZE {})").format(
        relation, names, form, SQL("true" if freeze else "false")
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        if is_binary:
            copy.write(BINARY_HEADER)
        for frame in frames:
            for rows in frame.select(columns).iter_slices(SLICE_ROWS):
                copy.write(copy_binary(rows, declared) if is_binary else copy_text(rows))
                progress.note("rows written to Postgres")
                if room:
                    room.keep()
        if is_binary:
            copy.write(BINARY_TRAILER)


def copy_binary(rows: pl.DataFrame, columns: Sequence[Column]) -> bytes:
    """The rows as tuples of COPY's binary format: the number of fields, then length and value of each.

    Raises:
        ValueError: A value is NULL, which would move all that follows.
    """
    if any(rows.null_count().row(0)):
        raise ValueError(f"NULL in a column of {[column.name for column in columns]}, which are not nullable")
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for number, column in enumerate(columns):
        layout += [(f"length{number}", ">i4"), (f"value{number}", BIG_ENDIAN[column.type.kind])]
    tuples = np.empty(rows.height, dtype=layout)
    tuples["fields"] = len(columns)
    for number, column in enumerate(columns):
        value = rows[column.name]
        if column.type.kind is Kind.DATE:
            value = value.cast(pl.Int32) - DAYS_BEFORE_2000
        tuples[f"length{number}"] = np.dtype(BIG_ENDIAN[column.type.kind]).itemsize
        tuples[f"value{number}"] = value.to_numpy()
    return tuples.tobytes()


def copy_text(rows: pl.DataFrame) -> bytes:
    """The rows as lines of COPY's text format."""
    lines = io.BytesIO()
    rows.with_columns(_array_literal(name) for name in rows.select(cs.list()).columns).with_columns(
        cs.string().str.replace_many(ESCAPES), cs.datetime(time_zone="*").dt.convert_time_zone("UTC")
    ).write_csv(
        lines,
        include_header=False,
        separator="\t",
        quote_style="never",
        null_value="\\N",
        datetime_format=INSTANT,
    )
    return lines.getvalue()


def _array_literal(name: str) -> pl.Expr:
    """A list of texts as Postgres writes an array: every element quoted, NULL bare."""
    element = pl.element()
    quoted = pl.lit('"') + element.str.replace_many(ARRAY_ESCAPES) + pl.lit('"')
    elements = pl.col(name).list.eval(quoted.fill_null("NULL")).list.join(",")
    return pl.concat_str(pl.lit("{"), elements, pl.lit("}")).alias(name)
