"""The dims, bridge and facts of the Chinook star, each declared once; the raw tables are in ``raw_tables``."""

from functools import partial

from cinestream_platform.conformed.dims import (
    DATE_KEY,
    NOT_NEGATIVE,
    POSITIVE,
    attribute,
    foreign_key,
    natural_id,
)
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import (
    BIGINT,
    DATE,
    INTEGER,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    numeric,
)
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.star_table import Bridge, PartitionedFact, Type1Dimension, Type2Dimension
from cinestream_platform.declarations.table import Index, Reference
from cinestream_platform.sources.chinook import raw_tables
from cinestream_platform.sources.chinook.raw_tables import MONEY, SOURCE

STAR = "chinook_dw"


_dim = partial(Type1Dimension, source=SOURCE, schema=STAR)
_versioned_dim = partial(Type2Dimension, source=SOURCE, schema=STAR)


CONTACT = (
    attribute("address", "Street and number.", personal=True),
    attribute("city", "City, blanks at the ends cut."),
    attribute("state", "State or province."),
    attribute("country", "Country."),
    attribute("postal_code", "Postal code as text.", personal=True),
    attribute("phone", "Telephone.", personal=True),
    attribute("fax", "Fax.", personal=True),
    attribute("email", "E-mail.", personal=True),
)

DIM_ARTIST = _dim(
    name="dim_artist",
    description="Artists.",
    grain="one row per artist",
    member="artist",
    natural_ids=(natural_id("artist_id", "Chinook's number of the artist."),),
    attributes=(attribute("name", "Name; NULL for inferred members."),),
)
ARTIST = Reference("artist_key", DIM_ARTIST, on={"artist_id": "artist_id"})

DIM_ALBUM = _dim(
    name="dim_album",
    description="Albums.",
    grain="one row per album",
    member="album",
    natural_ids=(natural_id("album_id", "Chinook's number of the album."),),
    attributes=(
        attribute("title", "Title; NULL for inferred members."),
        foreign_key("artist_key", "The artist; NULL for inferred members.", nullable=True),
    ),
    references=(ARTIST,),
)
ALBUM = Reference("album_key", DIM_ALBUM, on={"album_id": "album_id"})

DIM_GENRE = _dim(
    name="dim_genre",
    description="Genres.",
    grain="one row per genre",
    member="genre",
    natural_ids=(natural_id("genre_id", "Chinook's number of the genre."),),
    attributes=(attribute("name", "Name; NULL for inferred members."),),
)
GENRE = Reference("genre_key", DIM_GENRE, on={"genre_id": "genre_id"})

DIM_MEDIA_TYPE = _dim(
    name="dim_media_type",
    description="File formats in which tracks are sold.",
    grain="one row per file format",
    member="file format",
    natural_ids=(natural_id("media_type_id", "Chinook's number of the format."),),
    attributes=(attribute("name", "Name; NULL for inferred members."),),
)
MEDIA_TYPE = Reference("media_type_key", DIM_MEDIA_TYPE, on={"media_type_id": "media_type_id"})

DIM_TRACK = _dim(
    name="dim_track",
    description="Tracks with album, artist, genre and format.",
    grain="one row per track",
    member="track",
    natural_ids=(natural_id("track_id", "Chinook's number of the track."),),
    attributes=(
        attribute("name", "Name, not unique; NULL for inferred members."),
        foreign_key("album_key", "The album; NULL without one.", nullable=True),
        foreign_key("artist_key", "The album's artist; NULL without an album.", nullable=True),
        foreign_key("genre_key", "The genre; NULL without one.", nullable=True),
        foreign_key("media_type_key", "The file format; NULL for inferred members.", nullable=True),
        attribute("composer", "Composers as one text."),
        Column("length_milliseconds", BIGINT, "Playing time in milliseconds.", True, NOT_NEGATIVE),
        Column("size_bytes", BIGINT, "Size in bytes; sums exceed 32 bits.", True, NOT_NEGATIVE),
        Column("unit_price", MONEY, "List price in the store's currency.", True, NOT_NEGATIVE),
    ),
    references=(ALBUM, ARTIST, GENRE, MEDIA_TYPE),
)
TRACK = Reference("track_key", DIM_TRACK, on={"track_id": "track_id"})

DIM_PLAYLIST = _dim(
    name="dim_playlist",
    description="Playlists; names are not unique, some have no track.",
    grain="one row per playlist",
    member="playlist",
    natural_ids=(natural_id("playlist_id", "Chinook's number of the playlist."),),
    attributes=(attribute("name", "Name; NULL for inferred members."),),
)
PLAYLIST = Reference("playlist_key", DIM_PLAYLIST, on={"playlist_id": "playlist_id"})

DIM_LOCATION = _dim(
    name="dim_location",
    description="Places that invoices were billed to: city, state and country, without the street.",
    grain="one row per city, state and country",
    member="place",
    natural_ids=(Column("location_code", TEXT, "country|state|city, blanks at the ends cut, an unknown part empty."),),
    attributes=(
        attribute("city", "City."),
        attribute("state", "State or province."),
        attribute("country", "Country."),
    ),
)
LOCATION = Reference("location_key", DIM_LOCATION, on={"location_code": "location_code"})

