"""Lines of JSON that are cut by one pattern are the records that Python's decoder finds in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.reading import json_lines
from cinestream_platform.sources.chinook.feeds import CUSTOMER
from cinestream_platform.sources.movielens.feeds import MOVIES
from tests.unit.reading import Reading, read_form

VALUES = st.sampled_from(
    [
        *("1", "4.50", "-0.0", "1e3", "1E+3", "01", "1.", ".5", "+1", "NaN", "-", "true", "null", "[1]", "{}", "nul"),
        *('"x"', '""', '"\\u00e9"', '"\\""', '"\\/"', '"\\ud800"', '"é, }"', '"a\tb"', '"\x00"', '"\\u0000"', '"\x7f"'),
        *("'x'", '"x', '"NULL"', '"\\x"', '"\u2028"', "１"),
    ]
)
GAPS = st.sampled_from(["", " ", "\t", "\r", "\f", "\u00a0"])
NAMES = st.permutations(["movieId", "title", "genres"])
ODD = st.sampled_from(["", " ", "{}", "[1]", "null", '{"movieId":1}{"movieId":2}', '{"movieId":1,}', "\ufeff{}"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line that is written about as the first one."""
    gap = draw(GAPS)
    names = draw(st.one_of(st.just(["movieId", "title", "genres"]), NAMES, st.just(["movieId", "movieId", "genres"])))
    members = f",{gap}".join(f'"{name}"{gap}:{gap}{draw(VALUES)}' for name in names)
    return draw(st.one_of(st.just(f"{gap}{{{members}}}{gap}"), ODD))


@settings(max_examples=150, deadline=None)
@given(st.lists(lines(), max_size=12), st.sampled_from([b"", b"\xff\n", b"\n"]))
def test_what_the_pattern_finds_is_what_the_decoder_finds(
    tmp_path_factory: pytest.TempPathFactory, found: list[str], between: bytes
) -> None:
    first = b'{"movieId": 7, "title": "a", "genres": "b"}\n'
    content = first + between + b"".join(line.encode() + b"\n" for line in found)
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "FIRST_BYTES", 1)
        cut = told(read_form(content, MOVIES, ".jsonl", folder))
        patch.setattr(json_lines._Reader, "_cut", lambda *_: None)
        assert cut == told(read_form(content, MOVIES, ".jsonl", folder))


def told(reading: Reading) -> tuple[object, ...]:
    return reading.records, reading.lines, reading.rejected.rows(), reading.warnings


def test_lines_written_alike_are_not_decoded_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    record = json_lines._record
    monkeypatch.setattr(json_lines, "_record", lambda body: decoded.append(body) or record(body))
    films = [{"movieId": number, "title": f"Film {number}", "genres": "Drama"} for number in range(1, 2_001)]
    films[1_500]["title"] = 'Another "Film"'
    content = "".join(json.dumps(film) + "\n" for film in films).encode()
    reading = read_form(content, MOVIES, ".jsonl", tmp_path)
    assert reading.lines == list(range(1, 2_001))
    assert b'Another \\"Film' in decoded[-1]
    assert sum(map(len, decoded)) < 2 * json_lines.FIRST_BYTES


def test_names_of_an_object_that_is_no_record_are_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as caught:
        read_form(b'{"CustomerId": 1, "Zweigelt": 2, "anna": 3}\n', CUSTOMER, ".jsonl", tmp_path)
    assert "Zweigelt" not in str(caught.value)
    assert "anna" not in str(caught.value)
    assert "unknown names in the first line: 2 of 3" in str(caught.value)
