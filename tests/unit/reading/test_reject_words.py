"""What may be said of rejected records."""

import polars as pl

from cinestream_platform.reading.blocks import REJECT_SCHEMA
from cinestream_platform.reading.reject_words import reject_samples, reject_words
from cinestream_platform.sources.chinook.feeds import EMPLOYEE
from cinestream_platform.sources.movielens.feeds import RATINGS
from tests.unit.reading import read

HEADER = b"userId,movieId,rating,timestamp\n"


def words(content: bytes, feed=RATINGS) -> str:
    return reject_words(read(content, feed).rejected, feed.table)


def test_line_column_field_and_rule_are_said():
    assert words(HEADER + b"1,1,9.5,1110000000\n") == (
        "line 2, column rating: '9.5' breaks rating_range (rating is from 0.5 to 5.0)"
    )
    assert words(HEADER + b"1,,4.5,1110000000\n") == (
        "line 2, column movieId: the field breaks movie_id_required (movie_id is not empty)"
    )


def test_of_a_record_whose_fields_cannot_be_told_the_count_is_said_and_no_text():
    assert words(HEADER + b"1,1,4.5\n") == (
        "line 2 breaks record_field_count (a record has as many fields as the header; 3 instead of 4)"
    )
    assert "secret" not in words(HEADER + b'1,"secret"x,4.5,1\n1,secret\0,4,1\n1,secret\xff,4,1\n')


def test_three_records_are_said_and_long_fields_are_cut():
    said = words(HEADER + b"".join(b"1,1," + b"x" * 5_000 + b",1\n" for _ in range(9)))
    assert said.count("line ") == 3
    assert len(said) < 500


def test_personal_fields_are_never_said_and_of_others_beside_them_only_the_form():
    header = ",".join(column.source_name for column in EMPLOYEE.table.columns if column.source_name)
    row = "1,Zweigelt,Zoranna,,{manager},{birthday},,,,,,,,,\n"
    manager = words(f"{header}\n{row.format(manager='zz@example.org', birthday='')}".encode(), EMPLOYEE)
    assert "a field like 'aa@aaaaaaa.aaa' breaks reports_to_type" in manager
    birthday = words(f"{header}\n{row.format(manager='', birthday='Zweigelt')}".encode(), EMPLOYEE)
    assert "column BirthDate: the field breaks birth_date_type" in birthday
    assert "Zweigelt" not in birthday


def test_a_rule_that_the_table_no_longer_has_is_said_by_name():
    old = pl.DataFrame([(3, "gone_range", "raw", "found")], schema=REJECT_SCHEMA, orient="row")
    assert reject_words(old, RATINGS.table) == "line 3 breaks gone_range (the format)"


def test_a_sample_has_line_rule_and_value_and_of_a_broken_format_no_text():
    rejected = read(HEADER + b"1,1,9.5,1110000000\n1,,4.5,1110000000\n1,1\n1,secret\0,4,1\n", RATINGS).rejected
    assert reject_samples(rejected.select("line", "rule", "found"), RATINGS.table) == [
        {"line": 2, "rule": "rating_range", "value": "'9.5'"},
        {"line": 3, "rule": "movie_id_required", "value": None},
        {"line": 4, "rule": "record_field_count", "value": "2"},
        {"line": 5, "rule": "record_nul", "value": None},
    ]


def test_samples_of_personal_columns_have_no_value_and_others_beside_them_only_its_form():
    header = ",".join(column.source_name for column in EMPLOYEE.table.columns if column.source_name)
    rows = "1,Zweigelt,Zoranna,,zz@example.org,,,,,,,,,,\n1,Zweigelt,Zoranna,,,Zweigelt,,,,,,,,,\n"
    rejected = read(f"{header}\n{rows}".encode(), EMPLOYEE).rejected
    assert reject_samples(rejected.select("line", "rule", "found"), EMPLOYEE.table) == [
        {"line": 2, "rule": "reports_to_type", "value": "a field like 'aa@aaaaaaa.aaa'"},
        {"line": 3, "rule": "birth_date_type", "value": None},
    ]
