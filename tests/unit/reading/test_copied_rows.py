"""Rows as COPY writes them: whatever a text holds comes over, and what cannot be kept is rejected by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.reading.blocks import MAX_RAW_CHARS
from cinestream_platform.reading.copied_rows import ESCAPES, NOT_UTF8, read_copied
from cinestream_platform.reading.records import JSON_TEXTS
from cinestream_platform.reading.reject_words import reject_words

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FEED = next(feed for feed in EXTRACTS if feed.dataset == "country")
CHARACTERS = {character: escape for escape, character in ESCAPES.items()}


def copied(*countries: str | None) -> bytes:
    """What COPY writes of countries."""
    rows = [b"country_id\tcountry\tlast_update\t_too_large\n"]
    for number, country in enumerate(countries, 1):
        name = "\\N" if country is None else "".join(CHARACTERS.get(c, c) for c in country)
        rows.append(f"{number}\t{name}\t2006-02-15 09:44:00\t\\N\n".encode())
    return b"".join(rows)


def read(content: bytes, block_bytes: int = 1_000) -> tuple[pl.DataFrame, pl.DataFrame]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "country.copy"
        path.write_bytes(content)
        batches = list(read_copied(path, FEED, file_id=7, not_after=NOW, block_bytes=block_bytes))
    return pl.concat([batch.rows for batch in batches]), pl.concat([batch.rejected for batch in batches])


TEXTS = st.lists(
    st.text(
        st.sampled_from('\\N\b\f\n\r\t\v",;ü💿\x7f\u2028ab ') | st.characters(exclude_characters="\0", codec="utf-8")
    ),
    min_size=1,
)


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(1, 200))
def test_any_text_comes_over_as_it_is_wherever_blocks_end(countries: list[str], block_bytes: int) -> None:
    rows, rejected = read(copied(*countries), block_bytes)
    assert rows["country"].to_list() == countries
    assert rows["_line"].to_list() == list(range(2, len(countries) + 2))
    assert rejected.is_empty()


@pytest.mark.parametrize("text", ["a\n" * 4_000, "x" * 98_000, '"' * 70_000, "y" * 9_000_000], ids=len)
def test_a_text_may_have_any_number_of_lines_and_bytes(text: str) -> None:
    rows, rejected = read(copied("one", text, "three"))
    assert rows["country"].to_list() == ["one", text, "three"]
    assert rejected.is_empty()


def test_null_is_no_text_and_no_text_is_null() -> None:
    rows, rejected = read(copied("", "\\N", None))
    assert rows["country"].to_list() == ["", "\\N"]
    assert rejected.select("line", "rule", "raw").rows() == [(4, "country_required", "3,\\N,2006-02-15 09:44:00")]


def test_a_line_that_is_no_text_and_a_value_that_is_too_large_reject_their_row_alone() -> None:
    good = copied("a", "b")
    bad = NOT_UTF8 + b"9\tsch\xf6n\t2006-02-15 09:44:00\t\\N\n" + b"8\t\\N\t2006-02-15 09:44:00\tcountry\n"
    rows, rejected = read(good + bad + good.split(b"\n", 1)[1])
    assert rows["country"].to_list() == ["a", "b", "a", "b"]
    assert rows["_line"].to_list() == [2, 3, 6, 7]
    assert rejected.sort("line").select("line", "rule", "raw", "found").rows() == [
        (4, "record_encoding", "9\tsch\\xf6n\t2006-02-15 09:44:00\t\\N", None),
        (5, "record_value_size", "8,\\N,2006-02-15 09:44:00", "country"),
    ]
    assert "line 5 breaks record_value_size (a value that is extracted has at most 64 MB; of column country" in (
        reject_words(rejected.sort("line"), FEED.table)
    )


def test_a_rejected_row_is_kept_as_csv_and_not_longer_than_any() -> None:
    content = copied('a, "b"\n' + "c" * MAX_RAW_CHARS).replace(b"2006-02-15", b"2096-02-15")
    _, rejected = read(content)
    [(rule, raw)] = rejected.select("rule", "raw").rows()
    assert rule == "last_update_future"
    assert raw.startswith('1,"a, ""b""\nccc')
    assert len(raw) == MAX_RAW_CHARS


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_arrays_of_texts_are_told_from_all_others(texts: list[str | None]) -> None:
    import json

    for ascii_only in (True, False):
        for text in (json.dumps(texts, ensure_ascii=ascii_only), json.dumps(texts, separators=(",", ":"))):
            found = pl.Series([text]).str.contains(JSON_TEXTS)
            assert found.to_list() == [True]
            assert pl.Series([text]).str.json_decode(pl.List(pl.String())).to_list() == [texts]


@pytest.mark.parametrize(
    "text",
    [
        '[["a"],["b"]]',
        "[1]",
        "[true]",
        '{"a":1}',
        '"a"',
        "",
        "[",
        '["a"',
        '["a",]',
        '["\\ud83d"]',
        '["\\x"]',
        "[[]]",
        '["a" "b"]',
    ],
)
def test_what_is_no_array_of_texts_is_none(text: str) -> None:
    assert pl.Series([text]).str.contains(JSON_TEXTS).to_list() == [False]
