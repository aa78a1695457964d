"""Chinook as one object: what the platform knows about this source."""

from cinestream_platform.declarations.release import Release
from cinestream_platform.declarations.sample import Sample
from cinestream_platform.declarations.source import Source
from cinestream_platform.sources.chinook import feeds, raw_tables, tables


def _sample() -> Sample:
    from cinestream_platform.sources.chinook.sample.generator import SAMPLE

    return SAMPLE


def _release() -> Release:
    from cinestream_platform.sources.chinook.release import RELEASE

    return RELEASE


SOURCE = Source(
    name=raw_tables.SOURCE,
    title="Chinook",
    feeds=feeds.FEEDS,
    bundles=(feeds.RELEASE,),
    raw_tables=raw_tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=raw_tables.RELATIONS,
    mart_schema="chinook_marts",
    sample=_sample,
    release=_release,
    domain="sales",
)
