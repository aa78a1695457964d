"""Which landed files belong to which raw table of Chinook: CSV files of one table, or a bundle of all tables."""

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.sources.chinook import raw_tables

NULL_WORDS = ("None",)
"""Python's exporters write NULL so; otherwise it is an empty field."""
DATED = "[-_][12][0-9][0-9][0-9]*"


def _feed(table: RawTable, description: str, *, event_time: str | None = None) -> Feed:
    spellings = dict.fromkeys((table.name, table.name.replace("_", "")))
    names = tuple(f"{name}{dated}.csv" for name in spellings for dated in ("", DATED))
    return Feed(table.name, table, names, event_time=event_time, null_words=NULL_WORDS, description=description)


ARTIST = _feed(raw_tables.ARTIST, "The newest delivery of artists replaces all rows.")
ALBUM = _feed(raw_tables.ALBUM, "The newest delivery of albums replaces all rows.")
GENRE = _feed(raw_tables.GENRE, "The newest delivery of genres replaces all rows.")
MEDIA_TYPE = _feed(raw_tables.MEDIA_TYPE, "The newest delivery of file formats replaces all rows.")
TRACK = _feed(raw_tables.TRACK, "The newest delivery of tracks replaces all rows.")
PLAYLIST = _feed(raw_tables.PLAYLIST, "The newest delivery of playlists replaces all rows.")
PLAYLIST_TRACK = _feed(raw_tables.PLAYLIST_TRACK, "The newest delivery of playlists' tracks replaces all rows.")
EMPLOYEE = _feed(
    raw_tables.EMPLOYEE, "Every delivery of employees stays: dim_employee's versions are made from all of them."
)
CUSTOMER = _feed(
    raw_tables.CUSTOMER, "Every delivery of customers stays: dim_customer's versions are made from all of them."
)
INVOICE = _feed(
    raw_tables.INVOICE,
    "Invoices come as a whole table and day by day; a file's rows replace those of its older version.",
    event_time="invoice_date",
)
INVOICE_LINE = _feed(
    raw_tables.INVOICE_LINE,
    "Lines come as a whole table and day by day; a file's rows replace those of its older version.",
)

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
