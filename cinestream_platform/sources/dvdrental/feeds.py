"""How each table of the operational database is extracted: with which partitions and increments."""

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.sources.dvdrental import raw_tables

REJECT_THRESHOLD = 0.05
"""Tables are small: a few bad rows among hundreds must not keep all the others away."""


def _extract(
    table: RawTable, *, event_time: str | None = None, increment_by: str | None = None, increment_margin: str = "0"
) -> Feed:
    return Feed(
        table.name,
        table,
        (),
        REJECT_THRESHOLD,
        event_time,
        PartitionUnit.MONTH,
        increment_by=increment_by,
        increment_margin=increment_margin,
    )


READ_APART = {
    raw_tables.FILM: _extract(raw_tables.FILM, event_time="last_update"),
    raw_tables.RENTAL: _extract(
        raw_tables.RENTAL, event_time="rental_date", increment_by="last_update", increment_margin="1 hour"
    ),
    raw_tables.PAYMENT: _extract(
        raw_tables.PAYMENT, event_time="payment_date", increment_by="payment_id", increment_margin="1000"
    ),
}
"""A payment has no time of its last change; a changed one is found when everything is extracted, once a day."""

EXTRACTS = tuple(READ_APART.get(table) or _extract(table) for table in raw_tables.RAW_TABLES)
