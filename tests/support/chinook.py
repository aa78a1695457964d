"""Small hand-made files of the music store, as upstream spells them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cinestream_platform.declarations.table import Table
from cinestream_platform.sources.chinook import raw_tables

Record = Mapping[str, Any]


def table_csv(table: Table, *records: Record) -> bytes:
    """A CSV file of a raw table; what a record leaves out is an empty field."""
    columns = [column for column in table.columns if column.source_name]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.source_name for column in columns)
    writer.writerows([record.get(column.name, "") for column in columns] for record in records)
    return out.getvalue().encode()


def customers(*records: tuple[int, str, int | str]) -> bytes:
    """A delivery of (customer, address, representative)."""
    return table_csv(
        raw_tables.CUSTOMER,
        *(
            {
                "customer_id": number,
                "first_name": "Ada",
                "last_name": f"No{number}",
                "email": f"c{number}@example.com",
                "address": address,
                "support_rep_id": representative,
            }
            for number, address, representative in records
        ),
    )


def employees(*records: tuple[int, str]) -> bytes:
    """A delivery of (employee, title); all but the first report to the first."""
    top = records[0][0]
    return table_csv(
        raw_tables.EMPLOYEE,
        *(
            {
                "employee_id": number,
                "last_name": "Li",
                "first_name": "Bo",
                "title": title,
                "reports_to": "" if number == top else top,
            }
            for number, title in records
        ),
    )


def invoices(*records: tuple[int, int, str, str]) -> bytes:
    """(invoice, customer, time, total), all billed to Oslo."""
    return table_csv(
        raw_tables.INVOICE,
        *(
            {"invoice_id": n, "customer_id": who, "invoice_date": when, "total": total, "billing_city": "Oslo "}
            for n, who, when, total in records
        ),
    )


def lines(*records: tuple[int, int, int]) -> bytes:
    """(line, invoice, track), one of each at 0.99."""
    price = Decimal("0.99")
    return table_csv(
        raw_tables.INVOICE_LINE,
        *(
            {"invoice_line_id": n, "invoice_id": bill, "track_id": track, "unit_price": price, "quantity": 1}
            for n, bill, track in records
        ),
    )


def tracks(*numbers: int) -> bytes:
    """Tracks without album and genre."""
    return table_csv(
        raw_tables.TRACK,
        *(
            {"track_id": n, "name": f"Track {n}", "media_type_id": 1, "milliseconds": 1_000, "unit_price": "0.99"}
            for n in numbers
        ),
    )
