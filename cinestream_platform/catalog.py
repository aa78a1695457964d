"""Everything that is declared, in one list each: what the sources' rooms export, gathered for setup, sensors and CLI.

To add a source: its room under ``sources/``, and one line in each of these lists.
"""

from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.bundle import FORMS, MEMBER, Bundle, is_member, object_key
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.landing_keys import key_problem
from cinestream_platform.declarations.named_days import misread_day
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.declarations.table import Layer, PartitionUnit, Table
from cinestream_platform.sources.chinook import feeds as chinook_feeds
from cinestream_platform.sources.chinook import raw_tables as chinook_raw_tables
from cinestream_platform.sources.chinook import tables as chinook_tables
from cinestream_platform.sources.dvdrental import feeds as dvdrental_extracts
from cinestream_platform.sources.dvdrental import raw_tables as dvdrental_raw_tables
from cinestream_platform.sources.dvdrental import tables as dvdrental_tables
from cinestream_platform.sources.movielens import feeds as movielens_feeds
from cinestream_platform.sources.movielens import tables as movielens_tables
from cinestream_platform.sources.netflix import feeds as netflix_feeds
from cinestream_platform.sources.netflix import tables as netflix_tables

FEEDS: tuple[Feed, ...] = (*movielens_feeds.FEEDS, *chinook_feeds.FEEDS, *netflix_feeds.FEEDS)

EXTRACTS: tuple[Feed, ...] = dvdrental_extracts.EXTRACTS
"""What is extracted from operational databases; no landed file belongs to them."""

BUNDLES: tuple[Bundle, ...] = (chinook_feeds.RELEASE,)

PLACES: tuple[Feed | Bundle, ...] = (*FEEDS, *BUNDLES)
"""Every folder of the landing zone in which files may land."""

SOURCES = tuple(dict.fromkeys(feed.source for feed in (*FEEDS, *EXTRACTS)))
"""The source systems."""

TABLES: tuple[Table, ...] = (
    DIM_DATE,
    *movielens_tables.RAW_TABLES,
    *movielens_tables.STAR_TABLES,
    *chinook_raw_tables.RAW_TABLES,
    *chinook_tables.STAR_TABLES,
    *dvdrental_raw_tables.RAW_TABLES,
    *dvdrental_tables.STAR_TABLES,
    *netflix_tables.RAW_TABLES,
    *netflix_tables.STAR_TABLES,
)
"""Every declared table, referenced ones before those that refer to them."""

PREDICTIONS: tuple[Table, ...] = (dvdrental_tables.PREDICTED_PRICES,)
"""Tables that data scientists write; the platform only makes them."""

RELATIONS: tuple[Relation, ...] = (
    *movielens_tables.RELATIONS,
    *chinook_raw_tables.RELATIONS,
    *dvdrental_raw_tables.RELATIONS,
    *netflix_tables.RELATIONS,
)
"""What relates raw tables, for reports; nothing enforces it."""

MART_SCHEMAS = ("movielens_marts", "chinook_marts", "dvdrental_marts", "netflix_marts")


_FEED_OF = {(feed.source, feed.dataset): feed for feed in FEEDS}
_BUNDLE_OF = {(bundle.source, bundle.dataset): bundle for bundle in BUNDLES}


def find_feed(source: str, dataset: str) -> Feed | None:
    """The feed of a folder of the landing zone."""
    return _FEED_OF.get((source, dataset))


def find_bundle(source: str, dataset: str) -> Bundle | None:
    """The bundle of a folder of the landing zone."""
    return _BUNDLE_OF.get((source, dataset))


def placement_problem(key: str) -> str | None:
    """Why no feed takes a file under this key; ``None`` if one does."""
    if problem := key_problem(key):
        return problem
    source, dataset, *_, name = key.split("/")
    if name.lower().endswith(".sql"):
        return (
            f"{name} is an SQL script: a program, and such scripts drop databases. It is not run. Land the data "
            "instead: a CSV file per table, or where a feed takes them SQLite or JSON"
        )
    if is_member(key):
        return f"{name} is how the ledger names a table inside a file; choose a name without {MEMBER}"
    bundle = find_bundle(source, dataset)
    if bundle and not bundle.takes(name):
        return f"{bundle.prefix} takes files with all tables in them, ending in {', '.join(FORMS)}"
    if bundle or find_feed(source, dataset):
        return None
    known = ", ".join(place.prefix for place in PLACES if place.source == source or source not in SOURCES)
    return f"no feed takes files below {source}/{dataset}/; feeds are {known}"


def day_problem(key: str, feed: Feed | None) -> str | None:
    """Why it is not known from when on a file of this feed holds; ``None`` if it is, or does not matter."""
    return misread_day(object_key(key)) if feed and feed.holds_over_time else None


def feed_of_table(source: str, name: str) -> Feed:
    """The feed that fills a raw table."""
    return next(feed for feed in (*FEEDS, *EXTRACTS) if (feed.table.source, feed.table.name) == (source, name))


def places_of(source: str) -> list[Feed | Bundle]:
    """All folders of the landing zone in which a source's files may land."""
    return [place for place in PLACES if place.source == source]


def bundles_of(feed: Feed) -> list[Bundle]:
    """The bundles that hold the feed's table among others."""
    return [bundle for bundle in BUNDLES if feed in bundle.feeds]


def member_keys(key: str) -> list[tuple[str, Feed | None]]:
    """What the ledger knows of a landed file: the file with its feed, or every table in it with its own.

    A name of a table that is in no such file comes back as it is, without a feed.
    """
    source, dataset = [*object_key(key).split("/"), "", ""][:2]
    bundle = find_bundle(source, dataset)
    if bundle is None or placement_problem(object_key(key)):
        return [(key, find_feed(source, dataset))]
    members = list(bundle.member_keys(object_key(key)))
    return [(member, feed) for member, feed in members if key in (member, object_key(key))] or [(key, None)]


def raw_tables_of(source: str) -> list[Table]:
    """All raw tables of a source."""
    return [table for table in TABLES if table.source == source and table.layer is Layer.RAW]


def relations_of(source: str) -> list[Relation]:
    """What relates the raw tables of a source."""
    return [relation for relation in RELATIONS if relation.child.source == source]


def main_unit(source: str) -> PartitionUnit:
    """The unit of most of a source's partitioned tables."""
    units = [table.unit for table in TABLES if table.source == source and table.is_partitioned]
    return max(units, key=units.count, default=PartitionUnit.WHOLE)
