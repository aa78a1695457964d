"""MovieLens as one object: what the platform knows about this source."""

from cinestream_platform.declarations.source import Source
from cinestream_platform.sources.movielens import feeds, tables

SOURCE = Source(
    name=tables.SOURCE,
    feeds=feeds.FEEDS,
    raw_tables=tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=tables.RELATIONS,
    mart_schema="movielens_marts",
)
