"""COPY of frames: every value of every declared type arrives as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import Identifier

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
