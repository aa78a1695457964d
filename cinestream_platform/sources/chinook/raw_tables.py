"""The raw tables of Chinook, each declared once; the star's are in ``tables``.

Columns carry the upstream's names; headers are matched without regard to case and underscores. Truths and traps of
the format: the upstream's README and docs/chinook.md.
"""

from datetime import UTC, datetime

from cinestream_platform.conformed.dims import NOT_NEGATIVE, POSITIVE
from cinestream_platform.declarations.column import (
    BIGINT,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    DataType,
    MaxLength,
    numeric,
)
from cinestream_platform.declarations.raw_table import RawTables
from cinestream_platform.declarations.relation import Relation

SOURCE = "chinook"
MONEY = numeric(10, 2)
TIME_ZONE = "UTC"
"""Chinook writes naive timestamps; the store's clock is declared to be UTC."""
FIRST_SALE = datetime(1995, 1, 1, tzinfo=UTC)
"""Facts have partitions from then on: an older sale (a mistyped year) would be loaded and never published."""


def _source_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _id(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, INTEGER, description, nullable, POSITIVE, source_name=_source_name(name))


def _text(name: str, description: str, *, nullable: bool = True, personal: bool = False) -> Column:
    return Column(name, TEXT, description, nullable, is_personal=personal, source_name=_source_name(name))


def _place(name: str, description: str) -> Column:
    """Part of the code of ``dim_location``, which is indexed: an entry of a btree holds 2,704 bytes."""
    return Column(name, TEXT, description, True, (MaxLength(200),), source_name=_source_name(name))


def _number(name: str, data_type: DataType, description: str, rules: tuple[Between, ...], nullable: bool) -> Column:
    return Column(name, data_type, description, nullable, rules, source_name=_source_name(name))


def _time(
    name: str,
    description: str,
    *rules: Between,
    nullable: bool = False,
    personal: bool = False,
    may_be_future: bool = False,
) -> Column:
    return Column(
        name,
        TIMESTAMP,
        description,
        nullable,
        rules,
        is_personal=personal,
        source_name=_source_name(name),
        time_zone=TIME_ZONE,
        may_be_future=may_be_future,
    )


def _address(*, personal: bool = True) -> tuple[Column, ...]:
    """Where a person lives; city, state and country are not personal."""
    return (
        _text("address", "Street and number.", personal=personal),
        _text("city", "City."),
        _text("state", "State or province, where the country has them."),
        _text("country", "Country."),
        _text("postal_code", "Postal code as text: some begin with 0.", personal=personal),
        _text("phone", "Telephone.", personal=personal),
        _text("fax", "Fax.", personal=personal),
    )


RAW = RawTables(
    source=SOURCE,
    snapshot_grain="one row per record of the newest delivery",
    history_grain="one row per record of any delivery",
    events_grain="one row per record of a loaded file, whole table or daily",
)

