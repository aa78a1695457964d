"""A feed knows its files by the publisher's names."""

import pytest

from cinestream_platform.catalog import CATALOG, FEEDS, find_feed, landing_folders_of


def datasets_that_take(name: str) -> list[str]:
    return [feed.dataset for feed in FEEDS if feed.source == "movielens" and feed.takes(name)]


@pytest.mark.parametrize(
    ("name", "datasets"),
    [
        ("movies.csv", ["movies"]),
        ("Movies.CSV", ["movies"]),
        ("movies-2019-11.csv", ["movies"]),
        ("links.csv", ["links"]),
        ("ratings.csv", ["ratings"]),
        ("ratings_part_2.csv", ["ratings"]),
        ("tags.csv", ["tags"]),
        ("genome-tags.csv", ["genome-tags"]),
        ("genome_tags.csv", ["genome-tags"]),
        ("genome-scores.csv", ["genome-scores"]),
        ("genome_scores.csv", ["genome-scores"]),
        ("README.txt", []),
        ("ratings.csv.gz", ["ratings"]),
        ("Ratings.CSV.ZST", ["ratings"]),
        ("ratings_2019.jsonl", ["ratings"]),
        ("movies.ndjson.zst", ["movies"]),
        ("genome-tags.parquet", ["genome-tags"]),
        ("tags.parquet.gz", ["tags"]),
        ("ratings.gz", []),
        ("ratings.csv.bz2", []),
        ("my-ratings.parquet", []),
        ("my-ratings.csv", []),
        ("ratings.txt", []),
    ],
)
def test_a_publishers_file_name_belongs_to_one_feed_or_to_none(name, datasets):
    assert datasets_that_take(name) == datasets


def test_files_land_below_source_and_dataset():
    assert {feed.prefix for feed in landing_folders_of("movielens")} == {
        "movielens/movies/",
        "movielens/links/",
        "movielens/ratings/",
        "movielens/tags/",
        "movielens/genome-tags/",
        "movielens/genome-scores/",
    }


def test_a_feed_is_found_by_its_folder_and_by_its_table():
    ratings = find_feed("movielens", "ratings")
    assert ratings is not None
    assert ratings.table.qualified_name == "raw_movielens.ratings"
    assert CATALOG.feed_of_table("movielens", "genome_tags") is find_feed("movielens", "genome-tags")
    assert find_feed("movielens", "genome_tags") is None
    assert find_feed("netflix", "tags") is None
    assert landing_folders_of("movielens") == [feed for feed in FEEDS if feed.source == "movielens"]
    assert landing_folders_of("spotify") == []
