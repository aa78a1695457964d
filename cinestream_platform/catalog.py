"""The sources of the platform, and everything that follows from them, for setup, sensors and the command line.

To add a source: its package under ``sources/``, and its ``SOURCE`` in this tuple (``cinestream new-source``).
"""

from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.declarations.bundle import FORMS, TABLE_MARK, Bundle, is_bundle_table, object_key
from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.landing_keys import key_problem
from cinestream_platform.declarations.named_days import misread_day
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.sources.chinook.source import SOURCE as CHINOOK
from cinestream_platform.sources.dvdrental.source import SOURCE as DVDRENTAL
from cinestream_platform.sources.movielens.source import SOURCE as MOVIELENS
from cinestream_platform.sources.netflix.source import SOURCE as NETFLIX

CATALOG = Catalog(
    sources=(
        MOVIELENS,
        CHINOOK,
        DVDRENTAL,
        NETFLIX,
        # `cinestream new-source` adds its line above this one.
    ),
    shared=(DIM_DATE,),
)

SOURCES = CATALOG.names
FEEDS = CATALOG.feeds
EXTRACTS = CATALOG.extracts
BUNDLES = CATALOG.bundles
LANDING_FOLDERS: tuple[Feed | Bundle, ...] = (*FEEDS, *BUNDLES)
"""Every folder of the landing zone in which files may land."""
TABLES = CATALOG.tables
PREDICTIONS = CATALOG.predictions
RELATIONS = CATALOG.relations
MART_SCHEMAS = CATALOG.mart_schemas

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
    if is_bundle_table(key):
        return f"{name} is how the ledger names a table inside a file; choose a name without {TABLE_MARK}"
    bundle = find_bundle(source, dataset)
    if bundle and not bundle.takes(name):
        return f"{bundle.prefix} takes files with all tables in them, ending in {', '.join(FORMS)}"
    if bundle or find_feed(source, dataset):
        return None
    known = ", ".join(folder.prefix for folder in LANDING_FOLDERS if folder.source == source or source not in SOURCES)
    return f"no feed takes files below {source}/{dataset}/; feeds are {known}"


def day_problem(key: str, feed: Feed | None) -> str | None:
    """Why it is not known from when on a file of this feed holds; ``None`` if it is, or does not matter."""
    return misread_day(object_key(key)) if feed and feed.holds_over_time else None


def landing_folders_of(source: str) -> list[Feed | Bundle]:
    """All folders of the landing zone in which a source's files may land; none of an unknown one."""
    found = CATALOG.source(source)
    return list(found.landing_folders) if found else []


def table_keys(key: str) -> list[tuple[str, Feed | None]]:
    """What the ledger knows of a landed file: the file with its feed, or every table in it with its own.

    A name of a table that is in no such file comes back as it is, without a feed.
    """
    source, dataset = [*object_key(key).split("/"), "", ""][:2]
    bundle = find_bundle(source, dataset)
    if bundle is None or placement_problem(object_key(key)):
        return [(key, find_feed(source, dataset))]
    tables = list(bundle.table_keys(object_key(key)))
    return [(table_key, feed) for table_key, feed in tables if key in (table_key, object_key(key))] or [(key, None)]


def raw_tables_of(source: str) -> list[RawTable]:
    """All raw tables of a source; none of an unknown one."""
    found = CATALOG.source(source)
    return list(found.raw_tables) if found else []


def relations_of(source: str) -> list[Relation]:
    """What relates the raw tables of a source."""
    found = CATALOG.source(source)
    return list(found.relations) if found else []


def main_unit(source: str) -> PartitionUnit:
    """The unit of most of a source's partitioned tables."""
    units = [table.unit for table in TABLES if table.source == source and table.is_partitioned]
    return max(units, key=units.count, default=PartitionUnit.WHOLE)
