"""What looks like a date in the name of a file that holds over time is one, or the file is refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cinestream_platform.commands.files import NotLandableError, land_path, reload_key
from cinestream_platform.settings import get_settings
from tests.support.chinook import customers
from tests.support.platform import Platform

PLACE = "chinook/customer"


def test_both_spellings_of_a_day_hold_from_it_and_a_wrong_or_ambiguous_one_is_parked_with_the_remedy(
    platform: Platform, tmp_path: Path
) -> None:
    good = {f"{PLACE}/customer_20240501.csv": "Old Road", f"{PLACE}/customer_2024-06-01.csv": "New Road"}
    bad = [f"{PLACE}/customer_2024-13-45.csv", f"{PLACE}/customer_01-05-2024.csv"]
    for key, address in good.items():
        platform.land(key, customers((1, address, 3)))
    for key in bad:
        platform.land(key, customers((1, key, 3)))
    platform.land("chinook/release/2024_05_01.json", json.dumps({"Artist": [], "Customer": []}).encode())
    platform.load()

    for key in good:
        assert platform.status(key) == ["loaded"]
    for key in bad:
        assert platform.status(key) == ["parked"]
        assert "Write the day as 2024-05-01 or 20240501" in platform.ledger_row(key)["reason"]
        with pytest.raises(NotLandableError, match="looks like a date"):
            reload_key(get_settings(), key)
    # Of a file with all tables only those that hold over time depend on its day.
    assert "looks like a date" in platform.ledger_row("chinook/release/2024_05_01.json#customer")["reason"]
    assert "looks like a date" not in platform.ledger_row("chinook/release/2024_05_01.json#artist")["reason"]

    platform.build()
    versions = platform.query("SELECT address, valid_from, valid_to FROM chinook_dw.dim_customer ORDER BY valid_from")
    june = datetime(2024, 6, 1, tzinfo=UTC)
    assert versions == [("Old Road", datetime(1900, 1, 1, tzinfo=UTC), june), ("New Road", june, None)]


@pytest.mark.parametrize("name", ["customer_2024-13-45.csv", "Chinook_01-05-2024.sqlite"])
def test_such_a_file_is_not_landed_and_other_feeds_do_not_mind(name: str, platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith(".csv"):
        path.write_bytes(customers((1, "Road", 3)))
    else:
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE Artist (ArtistId INTEGER, Name TEXT)")
    with pytest.raises(NotLandableError, match="looks like a date"):
        list(land_path(get_settings(), "chinook", path))
    track = tmp_path / "invoice_2024-13-45.csv"
    track.write_bytes(b"InvoiceId\n")
    assert list(land_path(get_settings(), "chinook", track)) == ["chinook/invoice/invoice_2024-13-45.csv"]
