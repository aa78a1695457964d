"""The dims, bridges and facts of the dvdrental star, each declared once; the raw tables are in ``raw_tables``.

``transactions``, ``stock_prices`` and ``predicted_prices`` bear the names and columns that the company's design gives:
``user_id`` is the customer, ``stock_id`` the copy in the inventory (docs/dvdrental.md).
"""

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
    BOOLEAN,
    DATE,
    INTEGER,
    SMALLINT,
    TEXT,
    TEXT_ARRAY,
    TIMESTAMP,
    Between,
    Column,
    OneOf,
    numeric,
)
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.star_table import Bridge, PartitionedFact, Type1Dimension, Type2Dimension
from cinestream_platform.declarations.table import Index, Reference
from cinestream_platform.sources.dvdrental import raw_tables
from cinestream_platform.sources.dvdrental.raw_tables import AMOUNT, RATINGS, SOURCE

STAR = "dvddw"
MONEY = numeric(10, 2)


_dim = partial(Type1Dimension, source=SOURCE, schema=STAR)


def _bridge(name: str, description: str, one: Reference, other: Reference, grain: str) -> Bridge:
    return Bridge(
        source=SOURCE,
        schema=STAR,
        name=name,
        description=description,
        grain=grain,
        columns=(foreign_key(one.column, "One side."), foreign_key(other.column, "The other side.")),
        one=one,
        other=other,
    )


DIM_ACTOR = _dim(
    name="dim_actor",
    description="Actors; two may have the same name.",
    grain="one row per actor",
    member="actor",
    natural_ids=(natural_id("actor_id", "The source's number of the actor."),),
    attributes=(
        attribute("first_name", "Given name; NULL for inferred members."),
        attribute("last_name", "Family name; NULL for inferred members."),
    ),
)
DIM_CATEGORY = _dim(
    name="dim_category",
    description="Categories of films.",
    grain="one row per category",
    member="category",
    natural_ids=(natural_id("category_id", "The source's number of the category."),),
    attributes=(attribute("name", "Name; NULL for inferred members."),),
)
DIM_FILM = _dim(
    name="dim_film",
    description="Films as they are now.",
    grain="one row per film",
    member="film",
    natural_ids=(natural_id("film_id", "The source's number of the film."),),
    attributes=(
        attribute("title", "Title; NULL for inferred members."),
        attribute("description", "What it is about."),
        Column("release_year", SMALLINT, "Year of release.", True, (Between(1870, 2155),)),
        attribute("language", "Language, without the blanks that pad it."),
        Column("rating", TEXT, "The MPAA's rating.", True, (OneOf(RATINGS),)),
        Column("special_features", TEXT_ARRAY, "What the disc has beside the film.", nullable=True),
        Column("categories", TEXT_ARRAY, "Names of its categories, in alphabetical order.", nullable=True),
        Column("length_minutes", SMALLINT, "Length in minutes.", True, POSITIVE),
        Column("rental_duration_days", SMALLINT, "Days that a rental may take.", True, POSITIVE),
        Column("rental_rate", numeric(4, 2), "Price of a rental in the store's currency.", True, NOT_NEGATIVE),
        Column("replacement_cost", AMOUNT, "What a lost copy costs in the store's currency.", True, NOT_NEGATIVE),
    ),
)
DIM_STORE = _dim(
    name="dim_store",
    description="Stores as they are now.",
    grain="one row per store",
    member="store",
    natural_ids=(natural_id("store_id", "The source's number of the store."),),
    attributes=(
        Column("manager_staff_id", INTEGER, "staff_id of the manager.", True, POSITIVE),
        attribute("district", "District or province."),
        attribute("city", "City."),
        attribute("country", "Country."),
    ),
)
DIM_STAFF = _dim(
    name="dim_staff",
    description="Members of staff as they are now.",
    grain="one row per member of staff",
    member="member of staff",
    natural_ids=(natural_id("staff_id", "The source's number of the member of staff."),),
    attributes=(
        attribute("first_name", "Given name.", personal=True),
        attribute("last_name", "Family name.", personal=True),
        attribute("email", "E-mail.", personal=True),
        attribute("username", "Login at the till.", personal=True),
        Column("store_id", INTEGER, "The store.", True, POSITIVE),
        Column("is_active", BOOLEAN, "Works there now.", nullable=True),
    ),
)

