"""From raw MovieLens rows to dims and facts: pure polars, no Dagster and no database.

Facts come out with natural ids (``user_id``, ``movie_id`` …); publishing replaces them by surrogate keys as the
tables' references say. Every function takes the raw rows that count (one record an event) as LazyFrames.
"""

import polars as pl

from cinestream_platform.conformed.transforms import date_key, delivered

NO_GENRES = "(no genres listed)"
FINAL_YEAR = r"\((18[7-9][0-9]|19[0-9]{2}|20[0-9]{2}|2100)\)$"
"""`Toy Story (1995)`; `(2006–2007)` is a span of years, and a number that `dim_movie` refuses is part of the title."""


def dim_movie(movies: pl.LazyFrame, links: pl.LazyFrame) -> pl.LazyFrame:
    """Films of movies.csv with their numbers from links.csv; the year is parsed from the end of the title.

    Films that only facts mention are inferred members.
    """
    title = pl.col("title").str.strip_chars()
    return movies.join(links, on="movie_id", how="left").select(
        "movie_id",
        title=title.str.replace(r"\s*" + FINAL_YEAR, ""),
        release_year=title.str.extract(FINAL_YEAR).cast(pl.Int16),
        imdb_id=pl.col("imdb_id"),
        tmdb_id=pl.col("tmdb_id"),
        is_inferred=pl.lit(False),
        is_in_source=pl.lit(True),
    )


def movie_genres(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs that movies.csv lists, each once: ``movie_id``, ``genre``."""
    genres = movies.select("movie_id", genre=pl.col("genres").str.split("|")).explode("genre")
    return genres.filter(pl.col("genre").is_not_null() & ~pl.col("genre").is_in(["", NO_GENRES])).unique()


def dim_genre(movies: pl.LazyFrame) -> pl.LazyFrame:
    """The genres that films of movies.csv have."""
    return movie_genres(movies).select("genre").unique().with_columns(*delivered())


def dim_user(ratings: pl.LazyFrame, tags: pl.LazyFrame) -> pl.LazyFrame:
    """Users with first and last rating and totals of what they rated and tagged."""
    rated = ratings.group_by("user_id").agg(
        first_rated_at=pl.col("timestamp").min(),
        last_rated_at=pl.col("timestamp").max(),
        rating_count=pl.len().cast(pl.Int32),
    )
    tagged = tags.group_by("user_id").agg(tag_count=pl.len().cast(pl.Int32))
    return rated.join(tagged, on="user_id", how="full", coalesce=True).select(
        "user_id",
        "first_rated_at",
        "last_rated_at",
        pl.col("rating_count").fill_null(0),
        pl.col("tag_count").fill_null(0),
        is_inferred=pl.col("rating_count").is_null(),
        is_in_source=pl.lit(True),
    )


def dim_tag(tags: pl.LazyFrame, genome_tags: pl.LazyFrame) -> pl.LazyFrame:
    """What users wrote, and the numbered vocabulary of the genome."""
    written = tags.select(vocabulary=pl.lit("user"), tag_code=pl.col("tag"), tag=pl.col("tag")).unique()
    numbered = genome_tags.select(
        vocabulary=pl.lit("genome"), tag_code=pl.col("tag_id").cast(pl.String), tag=pl.col("tag")
    )
    return pl.concat([written, numbered]).with_columns(*delivered())


def fact_ratings(ratings: pl.LazyFrame) -> pl.LazyFrame:
    """The ratings of a year."""
    return ratings.select("user_id", "movie_id", date_key("timestamp"), "rating", rated_at=pl.col("timestamp"))


def fact_tags(tags: pl.LazyFrame) -> pl.LazyFrame:
    """The tags given in a year."""
    return tags.select(
        "user_id",
        "movie_id",
        date_key("timestamp"),
        vocabulary=pl.lit("user"),
        tag_code=pl.col("tag"),
        tagged_at=pl.col("timestamp"),
    )


def fact_genome_scores(genome_scores: pl.LazyFrame) -> pl.LazyFrame:
    """The scores of the newest genome-scores.csv."""
    return genome_scores.select(
        "movie_id",
        vocabulary=pl.lit("genome"),
        tag_code=pl.col("tag_id").cast(pl.String),
        relevance=pl.col("relevance"),
    )
