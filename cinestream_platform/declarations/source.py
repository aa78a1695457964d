"""The declaration of a source: everything that the platform knows about it, in one object.

What belongs here: which tables, files and relations a source has, who owns it, and its rhythm. The
objects themselves are ``SOURCE`` in ``sources/<name>/source.py``; ``catalog`` lists them. What does not: assets
(``sources/<name>/assets.py``), and anything that reads files or connects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pydantic_settings import BaseSettings

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.connector import OperationalSystem
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.partitioning import Partitioning
from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.declarations.release import Release
from cinestream_platform.declarations.sample import Sample
from cinestream_platform.declarations.star_table import StarTable
from cinestream_platform.declarations.table import Table
from cinestream_platform.declarations.user_item_matrix import UserItemMatrix

PLATFORM_OWNER = "team:data-platform"
"""Owner of what belongs to no source, and of every source that names no other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One source system.

    Attributes:
        name: Its identifier: the first part of asset keys and of keys in the landing zone, and the package's name.
        title: Its name for people, on pages and in the catalogue; by default ``name``.
        raw_tables: Its raw tables, each filled by one feed.
        star_tables: Its dimensions, bridges and facts; referenced ones before those that refer to them.
        mart_schema: Schema of its marts, which dbt builds.
        feeds: Which landed files fill which raw table.
        bundles: Files that hold several of these tables.
        systems: Operational systems that tables are extracted from, instead of files that land.
        settings: Class of its own settings (``Settings.own``), if it has any.
        sample: Returns the generator of its sample files. A function, as is the next one: the generator imports much.
        release: Returns what its publisher offers.
        relations: What relates its raw tables, for reports.
        predictions: Tables that data scientists write; the platform only makes them.
        monthly_marts: The months of its marts that are rebuilt month by month, if it has such marts.
        user_item_matrix: Ratings that recommenders get as files.
        owner: Owner of its assets, as Dagster shows it.
        domain: What of the business it is about, as a tag of its assets; by default its name.
        rhythm: News of it is expected within this time: a new file, or of an operational system the news that all it
            holds is loaded. ``None`` for what was released once, which is never late.
    """

    name: str
    raw_tables: tuple[RawTable, ...]
    star_tables: tuple[StarTable, ...]
    mart_schema: str
    feeds: tuple[Feed, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    systems: tuple[OperationalSystem, ...] = ()
    settings: type[BaseSettings] | None = None
    sample: Callable[[], Sample] | None = None
    release: Callable[[], Release] | None = None
    relations: tuple[Relation, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    monthly_marts: Partitioning | None = None
    user_item_matrix: UserItemMatrix | None = None
    title: str = ""
    owner: str = PLATFORM_OWNER
    domain: str = ""
    rhythm: timedelta | None = None

    def __post_init__(self) -> None:
        declared = {*(table.source for table in (*self.tables, *self.predictions)), *(f.source for f in self.all_feeds)}
        if declared - {self.name}:
            raise ValueError(f"source {self.name} declares tables or feeds of {', '.join(sorted(declared))}")

    @property
    def shown_name(self) -> str:
        """Its name for people."""
        return self.title or self.name

    @property
    def extracts(self) -> tuple[Feed, ...]:
        """Which tables of operational systems fill which raw table."""
        return tuple(feed for system in self.systems for feed in system.feeds)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Raw tables, then the star's."""
        return (*self.raw_tables, *self.star_tables)

    @property
    def landing_folders(self) -> tuple[Feed | Bundle, ...]:
        """Every folder of the landing zone in which its files may land."""
        return (*self.feeds, *self.bundles)

    @property
    def all_feeds(self) -> tuple[Feed, ...]:
        """What fills its raw tables: landed files and extracted tables."""
        return (*self.feeds, *self.extracts)

    @property
    def schemas(self) -> set[str]:
        """Every schema of the warehouse that belongs to it."""
        return {self.mart_schema, *(table.schema for table in (*self.tables, *self.predictions))}

    def bundles_of(self, feed: Feed) -> list[Bundle]:
        """The bundles that hold the feed's table among others."""
        return [bundle for bundle in self.bundles if feed in bundle.feeds]
