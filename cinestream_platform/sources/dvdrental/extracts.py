"""How each table of the operational database is extracted: with which NULL, partitions and increments."""

from cinestream_platform.lake.database_reader import NULL_TOKEN
from cinestream_platform.lake.feed import Feed
from cinestream_platform.sources.dvdrental import raw_tables
from cinestream_platform.warehouse.table import PartitionUnit, Table

REJECT_THRESHOLD = 0.05
"""Tables are small: a few bad rows among hundreds must not keep all the others away."""


def _extract(table: Table, *, event_time: str | None = None, increment_by: str | None = None) -> Feed:
    return Feed(
        table.name,
        table,
        (),
        REJECT_THRESHOLD,
        event_time,
        PartitionUnit.MONTH,
        null_token=NULL_TOKEN,
        increment_by=increment_by,
    )


EVENT_TIMES = {
    raw_tables.FILM: "last_update",
    raw_tables.RENTAL: "rental_date",
    raw_tables.PAYMENT: "payment_date",
}
INCREMENTS = {raw_tables.RENTAL: "last_update", raw_tables.PAYMENT: "payment_id"}
"""A payment has no time of its last change; a changed one is found when everything is extracted, once a day."""

EXTRACTS = tuple(
    _extract(table, event_time=EVENT_TIMES.get(table), increment_by=INCREMENTS.get(table))
    for table in raw_tables.RAW_TABLES
)
