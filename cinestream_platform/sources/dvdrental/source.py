"""dvdrental as one object: what the platform knows about this source."""

from cinestream_platform.declarations.source import Source
from cinestream_platform.sources.dvdrental import feeds, raw_tables, tables

SOURCE = Source(
    name=raw_tables.SOURCE,
    extracts=feeds.EXTRACTS,
    raw_tables=raw_tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=raw_tables.RELATIONS,
    predictions=(tables.PREDICTED_PRICES,),
    mart_schema="dvdrental_marts",
)
