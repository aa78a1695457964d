"""Which landed files belong to which raw table of the Netflix Prize, in the original layout and in Kaggle's."""

from cinestream_platform.declarations.feed import Feed, LineFormat
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.sources.netflix import tables

MOVIE_TITLES = Feed(
    "movie-titles",
    tables.MOVIE_TITLES,
    ("movie_titles*.csv", "movie_titles*.txt"),
    lines=LineFormat(encoding="iso-8859-1", last_takes_rest=True),
    null_words=("NULL",),
    description="The newest movie_titles file replaces all rows.",
)
RATINGS = Feed(
    "ratings",
    tables.RATINGS,
    ("combined_data_*.txt", "mv_*.txt"),
    reject_threshold=0.05,  # one bad line of a film takes all the film's ratings with it
    event_time="date",
    unit=PartitionUnit.MONTH,
    lines=LineFormat(section="movie_id"),
    grouped_by="movie_id",
    description="Both layouts, in any number of files; a film may be in several, and each rating of it counts once.",
)

FEEDS = (MOVIE_TITLES, RATINGS)
