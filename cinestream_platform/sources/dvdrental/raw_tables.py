"""The raw tables of dvdrental, each declared once: what is extracted from the operational database.

Not extracted: ``film.fulltext`` (derived from title and description), ``staff.password`` and ``staff.picture`` (nobody
in a warehouse needs them), and whatever columns a source has beyond these (Pagila's ``film.original_language_id``).
"""

from datetime import UTC, datetime

from cinestream_platform.conformed.dims import NOT_NEGATIVE, POSITIVE
from cinestream_platform.declarations.column import (
    BOOLEAN,
    DATE,
    INTEGER,
    SMALLINT,
    TEXT,
    TEXT_ARRAY,
    TIMESTAMP,
    Between,
    Column,
    DataType,
    NotBlank,
    OneOf,
    Rule,
    numeric,
)
from cinestream_platform.declarations.raw_table import RawTables
from cinestream_platform.declarations.relation import Relation

SOURCE = "dvdrental"
AMOUNT = numeric(5, 2)
RATINGS = ("G", "PG", "PG-13", "R", "NC-17")
FIRST_EVENT = datetime(1995, 1, 1, tzinfo=UTC)
"""Facts have partitions from then on: an older rental (a mistyped year) would be extracted and never published."""


def _column(
    name: str,
    data_type: DataType,
    description: str,
    *rules: Rule,
    nullable: bool = False,
    personal: bool = False,
) -> Column:
    return Column(name, data_type, description, nullable, rules, is_personal=personal, source_name=name)


def _id(name: str, description: str, *, nullable: bool = False) -> Column:
    return _column(name, INTEGER, description, *POSITIVE, nullable=nullable)


def _text(name: str, description: str, *rules: Rule, nullable: bool = False, personal: bool = False) -> Column:
    return _column(name, TEXT, description, *rules, nullable=nullable, personal=personal)


def _time(name: str, description: str, *rules: Rule, nullable: bool = False) -> Column:
    """An instant; extraction converts it from the source's zone and writes it in UTC."""
    return Column(name, TIMESTAMP, description, nullable, rules, source_name=name, time_zone="UTC")


LAST_UPDATE = _time("last_update", "When the source last changed the row (UTC).")


RAW = RawTables(
    source=SOURCE,
    snapshot_grain="one row per row of the source's table",
    history_grain="one row per row of the source's table at an extraction",
    events_grain="one row per state of a row of the source's table",
)

