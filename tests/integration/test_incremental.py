"""Incremental and idempotent: only what a file touches is published anew, and doing everything again changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import AssetKey

from cinestream_platform.catalog import CATALOG
from cinestream_platform.orchestration import warehouse
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.platform import MOVIES, Platform, csv_bytes, database, environment_of, ratings_csv

YEARS = range(1995, 2019)
MOVIES_KEY, NEWER_MOVIES = "movielens/movies/movies.csv", "movielens/movies/newer.csv"


def seconds(year: int) -> int:
    return int(datetime(year, 6, 15, tzinfo=UTC).timestamp())


def land_all(platform: Platform) -> None:
    """Ratings of 24 years, four a year, of films 1 to 4 (4 is not in movies.csv), and two tags, one of film 9."""
    platform.land(MOVIES_KEY, MOVIES)
    rows = [(year * 10 + user, 1 + (user + year) % 4, "4.0", seconds(year)) for year in YEARS for user in range(4)]
    platform.land("movielens/ratings/a.csv", ratings_csv(rows))
    platform.land(
        "movielens/tags/tags.csv",
        csv_bytes("userId,movieId,tag,timestamp", [(1, 2, "slow", seconds(2006)), (2, 9, "Slow", seconds(2007))]),
    )


@pytest.fixture(scope="module")
def built(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """A built star, made once: the name of its database and the settings."""
    stores = tmp_path_factory.mktemp("star")
    with pytest.MonkeyPatch.context() as patch, database(postgres, "star_of_24_years", calendar_template) as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (stores / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (stores / "lake").as_uri()
        for name, value in variables.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        land_all(platform)
        platform.load_and_build()
        yield target.database, variables


@pytest.fixture
def star(
    postgres: PostgresTarget, built: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform on a copy of that database; files that the test lands are taken away again."""
    template, variables = built
    with database(postgres, f"t{uuid.uuid4().hex[:12]}", template) as target:
        for name, value in {**variables, "CINESTREAM_POSTGRES_DATABASE": target.database}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        landed = set(platform.landing.folder.rglob("*.csv"))
        yield platform
        for path in set(platform.landing.folder.rglob("*.csv")) - landed:
            path.unlink()
    get_settings.cache_clear()


def keys(platform: Platform) -> dict[str, list[tuple[object, ...]]]:
    """Natural id and surrogate key of every member."""
    return {
        "movie": platform.query("SELECT movie_id, movie_key FROM movielens_dw.dim_movie ORDER BY 1"),
        "user": platform.query("SELECT user_id, user_key FROM movielens_dw.dim_user ORDER BY 1"),
        "genre": platform.query("SELECT genre, genre_key FROM movielens_dw.dim_genre ORDER BY 1"),
        "tag": platform.query("SELECT vocabulary, tag_code, tag_key FROM movielens_dw.dim_tag ORDER BY 1, 2"),
    }


def test_a_file_that_touches_two_of_24_years_republishes_two_partitions(star: Platform) -> None:
    before, oids, members = star.last_publication(), star.partition_oids("fact_ratings"), keys(star)
    tags = star.partition_oids("fact_tags")
    assert len(oids) == 24

    star.land("movielens/ratings/b.csv", ratings_csv([(901, 1, "1.0", seconds(2004)), (902, 2, "1.0", seconds(2011))]))
    star.load_and_build()

    changed = {f"movielens_dw.fact_ratings_{year}" for year in (2004, 2011)}
    now = star.partition_oids("fact_ratings")
    assert {name for name in oids if now[name] != oids[name]} == changed
    assert now.keys() == oids.keys()
    assert star.partition_oids("fact_tags") == tags
    assert sorted(star.publications(before)) == [
        ("dim_user", "whole", True),
        ("fact_ratings", "2004", True),
        ("fact_ratings", "2011", True),
    ]
    assert set(members["user"]) < set(keys(star)["user"])
    assert star.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 24 * 4 + 2


def test_a_file_of_a_new_year_adds_one_partition_and_touches_no_other(star: Platform) -> None:
    oids = star.partition_oids("fact_ratings")
    star.land("movielens/ratings/b.csv", ratings_csv([(901, 1, "1.0", seconds(2021))]))
    star.load_and_build()

    now = star.partition_oids("fact_ratings")
    assert now.items() > oids.items()
    assert now.keys() - oids.keys() == {"movielens_dw.fact_ratings_2021"}


