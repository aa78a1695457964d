"""What holds of the CSV reader for any file at all."""

import csv
import io
import string
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cinestream_platform.reading.csv_reader import _frame_plain
from cinestream_platform.reading.csv_records import frame_records
from cinestream_platform.sources.movielens.feeds import MOVIES, RATINGS, TAGS
from tests.unit.reading import NOT_AFTER_SECONDS, Reading, read

MOVIES_HEADER = b"movieId,title,genres\n"
DIALECTS = [("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]
"""Not minimal quotes with bare line feeds: Python 3.11 then writes a carriage return without quotes."""
FEW = settings(max_examples=150, deadline=None)
MANY = settings(max_examples=300, deadline=None)

ids = st.integers(1, 2**31 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
BYTES = [b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b" ", b"x"]
FIELDS = [b"1", b"2,a,b", b",", b",,", b'3,"a,b",c\n', b'4,"a\nb",c\n', b"5,x,y\n", b"6,x,y\r\n"]
pieces = st.sampled_from([*BYTES, *FIELDS])
dirty_files = st.lists(pieces | st.binary(max_size=4), max_size=40).map(b"".join)


def covered_lines(reading: Reading) -> list[int]:
    """The physical lines of the file that typed and rejected records stand on."""
    spans = [
        (line, row[1].count("\n") + row[2].count("\n"))
        for line, row in zip(reading.lines, reading.records, strict=True)
    ]
    spans += [(line, raw.count("\n")) for line, _, raw in reading.rejects]
    return sorted(line + more for line, count in spans for more in range(count + 1))


@MANY
@given(dirty_files)
@example(b'1,"a\n2,b,c\n')
@example(b'1,"a\n\n"x,c\n"')
@example(b"1,a,b\r\r\n\r")
def test_whatever_the_bytes_every_line_with_content_is_typed_or_rejected_and_none_twice(content):
    reading = read(MOVIES_HEADER + content, MOVIES)
    lines = content.split(b"\n")
    with_content = {number for number, line in enumerate(lines, start=2) if line.rstrip(b"\r").strip(b" \t")}
    covered = covered_lines(reading)
    assert len(covered) == len(set(covered))
    assert with_content <= set(covered)
    assert set(covered) <= set(range(2, len(lines) + 2))


@MANY
@given(dirty_files, st.integers(1, 30))
@example(b'1,"a\n2,b,c\n3,x,y', 7)
def test_the_size_of_blocks_changes_nothing(content, block_bytes):
    whole = read(MOVIES_HEADER + content, MOVIES)
    blocks = read(MOVIES_HEADER + content, MOVIES, block_bytes=block_bytes)
    assert blocks.rows.rows() == whole.rows.rows()
    assert blocks.rejects == whole.rejects
    assert blocks.ends_without_line_end == whole.ends_without_line_end


plain_lines = st.lists(
    st.lists(st.text(st.sampled_from("12.,ab é\ufeff\t\u2028\x0b"), max_size=5), min_size=1, max_size=4).map(",".join),
    max_size=8,
)


@MANY
@given(plain_lines, st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(["1,2,3", "", "1,2,3,4,5"], "\n", True)
@example(["\ufeff1,2,3"], "\n", True)
@example(["1,2,", ",,"], "\r\n", False)
@example(["1,2,3", "1,2", "1,2,3,"], "\n", False)
def test_the_fast_framing_agrees_with_the_one_by_one_wherever_it_is_used(lines, end, ends_with_line_end):
    names = ["a", "b", "c"]
    block = (end.join(lines) + (end if ends_with_line_end else "")).encode()
    fast = _frame_plain(block, 2, names)
    if fast is None:
        return
    slow = frame_records(block, 2, len(names), is_end=True)
    assert slow.bad == []
    assert fast.select("line", *names).rows() == [(line, *fields) for line, _, fields in slow.good]


def test_the_fast_framing_is_used_for_a_plain_file():
    assert _frame_plain(b"1,2,3\r\n4,,6\r\n", 2, ["a", "b", "c"]).rows() == [("1", "2", "3", 2), ("4", "", "6", 3)]


@FEW
@given(st.lists(st.tuples(ids, texts, texts)), st.sampled_from(DIALECTS))
def test_texts_that_pythons_csv_module_wrote_come_back_equal(rows, dialect):
    end, quoting = dialect
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=quoting).writerows([("movieId", "title", "genres"), *rows])
    reading = read(out.getvalue().encode(), MOVIES)
    assert reading.rejects == []
    assert reading.records == rows


ratings = st.tuples(
    ids,
    ids,
    st.integers(1, 10).map(lambda half_stars: Decimal(half_stars * 5) / 10),
    st.integers(789_609_600, NOT_AFTER_SECONDS),
)


@FEW
@given(st.lists(ratings), st.integers(1, 200))
def test_valid_ratings_come_back_equal(rows, block_bytes):
    content = "userId,movieId,rating,timestamp\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    reading = read(content.encode(), RATINGS, block_bytes=block_bytes)
    assert reading.rejects == []
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert reading.records == [(*row[:3], epoch + timedelta(seconds=row[3])) for row in rows]


@FEW
@given(
    st.lists(st.text(string.printable, max_size=8), min_size=4, max_size=4),
    st.booleans(),
)
def test_a_record_is_judged_alike_with_and_without_quotes(fields, is_first):
    """Quotes are framing: what a field says does not depend on them."""
    if any(char in field for field in fields for char in '",\r\n'):
        return
    plain = ",".join(fields).encode() + b"\n"
    quoted = ",".join(f'"{field}"' for field in fields).encode() + b"\n"
    good = b"1,2,x,1000000000\n"
    header = b"userId,movieId,tag,timestamp\n"
    one, other = (read(header + (line + good if is_first else good + line), TAGS) for line in (plain, quoted))
    assert one.records == other.records
    assert [reject[:2] for reject in one.rejects] == [reject[:2] for reject in other.rejects]
