"""The promises down to the marts: whole for readers, rebuilt only where something changed, and complete."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster import AssetKey

from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.sources.chinook import raw_tables
from cinestream_platform.warehouse.connection import connect
from tests.support.chinook import invoices, table_csv
from tests.support.platform import MOVIES, Platform, csv_bytes, ratings_csv
from tests.support.reader import Reader

BY_YEAR = {"mart_genre_trends", "mart_rating_distribution"}
WHOLE = {"mart_movie_ratings", "mart_tag_popularity", "mart_user_activity", "mart_user_retention"}
OF_RATINGS = {"mart_movie_ratings", "mart_user_activity", "mart_user_retention"}


def seconds(year: int) -> int:
    return int(datetime(year, 6, 15, tzinfo=UTC).timestamp())


def ratings(years: range, users: range) -> bytes:
    return ratings_csv((user, 1 + (user + year) % 3, "4.0", seconds(year) + user) for year in years for user in users)


def marts(platform: Platform, since: int) -> set[tuple[str, str, bool]]:
    return {row for row in platform.publications(since) if row[0].startswith("mart_")}


def test_marts_are_whole_for_readers_rebuilt_where_stale_and_complete(marts_platform: Platform, tmp_path: Path) -> None:
    """One story, since a build with marts takes some ten seconds."""
    platform = marts_platform
    platform.land("movielens/movies/movies.csv", MOVIES)
    for year in (2004, 2005, 2006):
        platform.land(
            f"movielens/ratings/{year}.csv", ratings(range(year, year + 1), range(1_000 * year, 1_000 * year + 40))
        )
    platform.land(
        "movielens/tags/tags.csv", csv_bytes("userId,movieId,tag,timestamp", [(2_005_001, 2, "slow", seconds(2005))])
    )
    platform.load_and_build(marts=True)
    assert {name for name, *_ in marts(platform, 0)} == BY_YEAR | WHOLE
    assert platform.scalar("SELECT sum(rating_count) FROM movielens_marts.mart_movie_ratings") == 120
    first = mart_hashes(platform)

    # Again: nothing is stale, and building it all the same changes nothing.
    before = platform.last_publication()
    assert platform.build(marts=True) == []
    everything = [AssetKey(["movielens", name]) for name in sorted(BY_YEAR | WHOLE)]
    assert platform.run(everything, ("2004", "2006")).success
    assert platform.publications(before) == []
    assert mart_hashes(platform) == first

    # A file of one year: that year of the marts by year, and the others that read ratings; readers meanwhile.
    platform.land("movielens/ratings/more.csv", ratings(range(2005, 2006), range(1, 11)))
    statements = {
        "movies": "SELECT count(*), sum(rating_count) FROM movielens_marts.mart_movie_ratings",
        "years": "SELECT count(DISTINCT year), sum(rating_count) FROM movielens_marts.mart_rating_distribution",
        "users": "SELECT count(*), sum(rating_count) FROM movielens_marts.mart_user_activity",
    }
    with (
        Reader(platform.target, statements["movies"]) as movies,
        Reader(platform.target, statements["years"], prepared=True) as years,
        Reader(platform.target, statements["users"], prepared=True) as users,
    ):
        platform.load_and_build(marts=True)
    assert not movies.errors + years.errors + users.errors
    assert movies.seen == {(3, 120), (3, 130)}
    assert years.seen == {(3, 120), (3, 130)}
    assert users.seen == {(120, 120), (130, 130)}
    published = marts(platform, before)
    assert {(name, key) for name, key, _ in published if name in BY_YEAR} == {(name, "2005") for name in BY_YEAR}
    assert {name for name, *_ in published if name in WHOLE} >= OF_RATINGS
    assert ("mart_rating_distribution", "2005", True) in published
    assert platform.leftovers() == []

    # One query leads from a mart's year to the files, and its publication names those of the facts it was made from.
    files = platform.query(
        "SELECT key FROM ops.v_lineage WHERE table_name = 'mart_rating_distribution' AND partition_key = '2005'"
        " AND key LIKE '%%/ratings/%%' ORDER BY key"
    )
    assert [key for (key,) in files] == ["movielens/ratings/2005.csv", "movielens/ratings/more.csv"]

    # A tag on a film that nothing else mentions: the mart of films has it like dim_movie.
    platform.land(
        "movielens/tags/odd.csv", csv_bytes("userId,movieId,tag,timestamp", [(2_005_001, 77, "odd", seconds(2005))])
    )
    platform.load_and_build(marts=True)
    assert platform.scalar("SELECT is_inferred FROM movielens_dw.dim_movie WHERE movie_id = 77") is True
    assert platform.scalar("SELECT count(*) FROM movielens_marts.mart_movie_ratings") == 4


def mart_hashes(platform: Platform) -> dict[str, Any]:
    return {name: platform.row_hash(f"movielens_marts.{name}") for name in sorted(BY_YEAR | WHOLE)}


# ---- the music store -------------------------------------------------------------------------------------------------

SEGMENTS = AssetKey(["chinook", "mart_customer_segments"])
COUNTRIES = "SELECT customer_id, country FROM chinook_marts.mart_customer_segments ORDER BY 1"


def living_in(*countries: str) -> bytes:
    """A delivery of customers 1, 2 …, and where they live."""
    said = {"first_name": "Ada", "last_name": "Berg", "email": "ada@example.com", "address": "1 Lane"}
    people = ({"customer_id": n, "country": country, **said} for n, country in enumerate(countries, start=1))
    return table_csv(raw_tables.CUSTOMER, *people)


def test_after_a_delivery_was_retracted_no_mart_shows_what_it_said(marts_platform: Platform) -> None:
    """Also of an undated one, which makes no fact stale, though a fact points at another version of the customer."""
    platform = marts_platform
    platform.land("chinook/customer/customer_2024-01-01.csv", living_in("Brazil", "Norway"))
    platform.land("chinook/invoice/Invoice.csv", invoices((1, 1, "2024-06-01 12:00:00", "0.99")))
    platform.load_and_build()
    before = platform.content_hashes()

    undated = platform.land("chinook/customer/customer.csv", living_in("Atlantis", "Norway"))
    platform.load_and_build()
    assert platform.run([SEGMENTS]).success
    assert platform.query(COUNTRIES) == [(1, "Atlantis"), (2, "Norway")]

    platform.retract(undated)
    platform.load_and_build()
    with connect(platform.target) as conn:
        stale = {key for _, keys in plan_builds("chinook", platform.nodes, read_state(conn)).runs() for key in keys}
    assert SEGMENTS in stale
    assert platform.run([SEGMENTS]).success
    assert platform.query(COUNTRIES) == [(1, "Brazil"), (2, "Norway")]
    assert platform.query("SELECT customer_id FROM chinook_dw.dim_customer WHERE country = 'Atlantis'") == []
    assert {table: platform.content_hashes()[table] for table in before} == before
