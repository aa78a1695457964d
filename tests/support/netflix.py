"""Small hand-made files of the Netflix Prize, in the publisher's layouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dagster import AssetKey

from tests.support.platform import Platform

Rated = tuple[int, int, str]
"""Customer, stars and day."""
Rating = tuple[int, int, int, str]
"""Film, customer, stars and day."""
FACTS = ("fact_ratings", "fact_customer_months")
DATES = "to_date(date_key::text, 'YYYYMMDD')::text"


def ratings_txt(films: Mapping[int, Iterable[Rated]]) -> bytes:
    """A file of either layout: the line of each film, and below it its ratings."""
    lines = []
    for film, rated in films.items():
        lines += [f"{film}:", *(f"{customer},{stars},{day}" for customer, stars, day in rated)]
    return "".join(f"{line}\n" for line in lines).encode()


def titles_csv(*films: tuple[int, int | None, str]) -> bytes:
    """A file of (film, year, title)."""
    lines = [f"{film},{'NULL' if year is None else year},{title}\n" for film, year, title in films]
    return "".join(lines).encode("latin-1")


def rated(*files: Mapping[int, Iterable[Rated]]) -> list[Rating]:
    """The ratings of some files, sorted."""
    return sorted((film, *rating) for films in files for film, ratings in films.items() for rating in ratings)


def raw(platform: Platform) -> list[Rating]:
    """The raw ratings in the words of the files."""
    return platform.query(
        "SELECT movie_id, customer_id, rating::int, date::text FROM raw_netflix.ratings ORDER BY 1, 2, 4, 3"
    )


def facts(platform: Platform) -> list[Rating]:
    """The published ratings in the words of the files."""
    return platform.query(
        f"SELECT movie_id, customer_id, rating::int, {DATES} FROM netflix_dw.fact_ratings"
        " JOIN netflix_dw.dim_movie USING (movie_key) JOIN netflix_dw.dim_customer USING (customer_key) ORDER BY 1, 2, 4"
    )


def keys(platform: Platform) -> list[list[tuple[int, ...]]]:
    """Natural id and surrogate key of every member, and every rating's key with those of its members."""
    return [
        platform.query("SELECT movie_id, movie_key FROM netflix_dw.dim_movie ORDER BY 1"),
        platform.query("SELECT customer_id, customer_key FROM netflix_dw.dim_customer ORDER BY 1"),
        platform.query("SELECT rating_key, customer_key, movie_key FROM netflix_dw.fact_ratings ORDER BY 1"),
    ]


def oids(platform: Platform, table: str = "fact_ratings") -> dict[str, int]:
    """Month to oid of a fact's partition."""
    rows = platform.query(
        "SELECT right(inhrelid::regclass::text, 7), inhrelid::bigint FROM pg_inherits WHERE inhparent = %s::regclass",
        (f"netflix_dw.{table}",),
    )
    return {month.replace("_", "-"): oid for month, oid in rows}


def star_hashes(platform: Platform) -> dict[tuple[str, str], str]:
    """The platform's own hash of every dim and month."""
    return {
        (table, partition): content
        for table, partition, content in platform.query(
            "SELECT table_name, partition_key, content_hash FROM ops.publication"
            " WHERE is_latest AND schema_name = 'netflix_dw'"
        )
    }


def build_months(first: str, last: str) -> None:
    """Build the star over a range of months; for a process of its own."""
    names = ("dim_movie", "dim_customer", *FACTS)
    assert Platform().run([AssetKey(["netflix", name]) for name in names], (first, last)).success


def leftovers(platform: Platform) -> list[str]:
    """Tables in the star's staging schema: none may stay."""
    return [
        name
        for (name,) in platform.query(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'netflix_dw_staging'::regnamespace"
        )
    ]
