"""The publisher's own files, read and transformed: the truths and traps of the data's README, to the last row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import polars as pl
import pytest

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.publishing.validation import validate
from cinestream_platform.sources.movielens import feeds, tables, transforms
from tests.unit.reading import Reading, read_path

pytestmark = pytest.mark.real_data


@dataclass
class Release:
    """A folder of the publisher's, each file read once."""

    folder: Path

    def read(self, feed: Feed) -> Reading:
        reading = read_path(self.folder / f"{feed.dataset}.csv", feed)
        assert reading.rejects == []
        return reading

    @cached_property
    def movies(self) -> Reading:
        return self.read(feeds.MOVIES)

    @cached_property
    def links(self) -> Reading:
        return self.read(feeds.LINKS)

    @cached_property
    def ratings(self) -> Reading:
        return self.read(feeds.RATINGS)

    @cached_property
    def tags(self) -> Reading:
        return self.read(feeds.TAGS)

    @cached_property
    def genome_tags(self) -> Reading:
        return self.read(feeds.GENOME_TAGS)

    @cached_property
    def genome_scores(self) -> Reading:
        return self.read(feeds.GENOME_SCORES)

    @cached_property
    def dim_movie(self) -> pl.DataFrame:
        return transforms.dim_movie(self.movies.rows.lazy(), self.links.rows.lazy()).collect()

    @cached_property
    def genres(self) -> pl.DataFrame:
        return transforms.movie_genres(self.movies.rows.lazy()).collect()

    @cached_property
    def dim_user(self) -> pl.DataFrame:
        return transforms.dim_user(self.ratings.rows.lazy(), self.tags.rows.lazy()).collect()

    def delivered_title(self, movie_id: int) -> str:
        return self.movies.rows.row(by_predicate=pl.col("movie_id") == movie_id, named=True)["title"]

    def film(self, movie_id: int) -> dict:
        return self.dim_movie.row(by_predicate=pl.col("movie_id") == movie_id, named=True)


@pytest.fixture(scope="session")
def small(movielens_small: Path) -> Release:
    return Release(movielens_small)


@pytest.fixture(scope="session")
def big(movielens_25m: Path) -> Release:
    return Release(movielens_25m)


def counts(series: pl.Series) -> dict:
    return dict(series.value_counts().rows())


# ---- ml-latest-small -------------------------------------------------------------------------------------------------


def test_every_record_of_the_small_release_is_read(small: Release):
    files = (small.movies, small.links, small.ratings, small.tags)
    assert [reading.rows.height for reading in files] == [9_742, 9_742, 100_836, 3_683]
    assert [reading.ends_without_line_end for reading in files] == [False] * 4
    for reading in files:  # no quoted line ends in these files: one line a record
        assert reading.lines == list(range(2, reading.rows.height + 2))


def test_ratings_have_the_publishers_sum_mean_counts_and_times(small: Release):
    fact = transforms.fact_ratings(small.ratings.rows.lazy()).collect()
    assert fact["rating"].sum() == Decimal("353083.0")
    assert fact["rating"].cast(pl.Float64).mean() == pytest.approx(3.501556983616962, rel=1e-15)
    assert {str(rating): count for rating, count in sorted(counts(fact["rating"]).items())} == {
        "0.5": 1_370,
        "1.0": 2_811,
        "1.5": 1_791,
        "2.0": 7_551,
        "2.5": 5_550,
        "3.0": 20_047,
        "3.5": 13_136,
        "4.0": 26_818,
        "4.5": 8_551,
        "5.0": 13_211,
    }
    assert (fact["rated_at"].min(), fact["rated_at"].max()) == (
        datetime(1996, 3, 29, 18, 36, 55, tzinfo=UTC),
        datetime(2018, 9, 24, 14, 27, 30, tzinfo=UTC),
    )
    assert (fact["date_key"].min(), fact["date_key"].max()) == (19960329, 20180924)
    assert fact.select("user_id", "movie_id").is_duplicated().sum() == 0
    by_film = counts(fact["movie_id"])
    assert (len(by_film), by_film[356], by_film[318]) == (9_724, 329, 317)


def test_users_are_those_who_rated_with_their_totals(small: Release):
    dim = small.dim_user
    assert sorted(dim["user_id"]) == list(range(1, 611))
    assert (dim["rating_count"].sum(), dim["tag_count"].sum(), dim["rating_count"].min()) == (100_836, 3_683, 20)
    most = dim.sort("rating_count", descending=True).head(2)
    assert most.select("user_id", "rating_count").rows() == [(414, 2_698), (599, 2_478)]
    assert dim.filter(pl.col("tag_count") > 0).height == 58
    assert not dim["is_inferred"].any()


