"""Everything that is declared, in one list each: what the sources' rooms export, gathered for setup, sensors and CLI.

To add a source: its room under ``sources/``, and one line in each of these lists.
"""

from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.lake.feed import Feed
from cinestream_platform.lake.keys import key_problem
from cinestream_platform.sources.movielens import feeds as movielens_feeds
from cinestream_platform.sources.movielens import tables as movielens_tables
from cinestream_platform.warehouse.table import Table

FEEDS: tuple[Feed, ...] = movielens_feeds.FEEDS

TABLES: tuple[Table, ...] = (DIM_DATE, *movielens_tables.RAW_TABLES, *movielens_tables.STAR_TABLES)
"""Every declared table, referenced ones before those that refer to them."""

MART_SCHEMAS = ("movielens_marts", "chinook_marts")


def find_feed(source: str, dataset: str) -> Feed | None:
    """The feed of a folder of the landing zone."""
    return next((feed for feed in FEEDS if (feed.source, feed.dataset) == (source, dataset)), None)


def placement_problem(key: str) -> str | None:
    """Why no feed takes a file under this key; ``None`` if one does."""
    if problem := key_problem(key):
        return problem
    source, dataset = key.split("/")[:2]
    if find_feed(source, dataset):
        return None
    return f"no feed takes files below {source}/{dataset}/; feeds are {', '.join(feed.prefix for feed in FEEDS)}"


def feed_of_table(source: str, name: str) -> Feed:
    """The feed that fills a raw table."""
    return next(feed for feed in FEEDS if (feed.table.source, feed.table.name) == (source, name))


def feeds_of(source: str) -> list[Feed]:
    """All feeds of a source."""
    return [feed for feed in FEEDS if feed.source == source]
