"""The assets of MovieLens: which table is made from what."""

import polars as pl

from cinestream_platform.orchestration.asset import landing_assets_of, raw_assets_of, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.movielens import tables, transforms
from cinestream_platform.sources.movielens.source import SOURCE

landing_assets = landing_assets_of(SOURCE)
raw_assets = raw_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)


@table_asset(tables.DIM_MOVIE, SOURCE)
def dim_movie(movies: pl.LazyFrame, links: pl.LazyFrame) -> pl.LazyFrame:
    """Films of movies.csv with their numbers from links.csv; films that only facts mention are inferred members."""
    return transforms.dim_movie(movies, links)


@table_asset(tables.DIM_GENRE, SOURCE)
def dim_genre(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The genres that films of movies.csv have."""
    return transforms.dim_genre(movies)


@table_asset(tables.BRIDGE_MOVIE_GENRE, SOURCE)
def bridge_movie_genre(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs that movies.csv lists."""
    return transforms.movie_genres(movies)


@table_asset(tables.DIM_USER, SOURCE)
def dim_user(ratings: pl.LazyFrame, tags: pl.LazyFrame) -> pl.LazyFrame:
    """Users with totals of what they rated and tagged."""
    return transforms.dim_user(ratings, tags)


@table_asset(tables.DIM_TAG, SOURCE)
def dim_tag(tags: pl.LazyFrame, genome_tags: pl.LazyFrame) -> pl.LazyFrame:
    """What users wrote, and the vocabulary of the genome."""
    return transforms.dim_tag(tags, genome_tags)


@table_asset(tables.FACT_RATINGS, SOURCE)
def fact_ratings(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The ratings of a year."""
    return transforms.fact_ratings(ratings)


@table_asset(tables.FACT_TAGS, SOURCE)
def fact_tags(tags: pl.LazyFrame) -> pl.LazyFrame:
    """The tags given in a year."""
    return transforms.fact_tags(tags)


@table_asset(tables.FACT_GENOME_SCORES, SOURCE)
def fact_genome_scores(genome_scores: pl.LazyFrame) -> pl.LazyFrame:
    """The scores of the newest genome-scores.csv."""
    return transforms.fact_genome_scores(genome_scores)
