"""Marts as files: what a cell of CSV looks like."""

import csv
import io
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from cinestream_platform.marts.exports import formula_safe_csv


def first_column(*cells: str | None) -> list[str]:
    """Cells as a reader of the CSV sees them."""
    text = formula_safe_csv(pl.DataFrame({"cell": cells}, schema={"cell": pl.String})).decode()
    return [row[0] if row else "" for row in list(csv.reader(io.StringIO(text, newline="")))[1:]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_may_run_as_a_formula_gets_an_apostrophe(start: str) -> None:
    assert first_column(f"{start}1+1", f"{start}", f"a{start}1", f" {start}1", f"'{start}1") == [
        *(f"'{start}1+1", f"'{start}", f"a{start}1", f" {start}1", f"'{start}1")
    ]


def test_only_the_first_character_of_the_whole_text_counts() -> None:
    assert first_column("two\n=lines", "==1") == ["two\n=lines", "'==1"]


def test_numbers_and_dates_stay_what_they_are() -> None:
    rows = pl.DataFrame(
        {"amount": [Decimal("-1.50"), None], "count": [-2, 0], "day": [date(2005, 5, 24), None], "ok": [True, None]},
        schema={"amount": pl.Decimal(14, 2), "count": pl.Int64, "day": pl.Date, "ok": pl.Boolean},
    )
    assert formula_safe_csv(rows) == b"amount,count,day,ok\r\n-1.50,-2,2005-05-24,true\r\n,0,,\r\n"


def test_cells_are_quoted_as_rfc_4180_says_and_null_is_not_the_empty_text() -> None:
    cells = pl.DataFrame({"cell": ['a "b"', "a,b", "a\r\nb", "", None, "Ærø"], "n": range(6)})
    assert formula_safe_csv(cells) == (
        'cell,n\r\n"a ""b""",0\r\n"a,b",1\r\n"a\r\nb",2\r\n"",3\r\n,4\r\nÆrø,5\r\n'.encode()
    )


def test_a_mart_without_rows_has_a_header() -> None:
    assert formula_safe_csv(pl.DataFrame(schema={"a": pl.Int64, "b": pl.String})) == b"a,b\r\n"
