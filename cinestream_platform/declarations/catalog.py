"""The declaration of everything at once: a tuple of sources, and what follows from it.

The one that the platform runs with is ``cinestream_platform.catalog.CATALOG``; code below the sources is given it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cinestream_platform.declarations.bundle import Bundle
from cinestream_platform.declarations.connector import OperationalSystem
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.prediction import Prediction
from cinestream_platform.declarations.relation import Relation
from cinestream_platform.declarations.source import Source
from cinestream_platform.declarations.star_table import StarTable
from cinestream_platform.declarations.table import Table


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """The sources, and the ``shared`` tables that belong to none of them."""

    sources: tuple[Source, ...]
    shared: tuple[StarTable, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The sources' names."""
        return tuple(source.name for source in self.sources)

    @cached_property
    def feeds(self) -> tuple[Feed, ...]:
        """Every feed of landed files."""
        return tuple(feed for source in self.sources for feed in source.feeds)

    @cached_property
    def extracts(self) -> tuple[Feed, ...]:
        """What is extracted from operational databases; no landed file belongs to them."""
        return tuple(feed for source in self.sources for feed in source.extracts)

    @cached_property
    def systems(self) -> tuple[OperationalSystem, ...]:
        """Every operational system that tables are extracted from."""
        return tuple(system for source in self.sources for system in source.systems)

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Every bundle."""
        return tuple(bundle for source in self.sources for bundle in source.bundles)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Every declared table, referenced ones before those that refer to them."""
        return (*self.shared, *(table for source in self.sources for table in source.tables))

    @cached_property
    def predictions(self) -> tuple[Prediction, ...]:
        """Tables that data scientists write; the platform only makes them."""
        return tuple(table for source in self.sources for table in source.predictions)

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """What relates raw tables, for reports; nothing enforces it."""
        return tuple(relation for source in self.sources for relation in source.relations)

    @cached_property
    def mart_schemas(self) -> tuple[str, ...]:
        """The schemas that dbt fills."""
        return tuple(source.mart_schema for source in self.sources)

    @cached_property
    def _feed_of_table(self) -> dict[tuple[str, str], Feed]:
        return {(feed.table.source, feed.table.name): feed for feed in (*self.feeds, *self.extracts)}

    @cached_property
    def _source_of_schema(self) -> dict[str, Source]:
        return {schema: source for source in self.sources for schema in source.schemas}

    @cached_property
    def _table_of_key(self) -> dict[tuple[str, ...], Table]:
        return {(table.source, table.name): table for table in (*self.tables, *self.predictions)}

    def table(self, *key: str) -> Table | None:
        """The declared table of a key, ``source, name``; ``None`` for a mart, which dbt declares, and any other key."""
        return self._table_of_key.get(key)

    def feed_of_table(self, source: str, name: str) -> Feed:
        """The feed that fills a raw table.

        Raises:
            KeyError: There is no such raw table.
        """
        return self._feed_of_table[source, name]

    def source(self, name: str) -> Source | None:
        """The source of that name."""
        return next((source for source in self.sources if source.name == name), None)

    def source_of_schema(self, schema: str) -> Source | None:
        """The source that a schema of the warehouse belongs to; ``None`` for what sources share."""
        return self._source_of_schema.get(schema)
