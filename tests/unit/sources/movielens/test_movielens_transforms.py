"""Made-up MovieLens rows: what becomes of each trap of the format."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.declarations.frames import polars_schema
from cinestream_platform.declarations.table import Table
from cinestream_platform.sources.movielens import feeds, tables, transforms


def raw(table: Table, *rows: tuple) -> pl.LazyFrame:
    """Raw rows of a table, without their origin."""
    schema = {name: dtype for name, dtype in polars_schema(table).items() if not name.startswith("_")}
    return pl.LazyFrame(list(rows), schema=schema, orient="row")


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)


def movies(*titles: str) -> pl.LazyFrame:
    return raw(tables.MOVIES, *((number, title, "Drama") for number, title in enumerate(titles, start=1)))


NO_LINKS = raw(tables.LINKS)


# ---- dim_movie -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Toy Story (1995) ", "Toy Story", 1995),
        ("  Toy Story   (1995)\t", "Toy Story", 1995),
        ("2001 (1968)", "2001", 1968),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Babylon 5", "Babylon 5", None),
        ("Babylon 5 ", "Babylon 5", None),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto (2006–2007)", None),
        ("Years (1975-1979)", "Years (1975-1979)", None),
        ("Title (1999) and more", "Title (1999) and more", None),
        ("Title (99)", "Title (99)", None),
        ("Title (19999)", "Title (19999)", None),
        ("Title (1869)", "Title (1869)", None),  # dim_movie's rule would stop the publish of all films
        ("Title (1870)", "Title", 1870),
        ("Title (2100)", "Title", 2100),
        ("Title (2101)", "Title (2101)", None),
        ("Title (１９９５)", "Title (１９９５)", None),  # digits, but none that a number can be read from
        ("Emma (1996) (1997)", "Emma (1996)", 1997),
        ("11'09\"01 - September 11 (2002)", "11'09\"01 - September 11", 2002),
        ("Misérables, Les (1995)", "Misérables, Les", 1995),
    ],
)
def test_the_year_is_the_one_in_brackets_at_the_end_and_the_title_what_stands_before(delivered, title, year):
    dim = transforms.dim_movie(movies(delivered), NO_LINKS).collect()
    assert dim.select("title", "release_year").rows() == [(title, year)]


@given(st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1), st.integers(1870, 2100))
@settings(max_examples=50, deadline=None)
def test_any_title_with_a_year_comes_apart_as_it_was_put_together(title, year):
    [row] = transforms.dim_movie(movies(f"{title} ({year})"), NO_LINKS).collect().select("title", "release_year").rows()
    assert row == (title, year)


def test_a_film_has_its_numbers_and_one_without_links_none():
    links = raw(tables.LINKS, (1, "0114709", 862), (2, "10000001", None), (9, "0000009", 9))
    dim = transforms.dim_movie(movies("A (2000)", "B (2000)", "C (2000)"), links).collect().sort("movie_id")
    assert dim.rows() == [
        (1, "A", 2000, "0114709", 862, False, True),
        (2, "B", 2000, "10000001", None, False, True),
        (3, "C", 2000, None, None, False, True),
    ]


# ---- genres ----------------------------------------------------------------------------------------------------------


def genres_of(*genres: str) -> list[tuple[int, str]]:
    films = raw(tables.MOVIES, *((number, "t", text) for number, text in enumerate(genres, start=1)))
    return sorted(transforms.movie_genres(films).collect().rows())


def test_a_film_has_each_of_its_genres_once():
    assert genres_of("Drama|Comedy", "Drama", "Sci-Fi|Drama|Sci-Fi") == [
        (1, "Comedy"),
        (1, "Drama"),
        (2, "Drama"),
        (3, "Drama"),
        (3, "Sci-Fi"),
    ]


def test_no_genres_listed_is_no_genre_and_neither_is_nothing_between_bars():
    assert genres_of("(no genres listed)", "|Drama||", "Drama|(no genres listed)") == [(2, "Drama"), (3, "Drama")]


def test_genres_are_members_once_each():
    films = raw(tables.MOVIES, (1, "t", "Drama|IMAX"), (2, "t", "Drama"), (3, "t", "(no genres listed)"))
    assert sorted(transforms.dim_genre(films).collect().rows()) == [("Drama", False, True), ("IMAX", False, True)]


# ---- users and tags --------------------------------------------------------------------------------------------------

RATINGS = raw(
    tables.RATINGS,
    (1, 10, Decimal("3.5"), at(2005, 1, 1)),
    (1, 11, Decimal("0.5"), at(2004, 12, 31, 23, 59, 59)),
    (2, 10, Decimal("5.0"), at(2010, 2, 28)),
)
TAGS = raw(
    tables.TAGS,
    (1, 10, '"artsy"', at(2012, 2, 29)),
    (3, 10, "Noir", at(2005, 6, 1)),
    (3, 11, "noir", at(2005, 6, 1)),
    (3, 12, "Noir", at(2006, 6, 1)),
)


def test_users_are_known_from_ratings_and_from_tags_alone_are_inferred():
    dim = transforms.dim_user(RATINGS, TAGS).collect().sort("user_id")
    assert dim.rows() == [
        (1, at(2004, 12, 31, 23, 59, 59), at(2005, 1, 1), 2, 1, False, True),
        (2, at(2010, 2, 28), at(2010, 2, 28), 1, 0, False, True),
        (3, None, None, 0, 3, True, True),
    ]


def test_user_tags_are_their_exact_text_and_genome_tags_their_number():
    genome = raw(tables.GENOME_TAGS, (7, "noir"), (8, "Noir"))
    assert sorted(transforms.dim_tag(TAGS, genome).collect().rows()) == [
        ("genome", "7", "noir", False, True),
        ("genome", "8", "Noir", False, True),
        ("user", '"artsy"', '"artsy"', False, True),
        ("user", "Noir", "Noir", False, True),
        ("user", "noir", "noir", False, True),
    ]


# ---- facts -----------------------------------------------------------------------------------------------------------


def test_a_rating_is_dated_by_its_utc_day():
    assert transforms.fact_ratings(RATINGS).collect().rows() == [
        (1, 10, 20050101, Decimal("3.5"), at(2005, 1, 1)),
        (1, 11, 20041231, Decimal("0.5"), at(2004, 12, 31, 23, 59, 59)),
        (2, 10, 20100228, Decimal("5.0"), at(2010, 2, 28)),
    ]


@given(st.datetimes(datetime(1995, 1, 1), datetime(2049, 12, 31)))
@settings(max_examples=50, deadline=None)
def test_a_date_key_is_year_month_and_day_as_digits(when):
    frame = pl.DataFrame({"t": [when]}, schema={"t": pl.Datetime("us", "UTC")})
    assert frame.select(transforms.date_key("t")).item() == int(when.strftime("%Y%m%d"))


def test_a_tag_given_refers_to_the_users_vocabulary():
    assert transforms.fact_tags(TAGS).collect().rows()[0] == (1, 10, 20120229, "user", '"artsy"', at(2012, 2, 29))


def test_a_score_refers_to_the_genomes_vocabulary():
    scores = raw(tables.GENOME_SCORES, (1, 7, 0.028749999999999998))
    assert transforms.fact_genome_scores(scores).collect().rows() == [(1, "genome", "7", 0.028749999999999998)]


# ---- against the declarations ----------------------------------------------------------------------------------------

MADE = {
    tables.DIM_MOVIE: transforms.dim_movie(movies("A (2000)"), NO_LINKS),
    tables.DIM_GENRE: transforms.dim_genre(movies("A (2000)")),
    tables.DIM_USER: transforms.dim_user(RATINGS, TAGS),
    tables.DIM_TAG: transforms.dim_tag(TAGS, raw(tables.GENOME_TAGS)),
    tables.BRIDGE_MOVIE_GENRE: transforms.movie_genres(movies("A (2000)")),
    tables.FACT_RATINGS: transforms.fact_ratings(RATINGS),
    tables.FACT_TAGS: transforms.fact_tags(TAGS),
    tables.FACT_GENOME_SCORES: transforms.fact_genome_scores(raw(tables.GENOME_SCORES)),
}


@pytest.mark.parametrize("table", tables.STAR_TABLES, ids=lambda table: table.name)
def test_a_transform_returns_its_tables_columns_in_their_types_or_the_ids_that_give_a_key(table):
    made = dict(MADE[table].collect_schema())
    declared = polars_schema(table)
    for reference in table.references:
        for target, column in reference.on.items():
            assert made.pop(column) == polars_schema(reference.table)[target]
        if reference.on:
            del declared[reference.column]
    declared.pop(table.surrogate_key, None)
    assert made == declared


@pytest.mark.parametrize("table", tables.STAR_TABLES, ids=lambda table: table.name)
def test_a_transform_of_nothing_is_nothing(table):
    empty = {
        tables.DIM_MOVIE: transforms.dim_movie(movies(), NO_LINKS),
        tables.DIM_GENRE: transforms.dim_genre(movies()),
        tables.DIM_USER: transforms.dim_user(raw(tables.RATINGS), raw(tables.TAGS)),
        tables.DIM_TAG: transforms.dim_tag(raw(tables.TAGS), raw(tables.GENOME_TAGS)),
        tables.BRIDGE_MOVIE_GENRE: transforms.movie_genres(movies()),
        tables.FACT_RATINGS: transforms.fact_ratings(raw(tables.RATINGS)),
        tables.FACT_TAGS: transforms.fact_tags(raw(tables.TAGS)),
        tables.FACT_GENOME_SCORES: transforms.fact_genome_scores(raw(tables.GENOME_SCORES)),
    }[table]
    assert empty.collect().height == 0
    assert empty.collect_schema() == MADE[table].collect_schema()


def test_every_feed_is_read_by_its_own_table():
    assert [feed.table for feed in feeds.FEEDS] == list(tables.RAW_TABLES)
