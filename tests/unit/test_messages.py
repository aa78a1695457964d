"""Errors in words that quote no value, whatever library raised them."""

import json

import pandera.polars as pa
import polars as pl
import psycopg
import pytest

from cinestream_platform.declarations.file_form import FileRefusedError
from cinestream_platform.messages import (
    MAX_MESSAGE,
    DescribedError,
    bounded,
    counted,
    describe,
    form_of,
    quotes_no_values,
    without_values,
)

SECRET = "Zweigelt"


def raised(do) -> Exception:
    try:
        do()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda: int(SECRET), "ValueError: invalid literal for int"),
        (lambda: {}[SECRET], "KeyError: …"),
        (lambda: json.loads(f'{{"{SECRET}": 1,}}'), "JSONDecodeError: "),
        (lambda: pl.Series([SECRET]).cast(pl.Int64), "InvalidOperationError"),
        (lambda: pl.DataFrame({"name": [SECRET]}).select(pl.col("name").cast(pl.Date)), "InvalidOperationError"),
        (lambda: pl.DataFrame({"name": [SECRET]}).select(pl.col("name").str.to_datetime("%Y", strict=True)), "Error"),
        (
            lambda: pa.DataFrameSchema({"name": pa.Column(str, pa.Check.isin(["x"]))}, name="people").validate(
                pl.DataFrame({"name": [SECRET]})
            ),
            "SchemaError: ",
        ),
        (lambda: f"{SECRET}\udc80".encode(), "UnicodeEncodeError: "),
    ],
)
def test_what_a_library_says_of_a_value_is_told_without_the_value(do, says):
    message = describe(raised(do))
    assert says in message
    assert SECRET not in message


def test_what_we_say_ourselves_and_what_the_system_says_of_files_is_told_as_it_is(tmp_path):
    assert describe(FileRefusedError("line 3 is longer than 5 bytes")) == "line 3 is longer than 5 bytes"
    missing = tmp_path / "missing"
    assert str(missing) in describe(raised(missing.read_bytes))


def test_a_lost_connection_says_which_server(tmp_path):
    error = raised(lambda: psycopg.connect(f"host={tmp_path} port=1 connect_timeout=2"))
    assert str(tmp_path) in describe(error)


@pytest.mark.parametrize(
    "text", [f"x '{SECRET}", f"x [{SECRET}", f'x "a" {{{SECRET}', f'x: "it\'s {SECRET}"', f"x\n{SECRET}"]
)
def test_an_open_quote_or_bracket_and_other_lines_are_left_out_too(text):
    assert SECRET not in without_values(text)
    assert without_values(text).startswith("x")


def test_a_text_is_cut_to_its_limit_and_says_how_much_is_missing():
    assert bounded("abc", 3) == "abc"
    cut = bounded("x" * 290_000)
    assert len(cut) == MAX_MESSAGE
    assert cut.endswith(" … (288,000 characters more)")
    assert len(describe(FileRefusedError("y" * 290_000))) == MAX_MESSAGE


def test_the_form_of_a_text_tells_how_it_is_written():
    assert form_of("Zoë O'Hara-9, 31/12/2020") == "aaa a'aaaa-9, 99/99/9999"


@quotes_no_values
def calls(do):
    return do()


@quotes_no_values
def yields(do):
    yield 1
    do()


def own_error():
    try:
        int(SECRET)
    except ValueError as error:
        raise FileRefusedError("the file is bad") from error


@pytest.mark.parametrize("function", [calls, lambda do: list(yields(do))])
def test_a_decorated_function_raises_no_error_that_quotes_a_value_nor_one_behind_it(function):
    assert calls(lambda: 5) == 5
    assert list(yields(lambda: None)) == [1]
    told = raised(lambda: function(lambda: int(SECRET)))
    assert isinstance(told, DescribedError)
    assert told.__cause__ is None
    assert told.__suppress_context__
    frames = []
    trace = told.__traceback__
    while trace:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "<lambda>" in frames  # it still says where

    own = raised(lambda: function(own_error))
    assert isinstance(own, FileRefusedError)
    assert isinstance(own.__cause__, DescribedError)
    assert SECRET not in str(own.__cause__)
    assert own.__cause__.__cause__ is None


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(n, "row") for n in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [counted(n, "file is", "files are") for n in (1, 2)] == ["1 file is", "2 files are"]