def test_building_everything_again_publishes_nothing_and_changes_no_key(star: Platform) -> None:
    before, members, oids = star.last_publication(), keys(star), star.partition_oids("fact_ratings")
    star_assets = [AssetKey(["movielens", name]) for name in (
        "dim_movie", "dim_genre", "bridge_movie_genre", "dim_user", "dim_tag", "fact_ratings", "fact_tags"
    )]  # fmt: skip

    assert star.run([AssetKey(["conformed", "dim_date"]), *star_assets], ("1995", "2018")).success
    assert star.build() == []

    assert star.publications(before) == []
    assert keys(star) == members
    assert star.partition_oids("fact_ratings") == oids
    assert star.leftovers() == []


def test_dropped_partitions_are_stale_and_come_back_with_the_same_content(star: Platform) -> None:
    hashes, content, members = star.hashes(), star.content_hashes(), keys(star)
    star.execute("DROP TABLE movielens_dw.fact_ratings_2004, movielens_dw.fact_ratings_2011")

    built = star.build()

    assert [span for span, *_ in built] == ["('2004', '2011')"]
    assert (star.hashes(), star.content_hashes(), keys(star)) == (hashes, content, members)


def test_dropped_fact_tables_are_rebuilt_with_the_same_content_and_keys(star: Platform) -> None:
    hashes, content, members = star.hashes(), star.content_hashes(), keys(star)
    star.execute("DROP TABLE movielens_dw.fact_ratings, movielens_dw.fact_tags")

    warehouse.forget_prepared()
    warehouse.start_and_prepare(CATALOG, get_settings())  # what the next process does at its start
    star.load_and_build()

    assert (star.hashes(), star.content_hashes(), keys(star)) == (hashes, content, members)
    assert star.row_hash("movielens_dw.fact_tags") != "0 "


def test_deleted_rows_of_a_partition_are_noticed_when_it_is_built_again(star: Platform) -> None:
    hashes = star.hashes()
    star.execute("DELETE FROM movielens_dw.fact_ratings WHERE date_key / 10000 = 2004")

    star.run([AssetKey(["movielens", "fact_ratings"])], ("2004", "2004"))

    assert star.hashes() == hashes


def test_an_inferred_film_is_completed_in_place_when_movies_csv_brings_it(star: Platform) -> None:
    film = "SELECT movie_key, title, is_inferred, is_in_source FROM movielens_dw.dim_movie WHERE movie_id = %s"
    (key4, *rest4), (key9, *rest9) = star.query(film, (4,)) + star.query(film, (9,))
    assert rest4 == rest9 == [None, True, False]
    rated = star.scalar("SELECT count(*) FROM movielens_dw.fact_ratings WHERE movie_key = %s", (key4,))
    assert rated > 0
    oids, before = star.partition_oids("fact_ratings"), star.last_publication()

    star.land(NEWER_MOVIES, MOVIES + b"4,Late Arrival (2003),Drama\r\n9,Tagged Only (2004),Western\r\n")
    star.load_and_build()

    assert star.query(film, (4,)) == [(key4, "Late Arrival", False, True)]
    assert star.query(film, (9,)) == [(key9, "Tagged Only", False, True)]
    assert star.partition_oids("fact_ratings") == oids
    assert {table for table, *_ in star.publications(before)} == {"dim_movie", "dim_genre", "bridge_movie_genre"}
    assert star.scalar("SELECT count(*) FROM movielens_dw.fact_ratings WHERE movie_key = %s", (key4,)) == rated


def test_a_film_that_the_source_no_longer_delivers_is_marked_and_keeps_its_key_and_facts(star: Platform) -> None:
    members = keys(star)["movie"]
    facts = star.ratings_hash()
    star.land(NEWER_MOVIES, MOVIES.replace(b"3,No Year,(no genres listed)\r\n", b""))
    star.load_and_build()

    assert keys(star)["movie"] == members
    assert star.ratings_hash() == facts
    marked = star.query("SELECT movie_id FROM movielens_dw.dim_movie WHERE NOT is_in_source AND NOT is_inferred")
    assert marked == [(3,)]
