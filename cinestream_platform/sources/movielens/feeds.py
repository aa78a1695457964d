"""Which landed files belong to which raw table of MovieLens (any GroupLens release with this layout)."""

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.sources.movielens import tables

MOVIES = Feed(
    "movies",
    tables.MOVIES,
    ("movies*.csv",),
    description="The newest movies.csv replaces all rows.",
)
LINKS = Feed(
    "links",
    tables.LINKS,
    ("links*.csv",),
    description="The newest links.csv replaces all rows.",
)
RATINGS = Feed(
    "ratings",
    tables.RATINGS,
    ("ratings*.csv",),
    event_time="timestamp",
    description="Ratings may arrive in several files, and again; a file's rows replace those of its older version.",
)
TAGS = Feed(
    "tags",
    tables.TAGS,
    ("tags*.csv",),
    event_time="timestamp",
    description="Tags may arrive in several files, and again; a file's rows replace those of its older version.",
)
GENOME_TAGS = Feed(
    "genome-tags",
    tables.GENOME_TAGS,
    ("genome[-_]tags*.csv",),
    description="The newest genome-tags.csv replaces all rows.",
)
GENOME_SCORES = Feed(
    "genome-scores",
    tables.GENOME_SCORES,
    ("genome[-_]scores*.csv",),
    description="The newest genome-scores.csv replaces all rows.",
)

FEEDS = (MOVIES, LINKS, RATINGS, TAGS, GENOME_TAGS, GENOME_SCORES)
