"""Every raw, dim and fact table of the Netflix Prize, each declared once.

The format and its limits: the publisher's README, which comes with the data set. What does not belong here: how rows
are computed (``transforms``) and which files they come from (``feeds``).
"""

from datetime import date

from cinestream_platform.conformed.dims import (
    DATE_KEY,
    NOT_NEGATIVE,
    POSITIVE,
    attribute,
    natural_id,
)
from cinestream_platform.conformed.dims import foreign_key as key_of
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import BIGINT, DATE, INTEGER, SMALLINT, TEXT, TIMESTAMP, Between, Column
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.raw_table import RawEvents, RawSnapshot
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.declarations.star_table import PartitionedFact, Type1Dimension
from cinestream_platform.declarations.table import Index, Reference

SOURCE = "netflix"
STAR = "netflix_dw"

FIRST_DAY, LAST_DAY = date(1999, 11, 1), date(2005, 12, 31)
"""The first rating is of 1999-11-11 and the last of 2005-12-31: whole months, so that no partition is half a month."""
LAST_MOVIE_ID = 17_770
"""The publisher numbers its films from 1 to 17,770, without gap."""
MONTHS = Partitioning(PartitionUnit.MONTH, first="1999-11", last="2005-12")

STARS = (Between(1, 5),)


MOVIE_ID = Column(
    "movie_id", INTEGER, "The publisher's number of the film.", rules=(Between(1, LAST_MOVIE_ID),), source_name="movie"
)

MOVIE_TITLES = RawSnapshot(
    source=SOURCE,
    name="movie_titles",
    description="Films as delivered in movie_titles.csv.",
    grain="one row per line of the newest movie_titles file",
    delivered=(
        MOVIE_ID,
        Column(
            "year_of_release",
            SMALLINT,
            "Year of the film's or DVD's release; NULL is written so in the file.",
            True,
            (Between(1870, 2100),),
            source_name="year",
        ),
        Column("title", TEXT, "The title, commas and quotes as delivered.", source_name="title"),
    ),
    row_key=("movie_id",),
)

RATINGS = RawEvents(
    source=SOURCE,
    name="ratings",
    description="Ratings as delivered, each with the film under whose line it stands.",
    grain="one row per rating of a loaded ratings file",
    delivered=(
        MOVIE_ID,
        Column("customer_id", INTEGER, "Pseudonym of the customer.", rules=POSITIVE, source_name="customer"),
        Column("rating", SMALLINT, "Stars, 1 to 5.", rules=STARS, source_name="rating"),
        Column(
            "date",
            DATE,
            "The day of the rating; the source knows no time.",
            rules=(Between(FIRST_DAY, LAST_DAY),),
            source_name="date",
        ),
    ),
    row_key=("movie_id", "customer_id"),
    latest_by="date",
    by_file=True,
)

DIM_MOVIE = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_movie",
    description="Films of movie_titles.",
    grain="one row per film",
    member="film",
    natural_ids=(natural_id("movie_id", "The publisher's number of the film."),),
    attributes=(
        attribute("title", "Title as delivered; NULL for inferred members."),
        Column("release_year", SMALLINT, "NULL where the publisher knows none.", True, (Between(1870, 2100),)),
    ),
)

DIM_CUSTOMER = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_customer",
    description="Customers, known from what they rated; the publisher says nothing else about them.",
    grain="one row per customer",
    member="customer",
    natural_ids=(natural_id("customer_id", "Pseudonym of the customer."),),
    attributes=(
        Column("first_rating_date", DATE, "Day of the first rating; NULL for inferred members.", nullable=True),
        Column("last_rating_date", DATE, "Day of the last rating; NULL for inferred members.", nullable=True),
        Column("total_ratings", INTEGER, "Ratings in fact_ratings, while in the source.", rules=NOT_NEGATIVE),
    ),
)

MOVIE = Reference("movie_key", DIM_MOVIE, on={"movie_id": "movie_id"})
CUSTOMER = Reference("customer_key", DIM_CUSTOMER, on={"customer_id": "customer_id"})
DAY = Reference("date_key", DIM_DATE)

CREATED_AT = Column("created_at", TIMESTAMP, "When this version of the partition was published.", is_publish_time=True)

FACT_RATINGS = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_ratings",
    description="Ratings; of several by one customer for one film only the latest.",
    grain="one row per customer and film",
    columns=(
        Column("rating_key", BIGINT, "movie_id × 2^32 + customer_id: the same in every build and every warehouse."),
        key_of("customer_key", "The customer."),
        key_of("movie_key", "The film."),
        DATE_KEY,
        Column("rating", SMALLINT, "Stars, 1 to 5.", rules=STARS),
        CREATED_AT,
    ),
    row_key=("rating_key",),
    references=(CUSTOMER, MOVIE, DAY),
    indexes=(
        Index(
            ("movie_key",),
            "the ratings of one film: rows lie in the order of films, so a few kB do what 700 MB of btree would",
            method="brin",
            pages_per_range=32,
        ),
    ),
    partitioning=MONTHS,
)

FACT_CUSTOMER_MONTHS = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_customer_months",
    description="Snapshot of every month: what each customer rated in it; fact_ratings summed up, for trends.",
    grain="one row per customer and month with at least one rating",
    columns=(
        key_of("customer_key", "The customer."),
        Column("date_key", INTEGER, "The first day of the month as YYYYMMDD."),
        Column("rating_count", INTEGER, "Ratings in the month.", rules=POSITIVE),
        Column("rating_sum", INTEGER, "Their stars, added up.", rules=POSITIVE),
        Column("first_date_key", INTEGER, "Day of the first of them as YYYYMMDD."),
        Column("last_date_key", INTEGER, "Day of the last of them as YYYYMMDD."),
        CREATED_AT,
    ),
    row_key=("customer_key",),
    references=(CUSTOMER, DAY),
    partitioning=MONTHS,
)

RAW_TABLES = (MOVIE_TITLES, RATINGS)
STAR_TABLES = (DIM_MOVIE, DIM_CUSTOMER, FACT_RATINGS, FACT_CUSTOMER_MONTHS)

RELATIONS = (Relation(RATINGS, ("movie_id",), MOVIE_TITLES),)
