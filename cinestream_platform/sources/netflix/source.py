"""The Netflix Prize as one object: what the platform knows about this source."""

from cinestream_platform.declarations.release import Release
from cinestream_platform.declarations.sample import Sample
from cinestream_platform.declarations.source import Source
from cinestream_platform.declarations.user_item_matrix import UserItemMatrix
from cinestream_platform.sources.netflix import feeds, tables


def _sample() -> Sample:
    from cinestream_platform.sources.netflix.sample.generator import SAMPLE

    return SAMPLE


def _release() -> Release:
    from cinestream_platform.sources.netflix.release import RELEASE

    return RELEASE


SOURCE = Source(
    name=tables.SOURCE,
    title="Netflix Prize",
    feeds=feeds.FEEDS,
    raw_tables=tables.RAW_TABLES,
    star_tables=tables.STAR_TABLES,
    relations=tables.RELATIONS,
    mart_schema="netflix_marts",
    monthly_marts=tables.MONTHS,
    user_item_matrix=UserItemMatrix(
        fact=tables.FACT_RATINGS,
        user_key="customer_key",
        item_key="movie_key",
        rating="rating",
        files={
            "customers": (tables.DIM_CUSTOMER, ("customer_key", "customer_id")),
            "movies": (tables.DIM_MOVIE, ("movie_key", "movie_id", "title", "release_year")),
        },
    ),
    sample=_sample,
    release=_release,
    domain="ratings",
)
