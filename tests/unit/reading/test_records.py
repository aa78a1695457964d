"""From text to types: instants of a declared zone, words for NULL, texts that may not be blank, arrays, money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.column import (
    BIGINT,
    INTEGER,
    SMALLINT,
    TEXT,
    TEXT_ARRAY,
    TIMESTAMP,
    Between,
    Column,
    DataType,
    MultipleOf,
    NotBlank,
    Rule,
    numeric,
)
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.frames import named_rules
from cinestream_platform.declarations.raw_table import RawEvents
from cinestream_platform.declarations.table import Table
from cinestream_platform.orchestration.partitions import YEARS
from cinestream_platform.reading.records import split_records
from cinestream_platform.sources.chinook import feeds, raw_tables
from tests.unit.reading import Reading, read

NOT_AFTER = datetime(2026, 1, 1, tzinfo=UTC)


def table_of(data_type: DataType, *rules: Rule, nullable: bool = True, **more: Any) -> Table:
    column = Column("value", data_type, "Value.", nullable, rules, source_name="value", **more)
    return RawEvents(
        source="test", name="t", description="T.", grain="one row", delivered=(column,), row_key=("value",)
    )


def judge(table: Table, *texts: str | None) -> list[Any]:
    """What becomes of each text: its value, or the name of the rule that it breaks."""
    schema = {"line": pl.Int64(), "value": pl.String()}
    records = pl.DataFrame([(n, text) for n, text in enumerate(texts)], schema=schema, orient="row")
    typed, rejected, _ = split_records(records, table, file_id=1, not_after=NOT_AFTER)
    verdicts = dict(typed.select("_line", "value").rows()) | dict(rejected.select("line", "rule").rows())
    assert len(verdicts) == len(texts) == typed.height + rejected.height
    return [verdicts[n] for n in range(len(texts))]


# ---- instants of a declared zone -------------------------------------------------------------------------------------


def in_zone(zone: str, **more: Any) -> Table:
    return table_of(TIMESTAMP, time_zone=zone, **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01 10:20:30", (2024, 7, 1, 10, 20, 30)),
        ("2024-07-01T10:20:30", (2024, 7, 1, 10, 20, 30)),
        ("2024-07-01 10:20:30.5", (2024, 7, 1, 10, 20, 30, 500_000)),
        ("2024-07-01 10:20:30.123456", (2024, 7, 1, 10, 20, 30, 123_456)),
        ("2024-07-01 10:20", (2024, 7, 1, 10, 20)),
        ("2024-07-01", (2024, 7, 1)),
        ("2024-07-01T10:20:30Z", (2024, 7, 1, 10, 20, 30)),
        ("2024-07-01 10:20:30+02:00", (2024, 7, 1, 8, 20, 30)),
        ("2024-07-01T10:20:30.25-05:30", (2024, 7, 1, 15, 50, 30, 250_000)),
        ("2024-02-29 00:00:00", (2024, 2, 29)),
    ],
)
def test_iso_8601_with_and_without_time_fraction_and_offset_is_an_instant(text, expected):
    assert judge(in_zone("UTC"), text) == [datetime(*expected, tzinfo=UTC)]


@pytest.mark.parametrize(
    "text",
    [
        *("2023-02-29", "2023-02-30 00:00:00", "2024-13-01", "2024-07-01 24:30:00", "2024-07-01 10:61:00", "yesterday"),
        *(
            "01/07/2024",
            "1. 7. 2024",
            "20240701",
            "1719829230",
            "2024-07-01 10:20:30 and more",
            "T",
            "2024",
            "0000-00-00",
        ),
    ],
)
def test_what_is_no_instant_breaks_the_rule_of_its_type(text):
    assert judge(in_zone("UTC"), text) == ["value_type"]


def test_a_naive_time_is_in_the_declared_zone_an_offset_says_more_and_null_is_null():
    new_york = in_zone("America/New_York")
    texts = ("2024-01-01 12:00:00", "2024-07-01 12:00:00", "2024-07-01 12:00:00Z", None)
    assert judge(new_york, *texts) == [
        datetime(2024, 1, 1, 17, tzinfo=UTC),
        datetime(2024, 7, 1, 16, tzinfo=UTC),
        datetime(2024, 7, 1, 12, tzinfo=UTC),
        None,
    ]
    assert judge(in_zone("UTC", nullable=False), None) == ["value_required"]


def test_a_local_time_that_does_not_exist_is_none_and_of_one_that_comes_twice_the_first_is_meant():
    new_york = in_zone("America/New_York")
    assert judge(new_york, "2024-03-10 02:30:00", "2024-11-03 01:30:00") == [
        "value_type",
        datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2025, 12, 30)), min_size=1, max_size=10),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
    st.sampled_from([" ", "T"]),
)
def test_every_time_in_a_zone_is_the_instant_that_python_takes_it_for(moments, zone, separator):
    def instant(naive: datetime) -> datetime | str:
        local = naive.replace(tzinfo=ZoneInfo(zone), fold=0)
        exists = local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive
        return local.astimezone(UTC) if exists else "value_type"

    texts = [moment.isoformat(separator) for moment in moments]
    assert judge(in_zone(zone), *texts) == [instant(moment) for moment in moments]


def test_an_event_after_the_files_arrival_is_rejected_and_a_plan_is_not():
    ahead = (NOT_AFTER + timedelta(seconds=1)).isoformat()
    table = in_zone("UTC")
    assert judge(table, NOT_AFTER.isoformat(), ahead) == [NOT_AFTER, "value_future"]
    plan = in_zone("UTC", may_be_future=True)
    assert judge(plan, ahead) == [NOT_AFTER + timedelta(seconds=1)]
    assert "value_future" not in {rule.name for rule in named_rules(plan, from_text=True)}


# ---- NULL ------------------------------------------------------------------------------------------------------------

ARTIST_HEADER = b"ArtistId,Name\n"


def artists(*lines: str) -> Reading:
    return read(ARTIST_HEADER + "".join(f"{line}\n" for line in lines).encode(), feeds.ARTIST)


def test_the_feeds_words_for_null_are_null_in_nullable_columns_quoted_or_not():
    reading = artists("1,None", '2,"None"', "3,", "4,none", "5, None", "6,None of us", "7,NULL")
    assert reading.records == [
        *((1, None), (2, None), (3, None), (4, "none"), (5, " None"), (6, "None of us"), (7, "NULL")),
    ]


def test_such_a_word_in_a_column_that_may_not_be_null_is_a_text_or_breaks_the_type():
    assert artists("None,x").rejects == [(2, "artist_id_type", "None,x")]
    album = read(b"AlbumId,Title,ArtistId\n1,None,1\n2,,1\n", feeds.ALBUM)
    assert album.records == [(1, "None", 1)]
    assert album.rejects == [(3, "title_required", "2,,1")]


def test_without_words_for_null_the_text_stays():
    table = raw_tables.ARTIST
    assert read(ARTIST_HEADER + b"1,None\n", Feed("artist", table, ())).records == [(1, "None")]


# ---- texts, arrays, money --------------------------------------------------------------------------------------------


def test_a_text_of_blanks_alone_breaks_the_rule_and_blanks_around_a_text_stay():
    table = table_of(TEXT, NotBlank())
    assert judge(table, "a", " a ", "", "   ", None, "\u00a0") == [
        *("a", " a ", "value_blank", "value_blank", None, "\u00a0"),
    ]


def test_arrays_are_json_lists_of_texts():
    table = table_of(TEXT_ARRAY)
    texts = ('["a", "b,c"]', "[]", None, '["quote \\" and \\\\", ""]', '["é", null]')
    assert judge(table, *texts) == [["a", "b,c"], [], None, ['quote " and \\', ""], ["é", None]]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        *(("0.99", Decimal("0.99")), ("1", Decimal("1.00")), ("5.940", Decimal("5.94")), (".5", Decimal("0.50"))),
        *(("99999999.99", Decimal("99999999.99")), ("-1.50", Decimal("-1.50")), ("+2.", Decimal("2.00"))),
        *(("0.995", "value_type"), ("100000000.00", "value_type"), ("1e2", "value_type"), ("0,99", "value_type")),
        *(
            (".", "value_type"),
            ("1 000", "value_type"),
            ("NaN", "value_type"),
            ("$1", "value_type"),
            ("1.2.3", "value_type"),
        ),
    ],
)
def test_money_is_exact_or_rejected(text, verdict):
    assert judge(table_of(numeric(10, 2)), text) == [verdict]


# ---- numbers in another form than declared ---------------------------------------------------------------------------


def tolerated(table: Table, *texts: str | None) -> dict[str, int]:
    """How many of the texts were accepted though they are not written as declared."""
    schema = {"line": pl.Int64(), "value": pl.String()}
    records = pl.DataFrame(list(enumerate(texts)), schema=schema, orient="row")
    return dict(split_records(records, table, file_id=1, not_after=NOT_AFTER).tolerated)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        *(("11.879999999999999", "11.88"), ("-11.879999999999999", "-11.88"), ("11.880000000000001", "11.88")),
        *(
            ("99.999999991", "100.00"),
            ("-0.000000001", "0.00"),
            ("0.30000000000000004", "0.30"),
            (".000000001", "0.00"),
        ),
        *(("5.551115123125783e-17", "0.00"), ("-5.55E-17", "0.00"), ("9.99e-9", "0.00"), ("1e-323", "0.00")),
        *(("99999999.98999999999999999999999999999999", "99999999.99"), ("+0.9899999999999999", "0.99")),
        # A millionth of a cent, and more, is none.
        *(("11.87999999", None), ("11.8799999900", None), ("11.88000001", None), ("11.875", None), ("11.874999", None)),
        *(("1e-8", None), ("1e-5", None), ("99999999.999999999", None), ("1.2.3000000001", None), ("e-17", None)),
        *(
            ("11,879999999999999", None),
            ("1e2", None),
            ("nan", None),
            ("12.5e-20", None),
            (" 11.879999999999999", None),
        ),
    ],
)
def test_the_noise_of_binary_floats_is_taken_off_money_exactly_and_counted(text: str, verdict: str | None):
    table = table_of(numeric(10, 2))
    assert judge(table, text) == [Decimal(verdict) if verdict else "value_type"]
    assert tolerated(table, text) == ({"value": 1} if verdict else {})


@given(cents=st.integers(-10_000_000, 10_000_000), parts=st.integers(2, 9))
def test_every_sum_of_cents_as_binary_floats_is_the_sum_in_cents(cents: int, parts: int):
    written = repr(sum([cents / 100 / parts] * parts))
    assert judge(table_of(numeric(10, 2)), written) == [Decimal(cents) / 100]


@given(
    whole=st.integers(0, 999),
    digits=st.text("0123456789", min_size=3, max_size=25),
    sign=st.sampled_from(["", "-", "+"]),
)
def test_a_decimal_is_accepted_if_it_is_less_than_a_millionth_of_the_last_place_away_from_one_of_the_type(
    whole: int, digits: str, sign: str
):
    exact = Decimal(f"{sign}{whole}.{digits}")
    nearest = exact.quantize(Decimal("0.01"))
    expected = nearest if abs(exact - nearest) < Decimal("1e-8") else "value_type"
    assert judge(table_of(numeric(10, 2)), f"{sign}{whole}.{digits}") == [expected]


@pytest.mark.parametrize("data_type", [SMALLINT, INTEGER, BIGINT])
def test_whole_numbers_may_be_written_with_zeros_behind_the_point(data_type: DataType):
    table = table_of(data_type)
    texts = ("862.0", "-7.00", "1.0", "862", "862.5", "862.", ".0", "1e2", "862.0000001", "861.9999999999", None)
    wrong = ["value_type"] * 6
    assert judge(table, *texts) == [862, -7, 1, 862, *wrong, None]
    assert tolerated(table, *texts) == {"value": 3}
    assert judge(table_of(SMALLINT), "40000.0") == ["value_type"]


def test_seconds_may_be_written_so_too():
    table = table_of(TIMESTAMP, is_epoch_seconds=True)
    assert judge(table, "1577836800.0") == [datetime(2020, 1, 1, tzinfo=UTC)]


def test_rules_hold_for_the_value_that_is_meant_and_only_values_of_kept_rows_are_counted():
    table = table_of(INTEGER, Between(1, 10))
    texts = ("10.0", "11.0", "x", "3")
    assert judge(table, *texts) == [10, "value_range", "value_type", 3]
    assert tolerated(table, *texts) == {"value": 1}
    rating = table_of(numeric(2, 1), MultipleOf(Decimal("0.5")))
    assert judge(rating, "3.4999999999999996", "3.2000000000000002") == [Decimal("3.5"), "value_step"]


def test_without_such_values_nothing_is_counted():
    assert tolerated(table_of(INTEGER), "1", "2", None, "x") == {}


# ---- Chinook's rules -------------------------------------------------------------------------------------------------

INVOICE_HEADER = (
    "InvoiceId,CustomerId,InvoiceDate,BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,Total"
)
EMPLOYEE_HEADER = "EmployeeId,LastName,FirstName,Title,ReportsTo,BirthDate,HireDate,Address,City,State,Country,PostalCode,Phone,Fax,Email"


def test_an_invoice_older_than_the_first_partition_of_facts_is_rejected_for_it_would_never_be_published():
    lines = (f"{n},1,{when},,,,,,1.00" for n, when in enumerate(("1995-01-01", "1994-12-31", "0019-05-01"), start=1))
    reading = read("\n".join([INVOICE_HEADER, *lines]).encode(), feeds.INVOICE)
    assert [record[0] for record in reading.records] == [1]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [(3, "invoice_date_range"), (4, "invoice_date_range")]
    assert YEARS.get_first_partition_key() == str(raw_tables.FIRST_SALE.year)


def test_an_employee_may_begin_after_the_files_arrival_but_nobody_is_born_then():
    lines = ("1,A,B,,,1980-01-01,2027-01-01,,,,,,,,", "2,A,B,,,2027-01-01,2020-01-01,,,,,,,,")
    reading = read("\n".join([EMPLOYEE_HEADER, *lines]).encode(), feeds.EMPLOYEE)
    assert [record[0] for record in reading.records] == [1]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [(3, "birth_date_future")]


def test_a_place_is_bounded_so_that_its_code_can_be_indexed():
    lines = (f"{n},1,2019-01-01,,{'x' * size},,,,1.00" for n, size in enumerate((200, 201), start=1))
    reading = read("\n".join([INVOICE_HEADER, *lines]).encode(), feeds.INVOICE)
    assert [rule for _, rule, _ in reading.rejects] == ["billing_city_length"]
    assert len(reading.records) == 1


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        *(("Invoice.csv", "invoice"), ("invoice_2025-12-30.csv", "invoice"), ("InvoiceLine.csv", "invoice_line")),
        *(("invoice_line_2025-12-30.csv", "invoice_line"), ("invoiceline-2025.csv", "invoice_line")),
        *(("PlaylistTrack.csv", "playlist_track"), ("playlist.csv", "playlist"), ("MEDIATYPE.CSV", "media_type")),
        *(("customers.csv", None), ("invoice.csv.bak", None), ("customer_old.csv", None)),
    ],
)
def test_a_files_name_says_its_table(name, dataset):
    assert [feed.dataset for feed in feeds.FEEDS if feed.takes(name)] == ([dataset] if dataset else [])


def test_a_table_without_any_rule_takes_every_record() -> None:
    assert judge(table_of(TEXT), "a", None, "") == ["a", None, ""]
