"""What is asked of an operational database, without one: names are quoted, values are literals, nothing is taken on trust."""

from datetime import UTC, datetime

from pydantic import SecretStr

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.declarations.column import TEXT, TEXT_ARRAY, TIMESTAMP, Column
from cinestream_platform.declarations.connector import Moment
from cinestream_platform.reading.postgres_connector import PostgresConnector, _comparable, _text
from cinestream_platform.warehouse.connection import PostgresTarget

EVIL = "x'); DROP TABLE film; --\"'"
FEEDS = {feed.dataset: feed for feed in EXTRACTS}
COLUMNS = {feed.dataset: {c.source_name: "text" for c in feed.table.columns if c.source_name} for feed in EXTRACTS}


def test_each_type_is_written_as_text_that_does_not_depend_on_the_session() -> None:
    def text(column: Column, source_type: str) -> str:
        return _text(column, source_type, "Europe/Berlin").as_string()

    time, name = Column("a", TIMESTAMP, ""), Column("b", TEXT, "", source_name="B b")
    assert "THEN ((\"a\" AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'UTC')::text ELSE \"a\"::text END" in text(
        time, "timestamp without time zone"
    )
    assert text(time, "timestamp with time zone") == "(\"a\" AT TIME ZONE 'UTC')::text"
    assert text(name, "character").endswith('ELSE "B b"::text END')
    assert text(Column("c", TEXT_ARRAY, ""), "text[]").endswith('ELSE array_to_json("c")::text END')


def test_names_and_zones_cannot_break_out_of_their_quotes() -> None:
    written = _text(Column("a", TIMESTAMP, "", source_name=EVIL), "timestamp without time zone", EVIL).as_string()
    assert (
        f"((\"{EVIL.replace(chr(34), chr(34) * 2)}\" AT TIME ZONE '{EVIL.replace(chr(39), chr(39) * 2)}') AT TIME ZONE 'UTC')::text"
        in written
    )


def test_increments_compare_instants_where_the_source_has_naive_times() -> None:
    database = PostgresConnector(PostgresTarget("h", 1, "u", SecretStr(""), "d"), "public", "Asia/Tokyo")
    naive = _comparable(FEEDS["rental"], {"last_update": "timestamp without time zone"}, database).as_string()
    assert 'THEN "t"."last_update" AT TIME ZONE \'Asia/Tokyo\' ELSE' in naive
    assert _comparable(FEEDS["payment"], {"payment_id": "integer"}, database).as_string() == '"t"."payment_id"'


def test_columns_beyond_the_declaration_are_not_extracted_and_named() -> None:
    more = COLUMNS | {"film": COLUMNS["film"] | {"fulltext": "tsvector"}, "coupon": {"number": "integer"}}
    assert Moment("", datetime.now(UTC), more, "").unknown_columns(EXTRACTS) == ["film.fulltext"]
