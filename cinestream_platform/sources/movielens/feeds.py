"""Which landed files belong to which raw table of MovieLens (any GroupLens release with this layout)."""

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.sources.movielens import tables

MOVIES = Feed("movies", tables.MOVIES, ("movies*.csv",))
LINKS = Feed("links", tables.LINKS, ("links*.csv",))
RATINGS = Feed("ratings", tables.RATINGS, ("ratings*.csv",), event_time="timestamp")
TAGS = Feed("tags", tables.TAGS, ("tags*.csv",), event_time="timestamp")
GENOME_TAGS = Feed("genome-tags", tables.GENOME_TAGS, ("genome[-_]tags*.csv",))
GENOME_SCORES = Feed("genome-scores", tables.GENOME_SCORES, ("genome[-_]scores*.csv",))

FEEDS = (MOVIES, LINKS, RATINGS, TAGS, GENOME_TAGS, GENOME_SCORES)
