"""The publisher's excerpt of the Netflix Prize, both layouts together, gives the truths that were measured on it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.netflix import leftovers, oids
from tests.support.platform import Platform, platform_of

# Of each file: ratings, films, customers, stars, first and last day.
KAGGLE = {
    "combined_data_1.txt": (98_834, 172, 53_106, 328_566, "1999-12-30", "2005-12-31"),
    "combined_data_2.txt": (102_080, 180, 55_948, 337_082, "1999-12-29", "2005-12-31"),
}
FILMS = {  # of each film of the original layout: ratings and their mean
    1: (547, "3.7495"),
    2: (145, "3.5586"),
    3: (2_012, "3.6412"),
    4: (142, "2.7394"),
    5: (1_140, "3.9193"),
    6: (1_019, "3.0844"),
    7: (93, "2.1290"),
    8: (14_910, "3.1898"),
    9: (95, "2.6211"),
    10: (249, "3.1807"),
}
MEASURES = (
    "count(*), count(DISTINCT movie_id), count(DISTINCT customer_id), sum(rating), min(date)::text, max(date)::text"
)
STAR = "netflix_dw.fact_ratings JOIN netflix_dw.dim_movie USING (movie_key) JOIN netflix_dw.dim_customer USING (customer_key)"


@pytest.fixture(scope="module")
def netflix(
    postgres: PostgresTarget,
    calendar_template: str,
    manifest_home: Path,
    netflix_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """Both layouts and the titles, loaded and built once; tests only read."""
    with platform_of(
        postgres, "real_netflix", calendar_template, manifest_home, tmp_path_factory.mktemp("real_netflix")
    ) as platform:
        titles = netflix_files / "movie_titles.csv"
        platform.land(f"netflix/movie-titles/{titles.name}", titles.read_bytes())
        ratings = [
            *(netflix_files / name for name in KAGGLE),
            *sorted((netflix_files / "training_set").glob("mv_*.txt")),
        ]
        for path in ratings:
            platform.land(f"netflix/ratings/{path.name}", path.read_bytes())
        platform.load_and_build()
        yield platform


def file_of(film: int) -> str:
    return f"netflix/ratings/mv_{film:07d}.txt"


def test_every_line_of_every_file_is_loaded_and_none_is_rejected(netflix: Platform) -> None:
    ledger = netflix.query("SELECT key, status, rows_read, rows_loaded, rows_rejected FROM ops.landed_file")
    expected = {f"netflix/ratings/{name}": measures[0] for name, measures in KAGGLE.items()}
    expected |= {file_of(film): count for film, (count, _) in FILMS.items()}
    expected |= {"netflix/movie-titles/movie_titles.csv": 17_770}
    assert {row[0]: row[1:] for row in ledger} == {key: ("loaded", n, n, 0) for key, n in expected.items()}
    assert netflix.query("SELECT * FROM ops.rejected_row") == []
    in_table = netflix.query(
        "SELECT key, count(*) FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id GROUP BY 1"
    )
    assert dict(in_table) == {key: n for key, n in expected.items() if "/ratings/" in key}


def test_each_file_of_many_films_has_its_films_customers_stars_and_days(netflix: Platform) -> None:
    for name, measures in KAGGLE.items():
        found = netflix.query(
            f"SELECT {MEASURES} FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id WHERE key = %s",
            (f"netflix/ratings/{name}",),
        )
        assert found == [measures], name
    both = f"SELECT {MEASURES} FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id WHERE key LIKE %s"
    assert netflix.query(both, ("%/combined%",)) == [(200_914, 352, 84_620, 665_648, "1999-12-29", "2005-12-31")]
    assert netflix.query(both, ("%/mv_%",)) == [(20_352, 10, 19_519, 66_692, "2000-09-09", "2005-12-31")]


def test_the_first_and_the_last_film_of_each_file_stand_at_its_first_and_its_last_lines(netflix: Platform) -> None:
    """The lines of a film are told by those above them alone."""
    found = netflix.query(
        "SELECT key, min(movie_id), max(movie_id), min(_line), max(_line),"
        " corr(movie_id::float, _line) > 0.9, count(DISTINCT _line) = count(*)"
        " FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id WHERE key LIKE '%%/combined%%'"
        " GROUP BY 1 ORDER BY 1"
    )
    assert found == [
        ("netflix/ratings/combined_data_1.txt", 1, 4_489, 2, 98_834 + 172, True, True),
        ("netflix/ratings/combined_data_2.txt", 4_513, 9_193, 2, 102_080 + 180, True, True),
    ]


def test_ratings_of_one_to_five_stars_and_of_every_year_are_as_many_as_were_measured(netflix: Platform) -> None:
    stars = netflix.query(
        "SELECT key, array_agg(n ORDER BY rating) FROM (SELECT key, rating, count(*) AS n FROM raw_netflix.ratings"
        " JOIN ops.landed_file ON file_id = _file_id WHERE key LIKE '%%/combined%%' GROUP BY 1, 2) s GROUP BY 1"
    )
    assert dict(stars) == {
        "netflix/ratings/combined_data_1.txt": [9_367, 13_697, 29_677, 27_691, 18_402],
        "netflix/ratings/combined_data_2.txt": [9_024, 14_642, 32_557, 28_182, 17_675],
    }
    years = netflix.query(
        "SELECT extract(year FROM date)::int, count(*) FROM raw_netflix.ratings JOIN ops.landed_file"
        " ON file_id = _file_id WHERE key LIKE '%%/combined_data_1.txt' GROUP BY 1"
    )
    assert dict(years) == {1999: 1, 2000: 781, 2001: 1_587, 2002: 4_866, 2003: 11_980, 2004: 29_923, 2005: 49_696}
    assert netflix.query("SELECT customer_id, count(*) FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id"
        " WHERE key LIKE '%%/combined%%' AND customer_id = 2439493 GROUP BY key, 1 ORDER BY key"
    ) == [(2_439_493, 135), (2_439_493, 133)]  # fmt: skip


def test_each_film_of_the_original_layout_has_its_ratings_and_its_mean(netflix: Platform) -> None:
    in_files = netflix.query(
        "SELECT key, min(movie_id), max(movie_id), count(*), round(avg(rating), 4) FROM raw_netflix.ratings"
        " JOIN ops.landed_file ON file_id = _file_id WHERE key LIKE '%%/mv_%%' GROUP BY 1 ORDER BY 1"
    )
    assert in_files == [(file_of(film), film, film, n, Decimal(mean)) for film, (n, mean) in FILMS.items()]
    in_star = netflix.query(
        f"SELECT movie_id, count(*), round(avg(rating), 4) FROM {STAR} WHERE movie_id <= 10 GROUP BY 1 ORDER BY 1"
    )
    assert in_star == [(film, n, Decimal(mean)) for film, (n, mean) in FILMS.items()]


def test_of_both_layouts_together_each_rating_counts_once(netflix: Platform) -> None:
    assert netflix.query(
        f"SELECT count(*), count(DISTINCT movie_id), count(DISTINCT customer_id), sum(rating) FROM {STAR}"
    ) == [(220_719, 361, 96_193, 730_289)]
    overlaps = netflix.query(
        "SELECT key, rows_repeated, rows_conflicting FROM ops.landed_file WHERE dataset = 'ratings'"
        " AND rows_repeated + rows_conflicting > 0"
    )
    assert overlaps == [(file_of(1), 547, 0)]
    assert netflix.query("SELECT sum(rating_count), sum(rating_sum) FROM netflix_dw.fact_customer_months") == [
        (220_719, 730_289)
    ]


def test_the_star_has_a_partition_for_every_month_from_the_first_rating_to_the_last(netflix: Platform) -> None:
    months = [f"{year}-{month:02d}" for year in range(1999, 2006) for month in range(1, 13)]
    rated = {month for (month,) in netflix.query("SELECT DISTINCT to_char(date, 'YYYY-MM') FROM raw_netflix.ratings")}
    assert rated <= set(months[months.index("1999-12") :])
    assert oids(netflix).keys() == oids(netflix, "fact_customer_months").keys() == rated
    misplaced = (
        "SELECT count(*) FROM netflix_dw.fact_ratings"
        " WHERE right(tableoid::regclass::text, 7) <> to_char(to_date(date_key::text, 'YYYYMMDD'), 'YYYY_MM')"
    )
    assert netflix.scalar(misplaced) == 0
    assert leftovers(netflix) == []


def test_films_have_their_titles_as_delivered_and_seven_have_no_year(netflix: Platform, netflix_files: Path) -> None:
    lines = (netflix_files / "movie_titles.csv").read_bytes().decode("latin-1").splitlines()
    delivered = {int(film): (None if year == "NULL" else int(year), title) for film, year, title in (
        line.split(",", 2) for line in lines
    )}  # fmt: skip
    films = netflix.query(
        "SELECT movie_id, release_year, title, is_inferred, is_in_source FROM netflix_dw.dim_movie ORDER BY 1"
    )
    assert films == [(film, *delivered[film], False, True) for film in range(1, 17_771)]
    assert netflix.query(
        "SELECT count(*), sum(release_year), min(release_year), max(release_year),"
        " count(*) FILTER (WHERE title LIKE '%%,%%'), count(*) FILTER (WHERE title LIKE '%%\"%%') FROM netflix_dw.dim_movie"
    ) == [(17_770, 35_353_054, 1896, 2005, 336, 7)]
    assert [film for film, year, *_ in films if year is None] == [4388, 4794, 7241, 10782, 15918, 16678, 17667]
    assert films[4825 - 1][2] == 'Brazil: The "Love Conquers All" Version'
    assert films[6483 - 1][2] == "Smokey Joe's Café"


def test_a_customers_totals_are_those_of_the_customers_ratings(netflix: Platform) -> None:
    assert netflix.query(
        "SELECT count(*), sum(total_ratings), min(customer_id) > 0, max(customer_id) <= 2649429,"
        " bool_or(is_inferred), bool_and(is_in_source) FROM netflix_dw.dim_customer"
    ) == [(96_193, 220_719, True, True, False, True)]
    differing = netflix.query(
        """
        SELECT customer_id FROM netflix_dw.dim_customer FULL JOIN (
            SELECT customer_key, count(*) AS n, min(date_key) AS first, max(date_key) AS last
            FROM netflix_dw.fact_ratings GROUP BY 1
        ) f USING (customer_key)
        WHERE (total_ratings, to_char(first_rating_date, 'YYYYMMDD')::int, to_char(last_rating_date, 'YYYYMMDD')::int)
            IS DISTINCT FROM (n, first, last)
        """
    )
    assert differing == []
    # 135 and 133 ratings in the two large files, and of the ten films all but one, of which film 1 is in both layouts.
    assert (
        netflix.scalar("SELECT total_ratings FROM netflix_dw.dim_customer WHERE customer_id = 2439493") == 135 + 133 + 8
    )


def test_the_key_of_a_rating_says_film_and_customer(netflix: Platform) -> None:
    assert netflix.scalar(f"SELECT count(*) FROM {STAR} WHERE rating_key <> movie_id * 2^32::bigint + customer_id") == 0
    assert netflix.scalar("SELECT count(DISTINCT rating_key) FROM netflix_dw.fact_ratings") == 220_719
