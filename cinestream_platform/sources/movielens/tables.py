"""Every raw, dim and fact table of MovieLens, each declared once.

Truths and traps of the format: GroupLens' README in each release. What does not belong here: how rows are computed
(``transforms``) and which files they come from (``feeds``).
"""

from decimal import Decimal

from cinestream_platform.conformed.dims import (
    DATE_KEY,
    NOT_NEGATIVE,
    POSITIVE,
    attribute,
    natural_id,
)
from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.column import (
    DOUBLE,
    INTEGER,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    MaxLength,
    MultipleOf,
    OneOf,
    numeric,
)
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.raw_table import RawEvents, RawSnapshot
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.declarations.star_table import Bridge, PartitionedFact, Type1Dimension, WholeFact
from cinestream_platform.declarations.table import Index, Reference

SOURCE = "movielens"
STAR = "movielens_dw"

RATING = numeric(2, 1)
RATING_RULES = (Between(Decimal("0.5"), Decimal("5.0")), MultipleOf(Decimal("0.5")))
INDEXED_TEXT = (MaxLength(500),)
"""Natural keys are indexed, and an entry of a btree holds 2,704 bytes; a character has up to four. The longest tag of
ml-latest-small has 85 characters."""
FIRST_EVENT = 789_609_600
"""1995-01-09 00:00 UTC in seconds: GroupLens' README of ml-25m dates the first rating ever on that day; one day of
slack is not needed because the publisher's day is in UTC as the timestamps are."""


def _id(name: str, source_name: str, description: str) -> Column:
    return Column(name, INTEGER, description, rules=POSITIVE, source_name=source_name)


def _event_time(description: str) -> Column:
    return Column(
        "timestamp",
        TIMESTAMP,
        description,
        rules=(Between(FIRST_EVENT, None),),
        source_name="timestamp",
        is_epoch_seconds=True,
    )


USER_ID = _id("user_id", "userId", "GroupLens' pseudonymous number of the person, per release.")
MOVIE_ID = _id("movie_id", "movieId", "GroupLens' number of the film.")

MOVIES = RawSnapshot(
    source=SOURCE,
    name="movies",
    description="Films as delivered in movies.csv.",
    grain="one row per record of the newest movies.csv",
    delivered=(
        MOVIE_ID,
        Column("title", TEXT, "Title with the release year in brackets, as delivered.", source_name="title"),
        Column("genres", TEXT, "Genres joined by |, or (no genres listed).", rules=INDEXED_TEXT, source_name="genres"),
    ),
    row_key=("movie_id",),
)

LINKS = RawSnapshot(
    source=SOURCE,
    name="links",
    description="Identifiers of the films in other catalogues, as delivered in links.csv.",
    grain="one row per record of the newest links.csv",
    delivered=(
        MOVIE_ID,
        Column("imdb_id", TEXT, "IMDb number as text, leading zeros kept, without tt.", True, source_name="imdbId"),
        Column("tmdb_id", INTEGER, "TMDB number; empty for some films.", True, POSITIVE, source_name="tmdbId"),
    ),
    row_key=("movie_id",),
)

RATINGS = RawEvents(
    source=SOURCE,
    name="ratings",
    description="Ratings as delivered in ratings files.",
    grain="one row per record of a loaded ratings file",
    delivered=(
        USER_ID,
        MOVIE_ID,
        Column("rating", RATING, "Stars, 0.5 to 5.0 in half steps.", rules=RATING_RULES, source_name="rating"),
        _event_time("When the film was rated (UTC)."),
    ),
    row_key=("user_id", "movie_id"),
    latest_by="timestamp",
)

TAGS = RawEvents(
    source=SOURCE,
    name="tags",
    description="Tags that users gave to films, as delivered in tags files.",
    grain="one row per record of a loaded tags file",
    delivered=(
        USER_ID,
        MOVIE_ID,
        Column("tag", TEXT, "The tag exactly as the user wrote it.", rules=INDEXED_TEXT, source_name="tag"),
        _event_time("When the film was tagged (UTC)."),
    ),
    row_key=("user_id", "movie_id", "tag"),
    latest_by="timestamp",
)

GENOME_TAGS = RawSnapshot(
    source=SOURCE,
    name="genome_tags",
    description="The vocabulary of the tag genome, as delivered in genome-tags.csv.",
    grain="one row per record of the newest genome-tags.csv",
    delivered=(
        _id("tag_id", "tagId", "GroupLens' number of the genome tag."),
        Column("tag", TEXT, "The tag's text.", source_name="tag"),
    ),
    row_key=("tag_id",),
)

GENOME_SCORES = RawSnapshot(
    source=SOURCE,
    name="genome_scores",
    description="How strongly each film shows each genome tag, as delivered in genome-scores.csv.",
    grain="one row per record of the newest genome-scores.csv",
    delivered=(
        MOVIE_ID,
        _id("tag_id", "tagId", "GroupLens' number of the genome tag."),
        Column("relevance", DOUBLE, "0 (not at all) to 1 (fully).", rules=(Between(0, 1),), source_name="relevance"),
    ),
    row_key=("movie_id", "tag_id"),
)

DIM_MOVIE = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_movie",
    description="Films, with the release year parsed from the title and their numbers in other catalogues.",
    grain="one row per film",
    member="film",
    natural_ids=(natural_id("movie_id", "GroupLens' number of the film."),),
    attributes=(
        attribute("title", "Title without the release year; NULL for inferred members."),
        Column("release_year", SMALLINT, "From the title; NULL where it carries none.", True, (Between(1870, 2100),)),
        attribute("imdb_id", "IMDb number as text, leading zeros kept, without tt."),
        Column("tmdb_id", INTEGER, "TMDB number; not unique.", True, POSITIVE),
    ),
)

