"""The same records in CSV, JSON lines and Parquet, packed or not, are read alike; none of the forms can be a bomb."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.file_form import FileForm, FileRefusedError, Packing, Shape, form_of_name
from cinestream_platform.publishing.content_hash import content_hash
from cinestream_platform.reading import parquet_pages, unpacking
from cinestream_platform.sources.chinook.feeds import CUSTOMER, INVOICE
from cinestream_platform.sources.movielens.feeds import MOVIES, RATINGS
from cinestream_platform.sources.netflix.feeds import RATINGS as NETFLIX
from tests.unit.reading import Reading, read_form

RATING_NAMES = ["userId", "movieId", "rating", "timestamp"]
Row = Sequence[str | None]


def packed(content: bytes, ending: str) -> bytes:
    if ending == ".gz":
        return gzip.compress(content)
    return pa.compress(content, "zstd", asbytes=True) if ending == ".zst" else content


def as_csv(names: Sequence[str], rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *([value or "" for value in row] for row in rows)])
    return text.getvalue().encode()


def as_json_lines(names: Sequence[str], rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


def as_parquet(names: Sequence[str], rows: Sequence[Row], **options: Any) -> bytes:
    sink = io.BytesIO()
    columns = {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)}
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def in_tar(content: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("ratings.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


FORMS = {".csv": as_csv, ".jsonl": as_json_lines, ".parquet": as_parquet}
ENDINGS = [f"{form}{packing}" for form in FORMS for packing in ("", ".gz", ".zst")]


def in_form(ending: str, names: Sequence[str], rows: Sequence[Row]) -> bytes:
    form = next(form for form in FORMS if ending.startswith(form))
    return packed(FORMS[form](names, rows), ending.removeprefix(form))


def told(reading: Reading, ending: str) -> tuple[Any, ...]:
    """What is the same of all forms: rows and rejected records, by number; the header of CSV is a line."""
    before = 1 if ending.startswith(".csv") else 0
    rejected = [(line - before, rule, found) for line, rule, _, found in reading.rejected.rows()]
    return content_hash(reading.rows.drop("_file_id", "_line")), [n - before for n in reading.lines], rejected


# Values as tools write them, good and bad; texts that every form can hold and that CSV quotes.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=12)
NUMBERS = st.sampled_from(["1", "12", "-1", "0", "4.5", "3.25", "9.5", "1e3", "x", "99999999999", "007", "862.0"])
RATING_ROWS = st.lists(
    st.tuples(*[st.one_of(st.none(), NUMBERS, st.sampled_from(["1112484819", "5"]))] * 4).filter(any), max_size=20
)
MOVIE_ROWS = st.lists(st.tuples(st.sampled_from(["1", "2", "x"]), st.one_of(st.none(), TEXTS), TEXTS), max_size=15)


@settings(max_examples=40, deadline=None)
@given(RATING_ROWS, MOVIE_ROWS)
def test_the_same_records_in_any_form_are_the_same_rows_and_break_the_same_rules(
    ratings: list[Row], movies: list[Row]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for feed, names, rows in (
            (RATINGS, RATING_NAMES, ratings),
            (MOVIES, ["movieId", "title", "genres"], movies),
        ):
            found = []
            for ending in ENDINGS if rows else (".csv", ".csv.gz", ".parquet"):
                reading = read_form(in_form(ending, names, rows), feed, ending, Path(folder))
                if ending.startswith(".csv"):  # a field with a line end takes two lines
                    numbers = {line: number for number, line in enumerate(sorted(_lines(reading)), 2)}
                    reading = _renumbered(reading, numbers)
                found.append(told(reading, ending))
            assert all(other == found[0] for other in found), found


def _lines(reading: Reading) -> list[int]:
    return [*reading.lines, *reading.rejected["line"]]


def _renumbered(reading: Reading, numbers: dict[int, int]) -> Reading:
    def renumber(name: str) -> pl.Expr:
        return pl.col(name).replace_strict(numbers, return_dtype=pl.Int64)

    if not numbers:
        return reading
    rows, rejected = reading.rows, reading.rejected
    return Reading(rows.with_columns(renumber("_line")), rejected.with_columns(renumber("line")), reading.batches)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_rejected_record_keeps_its_number_its_rule_and_its_text(ending: str, tmp_path: Path) -> None:
    rows = [("1", "1", "4.5", "1112484819"), ("1", "2", "9.5", "1112484819"), ("", "3", "4.0", "1112484819")]
    reading = read_form(in_form(ending, RATING_NAMES, rows), RATINGS, ending, tmp_path)
    header = ending.startswith(".csv")
    assert reading.lines == [1 + header]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [
        (2 + header, "rating_range"),
        (3 + header, "user_id_required"),
    ]
    assert all(value in reading.rejects[0][2] for value in ("1", "2", "9.5", "1112484819"))


def test_a_name_says_the_form_of_a_file() -> None:
    assert form_of_name("m/r/a.CSV.GZ") == FileForm(Shape.TEXT, Packing.GZIP, "a.CSV")
    assert form_of_name("m/r/2020.01/a.ndjson") == FileForm(Shape.JSON_LINES, Packing.NONE, "a")
    assert form_of_name("a.parquet.zst") == FileForm(Shape.PARQUET, Packing.ZSTD, "a")
    assert form_of_name("a.txt") == FileForm(Shape.TEXT, Packing.NONE, "a.txt")


def test_files_without_header_are_read_packed_too(tmp_path: Path) -> None:
    reading = read_form(packed(b"1:\n10,3,2005-01-01\n", ".gz"), NETFLIX, ".txt.gz", tmp_path)
    assert len(reading.records) == 1


GOOD = as_csv(RATING_NAMES, [("1", "1", "4.5", "1112484819")] * 3)


@pytest.mark.parametrize(
    ("ending", "content", "problem"),
    [
        (".csv", gzip.compress(GOOD), r"this is a gzip archive.*\.gz"),
        (".csv", packed(GOOD, ".zst"), r"this is a zstd archive.*\.zst"),
        (".csv", b"PAR1rest", r"this is a Parquet file.*\.parquet"),
        (".csv", b"PK\x03\x04rest", "this is a zip archive"),
        *((".csv", bz2.compress(GOOD, level), "this is a bzip2 archive") for level in (1, 9)),
        (".csv", pa.compress(GOOD, "lz4", asbytes=True), "this is an lz4 archive"),
        (".csv.gz", gzip.compress(in_tar(GOOD)), "this is a tar archive"),
        (".csv", b"ORC\x0c", "this is an ORC file"),
        (".csv", b"ARROW1\0\0", "this is an Arrow"),
        (".csv", GOOD.decode().encode("utf-32"), "this is UTF-32 text"),
        (".csv.gz", GOOD, r"ends in \.gz, but the file is not a gzip archive"),
        (".csv.gz", packed(GOOD, ".zst"), "not a gzip archive"),
        (".csv.zst", gzip.compress(GOOD), r"ends in \.zst, but the file is not a zstd archive"),
        *(
            (ending, b"", r"the file is empty: it has no bytes\. Land it again")
            for ending in (".csv.gz", ".csv.zst", ".parquet")
        ),
        (".csv.gz", gzip.compress(gzip.compress(GOOD)), "this is a gzip archive"),
        (".csv.gz", gzip.compress(GOOD)[:-9], "gzip archive is cut off"),
        (".csv.gz", gzip.compress(GOOD)[:-8] + bytes(8), "gzip archive is damaged"),
        (".csv.zst", packed(GOOD, ".zst")[:-2], "zstd archive is cut off"),
        (".csv.gz", gzip.compress(b""), "the file is empty"),
        (".jsonl", b"", "no line of the file holds a JSON object"),
        (".jsonl", b"[\n{}\n]"[:1], "no line of the file holds a JSON object"),
        (".jsonl", gzip.compress(GOOD), "this is a gzip archive"),
        (".jsonl", GOOD, "no line of the file holds a JSON object"),
        (".jsonl", b'{"userId": 1, "movieId": 1, "colour": 2}\n', "column `colour` is not known"),
        (".jsonl", b'{"userId": 1, "user_id": 2}\n', "occurs twice"),
        (".parquet", GOOD, "the file is not Parquet"),
        (".parquet", gzip.compress(GOOD), "this is a gzip archive"),
        (".parquet", b"PAR1", "cut off"),
        (".parquet", as_parquet(RATING_NAMES, [])[:-3], "cut off"),
        (".parquet", b"PAR1" + bytes(40) + b"\x08\0\0\0PAR1", "damaged"),
        (".parquet", b"PAR1" + b"\xff\xff\xff\x7fPAR1", "footer"),
        (".parquet", as_parquet(RATING_NAMES[:3], [("1", "1", "1")]), "column `timestamp` is missing"),
        (".parquet", as_parquet([*RATING_NAMES, "colour"], [("1",) * 5]), "column `colour` is not known"),
        (".parquet", parquet(**{n: pa.array([[1]]) for n in RATING_NAMES}), "lists or structs"),
        (".parquet", parquet(**{n: pa.array([1], pa.time64("us")) for n in RATING_NAMES}), "no text, number or time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",  # archives hold the time
)
def test_what_is_not_what_its_name_says_is_refused_by_name(
    ending: str, content: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(FileRefusedError, match=problem):
        read_form(content, RATINGS, ending, tmp_path)


def test_lines_that_are_no_objects_of_columns_are_rejected_and_the_others_read(tmp_path: Path) -> None:
    good = b'{"timestamp": 1112484819, "rating": 4.50, "movie_id": 2, "USERID": "7"}\r\n'
    bad = [
        (b"{", "record_json"),
        (b"[1]", "record_json"),
        (b'{"userId": 1} {"userId": 2}', "record_json"),
        (b"[" * 100_000, "record_json"),
        (b'{"userId": NaN}', "user_id_type"),
        (b'{"userId": 1, "colour": 1}', "record_names"),
        (b'{"userId": 1, "userId": 1}', "record_names"),
        (b'{"userId": 1, "userid": 1}', "record_names"),
        (b'{"userId": "\xff"}', "record_encoding"),
        (b'{"userId": "\\ud800"}', "record_encoding"),
        (b'{"userId": "\\u0000"}', "record_nul"),
        (b'{"userId": "\0"}', "record_nul"),
        (b'{"userId": {"a": 1}, "movieId": 1, "rating": 1, "timestamp": 1}', "user_id_type"),
        (b'{"userId": true, "movieId": 1, "rating": 1, "timestamp": 1}', "user_id_type"),
        (b'{"userId": 1, "movieId": null, "rating": 1, "timestamp": 1}', "movie_id_required"),
        (b'{"movieId": 1, "rating": 1, "timestamp": 1}', "user_id_required"),
    ]
    content = b"\n" + good + b"\n".join(line for line, _ in bad) + b"\n  \n" + good
    reading = read_form(content, RATINGS, ".jsonl", tmp_path)
    assert [row[:3] for row in reading.records] == [(7, 2, Decimal("4.5"))] * 2
    assert reading.lines == [2, 3 + len(bad) + 1]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [
        (line, rule) for line, (_, rule) in enumerate(bad, 3)
    ]


def test_records_that_leave_out_what_may_be_null_are_read(tmp_path: Path) -> None:
    line = b'{"invoice_id": 1, "customer_id": 2, "invoice_date": "2009-01-01 00:00:00", "total": 0.99}\n'
    [row] = read_form(line, INVOICE, ".jsonl", tmp_path).rows.rows(named=True)
    assert (row["invoice_id"], row["total"], row["billing_city"]) == (1, Decimal("0.99"), None)


def test_types_of_parquet_are_the_texts_that_csv_has_of_them(tmp_path: Path) -> None:
    instant = pa.array([1112484819_000_000], pa.timestamp("us", "UTC"))
    for moment in (instant, pa.array([1112484819]), pa.array([1112484819_000], pa.timestamp("ms", "Europe/Madrid"))):
        content = parquet(userId=[1], movieId=pa.array([2], pa.uint8()), rating=[4.5], timestamp=moment)
        reading = read_form(content, RATINGS, ".parquet", tmp_path)
        assert content_hash(reading.rows.drop("_file_id", "_line")) == content_hash(
            read_form(as_csv(RATING_NAMES, [("1", "2", "4.5", "1112484819")]), RATINGS, ".csv", tmp_path).rows.drop(
                "_file_id", "_line"
            )
        )
    naive = parquet(userId=[1], movieId=[2], rating=[4.5], timestamp=pa.array([1112484819], pa.timestamp("s")))
    assert [rule for _, rule, _ in read_form(naive, RATINGS, ".parquet", tmp_path).rejects] == ["timestamp_type"]


def test_types_that_polars_does_not_take_are_read_or_refused(tmp_path: Path) -> None:
    wide = pa.array([Decimal("4.50")], pa.decimal256(60, 2))
    unknown_zone = pa.array([1112484819], pa.timestamp("s", "Nowhere/Else"))
    content = parquet(userId=[1], movieId=[2], rating=wide, timestamp=unknown_zone)
    reading = read_form(content, RATINGS, ".parquet", tmp_path)
    assert (
        reading.records
        == read_form(as_csv(RATING_NAMES, [("1", "2", "4.5", "1112484819")]), RATINGS, ".csv", tmp_path).records
    )
    for odd in (pa.array([b"1"], pa.binary_view()), pa.array([b"1" * 16], pa.uuid()), pa.array([1], pa.duration("s"))):
        content = parquet(userId=odd, movieId=[2], rating=[4.5], timestamp=[1112484819])
        with pytest.raises(FileRefusedError, match="`userId` of the Parquet file holds"):
            read_form(content, RATINGS, ".parquet", tmp_path)


@pytest.mark.parametrize("year", [1600, 2600, 9999])
def test_years_that_nanoseconds_cannot_hold_are_not_taken_for_others(year: int, tmp_path: Path) -> None:
    """Spark writes times as INT96; in nanoseconds the year 2600 would be 2015."""
    sink = io.BytesIO()
    names = [column.source_name or "" for column in INVOICE.table.columns if column.source_name]
    columns: dict[str, pa.Array] = {name: pa.array(["1"]) for name in names}
    columns["InvoiceDate"] = pa.array([datetime(year, 1, 2)], pa.timestamp("us"))
    pq.write_table(pa.table(columns), sink, use_deprecated_int96_timestamps=True)
    [(_, rule, raw)] = read_form(sink.getvalue(), INVOICE, ".parquet", tmp_path).rejects
    assert rule.startswith("invoice_date_")
    assert f"{year}-01-02" in raw


def test_lists_in_lists_are_rejected_however_deep_they_are(tmp_path: Path) -> None:
    depths = range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 5)
    lines = [b'{"userId": ' + b"[" * depth + b"]" * depth + b"}\n" for depth in depths]
    good = b'{"userId": 1, "movieId": 2, "rating": 4.5, "timestamp": 1112484819}\n'
    reading = read_form(good + b"".join(lines), RATINGS, ".jsonl", tmp_path)
    assert (reading.rows.height, reading.rejected.height) == (1, len(lines))


def test_rows_of_parquet_with_broken_texts_are_rejected(tmp_path: Path) -> None:
    titles = pa.array([b"good", b"\xff\xfe", b"a\0b", None], pa.binary())
    content = parquet(movieId=[1, 2, 3, 4], title=titles, genres=["Drama"] * 4)
    reading = read_form(content, MOVIES, ".parquet", tmp_path)
    assert reading.lines == [1]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [
        (2, "record_encoding"),
        (3, "record_nul"),
        (4, "title_required"),
    ]


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst", ".jsonl.gz", ".jsonl.zst", ".parquet.gz", ".parquet.zst"])
def test_a_packed_bomb_is_refused_while_it_streams(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "EXEMPT_BYTES", 1024 * 1024)
    shape, packing = ending.rsplit(".", 1)
    line = b'{"userId": 1, "movieId": 2, "rating": 4.5, "timestamp": 1112484819}\n'
    content = {".csv": GOOD + b"1,1,4.5,1112484819\n" * 400_000, ".jsonl": line * 100_000}.get(shape, bytes(6_000_000))
    with pytest.raises(FileRefusedError, match="unpacks to more than"):
        read_form(packed(content, f".{packing}"), RATINGS, ending, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"object{ending}"]


def test_a_parquet_file_of_few_bytes_and_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "EXEMPT_BYTES", 1024 * 1024)
    content = as_parquet(RATING_NAMES, [("1", "1", "4.5", "1112484819")] * 400_000)
    assert len(content) < 50_000
    with pytest.raises(FileRefusedError, match="bytes of text"):
        read_form(content, RATINGS, ".parquet", tmp_path)


def test_a_page_that_unpacks_to_too_much_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 4 * 1024 * 1024)
    rows = [(str(number), "t" * 5000, "Drama") for number in range(1000)]
    content = as_parquet(["movieId", "title", "genres"], rows, use_dictionary=False, data_page_size=64 * 1024 * 1024)
    with pytest.raises(FileRefusedError, match="a page of the Parquet file unpacks to 5,"):
        read_form(content, MOVIES, ".parquet", tmp_path)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN", "dictionary"])
def test_long_texts_in_parquet_are_read_some_at_a_time(encoding: str, tmp_path: Path) -> None:
    text = "x" * 500_000
    rows = [("1", text, "Drama") for _ in range(200)]
    options: dict[str, Any] = {"use_dictionary": True, "write_batch_size": 8}
    if encoding != "dictionary":
        options |= {"use_dictionary": False, "column_encoding": {"title": encoding}}
    content = as_parquet(["movieId", "title", "genres"], rows, **options)
    reading = read_form(content, MOVIES, ".parquet", tmp_path, most_ratio=10**6)
    assert reading.rows.height + reading.rejected.height == 200
    assert len(reading.batches) > 4


def test_personal_columns_are_never_shown_of_any_form(tmp_path: Path) -> None:
    names = [column.source_name or "" for column in CUSTOMER.table.columns if column.source_name]
    row = ["secret@example.com" if name.lower() == "email" else "x" for name in names]
    for ending in ENDINGS:
        reading = read_form(in_form(ending, names, [row]), CUSTOMER, ending, tmp_path)
        assert "secret" not in str(reading.rejected["found"].to_list())
