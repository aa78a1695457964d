"""Chinook as one object: what the platform knows about this source."""

from cinestream_platform.declarations.source import Source
from cinestream_platform.sources.chinook import feeds, raw_tables, tables

SOURCE = Source(
    name=raw_tables.SOURCE,
    feeds=feeds.FEEDS,
    bundles=(feeds.RELEASE,),
    raw_tables=raw_tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=raw_tables.RELATIONS,
    mart_schema="chinook_marts",
)