ACTOR = Reference("actor_key", DIM_ACTOR, on={"actor_id": "actor_id"})
CATEGORY = Reference("category_key", DIM_CATEGORY, on={"category_id": "category_id"})
FILM = Reference("film_key", DIM_FILM, on={"film_id": "film_id"})
STORE = Reference("store_key", DIM_STORE, on={"store_id": "store_id"})
STAFF = Reference("staff_key", DIM_STAFF, on={"staff_id": "staff_id"})

DIM_INVENTORY = _dim(
    name="dim_inventory",
    description="Copies of films in the stores.",
    grain="one row per copy",
    member="copy",
    natural_ids=(natural_id("inventory_id", "The source's number of the copy."),),
    attributes=(
        foreign_key("film_key", "The film; NULL for inferred members.", nullable=True),
        foreign_key("store_key", "The store; NULL for inferred members.", nullable=True),
    ),
    references=(FILM, STORE),
)
INVENTORY = Reference("inventory_key", DIM_INVENTORY, on={"inventory_id": "inventory_id"})

DIM_CUSTOMER = Type2Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_customer",
    description="Customers, type 2: one row per version of name, address, store and activity.",
    grain="one row per version of a customer",
    member="customer",
    natural_id=natural_id("customer_id", "The source's number of the customer."),
    attributes=(
        attribute("first_name", "Given name.", personal=True),
        attribute("last_name", "Family name.", personal=True),
        attribute("email", "E-mail.", personal=True),
        attribute("address", "Street and number.", personal=True),
        attribute("address2", "Second line; an empty text is not NULL.", personal=True),
        attribute("district", "District or province."),
        attribute("city", "City."),
        attribute("country", "Country."),
        attribute("postal_code", "Postal code as text.", personal=True),
        attribute("phone", "Telephone.", personal=True),
        Column("store_id", INTEGER, "The store that the customer belongs to.", True, POSITIVE),
        Column("is_active", BOOLEAN, "The source's number `active` is 1.", nullable=True),
        Column("create_date", DATE, "When the customer was entered in the source.", nullable=True),
    ),
    versions_of=(
        raw_tables.CUSTOMER,
        raw_tables.ADDRESS,
        raw_tables.CITY,
        raw_tables.COUNTRY,
    ),
)
CUSTOMER = Reference(
    "customer_key", DIM_CUSTOMER, on={"customer_id": "customer_id", "valid_from": "customer_valid_from"}
)
DAY = Reference("date_key", DIM_DATE)

BRIDGE_FILM_ACTOR = _bridge("bridge_film_actor", "Who plays in which film.", FILM, ACTOR, "one row per film and actor")
BRIDGE_FILM_CATEGORY = _bridge(
    "bridge_film_category", "Which categories a film has.", FILM, CATEGORY, "one row per film and category"
)

OF_COPY = (
    foreign_key("film_key", "The film; NULL where the copy is unknown.", nullable=True),
    foreign_key("store_key", "The copy's store; NULL where the copy is unknown.", nullable=True),
)
QUARTERS = Partitioning(PartitionUnit.QUARTER)

FACT_RENTAL = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_rental",
    description="Rentals, also those that are open or unpaid; by the quarter of the rental's day.",
    grain="one row per rental",
    columns=(
        natural_id("rental_id", "The source's number of the rental."),
        DATE_KEY,
        foreign_key(
            "return_date_key", "The day of return (UTC) as YYYYMMDD; NULL while the copy is out.", nullable=True
        ),
        foreign_key("customer_key", "Who rented, in the version valid then."),
        foreign_key("inventory_key", "The copy that was rented; NULL if the source does not say.", nullable=True),
        *OF_COPY,
        foreign_key("staff_key", "Who handed it out."),
        Column("rented_at", TIMESTAMP, "When the copy was taken (UTC)."),
        Column("returned_at", TIMESTAMP, "When it came back (UTC); NULL while it is out.", nullable=True),
        Column("is_open", BOOLEAN, "The copy has not come back."),
        Column("duration_days", numeric(10, 4), "From taking to return, in days; NULL while open.", nullable=True),
        Column(
            "late_days",
            INTEGER,
            "Days of return after the film's due day; 0 in time, NULL while open.",
            True,
            NOT_NEGATIVE,
        ),
        Column("payment_count", INTEGER, "Payments for this rental, 0 if none.", rules=NOT_NEGATIVE),
        Column("amount_paid", MONEY, "Their sum in the store's currency, 0 if none.", rules=NOT_NEGATIVE),
    ),
    row_key=("rental_id",),
    references=(CUSTOMER, INVENTORY, FILM, STORE, STAFF, DAY, Reference("return_date_key", DIM_DATE)),
    indexes=(
        Index(("customer_key",), "the rentals of one customer"),
        Index(("inventory_key",), "the rentals of one copy"),
    ),
    partitioning=QUARTERS,
    reads_whole=("payment", "inventory", "film", "customer", "address", "city", "country"),
)

