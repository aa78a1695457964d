"""Bare lines: sections carried over any border, every malformed line rejected by name with its number and text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.reading import line_reader
from cinestream_platform.reading.blocks import READ_AS_UTF8, READ_AS_WINDOWS_1252
from cinestream_platform.sources.netflix.feeds import MOVIE_TITLES, RATINGS
from cinestream_platform.sources.netflix.tables import FIRST_DAY, LAST_DAY
from tests.unit.reading import read

DAY = date(2005, 9, 6)
REAL_JUDGED_LINES = line_reader._judged_lines


def test_a_line_with_a_film_opens_it_for_all_ratings_below():
    found = read(b"1:\n1488844,3,2005-09-06\n822109,5,2005-09-06\n17770:\n885013,4,2005-09-06\n", RATINGS)
    assert found.records == [(1, 1488844, 3, DAY), (1, 822109, 5, DAY), (17770, 885013, 4, DAY)]
    assert found.lines == [2, 3, 5]
    assert found.rejects == []


@pytest.mark.parametrize("block_bytes", [1, 2, 7, 30, 1000])
def test_the_film_is_carried_over_the_borders_of_blocks(block_bytes: int):
    text = "".join(f"{film}:\n" + "".join(f"{n},4,2005-09-06\n" for n in range(1, 5)) for film in (8, 3, 12))
    found = read(text.encode(), RATINGS, block_bytes=block_bytes)
    assert found.records == [(film, n, 4, DAY) for film in (8, 3, 12) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"7,0,2005-09-06", "rating_range"),
        (b"7,6,2005-09-06", "rating_range"),
        (b"7,-1,2005-09-06", "rating_range"),
        (b"7,4.5,2005-09-06", "rating_type"),
        (b"7,x,2005-09-06", "rating_type"),
        (b"7,,2005-09-06", "rating_required"),
        (b"7", "rating_required"),
        (b"7,4", "date_required"),
        (b"7,4,", "date_required"),
        (b"7,4,2005-02-30", "date_type"),
        (b"7,4,2005-9-6", "date_type"),
        (b"7,4,06/09/2005", "date_type"),
        (b"7,4, 2005-9-06", "date_type"),
        (b"7,4,2005-09-06 ", "date_type"),
        (b"7,4,1999-10-31", "date_range"),
        (b"7,4,2006-01-01", "date_range"),
        (b"x7,4,2005-09-06", "customer_id_type"),
        (b"0,4,2005-09-06", "customer_id_range"),
        (b"99999999999,4,2005-09-06", "customer_id_type"),
        (b",4,2005-09-06", "customer_id_required"),
        (b",,", "customer_id_required"),
        (b"7,4,2005-09-06,", "record_field_count"),
        (b"7,4,2005-09-06,9", "record_field_count"),
        (b"\xff7,4,2005-09-06", "record_encoding"),
        (b"7\0,4,2005-09-06", "record_nul"),
        (b"7,4\r,2005-09-06", "rating_type"),
        (b"\xef\xbb\xbf7,4,2005-09-06", "customer_id_type"),
    ],
)
def test_a_malformed_line_is_rejected_with_its_number_and_text_and_costs_no_other(line: bytes, rule: str):
    found = read(b"1:\n5,4,2005-09-06\n" + line + b"\n6,4,2005-09-06\n", RATINGS)
    text = line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    assert found.rejects == [(3, rule, text)]
    assert found.records == [(1, 5, 4, DAY), (1, 6, 4, DAY)]


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (b"abc:", "movie_id_type"),
        (b"1 :", "movie_id_type"),
        (b"1: ", "movie_id_type"),
        (b"1::", "movie_id_type"),
        (b"0:", "movie_id_range"),
        (b"17771:", "movie_id_range"),
        (b"-5:", "movie_id_range"),
        (b"99999999999999999999:", "movie_id_type"),
        (b":", "movie_id_required"),
    ],
)
def test_below_a_spoilt_film_line_nothing_is_taken_for_the_film_before(header: bytes, rule: str):
    found = read(b"1:\n5,4,2005-09-06\n" + header + b"\n6,4,2005-09-06\n2:\n7,4,2005-09-06\n", RATINGS)
    assert found.rejects == [(3, rule, header.decode()), (4, rule, "6,4,2005-09-06")]
    assert found.records == [(1, 5, 4, DAY), (2, 7, 4, DAY)]


def test_a_rating_before_the_first_film_is_rejected():
    found = read(b"5,4,2005-09-06\n1:\n6,4,2005-09-06\n", RATINGS)
    assert found.rejects == [(1, "movie_id_required", "5,4,2005-09-06")]
    assert found.records == [(1, 6, 4, DAY)]


def test_a_byte_order_mark_line_ends_of_windows_and_empty_lines_are_no_content():
    found = read(b"\xef\xbb\xbf1:\r\n5,4,2005-09-06\r\n\r\n\n6,4,2005-09-06", RATINGS)
    assert (found.records, found.lines, found.rejects) == ([(1, 5, 4, DAY), (1, 6, 4, DAY)], [2, 5], [])
    assert found.ends_without_line_end


def test_a_cut_last_line_is_rejected_where_it_is_not_whole_and_reported_where_it_is():
    whole = b"1:\n5,4,2005-09-06\n1488844,3,2005-09-06"
    for cut in range(len(b"1:\n5,4,2005-09-06\n") + 1, len(whole)):
        found = read(whole[:cut], RATINGS)
        assert found.records == [(1, 5, 4, DAY)], whole[:cut]
        assert [line for line, _, _ in found.rejects] == [3]
        assert found.ends_without_line_end
    assert read(whole, RATINGS).ends_without_line_end
    assert len(read(whole, RATINGS).records) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"\n\n", "empty"), (b"\x1f\x8b\x08rest", "gzip"), (b"PK\x03\x04rest", "zip")],
)
def test_a_file_that_holds_no_records_is_refused_with_the_reason(content: bytes, message: str):
    with pytest.raises(FileRefusedError, match=message):
        read(content, RATINGS)


def test_titles_are_split_at_the_first_two_commas_and_keep_quotes_and_accents():
    lines = ["1,2003,Dinosaur Boat", "2,NULL,Roses", "3,1997,Moon, Sun, and Stars, The", '4,1985,The "Tin" Bird']
    content = "\n".join([*lines, "5,1995,Le Café", "6,2000,NULL"]).encode("iso-8859-1") + b"\n"
    assert read(content, MOVIE_TITLES).records == [
        (1, 2003, "Dinosaur Boat"),
        (2, None, "Roses"),
        (3, 1997, "Moon, Sun, and Stars, The"),
        (4, 1985, 'The "Tin" Bird'),
        (5, 1995, "Le Café"),
        (6, 2000, "NULL"),
    ]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("x1,2003,Boat", "movie_id_type"),
        ("0,2003,Boat", "movie_id_range"),
        ("1,19x9,Boat", "year_of_release_type"),
        ("1,1066,Boat", "year_of_release_range"),
        ("1,2003,", "title_required"),
        ("1,2003", "title_required"),
        ("NULL,2003,Boat", "movie_id_type"),
    ],
)
def test_a_malformed_title_is_rejected_by_name(line: str, rule: str):
    found = read(f"1,2003,Good\n{line}\n".encode(), MOVIE_TITLES)
    assert found.rejects == [(2, rule, line)]
    assert len(found.records) == 1


TITLES = "1,2003,Le Café\n2,2004,Amélie\n"


@pytest.mark.parametrize("block_bytes", [8, 1024])
def test_titles_in_utf8_are_read_so_with_a_mark_and_with_a_warning_where_none_says_it(block_bytes: int):
    expected = [(1, 2003, "Le Café"), (2, 2004, "Amélie")]
    latin = read(TITLES.encode("iso-8859-1"), MOVIE_TITLES, block_bytes=block_bytes)
    marked = read(TITLES.encode("utf-8-sig"), MOVIE_TITLES, block_bytes=block_bytes)
    unmarked = read(TITLES.encode("utf-8"), MOVIE_TITLES, block_bytes=block_bytes)
    assert latin.records == marked.records == unmarked.records == expected
    assert not latin.warnings
    assert not marked.warnings
    assert dict(unmarked.warnings) == {READ_AS_UTF8: 1}
    assert not read(b"1,2003,Boat\n", MOVIE_TITLES).warnings


@pytest.mark.parametrize("content", [b"1,2003,Caf\xc3\xa9\n2,2004,Am\xe9lie\n", b"1,2003,Caf\xc3\n", b"1,2003,Caf\xc3"])
def test_titles_of_which_one_byte_is_no_utf8_are_read_as_declared(content: bytes):
    found = read(content, MOVIE_TITLES)
    assert [title for _, _, title in found.records] == [
        line.decode("iso-8859-1").split(",")[2] for line in content.splitlines()
    ]
    assert not found.warnings


@pytest.mark.parametrize("block_bytes", [8, 1024])
def test_quotes_of_windows_1252_in_a_feed_of_iso_8859_1_are_read_with_a_warning(block_bytes: int):
    titles = ["Le Café", "“Curly”", "It’s", "€ – 99 …"]
    content = "".join(f"{number},2003,{title}\n" for number, title in enumerate(titles, 1)).encode("cp1252")
    found = read(content, MOVIE_TITLES, block_bytes=block_bytes)
    assert [title for _, _, title in found.records] == titles
    assert dict(found.warnings) == {READ_AS_WINDOWS_1252: 1}


def test_a_byte_that_windows_1252_has_no_character_for_rejects_its_line_alone():
    found = read(b"1,2003,It\x92s\n2,2003,no\x81where\n3,2003,Am\xe9lie\n", MOVIE_TITLES)
    assert [title for _, _, title in found.records] == ["It’s", "Amélie"]
    assert [(line, rule) for line, rule, _ in found.rejects] == [(2, "record_encoding")]


@given(text=st.text(st.characters(min_codepoint=0xA0, max_codepoint=0xFF), min_size=1, max_size=5))
def test_letters_of_iso_8859_1_are_never_taken_for_windows_1252(text: str):
    assert READ_AS_WINDOWS_1252 not in read(f"1,2003,{text}\n".encode("iso-8859-1"), MOVIE_TITLES).warnings


def test_below_a_mark_of_utf8_a_line_that_is_none_is_rejected():
    found = read("1,2003,Café\n".encode("utf-8-sig") + b"2,2004,Am\xe9lie\n", MOVIE_TITLES)
    assert found.records == [(1, 2003, "Café")]
    assert [(line, rule) for line, rule, _ in found.rejects] == [(2, "record_encoding")]


def test_lines_of_blanks_are_no_records():
    assert read(b"1:\n  \n5,4,2005-09-06\n\t\r\n", RATINGS).rejects == []
    assert read(b"1,2003,Boat\n \t \n", MOVIE_TITLES).rejects == []


def test_a_rating_with_zeros_behind_the_point_is_a_whole_number_and_counted():
    found = read(b"1:\n5,4.0,2005-09-06\n6,4,2005-09-06\n7.0,4.5,2005-09-06\n", RATINGS)
    assert found.records == [(1, 5, 4, DAY), (1, 6, 4, DAY)]
    assert [(line, rule) for line, rule, _ in found.rejects] == [(4, "rating_type")]
    assert dict(found.warnings) == {"rating": 1}


# ---- the format written down a second time -----------------------------------------------------------------------------

FIELDS = st.sampled_from(["", "1", "5", "6", "2649429", "2005-09-06", "2005-02-30", "x", " 1", "NULL", "12:", ":"])
LINES = st.one_of(
    st.sampled_from(["1:", "17770:", "17771:", "abc:", ":", "", "7,3,2004-01-31", "9,5,2005-12-31", "8,1,1999-11-01"]),
    st.lists(FIELDS, min_size=1, max_size=5).map(",".join),
)
FILES = st.tuples(st.lists(LINES, min_size=1, max_size=30), st.sampled_from(["\n", "\r\n"]), st.booleans())


def plain_reading(lines: list[str]) -> tuple[list[tuple[int, int, int, int, date]], list[int]]:
    """(line, film, customer, rating, day) of good records, and the numbers of rejected lines."""
    good, bad, film = [], [], ""
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        fields = line.split(",")
        if ":" in fields[0] and not any(fields[1:]) and len(fields) <= 3:
            film = line.rstrip(",").removesuffix(":")
            if not is_film(film):
                bad.append(number)
            continue
        fields += [""] * (3 - len(fields))
        day = day_of(fields[2])
        fits = len(fields) == 3 and is_film(film) and re.fullmatch(r"[1-9]\d{0,8}", fields[0])
        if fits and re.fullmatch("[1-5]", fields[1]) and day and FIRST_DAY <= day <= LAST_DAY:
            good.append((number, int(film), int(fields[0]), int(fields[1]), day))
        else:
            bad.append(number)
    return good, bad


def is_film(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,5}", text)) and 1 <= int(text) <= 17770


def day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


@settings(deadline=None)
@given(FILES, st.integers(1, 200))
@example((["1:", "7,3,2004-01-31,", "9,5,2005-12-31"], "\n", False), 1000)
@example((["1:", "7,3,2004-01-31", "9,5,2005-12-31,"], "\n", False), 1000)
def test_every_file_is_read_as_the_plain_reading_says_whatever_the_size_of_blocks(file, block_bytes: int):
    lines, line_end, is_ended = file
    content = (line_end.join(lines) + (line_end if is_ended else "")).encode()
    if not content.strip():
        return
    good, bad = plain_reading(lines)
    found = read(content, RATINGS, block_bytes=block_bytes)
    assert list(zip(found.lines, found.records, strict=True)) == [(line, tuple(row)) for line, *row in good]
    assert [line for line, _, _ in found.rejects] == bad
    assert [raw for _, _, raw in found.rejects] == [lines[line - 1] for line in bad]


@settings(deadline=None)
@given(FILES)
def test_lines_that_are_found_quickly_are_what_they_are_line_by_line(file):
    lines, line_end, is_ended = file
    content = (line_end.join(lines) + (line_end if is_ended else "")).encode()
    if not content.strip():
        return
    quickly = read(content, RATINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_reader, "_judged_lines", unread)
        slowly = read(content, RATINGS)
    assert (slowly.lines, slowly.records, slowly.rejects) == (quickly.lines, quickly.records, quickly.rejects)


def unread(lines, feed, form, not_after):
    """As if the CSV reader could not be trusted with any line."""
    every = REAL_JUDGED_LINES(lines, feed, form, not_after)
    return every.with_columns(is_bad=pl.lit(True))


def test_good_lines_among_bad_ones_are_found_quickly():
    """So that a little dirt does not cost the whole block its speed."""
    dirt = [b"8,9,2005-09-06", b"8,4,2005-09-06,9", b"\xff,4,2005-09-06", b"8\0,4,2005-09-06", b"", b"x:", b"2:"]
    text = b"1:\n" + b"".join(b"7,4,2005-09-06\n" + line + b"\n" for line in dirt)
    found = REAL_JUDGED_LINES(line_reader._Lines(text, 1), RATINGS, RATINGS.lines, datetime(2026, 1, 1, tzinfo=UTC))
    assert found.filter(~pl.col("is_bad"))["line"].to_list() == [*range(2, 2 + 2 * len(dirt), 2)]