ACTOR = RAW.snapshot(
    "actor",
    "Actors; a name is not a key.",
    _id("actor_id", "The source's number of the actor."),
    _text("first_name", "Given name."),
    _text("last_name", "Family name.", NotBlank()),
    LAST_UPDATE,
)
COUNTRY = RAW.history(
    "country",
    "Countries.",
    _id("country_id", "The source's number of the country."),
    _text("country", "Name."),
    LAST_UPDATE,
)
CITY = RAW.history(
    "city",
    "Cities; a name is not a key.",
    _id("city_id", "The source's number of the city."),
    _text("city", "Name."),
    _id("country_id", "The country."),
    LAST_UPDATE,
)
ADDRESS = RAW.history(
    "address",
    "Addresses of customers, staff and stores; an empty text is not NULL.",
    _id("address_id", "The source's number of the address."),
    _text("address", "Street and number.", NotBlank(), personal=True),
    _text("address2", "Second line.", nullable=True, personal=True),
    _text("district", "District or province."),
    _id("city_id", "The city."),
    _text("postal_code", "Postal code as text.", nullable=True, personal=True),
    _text("phone", "Telephone.", personal=True),
    LAST_UPDATE,
)
STORE = RAW.history(
    "store",
    "Stores.",
    _id("store_id", "The source's number of the store."),
    _id("manager_staff_id", "The member of staff who manages it."),
    _id("address_id", "Where it is."),
    LAST_UPDATE,
)
CUSTOMER = RAW.history(
    "customer",
    "Customers.",
    _id("customer_id", "The source's number of the customer."),
    _id("store_id", "The store that the customer belongs to."),
    _text("first_name", "Given name.", NotBlank(), personal=True),
    _text("last_name", "Family name.", personal=True),
    _text("email", "E-mail.", nullable=True, personal=True),
    _id("address_id", "Where the customer lives."),
    _column("activebool", BOOLEAN, "True for all customers of the published data."),
    _column("create_date", DATE, "When the customer was entered; later than most rentals in the published data."),
    _time("last_update", "When the source last changed the row (UTC); of customers it may be unknown.", nullable=True),
    _column("active", INTEGER, "1 = active, 0 = not.", nullable=True),
)
STAFF = RAW.snapshot(
    "staff",
    "Members of staff, without password and picture.",
    _id("staff_id", "The source's number of the member of staff."),
    _text("first_name", "Given name.", personal=True),
    _text("last_name", "Family name.", personal=True),
    _id("address_id", "Where he or she lives."),
    _text("email", "E-mail.", nullable=True, personal=True),
    _id("store_id", "The store."),
    _column("active", BOOLEAN, "Works there now."),
    _text("username", "Login at the till.", personal=True),
    LAST_UPDATE,
)
LANGUAGE = RAW.snapshot(
    "language",
    "Languages, names without the blanks that pad them.",
    _id("language_id", "The source's number of the language."),
    _text("name", "Name."),
    LAST_UPDATE,
)
CATEGORY = RAW.snapshot(
    "category",
    "Categories of films.",
    _id("category_id", "The source's number of the category."),
    _text("name", "Name."),
    LAST_UPDATE,
)
FILM = RAW.history(
    "film",
    "Films, at every extraction that found them changed.",
    _id("film_id", "The source's number of the film."),
    _text("title", "Title.", NotBlank()),
    _text("description", "What it is about.", nullable=True),
    _column("release_year", SMALLINT, "Year of release.", Between(1870, 2155), nullable=True),
    _id("language_id", "The language."),
    _column("rental_duration", SMALLINT, "Days that a rental may take.", *POSITIVE),
    _column("rental_rate", numeric(4, 2), "Price of a rental in the store's currency.", *NOT_NEGATIVE),
    _column("length", SMALLINT, "Length in minutes.", *POSITIVE, nullable=True),
    _column("replacement_cost", AMOUNT, "What a lost copy costs in the store's currency.", *NOT_NEGATIVE),
    _column("rating", TEXT, "The MPAA's rating.", OneOf(RATINGS), nullable=True),
    LAST_UPDATE,
    _column("special_features", TEXT_ARRAY, "What the disc has beside the film.", nullable=True),
)
FILM_ACTOR = RAW.snapshot(
    "film_actor",
    "Who plays in which film.",
    _id("actor_id", "The actor."),
    _id("film_id", "The film."),
    LAST_UPDATE,
    key=("actor_id", "film_id"),
)
FILM_CATEGORY = RAW.snapshot(
    "film_category",
    "Which categories a film has.",
    _id("film_id", "The film."),
    _id("category_id", "The category."),
    LAST_UPDATE,
    key=("film_id", "category_id"),
)
INVENTORY = RAW.history(
    "inventory",
    "Copies of films in the stores, at every extraction that found any changed.",
    _id("inventory_id", "The source's number of the copy."),
    _id("film_id", "The film."),
    _id("store_id", "The store."),
    LAST_UPDATE,
)
RENTAL = RAW.events(
    "rental",
    "Rentals: the newest state of each counts.",
    _id("rental_id", "The source's number of the rental."),
    _time("rental_date", "When the copy was taken (UTC).", Between(FIRST_EVENT, None)),
    _id("inventory_id", "The copy."),
    _id("customer_id", "Who rents."),
    _time("return_date", "When it came back (UTC); NULL while it is out.", nullable=True),
    _id("staff_id", "Who handed it out."),
    LAST_UPDATE,
)
PAYMENT = RAW.events(
    "payment",
    "Payments: the newest state of each counts; a rental may have none or several.",
    _id("payment_id", "The source's number of the payment."),
    _id("customer_id", "Who paid; not always who rented."),
    _id("staff_id", "Who took the money; not always who handed the copy out."),
    _id("rental_id", "The rental."),
    _column("amount", AMOUNT, "Amount in the store's currency.", *NOT_NEGATIVE),
    _time("payment_date", "When it was paid (UTC).", Between(FIRST_EVENT, None)),
)

RAW_TABLES = (
    *(ACTOR, COUNTRY, CITY, ADDRESS, STORE, CUSTOMER, STAFF, LANGUAGE),
    *(CATEGORY, FILM, FILM_ACTOR, FILM_CATEGORY, INVENTORY, RENTAL, PAYMENT),
)

RELATIONS = (
    Relation(CITY, ("country_id",), COUNTRY),
    Relation(ADDRESS, ("city_id",), CITY),
    Relation(CUSTOMER, ("address_id",), ADDRESS),
    Relation(CUSTOMER, ("store_id",), STORE),
    Relation(STAFF, ("store_id",), STORE),
    Relation(STORE, ("manager_staff_id",), STAFF, ("staff_id",)),
    Relation(FILM, ("language_id",), LANGUAGE),
    Relation(FILM_ACTOR, ("film_id",), FILM),
    Relation(FILM_ACTOR, ("actor_id",), ACTOR),
    Relation(FILM_CATEGORY, ("film_id",), FILM),
    Relation(FILM_CATEGORY, ("category_id",), CATEGORY),
    Relation(INVENTORY, ("film_id",), FILM),
    Relation(RENTAL, ("inventory_id",), INVENTORY),
    Relation(RENTAL, ("customer_id",), CUSTOMER),
    Relation(PAYMENT, ("rental_id",), RENTAL),
    Relation(PAYMENT, ("customer_id",), CUSTOMER),
)
"""The foreign keys of the source, most of them."""