FACT_PAYMENT = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_payment",
    description="Payments; by the quarter of the payment's day.",
    grain="one row per payment",
    columns=(
        natural_id("payment_id", "The source's number of the payment."),
        DATE_KEY,
        natural_id("rental_id", "The rental; one may have several payments."),
        foreign_key("customer_key", "Who paid, in the version valid then."),
        foreign_key("inventory_key", "The copy that was rented; NULL where the rental is unknown.", nullable=True),
        *OF_COPY,
        foreign_key("staff_key", "Who took the money."),
        Column("paid_at", TIMESTAMP, "When it was paid (UTC)."),
        Column("amount", AMOUNT, "Amount in the store's currency.", rules=NOT_NEGATIVE),
    ),
    row_key=("payment_id",),
    references=(CUSTOMER, INVENTORY, FILM, STORE, STAFF, DAY),
    indexes=(
        Index(("customer_key",), "the payments of one customer"),
        Index(("rental_id",), "the payments of one rental"),
    ),
    partitioning=QUARTERS,
    reads_whole=("rental", "inventory", "customer", "address", "city", "country"),
)

TRANSACTIONS = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="transactions",
    description="The money movements of customers: fact_payment in the terms of the company's design.",
    grain="one row per payment",
    columns=(
        natural_id("transaction_id", "payment_id of the source."),
        DATE_KEY,
        natural_id("user_id", "customer_id of who paid."),
        Column("stock_id", INTEGER, "inventory_id of the copy; NULL where the rental is unknown.", True, POSITIVE),
        Column("amount", AMOUNT, "Amount in the store's currency.", rules=NOT_NEGATIVE),
        Column("timestamp", TIMESTAMP, "When it was paid (UTC)."),
    ),
    row_key=("transaction_id",),
    references=(DAY,),
    indexes=(Index(("user_id",), "the transactions of one customer"), Index(("stock_id",), "those of one copy")),
    partitioning=QUARTERS,
    reads_whole=("rental",),
)

STOCK_PRICES = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="stock_prices",
    description="Observed prices of copies: what was charged, and the film's rate when the source changed it.",
    grain="one row per copy and observation",
    columns=(
        natural_id("stock_id", "inventory_id of the copy."),
        Column("timestamp", TIMESTAMP, "When the price was observed (UTC)."),
        Column(
            "payment_id", INTEGER, "The payment that charged it; 0 where it is the film's rate.", rules=NOT_NEGATIVE
        ),
        DATE_KEY,
        Column("price", AMOUNT, "Price in the store's currency.", rules=NOT_NEGATIVE),
    ),
    row_key=("stock_id", "timestamp", "payment_id"),
    references=(DAY,),
    indexes=(Index(("stock_id", "timestamp"), "the price history of one copy"),),
    partitioning=Partitioning(PartitionUnit.MONTH),
    reads_whole=("rental", "inventory"),
)

PREDICTED_PRICES = Prediction(
    source=SOURCE,
    name="predicted_prices",
    description="Prices that models predict; written by role ml_engineer, read by all who read the star.",
    grain="one row per copy, day, and version of a model",
    columns=(
        natural_id("stock_id", "inventory_id of the copy."),
        Column("predicted_for_date", DATE, "The day that the price is for."),
        Column("model_version", TEXT, "Name and version of the model."),
        Column("predicted_price", MONEY, "Price in the store's currency.", rules=NOT_NEGATIVE),
        Column("predicted_at", TIMESTAMP, "When it was computed (UTC)."),
    ),
    row_key=("stock_id", "predicted_for_date"),
)

STAR_TABLES = (
    *(DIM_ACTOR, DIM_CATEGORY, DIM_FILM, DIM_STORE, DIM_STAFF, DIM_INVENTORY, DIM_CUSTOMER),
    *(BRIDGE_FILM_ACTOR, BRIDGE_FILM_CATEGORY),
    *(FACT_RENTAL, FACT_PAYMENT, TRANSACTIONS, STOCK_PRICES),
)