DIM_EMPLOYEE = _versioned_dim(
    name="dim_employee",
    description="Employees, type 2: one row per version, with the path of managers from the top.",
    grain="one row per version of an employee",
    member="employee",
    natural_id=natural_id("employee_id", "Chinook's number of the employee."),
    attributes=(
        attribute("last_name", "Family name.", personal=True),
        attribute("first_name", "Given name.", personal=True),
        attribute("title", "Job title."),
        Column("reports_to_id", INTEGER, "employee_id of the manager; NULL at the top.", True, POSITIVE),
        attribute("manager_path", "employee_ids from the top down to this one, joined by /: 1/2/3."),
        Column("manager_level", SMALLINT, "0 at the top.", True, (Between(0, None),)),
        Column("birth_date", DATE, "Birthday.", nullable=True, is_personal=True),
        Column("hire_date", DATE, "First day of work.", nullable=True),
        *CONTACT,
    ),
    versions_of=(raw_tables.EMPLOYEE,),
)
EMPLOYEE = Reference(
    "employee_key", DIM_EMPLOYEE, on={"employee_id": "employee_id", "valid_from": "employee_valid_from"}
)

DIM_CUSTOMER = _versioned_dim(
    name="dim_customer",
    description="Customers, type 2: one row per version of address, company and support representative.",
    grain="one row per version of a customer",
    member="customer",
    natural_id=natural_id("customer_id", "Chinook's number of the customer."),
    attributes=(
        attribute("first_name", "Given name.", personal=True),
        attribute("last_name", "Family name.", personal=True),
        attribute("company", "Company.", personal=True),
        *CONTACT,
        Column("support_rep_id", INTEGER, "employee_id of who looks after the customer.", True, POSITIVE),
    ),
    versions_of=(raw_tables.CUSTOMER,),
)
CUSTOMER = Reference(
    "customer_key", DIM_CUSTOMER, on={"customer_id": "customer_id", "valid_from": "customer_valid_from"}
)
DAY = Reference("date_key", DIM_DATE)

DIM_PLAYLIST_TRACK = Bridge(
    source=SOURCE,
    schema=STAR,
    name="dim_playlist_track",
    description="Which tracks a playlist has.",
    grain="one row per playlist and track",
    columns=(foreign_key("playlist_key", "The playlist."), foreign_key("track_key", "The track.")),
    one=PLAYLIST,
    other=TRACK,
)

SALE = (
    DATE_KEY,
    foreign_key("customer_key", "Who bought, in the version valid then."),
    foreign_key(
        "employee_key", "Who looked after the customer then, in the version valid then; NULL if nobody.", nullable=True
    ),
    foreign_key("location_key", "Where it was billed to."),
)
"""What an invoice and its lines have in common."""

FACT_INVOICE = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_invoice",
    description="Invoices.",
    grain="one row per invoice",
    columns=(
        natural_id("invoice_id", "Chinook's number of the invoice."),
        *SALE,
        Column("total", MONEY, "Total in the store's currency.", rules=NOT_NEGATIVE),
        Column("invoiced_at", TIMESTAMP, "When it was sold (UTC)."),
    ),
    row_key=("invoice_id",),
    references=(CUSTOMER, EMPLOYEE, LOCATION, DAY),
    indexes=(Index(("customer_key",), "the invoices of one customer"),),
    partitioning=Partitioning(PartitionUnit.YEAR),
)

FACT_INVOICE_LINE = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_invoice_line",
    description="Lines of invoices; a line whose invoice has not arrived waits in the raw table.",
    grain="one row per line of an invoice",
    columns=(
        natural_id("invoice_line_id", "Chinook's number of the line."),
        natural_id("invoice_id", "The invoice."),
        *SALE,
        foreign_key("track_key", "What was bought."),
        Column("unit_price", MONEY, "Price of one in the store's currency.", rules=NOT_NEGATIVE),
        Column("quantity", INTEGER, "How many.", rules=POSITIVE),
        Column("amount", numeric(12, 2), "unit_price x quantity in the store's currency.", rules=NOT_NEGATIVE),
    ),
    row_key=("invoice_line_id",),
    references=(CUSTOMER, EMPLOYEE, LOCATION, TRACK, DAY),
    indexes=(
        Index(("invoice_id",), "the lines of one invoice"),
        Index(("track_key",), "the sales of one track"),
    ),
    partitioning=Partitioning(PartitionUnit.YEAR),
)

STAR_TABLES = (
    DIM_ARTIST,
    DIM_ALBUM,
    DIM_GENRE,
    DIM_MEDIA_TYPE,
    DIM_TRACK,
    DIM_PLAYLIST,
    DIM_LOCATION,
    DIM_EMPLOYEE,
    DIM_CUSTOMER,
    DIM_PLAYLIST_TRACK,
    FACT_INVOICE,
    FACT_INVOICE_LINE,
)
