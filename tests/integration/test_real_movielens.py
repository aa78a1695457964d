"""The publishers' files, end to end: the truths of ``shared/data/README.md`` (measured with other tools), in SQL."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.platform import Platform

pytestmark = pytest.mark.real_data


def truths(platform: Platform, expected: dict[str, object]) -> None:
    """Every query gives its value, or its rows."""
    for statement, value in expected.items():
        rows = platform.query(statement)
        found = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows
        assert found == value, statement


RAW_SMALL = {
    "SELECT count(*) FROM raw_movielens.movies": 9_742,
    "SELECT count(*) FROM raw_movielens.ratings": 100_836,
    "SELECT count(*) FROM raw_movielens.tags": 3_683,
    "SELECT count(*) FROM raw_movielens.links": 9_742,
    "SELECT sum(rows_rejected) FROM ops.landed_file": 0,
    "SELECT sum(rows_repeated + rows_conflicting) FROM ops.landed_file": 0,
    "SELECT max(movie_id) FROM raw_movielens.movies": 193_609,
    "SELECT count(*) FROM raw_movielens.movies WHERE genres = '(no genres listed)'": 34,
    "SELECT count(*) FROM raw_movielens.movies WHERE title LIKE '%%,%%'": 2_079,
    "SELECT count(*) FROM raw_movielens.movies WHERE title ~ '[^\\x01-\\x7f]'": 293,
    "SELECT title FROM raw_movielens.movies WHERE movie_id = 7789": "11'09\"01 - September 11 (2002)",
    "SELECT tag FROM raw_movielens.tags WHERE user_id = 567 AND movie_id = 4552 AND tag LIKE '%%artsy%%'": '"artsy"',
    'SELECT title FROM raw_movielens.movies GROUP BY title HAVING count(*) > 1 ORDER BY title COLLATE "C"': [
        ("Confessions of a Dangerous Mind (2002)",),
        ("Emma (1996)",),
        ("Eros (2004)",),
        ("Saturn 3 (1980)",),
        ("War of the Worlds (2005)",),
    ],
    "SELECT movie_id FROM raw_movielens.links WHERE tmdb_id IS NULL ORDER BY 1": [
        (movie,) for movie in (791, 1107, 2851, 4051, 26587, 32600, 40697, 79299)
    ],
    "SELECT movie_id FROM raw_movielens.links WHERE tmdb_id = 4912 ORDER BY 1": [(6003,), (144606,)],
    "SELECT count(*) FROM raw_movielens.links WHERE length(imdb_id) = 7": 9_742,
    "SELECT count(*) FROM raw_movielens.links WHERE imdb_id LIKE '0%%'": 7_589,
}

STAR_SMALL = {
    "SELECT count(*) FROM movielens_dw.fact_ratings": 100_836,
    "SELECT sum(rating) FROM movielens_dw.fact_ratings": Decimal("353083.0"),
    "SELECT round(avg(rating), 15) FROM movielens_dw.fact_ratings": Decimal("3.501556983616962"),
    "SELECT count(DISTINCT user_key) FROM movielens_dw.fact_ratings": 610,
    "SELECT count(DISTINCT movie_key) FROM movielens_dw.fact_ratings": 9_724,
    "SELECT count(*) FROM (SELECT DISTINCT user_key, movie_key FROM movielens_dw.fact_ratings) pairs": 100_836,
    "SELECT min(rating_count) >= 20 FROM movielens_dw.dim_user": True,
    "SELECT user_id, rating_count FROM movielens_dw.dim_user ORDER BY rating_count DESC LIMIT 2": [(414, 2_698), (599, 2_478)],
    "SELECT min(user_id), max(user_id), count(*) FROM movielens_dw.dim_user": [(1, 610, 610)],
    "SELECT rating::text, count(*) FROM movielens_dw.fact_ratings GROUP BY 1 ORDER BY 1": [
        ("0.5", 1_370), ("1.0", 2_811), ("1.5", 1_791), ("2.0", 7_551), ("2.5", 5_550),
        ("3.0", 20_047), ("3.5", 13_136), ("4.0", 26_818), ("4.5", 8_551), ("5.0", 13_211),
    ],
    "SELECT extract(epoch FROM min(rated_at))::int, extract(epoch FROM max(rated_at))::int FROM movielens_dw.fact_ratings": [
        (828_124_615, 1_537_799_250)
    ],
    "SELECT (min(rated_at) AT TIME ZONE 'UTC')::text, (max(rated_at) AT TIME ZONE 'UTC')::text"
    " FROM movielens_dw.fact_ratings": [("1996-03-29 18:36:55", "2018-09-24 14:27:30")],
    "SELECT movie_id, title, count(*) FROM movielens_dw.fact_ratings JOIN movielens_dw.dim_movie USING (movie_key)"
    " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 2": [
        (356, "Forrest Gump", 329), (318, "Shawshank Redemption, The", 317),
    ],
    "SELECT count(*), count(DISTINCT user_key), count(DISTINCT movie_key), count(DISTINCT tag_key)"
    " FROM movielens_dw.fact_tags": [(3_683, 58, 1_572, 1_589)],
    "SELECT count(DISTINCT lower(tag)) FROM movielens_dw.dim_tag WHERE vocabulary = 'user'": 1_475,
    "SELECT (min(tagged_at) AT TIME ZONE 'UTC')::text, (max(tagged_at) AT TIME ZONE 'UTC')::text"
    " FROM movielens_dw.fact_tags": [("2006-01-13 19:09:12", "2018-09-16 11:50:03")],
    "SELECT tag, count(*) FROM movielens_dw.fact_tags JOIN movielens_dw.dim_tag USING (tag_key)"
    " GROUP BY 1 ORDER BY 2 DESC LIMIT 1": [("In Netflix queue", 131)],
    "SELECT count(*) FROM movielens_dw.fact_tags t WHERE NOT EXISTS (SELECT FROM movielens_dw.fact_ratings r"
    " WHERE r.user_key = t.user_key AND r.movie_key = t.movie_key)": 207,
    "SELECT count(*) FROM movielens_dw.dim_movie": 9_742,
    "SELECT count(*) FROM movielens_dw.dim_movie WHERE is_inferred OR NOT is_in_source": 0,
    "SELECT count(*) FROM movielens_dw.dim_genre": 19,
    "SELECT count(*) FROM movielens_dw.bridge_movie_genre": 22_084 - 34,
    "SELECT genre, count(*) FROM movielens_dw.bridge_movie_genre JOIN movielens_dw.dim_genre USING (genre_key)"
    " WHERE genre IN ('Drama', 'Comedy', 'Thriller', 'Action', 'Romance', 'IMAX', 'Film-Noir') GROUP BY 1 ORDER BY 2 DESC": [
        ("Drama", 4_361), ("Comedy", 3_756), ("Thriller", 1_894), ("Action", 1_828), ("Romance", 1_596), ("IMAX", 158),
        ("Film-Noir", 87),
    ],
    "SELECT count(*) FROM movielens_dw.dim_movie WHERE release_year IS NULL": 13,
    "SELECT movie_id, title FROM movielens_dw.dim_movie WHERE movie_id IN (40697, 140956, 167570, 171749)"
    " AND release_year IS NULL ORDER BY 1": [
        (40697, "Babylon 5"), (140956, "Ready Player One"), (167570, "The OA"),
        (171749, "Death Note: Desu nôto (2006–2007)"),
    ],
    "SELECT release_year IS NOT NULL FROM movielens_dw.dim_movie WHERE movie_id = 27008": True,
    "SELECT count(*) FROM movielens_dw.dim_movie m WHERE NOT EXISTS (SELECT FROM movielens_dw.fact_ratings r"
    " WHERE r.movie_key = m.movie_key)": 18,
    "SELECT count(*) FROM pg_inherits WHERE inhparent = 'movielens_dw.fact_ratings'::regclass": 23,
    "SELECT sum(rows) FROM ops.publication WHERE table_name = 'fact_ratings' AND is_latest": Decimal(100_836),
}  # fmt: skip

MARTS_SMALL = {
    "SELECT count(*), sum(rating_count) FROM movielens_marts.mart_movie_ratings": [(9_742, Decimal(100_836))],
    "SELECT count(*) FROM movielens_marts.mart_movie_ratings WHERE rating_count = 0": 18,
    "SELECT rating::text, sum(rating_count) FROM movielens_marts.mart_rating_distribution WHERE rating > 4.5 GROUP BY 1": [
        ("5.0", Decimal(13_211))
    ],
    "SELECT sum(rating_count) FROM movielens_marts.mart_rating_distribution": Decimal(100_836),
    "SELECT sum(rating_count) FROM movielens_marts.mart_user_activity": Decimal(100_836),
}


def test_ml_latest_small_end_to_end_reproduces_every_number_of_its_section(
    marts_platform: Platform, movielens_small: Path
) -> None:
    assert len(marts_platform.land_folder(movielens_small)) == 4
    assert all(result.success for result in marts_platform.load())
    years = marts_platform.query("SELECT DISTINCT extract(year FROM timestamp)::int FROM raw_movielens.ratings")
    assert len(years) == 23
    marts_platform.load_and_build(marts=True)

    truths(marts_platform, RAW_SMALL)
    truths(marts_platform, STAR_SMALL)
    truths(marts_platform, MARTS_SMALL)
    assert marts_platform.build(marts=True) == []


EXCERPT_25M = {
    "SELECT count(*) FROM raw_movielens.movies": 62_423,
    "SELECT count(*) FROM raw_movielens.links": 62_423,
    "SELECT count(*) FROM raw_movielens.genome_tags": 1_128,
    "SELECT count(*) FROM raw_movielens.genome_scores": 3_919,
    "SELECT sum(rows_rejected) FROM ops.landed_file": 0,
    "SELECT dataset FROM ops.landed_file WHERE ends_without_line_end ORDER BY 1": [("genome-scores",), ("ratings",)],
    "SELECT count(*), sum(rating), count(DISTINCT user_key), count(DISTINCT movie_key) FROM movielens_dw.fact_ratings": [
        (42_151, Decimal("150679.0"), 332, 6_103)
    ],
    "SELECT round(avg(rating), 14) FROM movielens_dw.fact_ratings": Decimal("3.57474318521506"),
    "SELECT extract(epoch FROM min(rated_at))::int, extract(epoch FROM max(rated_at))::int FROM movielens_dw.fact_ratings": [
        (828_163_431, 1_574_195_101)
    ],
    "SELECT movie_id, count(*) FROM movielens_dw.fact_genome_scores JOIN movielens_dw.dim_movie USING (movie_key)"
    " GROUP BY 1 ORDER BY 1": [(1, 1_128), (2, 1_128), (3, 1_128), (4, 535)],
    "SELECT round(sum(relevance)::numeric, 3) FROM movielens_dw.fact_genome_scores": Decimal("472.909"),
    "SELECT count(*) FROM raw_movielens.movies WHERE genres = '(no genres listed)'": 5_062,
    "SELECT count(*) FROM movielens_dw.bridge_movie_genre": 112_307 - 5_062,
    "SELECT count(*) FROM movielens_dw.dim_movie WHERE release_year IS NULL": 412,
    "SELECT count(*) FROM raw_movielens.movies WHERE title LIKE '%% '": 155,
    "SELECT count(*) FROM raw_movielens.movies WHERE title LIKE '%%,%%'": 6_895,
    "SELECT count(*) FROM raw_movielens.movies WHERE title LIKE '%%\"%%'": 11,
    "SELECT count(*) FROM raw_movielens.links WHERE tmdb_id IS NULL": 107,
    "SELECT count(*) FROM (SELECT FROM raw_movielens.links WHERE tmdb_id IS NOT NULL GROUP BY tmdb_id"
    " HAVING count(*) > 1) shared": 34,
    "SELECT length(imdb_id), count(*) FROM raw_movielens.links GROUP BY 1 ORDER BY 1": [(7, 62_292), (8, 131)],
    "SELECT count(*) FROM movielens_dw.dim_movie m WHERE NOT EXISTS (SELECT FROM movielens_dw.fact_ratings r"
    " WHERE r.movie_key = m.movie_key)": 56_320,
    "SELECT count(*) FROM movielens_dw.dim_movie WHERE is_inferred": 0,
    "SELECT count(*) FROM movielens_dw.dim_tag WHERE vocabulary = 'genome' AND is_in_source": 1_128,
}  # fmt: skip


def test_the_excerpt_of_ml_25m_reproduces_every_number_of_its_section(platform: Platform, movielens_25m: Path) -> None:
    assert len(platform.land_folder(movielens_25m)) == 5
    platform.load_and_build()

    truths(platform, EXCERPT_25M)
