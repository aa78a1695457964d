"""MovieLens as one object: what the platform knows about this source."""

from cinestream_platform.declarations.release import Release
from cinestream_platform.declarations.sample import Sample
from cinestream_platform.declarations.source import Source
from cinestream_platform.sources.movielens import feeds, tables


def _sample() -> Sample:
    from cinestream_platform.sources.movielens.sample.generator import SAMPLE

    return SAMPLE


def _release() -> Release:
    from cinestream_platform.sources.movielens.release import RELEASE

    return RELEASE


SOURCE = Source(
    name=tables.SOURCE,
    title="MovieLens",
    feeds=feeds.FEEDS,
    raw_tables=tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=tables.RELATIONS,
    mart_schema="movielens_marts",
    sample=_sample,
    release=_release,
    domain="ratings",
)
