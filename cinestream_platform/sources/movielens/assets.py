"""The assets of MovieLens: which table is made from what."""

from collections.abc import Iterator

import polars as pl

from cinestream_platform.loading.files import FileLoader, Report
from cinestream_platform.orchestration.asset import landing_asset, raw_asset, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.movielens import feeds, tables, transforms

landing_assets = [landing_asset(feed) for feed in feeds.FEEDS]
relationship_report = report_asset(tables.SOURCE)


@raw_asset(feeds.MOVIES)
def movies(loader: FileLoader) -> Iterator[Report]:
    """The newest movies.csv replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.LINKS)
def links(loader: FileLoader) -> Iterator[Report]:
    """The newest links.csv replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.RATINGS)
def ratings(loader: FileLoader) -> Iterator[Report]:
    """Ratings may arrive in several files, and again; a file's rows replace those of its older version."""
    return loader.load_pending()


@raw_asset(feeds.TAGS)
def tags(loader: FileLoader) -> Iterator[Report]:
    """Tags may arrive in several files, and again; a file's rows replace those of its older version."""
    return loader.load_pending()


@raw_asset(feeds.GENOME_TAGS)
def genome_tags(loader: FileLoader) -> Iterator[Report]:
    """The newest genome-tags.csv replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.GENOME_SCORES)
def genome_scores(loader: FileLoader) -> Iterator[Report]:
    """The newest genome-scores.csv replaces all rows."""
    return loader.load_pending()


@table_asset(tables.DIM_MOVIE)
def dim_movie(movies: pl.LazyFrame, links: pl.LazyFrame) -> pl.LazyFrame:
    """Films of movies.csv with their numbers from links.csv; films that only facts mention are inferred members."""
    return transforms.dim_movie(movies, links)


@table_asset(tables.DIM_GENRE)
def dim_genre(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The genres that films of movies.csv have."""
    return transforms.dim_genre(movies)


@table_asset(tables.BRIDGE_MOVIE_GENRE)
def bridge_movie_genre(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs that movies.csv lists."""
    return transforms.movie_genres(movies)


@table_asset(tables.DIM_USER)
def dim_user(ratings: pl.LazyFrame, tags: pl.LazyFrame) -> pl.LazyFrame:
    """Users with totals of what they rated and tagged."""
    return transforms.dim_user(ratings, tags)


@table_asset(tables.DIM_TAG)
def dim_tag(tags: pl.LazyFrame, genome_tags: pl.LazyFrame) -> pl.LazyFrame:
    """What users wrote, and the vocabulary of the genome."""
    return transforms.dim_tag(tags, genome_tags)


@table_asset(tables.FACT_RATINGS)
def fact_ratings(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The ratings of a year."""
    return transforms.fact_ratings(ratings)


@table_asset(tables.FACT_TAGS)
def fact_tags(tags: pl.LazyFrame) -> pl.LazyFrame:
    """The tags given in a year."""
    return transforms.fact_tags(tags)


@table_asset(tables.FACT_GENOME_SCORES)
def fact_genome_scores(genome_scores: pl.LazyFrame) -> pl.LazyFrame:
    """The scores of the newest genome-scores.csv."""
    return transforms.fact_genome_scores(genome_scores)
