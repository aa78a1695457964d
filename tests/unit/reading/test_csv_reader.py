"""Every physical record of a delivered file is typed or rejected by name; nothing is lost, whatever the bytes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cinestream_platform.catalog import FEEDS
from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.reading.blocks import BOM, MAX_LINE_BYTES, MAX_RAW_CHARS, REPEATED_HEADER
from cinestream_platform.reading.csv_records import MAX_QUOTED_BYTES
from cinestream_platform.sources.movielens.feeds import GENOME_SCORES, LINKS, MOVIES, RATINGS
from tests.unit.reading import NOT_AFTER_SECONDS, read

RATINGS_HEADER = b"userId,movieId,rating,timestamp\n"
MOVIES_HEADER = b"movieId,title,genres\n"
TAGS_HEADER = b"userId,movieId,tag,timestamp\n"
T = 1_000_000_000
AT = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
GOOD = (1, 2, Decimal("3.5"), AT)
GOOD_LINE = b"1,2,3.5,1000000000\n"


def ratings(*lines: bytes, **options):
    return read(RATINGS_HEADER + b"".join(lines), RATINGS, **options)


def movies(*lines: bytes, **options):
    return read(MOVIES_HEADER + b"".join(lines), MOVIES, **options)


# ---- the file as a whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", BOM, b"\n", b"\r\n", b"  \n1,2,3.5,1000000000\n"])
def test_an_empty_file_is_refused_as_empty(content):
    with pytest.raises(FileRefusedError, match=r"^the file is empty: it has no header line"):
        read(content, RATINGS)


@pytest.mark.parametrize("header", [RATINGS_HEADER, RATINGS_HEADER.rstrip(), RATINGS_HEADER.replace(b"\n", b"\r\n")])
def test_a_header_alone_is_a_file_without_records(header):
    reading = read(header, RATINGS)
    assert (reading.records, reading.rejects, reading.ends_without_line_end) == ([], [], False)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", BOM])
def test_line_ends_and_a_byte_order_mark_change_no_value(start, end):
    content = start + (RATINGS_HEADER + GOOD_LINE + b"3,4,0.5,1000000001\n").replace(b"\n", end)
    reading = read(content, RATINGS)
    assert reading.records == [GOOD, (3, 4, Decimal("0.5"), AT.replace(second=41))]
    assert reading.lines == [2, 3]
    assert reading.rejects == []


def test_line_ends_may_be_mixed():
    assert ratings(GOOD_LINE, b"1,3,3.5,1000000000\r\n", GOOD_LINE.rstrip()).lines == [2, 3, 4]


def test_every_row_knows_its_file_and_its_line():
    reading = ratings(GOOD_LINE, b"broken\n", GOOD_LINE, file_id=4711)
    assert reading.rows["_file_id"].to_list() == [4711, 4711]
    assert reading.rows["_line"].to_list() == [2, 4]
    assert reading.rows.columns == ["user_id", "movie_id", "rating", "timestamp", "_file_id", "_line"]


def test_columns_are_matched_by_name_in_any_order():
    reordered = read(b"timestamp,rating,userId,movieId\n1000000000,3.5,1,2\n", RATINGS)
    assert reordered.records == ratings(GOOD_LINE).records == [GOOD]
    quoted = read(b'genres,movieId,title\n"a|b",1,"x, y"\n', MOVIES)
    assert quoted.records == [(1, "x, y", "a|b")]


def test_a_header_may_be_quoted():
    assert read(b'"userId","movieId","rating","timestamp"\r\n' + GOOD_LINE, RATINGS).records == [GOOD]


@pytest.mark.parametrize("header", [b"USERID,MovieId,Rating,TimeStamp", b"user_id,Movie_Id,rating,timestamp"])
def test_a_header_is_matched_without_regard_to_case_and_underscores(header):
    assert read(header + b"\r\n" + GOOD_LINE, RATINGS).records == [GOOD]


@pytest.mark.parametrize(
    ("header", "problems"),
    [
        (b"userId,movieId,timestamp", "column `rating` is missing; expected userId, movieId, rating, timestamp."),
        (b"userId,movieId,rating,timestamp,note", "column `note` is not known; expected"),
        (b"userId,movieId,stars,timestamp", "column `rating` is missing; column `stars` is not known;"),
        (b"userId,movieId,rating,timestamp,rating", "column `rating` occurs twice;"),
        (b"userId,movieId,rating,timestamp,Rating", "column `rating` occurs twice; column `Rating` occurs twice;"),
        (b"userId, movieId,rating,timestamp", "column `movieId` is missing; column ` movieId` is not known;"),
        (b"1,2,3.5,1000000000", "column `userId` is missing; column `movieId` is missing;"),
        (b"userId;movieId;rating;timestamp", "unknown names in the first line: 1 of 1"),
    ],
)
def test_a_wrong_header_is_refused_and_the_message_names_the_columns(header, problems):
    with pytest.raises(FileRefusedError) as caught:
        read(header + b"\n" + GOOD_LINE, RATINGS)
    assert problems in str(caught.value)
    assert "expected userId, movieId, rating, timestamp. " in str(caught.value)
    assert str(caught.value).endswith("Fix the file and land it again.")


def test_a_column_whose_name_postgres_cannot_store_is_shown_with_escapes():
    with pytest.raises(FileRefusedError, match=r"column `aaaaaa\\x00` is not known") as caught:
        read(b"userId,movieId,rating\0,timestamp\n" + GOOD_LINE, RATINGS)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("header", [b"userId,movieId,rat\xffing,timestamp", b'"userId,movieId,rating,timestamp'])
def test_a_header_that_is_no_utf8_csv_is_refused(header):
    with pytest.raises(FileRefusedError, match="the header line is not readable as UTF-8 CSV"):
        read(header + b"\n" + GOOD_LINE, RATINGS)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("after", [b"", b"\n", b"\n" + GOOD_LINE])
@pytest.mark.parametrize("block_bytes", [1024 * 1024, 32 * 1024 * 1024])
def test_a_line_longer_than_8_mib_refuses_the_file_and_names_the_line(before, after, block_bytes):
    with pytest.raises(FileRefusedError, match=rf"line {2 + before} is longer than 8,388,608 bytes"):
        ratings(GOOD_LINE * before, b"x" * (MAX_LINE_BYTES + 1), after, block_bytes=block_bytes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\x00rest", "this is a gzip archive"),
        (b"PK\x03\x04rest", "this is a zip archive or an Excel workbook"),
        (b"BZh91AY&SYrest", "this is a bzip2 archive"),
        (b"\xfd7zXZ\x00rest", "this is an xz archive"),
        (b'[{"userId": 1}]', r"this is JSON, not a CSV file .* \.jsonl"),
        (b"PAR1rest", "this is a Parquet file"),
        ("userId,movieId".encode("utf-16"), "this is UTF-16 text"),
        (b"1,2,3.5,1112484819\n1,3,3.5,1112484819\n", "Is the first line a header"),
        (b"userId;movieId;rating;timestamp\n1;2;3.5;1112484819\n", "with commas between these names"),
    ],
)
def test_what_is_landed_by_mistake_is_named(content, words):
    with pytest.raises(FileRefusedError, match=words):
        read(content, RATINGS)


def test_a_line_of_almost_8_mib_is_one_record():
    title = "x" * (MAX_LINE_BYTES - 100)
    for text in (title, f'"{title}"'):
        reading = read(b"movieId,title,genres\n" + f"1,{text},Drama\n".encode(), MOVIES)
        assert reading.rejects == []
        assert reading.records == [(1, title, "Drama")]


# ---- rules of the record's format ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "rule", "raw"),
    [
        (b"1,2,3.5\n", "record_field_count", "1,2,3.5"),
        (b"1,2,3.5,1000000000,9\r\n", "record_field_count", "1,2,3.5,1000000000,9"),
        (b"\\.\n", "record_field_count", "\\."),
        (b'"1","2","3.5"\n', "record_field_count", '"1","2","3.5"'),
        (b"1,2,3.5,1000000000\xff\n", "record_encoding", "1,2,3.5,1000000000\\xff"),
        (b'"1",2,3.5,\xe9\n', "record_encoding", '"1",2,3.5,\\xe9'),
        (b"1,2,3.5,\xed\xa0\x80\n", "record_encoding", "1,2,3.5,\\xed\\xa0\\x80"),
        (b"1,2,3.5,\x001000000000\n", "record_nul", "1,2,3.5,\\x001000000000"),
        (b'"1",2,3.5,\x001000000000\n', "record_nul", '"1",2,3.5,\\x001000000000'),
        (b"1,2\r,3.5,1000000000\n", "record_carriage_return", "1,2\r,3.5,1000000000"),
        (b'"1",2\r,3.5,1000000000\n', "record_carriage_return", '"1",2\r,3.5,1000000000'),
        (b"1,2,3.5,1000000000\r\r\n", "record_carriage_return", "1,2,3.5,1000000000"),
        (b'"1",2,3.5,"1000000000"\r\r\n', "record_carriage_return", '"1",2,3.5,"1000000000"'),
        (b'"1"x,2,3.5,1000000000\n', "record_quotes", '"1"x,2,3.5,1000000000'),
        (b'1,2,3.5,"1000000000\n', "record_quotes", '1,2,3.5,"1000000000'),
    ],
)
def test_a_malformed_record_is_rejected_by_rule_line_and_text_and_its_neighbours_are_kept(line, rule, raw):
    reading = ratings(GOOD_LINE, line, GOOD_LINE, GOOD_LINE)
    assert reading.rejects == [(3, rule, raw)]
    assert reading.records == [GOOD] * 3
    assert reading.lines == [2, 4, 5]


def test_a_field_too_many_at_the_end_does_not_make_up_for_one_that_is_missing_before():
    """As many commas as three good lines have, and polars reads three rows."""
    reading = ratings(GOOD_LINE, b"1,2,3.5\n", GOOD_LINE.rstrip() + b",")
    assert reading.records == [GOOD]
    assert reading.rejects == [
        (3, "record_field_count", "1,2,3.5"),
        (4, "record_field_count", "1,2,3.5,1000000000,"),
    ]


def test_an_empty_line_is_no_record_but_is_counted_as_a_line():
    reading = ratings(GOOD_LINE, b"\n", b"\r\n", GOOD_LINE, b"\n")
    assert reading.lines == [2, 5]
    assert reading.rejects == []


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t  ", b"  \r"])
def test_a_line_of_blanks_is_no_record_but_is_counted_as_a_line(blanks):
    for ends in (b"\n", b"\n" + GOOD_LINE, b"\n" + b'1,2,"3.5",1000000000\n'):
        reading = ratings(GOOD_LINE, blanks + ends)
        assert reading.lines == [2, 4][: len(reading.records)]
        assert reading.rejects == []
    assert movies(b'1,"a\n  \nb",Drama\n').records == [(1, "a\n  \nb", "Drama")]


@pytest.mark.parametrize(
    "header",
    [
        b"userId,movieId,rating,timestamp",
        b"USER_ID,MovieId,rating,timestamp\r",
        b'\xef\xbb\xbf"userId",movieId,rating,timestamp',
    ],
)
def test_a_header_that_is_repeated_is_no_record_and_is_counted(header):
    reading = ratings(GOOD_LINE, header + b"\n", GOOD_LINE, header + b"\n", b"1,2,x,1000000000\n")
    assert reading.lines == [2, 4]
    assert reading.rejects == [(6, "rating_type", "1,2,x,1000000000")]
    assert dict(reading.warnings) == {REPEATED_HEADER: 2}


@pytest.mark.parametrize(
    "line", [b"movieId,userId,rating,timestamp", b"userId,movieId,rating,", b"userId,movieId,rating"]
)
def test_a_header_of_other_columns_inside_a_file_is_rejected(line):
    reading = ratings(GOOD_LINE, line + b"\n", GOOD_LINE)
    assert [number for number, _, _ in reading.rejects] == [3]
    assert not reading.warnings


def test_no_table_takes_its_header_for_a_record():
    for feed in FEEDS:
        columns = [column.source_name for column in feed.table.columns if column.source_name]
        if feed.lines is None:
            reading = read(f"{','.join(columns)}\n{','.join(columns)}\n".encode(), feed)
            assert (reading.rows.height, reading.rejects) == (0, []), feed.prefix


def test_a_file_with_old_mac_line_ends_is_refused_or_rejected_whole():
    reading = ratings(GOOD_LINE.replace(b"\n", b"\r") * 3)
    assert reading.records == []
    assert [(line, rule) for line, rule, _ in reading.rejects] == [(2, "record_carriage_return")]


def test_quoted_commas_doubled_quotes_and_line_ends_inside_quotes_are_text():
    reading = movies(
        b'1,"Good, the Bad, The (1966)",Drama\r\n',
        b'2,"11\'09""01 - September 11 (2002)",Drama\r\n',
        b'3,"two\r\nlines",Drama\n',
        b'4,"three\n\nlines",Drama\n',
        b'5,"a carriage\rreturn",Drama\n',
        b"6,plain,Drama\n",
    )
    assert reading.records == [
        (1, "Good, the Bad, The (1966)", "Drama"),
        (2, "11'09\"01 - September 11 (2002)", "Drama"),
        (3, "two\r\nlines", "Drama"),
        (4, "three\n\nlines", "Drama"),
        (5, "a carriage\rreturn", "Drama"),
        (6, "plain", "Drama"),
    ]
    assert reading.lines == [2, 3, 4, 6, 9, 10]
    assert reading.rejects == []


def test_a_quote_inside_an_unquoted_field_is_text():
    reading = movies(b'1,5" disk,Drama\n', b'2,"x" y,Drama\n', b"3,z,Drama\n")
    assert reading.records == [(1, '5" disk', "Drama"), (3, "z", "Drama")]
    assert reading.rejects == [(3, "record_quotes", '2,"x" y,Drama')]


def test_a_record_of_several_lines_is_rejected_with_all_its_text():
    reading = movies(b'1,"two\nlines",Drama,more\n', b"2,x,Drama\n")
    assert reading.rejects == [(2, "record_field_count", '1,"two\nlines",Drama,more')]
    assert reading.lines == [4]


@pytest.mark.parametrize(("later", "block_bytes"), [(3, 7), (300, 7), (20_000, 1000), (20_000, 1 << 20)])
def test_an_unterminated_quote_loses_only_its_own_line(later, block_bytes):
    records = [b"%d,title %d,Drama\n" % (n, n) for n in range(2, later)]
    reading = movies(b'1,"never closed,Drama\n', *records, block_bytes=block_bytes)
    assert reading.rejects == [(2, "record_quotes", '1,"never closed,Drama')]
    assert reading.rows["movie_id"].to_list() == list(range(2, later))
    assert reading.lines == list(range(3, later + 1))
    # Memory is bounded: the search for the closing quote does not read the file to its end.
    if block_bytes < MAX_QUOTED_BYTES:
        assert max(batch.rows.height for batch in reading.batches) < 8_000


def test_an_unterminated_quote_on_the_last_line_loses_only_that():
    reading = movies(b"1,x,Drama\n", b'2,"never closed,Drama')
    assert reading.rejects == [(3, "record_quotes", '2,"never closed,Drama')]
    assert reading.rows["movie_id"].to_list() == [1]


def test_a_quoted_field_is_given_up_after_64_kib_of_further_lines():
    line = b"x" * 99 + b"\n"
    short, long = MAX_QUOTED_BYTES // 100 - 2, MAX_QUOTED_BYTES // 100 + 2
    kept = movies(b'1,"' + line * short + b'",Drama\n')
    assert kept.rejects == []
    assert kept.rows["title"][0] == (line * short).decode()
    given_up = movies(b'1,"' + line * long + b'",Drama\n')
    assert given_up.records == []
    assert {rule for _, rule, _ in given_up.rejects} == {"record_quotes", "record_field_count"}
    assert len(given_up.rejects) == long + 1  # every one of its lines


def test_a_later_byte_order_mark_belongs_to_the_value_wherever_blocks_begin():
    lines = [BOM + GOOD_LINE, GOOD_LINE, BOM + GOOD_LINE]
    for block_bytes in (7, 1 << 20):
        reading = ratings(*lines, block_bytes=block_bytes)
        assert [(line, rule) for line, rule, _ in reading.rejects] == [(2, "user_id_type"), (4, "user_id_type")]
        assert reading.records == [GOOD]


def test_only_the_beginning_of_a_long_rejected_text_is_kept():
    long = b"y" * (MAX_RAW_CHARS + 5)
    [plain] = ratings(long + b",2,3.5,1000000000\n").rejects
    [quoted] = ratings(b'"' + long + b'",2,3.5,1000000000\n').rejects
    [broken] = ratings(long + b"\n").rejects
    assert plain == (2, "user_id_type", "y" * MAX_RAW_CHARS)
    assert quoted == (2, "user_id_type", '"' + "y" * (MAX_RAW_CHARS - 1))
    assert broken == (2, "record_field_count", "y" * MAX_RAW_CHARS)


def test_a_cut_last_record_is_rejected_and_a_whole_one_without_line_end_is_loaded_and_flagged():
    cut = ratings(GOOD_LINE, b"3,4,5.0")
    assert cut.records == [GOOD]
    assert cut.rejects == [(3, "record_field_count", "3,4,5.0")]
    assert cut.ends_without_line_end
    whole = ratings(GOOD_LINE, GOOD_LINE.rstrip())
    assert whole.records == [GOOD, GOOD]
    assert whole.ends_without_line_end
    assert not ratings(GOOD_LINE).ends_without_line_end
    assert ratings(GOOD_LINE, GOOD_LINE.rstrip(), block_bytes=5).ends_without_line_end
    assert read(MOVIES_HEADER + b'1,"a\nb",Drama', MOVIES).ends_without_line_end


# ---- rules of the columns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ("1,2,0,1000000000", "rating_range"),
        ("1,2,6,1000000000", "rating_range"),
        ("1,2,5.5,1000000000", "rating_range"),
        ("1,2,-0.5,1000000000", "rating_range"),
        ("1,2,99999999999999999999,1000000000", "rating_range"),
        ("1,2,3.25,1000000000", "rating_step"),
        ("1,2,4.9999999,1000000000", "rating_step"),
        ("1,2,4.999999,1000000000", "rating_step"),  # a cast would round it to 5.0
        ("1,2,0.500001,1000000000", "rating_step"),
        ("1,2,five,1000000000", "rating_type"),
        ("1,2,NaN,1000000000", "rating_type"),
        ("1,2, 3.5,1000000000", "rating_type"),
        ("1,2,,1000000000", "rating_required"),
        ("2147483648,2,3.5,1000000000", "user_id_type"),
        ("9223372036854775808,2,3.5,1000000000", "user_id_type"),
        ("99999999999999999999999,2,3.5,1000000000", "user_id_type"),
        ("0,2,3.5,1000000000", "user_id_range"),
        ("-1,2,3.5,1000000000", "user_id_range"),
        ("1.5,2,3.5,1000000000", "user_id_type"),
        ("1e3,2,3.5,1000000000", "user_id_type"),
        (",2,3.5,1000000000", "user_id_required"),
        ("1,x,3.5,1000000000", "movie_id_type"),
        ("1,2,3.5,yesterday", "timestamp_type"),
        ("1,2,3.5,2001-09-09", "timestamp_type"),
        ("1,2,3.5,1000000000.5", "timestamp_type"),
        ("1,2,3.5,", "timestamp_required"),
        ("1,2,3.5,-1", "timestamp_range"),
        ("1,2,3.5,0", "timestamp_range"),
        ("1,2,3.5,789609599", "timestamp_range"),
        ("1,2,3.5,1000000000000", "timestamp_future"),  # milliseconds
        ("1,2,3.5,9223372036854775807", "timestamp_future"),
        ("1,2,3.5,9223372036854775808", "timestamp_type"),
        (f"1,2,3.5,{NOT_AFTER_SECONDS + 1}", "timestamp_future"),
        (",,,", "user_id_required"),
        ("x,y,9,never", "user_id_type"),  # the first broken rule counts
    ],
)
def test_a_bad_value_is_rejected_by_the_rule_of_its_column(fields, rule):
    for text in (fields, f'"{fields.replace(",", chr(34) + "," + chr(34))}"'):  # plain, and every field in quotes
        reading = ratings(GOOD_LINE, text.encode() + b"\r\n", GOOD_LINE)
        assert reading.rejects == [(3, rule, text)]
        assert reading.records == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ("1,2,0.5,789609600", (1, 2, Decimal("0.5"), datetime(1995, 1, 9, tzinfo=UTC))),
        (f"1,2,5,{NOT_AFTER_SECONDS}", (1, 2, Decimal("5.0"), datetime(2020, 1, 2, tzinfo=UTC))),
        ("2147483647,2,3.50,1000000000", (2147483647, 2, Decimal("3.5"), AT)),
        ("007,2,3.5000000000000000,1000000000", (7, 2, Decimal("3.5"), AT)),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_kept_exact(fields, row):
    reading = ratings(fields.encode() + b"\n")
    assert reading.records == [row]
    assert reading.rejects == []


def test_relevance_keeps_every_digit_and_knows_neither_nan_nor_infinity():
    lines = [b"1,1,0.028749999999999998\n", b"1,2,NaN\n", b"1,3,inf\n", b"1,4,1.0000000000000002\n", b"1,5,1\n"]
    reading = read(b"movieId,tagId,relevance\n" + b"".join(lines), GENOME_SCORES)
    assert reading.records == [(1, 1, 0.028749999999999998), (1, 5, 1.0)]
    assert [(line, rule) for line, rule, _ in reading.rejects] == [
        (3, "relevance_type"),
        (4, "relevance_type"),
        (5, "relevance_range"),
    ]


def test_an_empty_field_is_null_where_that_is_allowed_and_leading_zeros_of_texts_stay():
    reading = read(b"movieId,imdbId,tmdbId\n1,0114709,862\n2,,\n3,0000001,0\n", LINKS)
    assert reading.records == [(1, "0114709", 862), (2, None, None)]
    assert reading.rejects == [(4, "tmdb_id_range", "3,0000001,0")]


def test_an_empty_title_is_rejected_plain_and_in_quotes():
    assert movies(b"1,,Drama\n", b'2,"",Drama\n').rejects == [
        (2, "title_required", "1,,Drama"),
        (3, "title_required", '2,"",Drama'),
    ]