def test_tags_are_kept_as_they_were_written(small: Release):
    tags = small.tags.rows
    assert (tags["user_id"].n_unique(), tags["movie_id"].n_unique()) == (58, 1_572)
    assert (tags["tag"].n_unique(), tags["tag"].str.to_lowercase().n_unique()) == (1_589, 1_475)
    assert (tags["timestamp"].min(), tags["timestamp"].max()) == (
        datetime(2006, 1, 13, 19, 9, 12, tzinfo=UTC),
        datetime(2018, 9, 16, 11, 50, 3, tzinfo=UTC),
    )
    assert max(counts(tags["tag"]).items(), key=lambda item: item[1]) == ("In Netflix queue", 131)
    artsy = tags.filter((pl.col("user_id") == 567) & (pl.col("movie_id") == 4552) & pl.col("tag").str.contains("artsy"))
    assert artsy["tag"].to_list() == ['"artsy"']
    dim = transforms.dim_tag(tags.lazy(), pl.LazyFrame(schema={"tag_id": pl.Int32, "tag": pl.String})).collect()
    assert dim.height == 1_589


def test_207_tags_are_by_users_who_did_not_rate_the_film_and_all_their_films_exist(small: Release):
    tags, ratings = small.tags.rows, small.ratings.rows
    assert tags.join(ratings, on=["user_id", "movie_id"], how="anti").height == 207
    assert tags.join(small.movies.rows, on="movie_id", how="anti").height == 0
    assert small.movies.rows.join(ratings, on="movie_id", how="anti").height == 18


def test_13_titles_have_no_year_and_are_left_as_they_are(small: Release):
    without = small.dim_movie.filter(pl.col("release_year").is_null())
    assert without.height == 13
    assert {40697, 140956, 167570, 171749} <= set(without["movie_id"])
    assert [small.film(movie_id)["title"] for movie_id in (40697, 140956, 167570)] == [
        "Babylon 5",
        "Ready Player One",
        "The OA",
    ]
    assert small.film(171749)["title"].endswith("(2006–2007)")
    assert {title.strip() for title in without.join(small.movies.rows, on="movie_id")["title_right"]} == set(
        without["title"]
    )


def test_11_titles_end_in_a_blank_after_the_year_and_lose_both(small: Release):
    blank = small.movies.rows.filter(
        pl.col("title").str.ends_with(" ") & pl.col("title").str.strip_chars().str.ends_with(")")
    )
    assert blank.height == 11
    assert 27008 in blank["movie_id"]
    cleaned = small.dim_movie.filter(pl.col("movie_id").is_in(blank["movie_id"].implode()))
    assert cleaned["release_year"].null_count() == 0
    assert not cleaned["title"].str.contains(r"\(\d{4}\)|\s$").any()


def test_titles_with_commas_quotes_and_other_scripts_are_whole(small: Release):
    titles = small.movies.rows["title"]
    assert titles.str.contains(",", literal=True).sum() == 2_079
    assert titles.filter(titles.str.len_bytes() != titles.str.len_chars()).len() == 293
    assert small.delivered_title(7789) == "11'09\"01 - September 11 (2002)"
    assert (small.film(7789)["title"], small.film(7789)["release_year"]) == ("11'09\"01 - September 11", 2002)


def test_five_titles_belong_to_two_films_each(small: Release):
    repeated = small.dim_movie.filter(pl.struct("title", "release_year").is_duplicated())
    assert sorted(set(repeated.select("title", "release_year").rows())) == [
        ("Confessions of a Dangerous Mind", 2002),
        ("Emma", 1996),
        ("Eros", 2004),
        ("Saturn 3", 1980),
        ("War of the Worlds", 2005),
    ]
    assert repeated.height == 10
    assert repeated["movie_id"].n_unique() == 10


def test_the_numbers_in_other_catalogues_keep_zeros_and_gaps(small: Release):
    dim = small.dim_movie
    assert dim.height == 9_742
    assert dim["movie_id"].max() == 193_609
    without = dim.filter(pl.col("tmdb_id").is_null())
    assert sorted(without["movie_id"]) == [791, 1107, 2851, 4051, 26587, 32600, 40697, 79299]
    assert sorted(dim.filter(pl.col("tmdb_id") == 4912)["movie_id"]) == [6003, 144606]
    assert counts(dim["imdb_id"].str.len_chars()) == {7: 9_742}
    assert dim["imdb_id"].str.starts_with("0").sum() == 7_589
    assert small.film(1)["imdb_id"] == "0114709"


