"""Values as people's tools write them: what changes no value is accepted and reported, what does is rejected."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dagster import AssetKey, ExecuteInProcessResult

from tests.support.platform import Platform

INVOICES = "chinook/invoice/invoice.csv"
HEADER = (
    b"InvoiceId,CustomerId,InvoiceDate,BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,Total\n"
)
TITLES = "netflix/movie-titles/movie_titles.csv"


def written_as_declared(results: list[ExecuteInProcessResult], *key: str) -> Any:
    """The last evaluation of the check."""
    return [
        found
        for result in results
        for found in result.get_asset_check_evaluations()
        if found.asset_key == AssetKey(key) and found.check_name == "written_as_declared"
    ][-1]


def test_noise_zeros_behind_the_point_a_second_header_blanks_and_one_bad_row_of_a_few_park_no_file(
    platform: Platform,
) -> None:
    lines = (
        b"1,862.0,2024-01-02,,,,,,11.879999999999999\n",
        b"   \n",
        b"2,862.0,2024-01-02,,,,,,0.30000000000000004\n",
        HEADER,
        b"3,7,2024-01-02,,,,,,1.98\n",
        b"4,7,2024-01-02,,,,,,11.875\n",
    )
    platform.land(INVOICES, HEADER + b"".join(lines))
    platform.land(TITLES, "1,2003,Le Café\n".encode())

    results = platform.load()

    assert platform.status(INVOICES) == platform.status(TITLES) == ["loaded"]
    row = platform.ledger_row(INVOICES)
    assert (row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == (4, 3, 1)
    assert row["warnings"] == {"customer_id": 2, "total": 2, "(repeated header)": 1}
    assert platform.query("SELECT invoice_id, customer_id, total, _line FROM raw_chinook.invoice ORDER BY 1") == [
        (1, 862, Decimal("11.88"), 2),
        (2, 862, Decimal("0.30"), 4),
        (3, 7, Decimal("1.98"), 6),
    ]
    assert platform.query("SELECT line, rule FROM ops.rejected_row") == [(7, "total_type")]
    found = written_as_declared(results, "chinook", "invoice")
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert found.metadata["customer_id"].value == found.metadata["total"].value == 2

    assert platform.query("SELECT title FROM raw_netflix.movie_titles") == [("Le Café",)]
    found = written_as_declared(results, "netflix", "movie_titles")
    assert (found.passed, found.metadata["(read as UTF-8)"].value) == (False, 1)


def test_a_file_of_nothing_but_bad_rows_is_parked_however_small(platform: Platform) -> None:
    platform.land(INVOICES, HEADER + b"1,862.5,2024-01-02,,,,,,1.00\n")
    platform.load()
    assert platform.status(INVOICES) == ["parked"]
    assert "1 of 1 record is rejected" in platform.ledger_row(INVOICES)["reason"]
