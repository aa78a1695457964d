"""Tables read out of SQLite and JSON: every record is typed or rejected, and what is wrong is named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.reading import bundle_reader
from cinestream_platform.reading.blocks import MAX_RAW_CHARS
from cinestream_platform.reading.bundle_reader import read_bundle_table
from cinestream_platform.sources.chinook.feeds import ARTIST, INVOICE, INVOICE_LINE, TRACK

NOT_AFTER = datetime(2026, 1, 2, tzinfo=UTC)
TRACK_COLUMNS = (
    "TrackId INTEGER, Name NVARCHAR(200), AlbumId INTEGER, MediaTypeId INTEGER, GenreId INTEGER, Composer TEXT,"
    " Milliseconds INTEGER, Bytes INTEGER, UnitPrice NUMERIC(10,2)"
)
INVOICE_COLUMNS = (
    "InvoiceId INTEGER, CustomerId INTEGER, InvoiceDate DATETIME, BillingAddress TEXT, BillingCity TEXT,"
    " BillingState TEXT, BillingCountry TEXT, BillingPostalCode TEXT, Total NUMERIC(10,2)"
)


@dataclass(frozen=True)
class Reading:
    """What was read of a table."""

    rows: list[tuple[Any, ...]]
    lines: list[int]
    rejects: list[tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bundle"


def read(path: Path, feed: Feed = ARTIST) -> Reading:
    batches = list(read_bundle_table(path, feed, file_id=7, not_after=NOT_AFTER))
    rows = [row for batch in batches for row in batch.rows.drop("_file_id", "_line").rows()]
    lines = [line for batch in batches for line in batch.rows["_line"]]
    return Reading(
        rows, lines, [row for batch in batches for row in batch.rejected.select("line", "rule", "raw").rows()]
    )


def write_sqlite(path: Path, *statements: str, rows: Sequence[tuple[Any, ...]] = (), table: str = "Artist") -> Path:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        for row in rows:
            db.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
        db.commit()
    return path


def artists(path: Path, *rows: tuple[Any, ...]) -> Path:
    return write_sqlite(path, "CREATE TABLE Artist (ArtistId INTEGER, Name TEXT)", rows=rows)


def write_json(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(path: Path, feed: Feed = ARTIST) -> str:
    with pytest.raises(FileRefusedError) as caught:
        read(path, feed)
    return str(caught.value)


# ---- values ----------------------------------------------------------------------------------------------------------


def test_the_same_records_come_from_sqlite_and_json_with_exact_decimals(path, tmp_path):
    invoice = [1, 2, "2025-12-31 09:41:05", "Street 1, rear", "Oslo ", None, "Norway", "0171", 5.94]
    write_sqlite(path, f"CREATE TABLE Invoice ({INVOICE_COLUMNS})", rows=[tuple(invoice)], table="Invoice")
    names = [column.split()[0] for column in INVOICE_COLUMNS.split(", ")]
    record = dict(zip(names, invoice, strict=True)) | {"InvoiceDate": "2025-12-31T09:41:05"}
    expected = (
        *(1, 2, datetime(2025, 12, 31, 9, 41, 5, tzinfo=UTC), "Street 1, rear", "Oslo ", None, "Norway", "0171"),
        Decimal("5.94"),
    )
    assert read(path, INVOICE).rows == [expected]
    assert read(write_json(tmp_path / "json", {"Invoice": [record]}), INVOICE).rows == [expected]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 99_999_999_99), min_size=1, max_size=20))
def test_no_cent_is_lost_by_numbers_that_are_stored_as_binary_floats(tmp_path_factory, cents):
    folder = tmp_path_factory.mktemp("money")
    prices = [Decimal(number) / 100 for number in cents]
    columns = "InvoiceLineId INTEGER, InvoiceId INTEGER, TrackId INTEGER, UnitPrice NUMERIC(10,2), Quantity INTEGER"
    rows = [(n, 1, 1, float(price), 1) for n, price in enumerate(prices, start=1)]
    write_sqlite(folder / "db", f"CREATE TABLE InvoiceLine ({columns})", rows=rows, table="InvoiceLine")
    names = [column.split()[0] for column in columns.split(", ")]
    write_json(folder / "json", {"InvoiceLine": [dict(zip(names, row, strict=True)) for row in rows]})
    for form in ("db", "json"):
        reading = read(folder / form, INVOICE_LINE)
        assert reading.rejects == []
        assert [row[3] for row in reading.rows] == prices


def test_a_number_is_read_as_it_is_written_and_not_as_the_float_next_to_it(path):
    long = "0.99999999999999999999"
    write_json(path, f'{{"Artist": [{{"ArtistId": 2147483647, "Name": {long}}}]}}')
    assert read(path).rows == [(2_147_483_647, long)]


def test_null_is_sqlites_own_and_jsons_null_empty_text_or_a_missing_name(path, tmp_path):
    artists(path, (1, None), (2, ""), (3, "None"))
    assert read(path).rows == [(1, None), (2, ""), (3, "None")]
    records = [
        {"ArtistId": 1, "Name": None},
        {"ArtistId": 2, "Name": ""},
        {"ArtistId": 3},
        {"ArtistId": 4, "Name": " "},
    ]
    assert read(write_json(tmp_path / "json", {"Artist": records})).rows == [(1, None), (2, None), (3, None), (4, " ")]


def test_a_null_where_one_is_needed_rejects_the_record(path, tmp_path):
    artists(path, (None, "a"), (2, "b"))
    expected = [(1, "artist_id_required", '[null, "a"]')]
    assert (read(path).rejects, read(path).lines) == (expected, [2])
    write_json(tmp_path / "json", {"Artist": [{"ArtistId": None, "Name": "a"}, {"ArtistId": 2, "Name": "b"}]})
    assert read(tmp_path / "json").rejects == expected


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        *(("x", "artist_id_type"), (1.5, "artist_id_type"), ("", "artist_id_type"), (2**31, "artist_id_type")),
        *((0, "artist_id_range"), (-3, "artist_id_range"), (b"\xff\xfe", "record_encoding")),
    ],
)
def test_a_value_of_another_type_in_sqlite_rejects_its_record_alone(path, value, rule):
    artists(path, (1, "a"), (value, "b"), (3, "c"))
    reading = read(path)
    assert reading.rows == [(1, "a"), (3, "c")]
    assert [(line, broken) for line, broken, _ in reading.rejects] == [(2, rule)]


@pytest.mark.parametrize("value", ['"x"', "1.5", "1e0", "true", "[1]", '{"a": 1}', "NaN", "Infinity", "2147483648"])
def test_a_value_of_another_type_in_json_rejects_its_record_alone(path, value):
    write_json(path, f'{{"Artist": [{{"ArtistId": {value}, "Name": "b"}}, {{"ArtistId": 3, "Name": "c"}}]}}')
    reading = read(path)
    assert reading.rows == [(3, "c")]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [(1, "artist_id_type")]


def test_bytes_that_are_no_utf8_and_texts_that_postgres_cannot_store_reject_their_records_alone(path, tmp_path):
    artists(path, (1, "é"), (2, "a\0b"), (3, "c"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO Artist VALUES (4, CAST(x'436166e9' AS TEXT)), (5, x'ff00'), (6, x'41')")
        db.commit()
    reading = read(path)
    assert reading.rows == [(1, "é"), (3, "c"), (6, "A")]
    assert reading.rejects == [
        (2, "record_nul", '["2", "a\\u0000b"]'),
        (4, "record_encoding", "(4, b'Caf\\xe9')"),
        (5, "record_encoding", "(5, b'\\xff\\x00')"),
    ]
    write_json(tmp_path / "json", '{"Artist": [{"ArtistId": 1, "Name": "a\\u0000"}, {"ArtistId": 2, "Name": "\\ud83d"},'
               ' {"ArtistId": 3, "Name": "\\ud83d\\ude00"}]}')  # fmt: skip
    reading = read(tmp_path / "json")
    assert reading.rows == [(3, "😀")]
    assert reading.rejects == [
        (1, "record_nul", '["1", "a\\u0000"]'),
        (2, "record_encoding", '["2", "\\ud83d"]'),
    ]


def test_a_sqlite_file_in_utf16_is_read(path):
    write_sqlite(
        path, "PRAGMA encoding = 'UTF-16'", "CREATE TABLE Artist (ArtistId INTEGER, Name TEXT)", rows=[(1, "é日")]
    )
    assert read(path).rows == [(1, "é日")]


def test_of_a_rejected_record_so_much_text_is_kept(path):
    artists(path, (0, "x" * 20_000))
    [(_, _, raw)] = read(path).rejects
    assert len(raw) == MAX_RAW_CHARS


# ---- many records ----------------------------------------------------------------------------------------------------


def test_batches_are_read_to_the_end_and_count_lines_on(path, monkeypatch):
    monkeypatch.setattr(bundle_reader, "BATCH_ROWS", 3)
    artists(path, *((n if n != 5 else 0, f"name {n}") for n in range(1, 9)))
    batches = list(read_bundle_table(path, ARTIST, file_id=7, not_after=NOT_AFTER))
    assert [(batch.rows.height, batch.rejected.height) for batch in batches] == [(3, 0), (2, 1), (2, 0)]
    assert pl.concat(batch.rows for batch in batches)["_line"].to_list() == [1, 2, 3, 4, 6, 7, 8]
    assert {batch.rows.schema == batches[0].rows.schema for batch in batches} == {True}
    assert batches[0].rows["_file_id"].to_list() == [7, 7, 7]


def test_a_table_without_records_is_read_as_one(path, tmp_path):
    assert read(artists(path)) == Reading([], [], [])
    assert read(write_json(tmp_path / "json", {"Artist": []})) == Reading([], [], [])


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "columns"), [
    ("InvoiceLine", ("InvoiceLineId", "InvoiceId", "TrackId", "UnitPrice", "Quantity")),
    ("invoice_line", ("invoice_line_id", "invoice_id", "track_id", "unit_price", "quantity")),
    ("INVOICELINE", ("QUANTITY", "TRACKID", "UNIT_PRICE", "INVOICE_ID", "INVOICELINEID")),
])  # fmt: skip
def test_names_are_matched_without_regard_to_case_underscores_and_order(path, tmp_path, table, columns):
    values = {"invoicelineid": 1, "invoiceid": 2, "trackid": 3, "unitprice": 0.99, "quantity": 4}
    row = tuple(values[name.replace("_", "").lower()] for name in columns)
    write_sqlite(path, f"CREATE TABLE {table} ({', '.join(columns)})", rows=[row], table=table)
    write_json(tmp_path / "json", {table: [dict(zip(columns, row, strict=True))]})
    for file in (path, tmp_path / "json"):
        assert read(file, INVOICE_LINE).rows == [(1, 2, 3, Decimal("0.99"), 4)]


def test_a_missing_table_is_named_with_those_that_the_file_has(path, tmp_path):
    said = "table `track` is missing; the file has Artist, Genre. Fix the file and land it again."
    columns = "(ArtistId INTEGER, Name TEXT)"
    write_sqlite(path, f"CREATE TABLE Artist {columns}", f"CREATE TABLE Genre {columns}")
    assert refusal(path, TRACK) == said
    said = "table `track` is missing; the file has 2 of other names. Fix the file and land it again."
    assert refusal(write_json(tmp_path / "json", {"Artist": [], "Genre": []}), TRACK) == said
    assert "the file has none" in refusal(write_json(tmp_path / "json", {}), TRACK)


def test_a_table_or_column_in_two_spellings_is_refused(path, tmp_path):
    columns = "(InvoiceLineId, InvoiceId, TrackId, UnitPrice, Quantity)"
    write_sqlite(path, f"CREATE TABLE InvoiceLine {columns}", f"CREATE TABLE invoice_line {columns}")
    assert "table `invoice_line` occurs twice; the file has InvoiceLine, invoice_line." in refusal(path, INVOICE_LINE)
    write_json(tmp_path / "json", {"Artist": [{"ArtistId": 1, "artist_id": 2, "Name": "a"}]})
    assert "column `ArtistId` occurs twice; column `artist_id` occurs twice" in refusal(tmp_path / "json")


@pytest.mark.parametrize(
    "text", ['{"Artist": [], "Artist": []}', '{"Artist": [{"ArtistId": 1, "Name": "a", "Name": "b"}]}']
)
def test_a_name_that_json_gives_two_values_is_refused_and_not_decided(path, text):
    assert "an object has `" in refusal(write_json(path, text))


def test_a_missing_and_an_unknown_column_are_named(path, tmp_path):
    said = "column `Name` is missing; column `Title` is not known; expected ArtistId, Name."
    write_sqlite(path, "CREATE TABLE Artist (ArtistId INTEGER, Title TEXT)", rows=[(1, "a")])
    assert refusal(path).startswith(said)
    assert refusal(write_json(tmp_path / "json", {"Artist": [{"ArtistId": 1, "Title": "a"}]})).startswith(said)


def test_names_that_postgres_cannot_store_are_shown_as_escapes(path):
    record = '{"ArtistId": 1, "Name": "a", "Art\\u0000ist\\ud800": 1}'
    message = refusal(write_json(path, f'{{"Artist": [{record}]}}'))
    assert "column `aaa\\x00aaa\\ud800` is not known" in message
    assert message.encode().find(b"\0") == -1


@pytest.mark.parametrize("statement", [
    "CREATE VIEW Artist AS SELECT * FROM Other",
    "CREATE VIRTUAL TABLE Artist USING fts5 (ArtistId, Name)",
    "CREATE VIRTUAL TABLE Artist USING rtree (ArtistId, low, high)",
])  # fmt: skip
def test_only_a_real_table_is_read(path, statement):
    """A view or virtual table computes its rows, by code that came with the file."""
    write_sqlite(path, "CREATE TABLE Other (ArtistId INTEGER, Name TEXT)", statement)
    assert "table `artist` is missing" in refusal(path)


def test_a_column_that_computes_a_huge_value_is_refused_before_it_takes_the_memory(path):
    huge = "GENERATED ALWAYS AS (hex(zeroblob(5000000)))"
    write_sqlite(path, f"CREATE TABLE Artist (ArtistId INTEGER, Name TEXT {huge})", "INSERT INTO Artist VALUES (1)")
    assert refusal(path) == "the SQLite file is damaged: string or blob too big. Land it again."


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_cut_sqlite_file_is_refused_whether_its_head_or_its_rows_are_missing(path):
    whole = artists(path, *((n, "x" * 3_000) for n in range(1, 60))).read_bytes()
    for size in (16, 50, 4_000, len(whole) // 2, len(whole) - 5_000):
        path.write_bytes(whole[:size])
        assert refusal(path).startswith("the SQLite file is damaged: "), size


def test_a_sqlite_file_with_overwritten_pages_is_refused_or_read_record_by_record(path):
    whole = artists(path, *((n, "x" * 3_000) for n in range(1, 60))).read_bytes()
    path.write_bytes(whole[:4_096] + b"\x7f" * 8_192 + whole[12_288:])
    assert refusal(path).startswith("the SQLite file is damaged: ")


@pytest.mark.parametrize("content", [
    b"", b"\xef\xbb\xbf", b"ArtistId,Name\n1,a\n", b"PK\x03\x04", b'{"Artist": [', b'{"Artist": [{"ArtistId": 1, "Na',
    b'{"Artist": [{"ArtistId": 1, "Name": "Caf\xe9"}]}', b"[" * 100_000, '{"Artist": []}'.encode("utf-16"),
])  # fmt: skip
def test_what_is_no_sqlite_and_no_json_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path).startswith("this is neither SQLite nor readable JSON (")


@pytest.mark.parametrize("content", ["[]", "1", '"Artist"', "null"])
def test_json_that_is_no_object_is_refused(path, content):
    assert refusal(write_json(path, content)).startswith(
        "the JSON file is not an object with a list of records per table."
    )


@pytest.mark.parametrize("records", ["null", "{}", "[1]", '[{"ArtistId": 1, "Name": "a"}, []]', '"x"'])
def test_a_table_in_json_that_is_no_list_of_objects_is_refused(path, records):
    assert refusal(write_json(path, f'{{"Artist": {records}}}')).startswith("table `artist` is not a list of objects.")


def test_json_may_begin_with_a_byte_order_mark(path):
    path.write_bytes(b'\xef\xbb\xbf{"Artist": [{"ArtistId": 1, "Name": "a"}]}')
    assert read(path).rows == [(1, "a")]


# ---- what tools write ------------------------------------------------------------------------------------------------


def invoice_files(folder: Path, total: float, customer: float) -> tuple[Path, Path]:
    """One invoice with these numbers as REALs in SQLite, and in JSON."""
    columns = INVOICE_COLUMNS.replace("INTEGER", "BLOB").replace("NUMERIC(10,2)", "REAL")  # BLOB: stored as given
    row = (1.0, customer, "2024-01-02", None, None, None, None, None, total)
    sqlite_file = write_sqlite(folder / "a", f"CREATE TABLE Invoice ({columns})", rows=[row], table="Invoice")
    record = {"InvoiceId": 1.0, "CustomerId": customer, "InvoiceDate": "2024-01-02", "Total": total}
    others = dict.fromkeys(
        ("BillingAddress", "BillingCity", "BillingState", "BillingCountry", "BillingPostalCode"), None
    )
    return sqlite_file, write_json(folder / "b", {"Invoice": [record | others]})


def test_reals_are_read_without_noise_and_as_whole_numbers_where_they_are_and_counted(tmp_path: Path):
    for path in invoice_files(tmp_path, 0.1 + 0.2, 862.0):
        [batch] = read_bundle_table(path, INVOICE, file_id=7, not_after=NOT_AFTER)
        assert batch.rows.select("invoice_id", "customer_id", "total").rows() == [(1, 862, Decimal("0.30"))]
        assert dict(batch.warnings) == {"invoice_id": 1, "customer_id": 1, "total": 1}


def test_reals_that_are_other_values_are_rejected(tmp_path: Path):
    for path in invoice_files(tmp_path, 11.875, 1.0):
        assert [rule for _, rule, _ in read(path, INVOICE).rejects] == ["total_type"]
    (tmp_path / "other").mkdir()
    for path in invoice_files(tmp_path / "other", 1.0, 862.5):
        assert [rule for _, rule, _ in read(path, INVOICE).rejects] == ["customer_id_type"]


def test_a_sqlite_file_in_wal_mode_is_refused_with_the_remedy_and_read_once_it_is_followed(path: Path):
    write_sqlite(path, "PRAGMA journal_mode = WAL", "CREATE TABLE Artist (ArtistId INTEGER, Name TEXT)")
    assert "WAL mode" in refusal(path)
    assert "PRAGMA journal_mode = DELETE" in refusal(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    assert read(path).rejects == []
