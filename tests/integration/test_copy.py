"""COPY of frames: every value of every declared type arrives as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.sql import Identifier

from cinestream_platform.declarations.column import BIGINT, DATE, INTEGER, SMALLINT, Column
from cinestream_platform.warehouse import copy
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect
from cinestream_platform.warehouse.copy import copy_frames
from tests.support.platform import database

SCHEMA = {
    "small": pl.Int16(),
    "whole": pl.Int64(),
    "money": pl.Decimal(12, 2),
    "real": pl.Float64(),
    "words": pl.String(),
    "yes": pl.Boolean(),
    "day": pl.Date(),
    "at": pl.Datetime("us", "UTC"),
    "tags": pl.List(pl.String()),
}
DDL = """CREATE TEMP TABLE t (n bigserial, small smallint, whole bigint, money numeric(12,2), "real" double precision,
    words text, yes boolean, day date, at timestamptz, tags text[])"""
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\\N", "\\.", "a\n\\.\nb", "\\", "\\t", "\t\r\n", '"quoted", and "more"', "NULL", "\ufeff", "\\\\N"]
)
ROWS = st.lists(
    st.tuples(
        *(
            st.none() | values
            for values in (
                st.integers(-(2**15), 2**15 - 1),
                st.integers(-(2**63), 2**63 - 1),
                st.decimals(Decimal("-9999999999.99"), Decimal("9999999999.99"), places=2),
                st.floats(allow_nan=False),
                WORDS,
                st.booleans(),
                st.dates(date(1, 1, 1), date(9999, 12, 31)),
                st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
                st.lists(st.none() | WORDS | st.sampled_from(["{}", "{a,b}", "null", '\\"', ",", " "]), max_size=4),
            )
        )
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_value_arrives_as_it_was(postgres: PostgresTarget, monkeypatch: pytest.MonkeyPatch, rows) -> None:
    monkeypatch.setattr(copy, "SLICE_ROWS", 3)
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    with psycopg.connect(postgres.conninfo()) as conn:
        conn.execute(DDL)
        copy_frames(conn, Identifier("t"), frame.columns, [frame], freeze=True)
        conn.execute("SET LOCAL timezone TO 'UTC'")
        stored = conn.execute(
            'SELECT small, whole, money, "real", words, yes, day, at, tags FROM t ORDER BY n'
        ).fetchall()
        conn.rollback()
    assert stored == rows


FIXED = {"small": pl.Int16(), "whole": pl.Int32(), "big": pl.Int64(), "day": pl.Date()}
FIXED_COLUMNS = [Column(name, kind, "") for name, kind in zip(FIXED, (SMALLINT, INTEGER, BIGINT, DATE), strict=True)]
FIXED_DDL = "CREATE TEMP TABLE {} (n bigserial, small smallint, whole integer, big bigint, day date) ON COMMIT DROP"
FIRST_DAY, LAST_DAY = date(1, 1, 1), date(9999, 12, 31)


def whole_numbers(bits: int) -> st.SearchStrategy[int]:
    least = -(2 ** (bits - 1))
    return st.integers(least, -least - 1) | st.sampled_from([least, -1, 0, 1, -least - 1])


FIXED_ROWS = st.lists(
    st.tuples(
        *(whole_numbers(bits) for bits in (16, 32, 64)),
        st.dates(FIRST_DAY, LAST_DAY)
        | st.sampled_from(
            [FIRST_DAY, date(1969, 12, 31), date(1970, 1, 1), date(1999, 12, 31), date(2000, 1, 1), LAST_DAY]
        ),
    ),
    max_size=20,
)


def noting(function: Callable[..., bytes], names: list[str]) -> Callable[..., bytes]:
    """The function, which notes its name whenever it is called."""

    def noted(*args: Any) -> bytes:
        names.append(function.__name__)
        return function(*args)

    return noted


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=FIXED_ROWS)
@example(rows=[(2**15 - 1, 2**31 - 1, 2**63 - 1, LAST_DAY), (-(2**15), -(2**31), -(2**63), FIRST_DAY)])
def test_values_of_fixed_width_arrive_through_the_binary_format_as_through_text(
    postgres: PostgresTarget, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[int, int, int, date]]
) -> None:
    monkeypatch.setattr(copy, "SLICE_ROWS", 3)
    frame = pl.DataFrame(rows, schema=FIXED, orient="row")
    frames = [frame.head(5), frame.slice(5)]
    written: list[str] = []
    with psycopg.connect(postgres.conninfo()) as conn, monkeypatch.context() as patch:
        for form in ("copy_text", "copy_binary"):
            patch.setattr(copy, form, noting(getattr(copy, form), written))
        for name, declared in (("plain", []), ("fixed", FIXED_COLUMNS)):
            conn.execute(FIXED_DDL.format(name).encode())
            copy_frames(conn, Identifier(name), frame.columns, frames, declared=declared)
        stored = [
            conn.execute(f"SELECT small, whole, big, day FROM {name} ORDER BY n".encode()).fetchall()
            for name in ("plain", "fixed")
        ]
        conn.rollback()
    assert stored == [rows, rows]
    assert set(written) == ({"copy_text", "copy_binary"} if rows else set())


@pytest.mark.parametrize("name", FIXED)
def test_a_null_in_a_column_that_is_not_nullable_is_an_error_and_nothing_arrives(
    postgres: PostgresTarget, name: str
) -> None:
    row = dict(zip(FIXED, (1, 2, 3, date(2005, 12, 31)), strict=True))
    frame = pl.DataFrame([row, row | {name: None}, row], schema=FIXED)
    with psycopg.connect(postgres.conninfo()) as conn:
        conn.execute(FIXED_DDL.format("fixed").encode())
        with pytest.raises(ValueError, match="NULL in a column of"), conn.transaction():
            copy_frames(conn, Identifier("fixed"), frame.columns, [frame], declared=FIXED_COLUMNS)
        assert conn.execute("SELECT count(*) FROM fixed").fetchone() == (0,)
        conn.rollback()


def test_a_nullable_column_takes_a_null(postgres: PostgresTarget) -> None:
    frame = pl.DataFrame([(1, None, 3, None)], schema=FIXED, orient="row")
    declared = [replace(column, nullable=column.name in ("whole", "day")) for column in FIXED_COLUMNS]
    with psycopg.connect(postgres.conninfo()) as conn:
        conn.execute(FIXED_DDL.format("fixed").encode())
        copy_frames(conn, Identifier("fixed"), frame.columns, [frame], declared=declared)
        assert conn.execute("SELECT small, whole, big, day FROM fixed").fetchall() == [(1, None, 3, None)]
        conn.rollback()


def test_a_time_with_a_zone_does_not_depend_on_the_servers_zone(postgres: PostgresTarget) -> None:
    frame = pl.DataFrame({"at": [datetime(2018, 7, 1, 12, tzinfo=UTC)]}, schema={"at": pl.Datetime("us", "UTC")})
    with psycopg.connect(postgres.conninfo(), options="-c timezone=America/New_York -c datestyle=German") as conn:
        conn.execute(DDL)
        copy_frames(conn, Identifier("t"), ["at"], [frame])
        assert conn.execute("SELECT extract(epoch FROM at)::int FROM t").fetchone() == (1_530_446_400,)


def test_frozen_rows_are_seen_by_a_snapshot_that_is_older_than_they_are(postgres: PostgresTarget) -> None:
    frame = pl.DataFrame({"a": [1, 2, 3]})
    with (
        database(postgres, "copy_freeze") as target,
        psycopg.connect(target.conninfo()) as reader,
        psycopg.connect(target.conninfo()) as writer,
    ):
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")
        for name, freeze in (("frozen", True), ("plain", False)):
            writer.execute(f"CREATE TABLE {name} (a bigint)".encode())
            copy_frames(writer, Identifier(name), ["a"], [frame], freeze=freeze)
        writer.commit()
        assert reader.execute("SELECT count(*) FROM frozen").fetchone() == (3,)
        assert reader.execute("SELECT count(*) FROM plain").fetchone() == (0,)


def test_the_clients_encoding_of_this_machine_changes_nothing(
    postgres: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with connect(postgres, role=None, autocommit=False) as conn:
        conn.execute(DDL)
        copy_frames(conn, Identifier("t"), ["words"], [pl.DataFrame({"words": ["Amélie 日本"]})])
        assert conn.execute("SELECT words, char_length(words) FROM t").fetchone() == ("Amélie 日本", 9)
        conn.rollback()


def test_a_database_that_cannot_hold_every_text_is_refused_with_the_remedy(postgres: PostgresTarget) -> None:
    admin = replace(postgres, database="postgres")
    with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
        conn.execute(
            "CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    try:
        with (
            pytest.raises(PostgresUnreachableError, match="ENCODING 'UTF8'"),
            connect(replace(postgres, database="latin1"), role=None),
        ):
            pass
    finally:
        with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
            conn.execute("DROP DATABASE latin1 WITH (FORCE)")