ARTIST = RAW.snapshot(
    "artist",
    "Artists; some have no album.",
    _id("artist_id", "Chinook's number of the artist."),
    _text("name", "Name."),
)
ALBUM = RAW.snapshot(
    "album",
    "Albums.",
    _id("album_id", "Chinook's number of the album."),
    _text("title", "Title.", nullable=False),
    _id("artist_id", "The artist."),
)
GENRE = RAW.snapshot("genre", "Genres.", _id("genre_id", "Chinook's number of the genre."), _text("name", "Name."))
MEDIA_TYPE = RAW.snapshot(
    "media_type", "File formats.", _id("media_type_id", "Chinook's number of the format."), _text("name", "Name.")
)
TRACK = RAW.snapshot(
    "track",
    "Tracks.",
    _id("track_id", "Chinook's number of the track."),
    _text("name", "Name; not unique.", nullable=False),
    _id("album_id", "The album.", nullable=True),
    _id("media_type_id", "The file format."),
    _id("genre_id", "The genre.", nullable=True),
    _text("composer", "Composers as one text."),
    _number("milliseconds", BIGINT, "Length in milliseconds.", NOT_NEGATIVE, False),
    _number("bytes", BIGINT, "Size in bytes; sums exceed 32 bits.", NOT_NEGATIVE, True),
    _number("unit_price", MONEY, "List price in the store's currency.", NOT_NEGATIVE, False),
)
PLAYLIST = RAW.snapshot(
    "playlist",
    "Playlists; names are not unique, some have no track.",
    _id("playlist_id", "Chinook's number of the playlist."),
    _text("name", "Name."),
)
PLAYLIST_TRACK = RAW.snapshot(
    "playlist_track",
    "Which tracks a playlist has.",
    _id("playlist_id", "The playlist."),
    _id("track_id", "The track."),
    key=("playlist_id", "track_id"),
)
EMPLOYEE = RAW.history(
    "employee",
    "Employees, with whom they report to.",
    _id("employee_id", "Chinook's number of the employee."),
    _text("last_name", "Family name.", nullable=False, personal=True),
    _text("first_name", "Given name.", nullable=False, personal=True),
    _text("title", "Job title."),
    _id("reports_to", "The manager; NULL at the top.", nullable=True),
    _time("birth_date", "Birthday.", nullable=True, personal=True),
    _time("hire_date", "First day of work.", nullable=True, may_be_future=True),
    *_address(),
    _text("email", "E-mail.", personal=True),
)
CUSTOMER = RAW.history(
    "customer",
    "Customers.",
    _id("customer_id", "Chinook's number of the customer."),
    _text("first_name", "Given name.", nullable=False, personal=True),
    _text("last_name", "Family name.", nullable=False, personal=True),
    _text("company", "Company.", personal=True),
    *_address(),
    _text("email", "E-mail.", nullable=False, personal=True),
    _id("support_rep_id", "The employee who looks after the customer.", nullable=True),
)
INVOICE = RAW.events(
    "invoice",
    "Invoices.",
    _id("invoice_id", "Chinook's number of the invoice."),
    _id("customer_id", "Who bought."),
    _time("invoice_date", "When it was sold.", Between(FIRST_SALE, None)),
    _text("billing_address", "Street and number.", personal=True),
    _place("billing_city", "City; a few end in a blank in some forms of the data."),
    _place("billing_state", "State or province."),
    _place("billing_country", "Country."),
    _text("billing_postal_code", "Postal code as text.", personal=True),
    _number("total", MONEY, "Sum of the lines in the store's currency.", NOT_NEGATIVE, False),
)
INVOICE_LINE = RAW.events(
    "invoice_line",
    "Lines of invoices.",
    _id("invoice_line_id", "Chinook's number of the line."),
    _id("invoice_id", "The invoice."),
    _id("track_id", "What was bought."),
    _number("unit_price", MONEY, "Price of one in the store's currency.", NOT_NEGATIVE, False),
    _number("quantity", INTEGER, "How many.", POSITIVE, False),
)

RAW_TABLES = (
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

RELATIONS = (
    Relation(ALBUM, ("artist_id",), ARTIST),
    Relation(TRACK, ("album_id",), ALBUM),
    Relation(TRACK, ("genre_id",), GENRE),
    Relation(TRACK, ("media_type_id",), MEDIA_TYPE),
    Relation(PLAYLIST_TRACK, ("playlist_id",), PLAYLIST),
    Relation(PLAYLIST_TRACK, ("track_id",), TRACK),
    Relation(EMPLOYEE, ("reports_to",), EMPLOYEE, ("employee_id",)),
    Relation(CUSTOMER, ("support_rep_id",), EMPLOYEE, ("employee_id",)),
    Relation(INVOICE, ("customer_id",), CUSTOMER),
    Relation(INVOICE_LINE, ("invoice_id",), INVOICE),
    Relation(INVOICE_LINE, ("track_id",), TRACK),
)
"""The foreign keys of the upstream's SQL script."""
