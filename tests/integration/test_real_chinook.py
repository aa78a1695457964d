"""The upstream's own Chinook files give the truths that were measured on them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.platform import Platform

ROWS = {
    "album": 347,
    "artist": 275,
    "customer": 59,
    "employee": 8,
    "genre": 25,
    "invoice": 412,
    "invoice_line": 2_240,
    "media_type": 5,
    "playlist": 18,
    "playlist_track": 8_715,
    "track": 3_503,
}


@pytest.fixture(params=["Chinook_Sqlite.sqlite", "ChinookData.json"])
def chinook(request: pytest.FixtureRequest, platform: Platform, chinook_files: Path) -> Platform:
    """The upstream's SQLite file, and again its JSON file, loaded and built."""
    platform.land(f"chinook/release/{request.param}", (chinook_files / request.param).read_bytes())
    platform.load_and_build()
    return platform


def test_every_table_of_either_form_has_the_measured_rows_sums_and_nulls(chinook: Platform):
    counts = {name: chinook.scalar(f"SELECT count(*) FROM raw_chinook.{name}") for name in ROWS}
    assert counts == ROWS
    assert chinook.query("SELECT DISTINCT status FROM ops.landed_file") == [("loaded",)]
    assert chinook.query(
        "SELECT count(*) FILTER (WHERE composer IS NULL), sum(milliseconds), sum(bytes), sum(unit_price)"
        " FROM raw_chinook.track"
    ) == [(977, 1_378_778_040, 117_386_255_350, Decimal("3680.97"))]
    assert chinook.query(
        "SELECT 59 - count(company), 59 - count(fax), 59 - count(state) FROM raw_chinook.customer"
    ) == [(49, 47, 29)]
    years = chinook.query(
        "SELECT date_key / 10000, count(*), sum(total) FROM chinook_dw.fact_invoice GROUP BY 1 ORDER BY 1"
    )
    assert years == [
        (2021, 83, Decimal("449.46")),
        (2022, 83, Decimal("481.45")),
        (2023, 83, Decimal("469.58")),
        (2024, 83, Decimal("477.53")),
        (2025, 80, Decimal("450.58")),
    ]
    assert chinook.query(
        "SELECT count(*), sum(amount), count(DISTINCT track_key) FROM chinook_dw.fact_invoice_line"
    ) == [(2_240, Decimal("2328.60"), 1_984)]
    countries = chinook.query(
        "SELECT country, count(*), sum(total) FROM chinook_dw.fact_invoice JOIN chinook_dw.dim_location"
        " USING (location_key) GROUP BY 1 ORDER BY 3 DESC LIMIT 3"
    )
    assert countries == [
        ("USA", 91, Decimal("523.06")),
        ("Canada", 56, Decimal("303.96")),
        ("France", 35, Decimal("195.10")),
    ]
    genres = chinook.query(
        "SELECT g.name, count(*), sum(amount) FROM chinook_dw.fact_invoice_line JOIN chinook_dw.dim_track USING (track_key)"
        " JOIN chinook_dw.dim_genre g USING (genre_key) GROUP BY 1 ORDER BY 3 DESC LIMIT 3"
    )
    assert genres == [
        ("Rock", 835, Decimal("826.65")),
        ("Latin", 386, Decimal("382.14")),
        ("Metal", 264, Decimal("261.36")),
    ]
    assert chinook.query(
        "SELECT employee_id, manager_path, manager_level FROM chinook_dw.dim_employee ORDER BY 1"
    ) == [(1, "1", 0), (2, "1/2", 1), (3, "1/2/3", 2), (4, "1/2/4", 2), (5, "1/2/5", 2), (6, "1/6", 1), (7, "1/6/7", 2), (8, "1/6/8", 2)]  # fmt: skip
    assert chinook.query(
        "SELECT city, count(*) FROM chinook_dw.dim_location WHERE city LIKE 'Edinburgh%%' GROUP BY 1"
    ) == [("Edinburgh", 1)]