DIM_GENRE = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_genre",
    description="Genres; `(no genres listed)` is the absence of one and not a member.",
    grain="one row per genre",
    member="genre",
    natural_ids=(Column("genre", TEXT, "Name as GroupLens writes it.", rules=INDEXED_TEXT),),
)

DIM_USER = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_user",
    description="Users, known from what they rated and tagged; GroupLens publishes nothing else about them.",
    grain="one row per user",
    member="user",
    natural_ids=(Column("user_id", INTEGER, "GroupLens' pseudonymous number, per release.", rules=POSITIVE),),
    attributes=(
        Column("first_rated_at", TIMESTAMP, "First rating (UTC); NULL without ratings.", nullable=True),
        Column("last_rated_at", TIMESTAMP, "Last rating (UTC); NULL without ratings.", nullable=True),
        Column(
            "rating_count",
            INTEGER,
            "Ratings in fact_ratings, while in the source.",
            rules=NOT_NEGATIVE,
        ),
        Column("tag_count", INTEGER, "Tags in fact_tags, while in the source.", rules=NOT_NEGATIVE),
    ),
    inferred_means="Known from tags alone, without a rating; completed by the first rating.",
)

DIM_TAG = Type1Dimension(
    source=SOURCE,
    schema=STAR,
    name="dim_tag",
    description="Tags of two vocabularies: what users wrote, and the numbered tags of the genome.",
    grain="one row per tag of a vocabulary",
    member="tag",
    natural_ids=(
        Column("vocabulary", TEXT, "user or genome.", rules=(OneOf(("user", "genome")),)),
        Column("tag_code", TEXT, "user: the exact text; genome: GroupLens' tagId.", rules=INDEXED_TEXT),
    ),
    attributes=(Column("tag", TEXT, "The tag's text; NULL for inferred genome tags.", nullable=True),),
)

MOVIE = Reference("movie_key", DIM_MOVIE, on={"movie_id": "movie_id"})
USER = Reference("user_key", DIM_USER, on={"user_id": "user_id"})
GENRE = Reference("genre_key", DIM_GENRE, on={"genre": "genre"})
TAG = Reference("tag_key", DIM_TAG, on={"vocabulary": "vocabulary", "tag_code": "tag_code"})
DAY = Reference("date_key", DIM_DATE)

MOVIE_KEY = Column("movie_key", INTEGER, "The film.")
USER_KEY = Column("user_key", INTEGER, "The user.")
TAG_KEY = Column("tag_key", INTEGER, "The tag.")

BRIDGE_MOVIE_GENRE = Bridge(
    source=SOURCE,
    schema=STAR,
    name="bridge_movie_genre",
    description="Which genres a film has.",
    grain="one row per film and genre",
    columns=(MOVIE_KEY, Column("genre_key", INTEGER, "The genre.")),
    one=MOVIE,
    other=GENRE,
)

FACT_RATINGS = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_ratings",
    description="Ratings; of several by one user for one film only the latest.",
    grain="one row per user and film",
    columns=(
        USER_KEY,
        MOVIE_KEY,
        DATE_KEY,
        Column("rating", RATING, "Stars, 0.5 to 5.0 in half steps.", rules=RATING_RULES),
        Column("rated_at", TIMESTAMP, "When the film was rated (UTC)."),
    ),
    row_key=("user_key", "movie_key"),
    references=(USER, MOVIE, DAY),
    indexes=(Index(("movie_key",), "the ratings of one film"),),
    partitioning=Partitioning(PartitionUnit.YEAR),
)

FACT_TAGS = PartitionedFact(
    source=SOURCE,
    schema=STAR,
    name="fact_tags",
    description="Tags given; of the same tag by one user for one film only the latest.",
    grain="one row per user, film and tag",
    columns=(
        USER_KEY,
        MOVIE_KEY,
        TAG_KEY,
        DATE_KEY,
        Column("tagged_at", TIMESTAMP, "When the film was tagged (UTC)."),
    ),
    row_key=("user_key", "movie_key", "tag_key"),
    references=(USER, MOVIE, TAG, DAY),
    indexes=(Index(("movie_key",), "the tags of one film"), Index(("tag_key",), "the films of one tag")),
    partitioning=Partitioning(PartitionUnit.YEAR),
)

FACT_GENOME_SCORES = WholeFact(
    source=SOURCE,
    schema=STAR,
    name="fact_genome_scores",
    description="How strongly each film shows each genome tag.",
    grain="one row per film and genome tag",
    columns=(
        MOVIE_KEY,
        TAG_KEY,
        Column("relevance", DOUBLE, "0 (not at all) to 1 (fully).", rules=(Between(0, 1),)),
    ),
    row_key=("movie_key", "tag_key"),
    references=(MOVIE, TAG),
    indexes=(Index(("tag_key",), "the films of one tag"),),
)

RAW_TABLES = (MOVIES, LINKS, RATINGS, TAGS, GENOME_TAGS, GENOME_SCORES)
STAR_TABLES = (
    DIM_MOVIE,
    DIM_GENRE,
    DIM_USER,
    DIM_TAG,
    BRIDGE_MOVIE_GENRE,
    FACT_RATINGS,
    FACT_TAGS,
    FACT_GENOME_SCORES,
)

RELATIONS = (
    *(Relation(child, ("movie_id",), MOVIES) for child in (RATINGS, TAGS, LINKS, GENOME_SCORES)),
    Relation(GENOME_SCORES, ("tag_id",), GENOME_TAGS),
)