def test_no_genres_listed_is_no_genre(small: Release):
    delivered = small.movies.rows.select(pl.col("genres").str.split("|")).explode("genres")
    assert delivered.height == 22_084
    assert delivered["genres"].n_unique() == 20
    assert (delivered["genres"] == "(no genres listed)").sum() == 34
    assert small.genres.height == 22_084 - 34
    found = counts(small.genres["genre"])
    assert len(found) == 19
    some = ("Drama", "Comedy", "Thriller", "Action", "Romance", "IMAX", "Film-Noir")
    assert [found[name] for name in some] == [4_361, 3_756, 1_894, 1_828, 1_596, 158, 87]
    assert small.genres["movie_id"].n_unique() == 9_742 - 34
    assert transforms.dim_genre(small.movies.rows.lazy()).collect().height == 19


# ---- ml-25m, excerpt -------------------------------------------------------------------------------------------------


def test_every_record_of_the_25m_excerpt_is_read_and_the_cut_files_are_flagged(big: Release):
    files = (big.movies, big.links, big.genome_tags, big.ratings, big.genome_scores)
    assert [reading.rows.height for reading in files] == [62_423, 62_423, 1_128, 42_151, 3_919]
    assert [reading.ends_without_line_end for reading in files] == [False, False, False, True, True]


def test_ratings_of_the_excerpt_have_their_sum_and_times(big: Release):
    ratings = big.ratings.rows
    assert ratings["rating"].sum() == Decimal("150679.0")
    assert ratings["rating"].cast(pl.Float64).mean() == pytest.approx(3.57474318521506, rel=1e-14)
    assert (ratings["user_id"].n_unique(), ratings["movie_id"].n_unique()) == (332, 6_103)
    assert (ratings["timestamp"].min(), ratings["timestamp"].max()) == (
        datetime(1996, 3, 30, 5, 23, 51, tzinfo=UTC),
        datetime(2019, 11, 19, 20, 25, 1, tzinfo=UTC),
    )
    assert big.movies.rows.join(ratings, on="movie_id", how="anti").height == 56_320


def test_scores_are_the_publishers_doubles(big: Release):
    scores = transforms.fact_genome_scores(big.genome_scores.rows.lazy()).collect()
    assert scores["relevance"].sum() == pytest.approx(472.909, abs=0.0005)
    assert counts(scores["movie_id"]) == {1: 1_128, 2: 1_128, 3: 1_128, 4: 535}
    assert scores["relevance"][0] == 0.028749999999999998
    last = scores.row(by_predicate=(pl.col("movie_id") == 4) & (pl.col("tag_code") == "535"), named=True)
    assert last["relevance"] == 0.0469999999999999
    codes = transforms.dim_tag(pl.LazyFrame(schema={"tag": pl.String}), big.genome_tags.rows.lazy()).collect()
    assert set(scores["tag_code"]) <= set(codes["tag_code"])


def test_films_of_25m_have_years_genres_and_numbers(big: Release):
    titles = big.movies.rows["title"]
    assert titles.str.contains(",", literal=True).sum() == 6_895
    assert titles.str.contains('"', literal=True).sum() == 11
    assert big.dim_movie["release_year"].null_count() == 412
    delivered = big.movies.rows.select(pl.col("genres").str.split("|")).explode("genres")
    assert delivered.height == 112_307
    assert (delivered["genres"] == "(no genres listed)").sum() == 5_062
    assert big.genres.height == 112_307 - 5_062
    assert counts(big.dim_movie["imdb_id"].str.len_chars()) == {7: 62_292, 8: 131}
    assert big.dim_movie["tmdb_id"].null_count() == 107
    shared = big.dim_movie.drop_nulls("tmdb_id").group_by("tmdb_id").len().filter(pl.col("len") > 1)
    assert shared.height == 34


# ---- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "big"])
def test_what_is_built_keeps_every_rule_that_stops_a_publish(name: str, request: pytest.FixtureRequest):
    release: Release = request.getfixturevalue(name)
    made = [(tables.DIM_MOVIE, release.dim_movie)]
    made.append((tables.DIM_GENRE, transforms.dim_genre(release.movies.rows.lazy()).collect()))
    if name == "small":
        made.append((tables.DIM_USER, release.dim_user))
    for table, frame in made:
        assert [result for result in validate(table, frame) if not result.passed] == []
