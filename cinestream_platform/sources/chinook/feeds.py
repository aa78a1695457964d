"""Which landed files belong to which raw table of Chinook: CSV files of one table, or a bundle of all tables."""

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.table import Table
from cinestream_platform.sources.chinook import raw_tables

NULL_WORDS = ("None",)
"""Python's exporters write NULL so; otherwise it is an empty field."""
DATED = "[-_][12][0-9][0-9][0-9]*"


def _feed(table: Table, *, event_time: str | None = None) -> Feed:
    spellings = dict.fromkeys((table.name, table.name.replace("_", "")))
    names = tuple(f"{name}{dated}.csv" for name in spellings for dated in ("", DATED))
    return Feed(table.name, table, names, event_time=event_time, null_words=NULL_WORDS)


ARTIST = _feed(raw_tables.ARTIST)
ALBUM = _feed(raw_tables.ALBUM)
GENRE = _feed(raw_tables.GENRE)
MEDIA_TYPE = _feed(raw_tables.MEDIA_TYPE)
TRACK = _feed(raw_tables.TRACK)
PLAYLIST = _feed(raw_tables.PLAYLIST)
PLAYLIST_TRACK = _feed(raw_tables.PLAYLIST_TRACK)
EMPLOYEE = _feed(raw_tables.EMPLOYEE)
CUSTOMER = _feed(raw_tables.CUSTOMER)
INVOICE = _feed(raw_tables.INVOICE, event_time="invoice_date")
INVOICE_LINE = _feed(raw_tables.INVOICE_LINE)

FEEDS = (
    ARTIST,
    ALBUM,
    GENRE,
    MEDIA_TYPE,
    TRACK,
    PLAYLIST,
    PLAYLIST_TRACK,
    EMPLOYEE,
    CUSTOMER,
    INVOICE,
    INVOICE_LINE,
)
RELEASE = Bundle("release", FEEDS)
