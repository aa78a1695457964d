"""COPY: the rows of a frame into a table, in Postgres' text format as polars writes it.

Text, because Postgres' binary format by ADBC knows no FREEZE and is no faster (docs/decisions/009-copy-as-text.md).
The format: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import polars as pl
import polars.selectors as cs
from psycopg import Connection
from psycopg.sql import SQL, Identifier

SLICE_ROWS = 200_000
"""So many rows are in memory as text at a time."""
ARRAY_ESCAPES = {"\\": "\\\\", '"': '\\"'}
"""What would end a quoted element of an array literal: https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO."""
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
"""What would end a field or a line; the backslash too, so that no text reads as ``\\N`` (NULL) or ``\\.`` (the end)."""

INSTANT = "%Y-%m-%d %H:%M:%S%.f+00"
"""Of the spellings of a time that Postgres reads the fastest: half of a narrow row's time goes into this column."""


def copy_frames(
    conn: Connection[Any],
    relation: Identifier,
    columns: list[str],
    frames: Iterable[pl.DataFrame],
    *,
    freeze: bool = False,
) -> None:
    """Append the rows of all frames, whose columns are ``columns``.

    Args:
        conn: The connection; rows belong to its transaction.
        relation: The table.
        columns: The columns that are filled.
        frames: Read one at a time.
        freeze: Make the rows visible to every snapshot, also to those taken before. Needs a table that the same
            transaction created.
    """
    statement = SQL("COPY {} ({}) FROM STDIN (ENCODING 'UTF8', FREEZE {})").format(
        relation, SQL(", ").join(map(Identifier, columns)), SQL("true" if freeze else "false")
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for frame in frames:
            for rows in frame.select(columns).iter_slices(SLICE_ROWS):
                copy.write(copy_text(rows))


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
