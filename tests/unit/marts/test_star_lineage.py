"""Which delivered columns the star's columns come from."""

from __future__ import annotations

import polars as pl
import pytest

from cinestream_platform.declarations.column import INTEGER, TEXT, Column
from cinestream_platform.declarations.raw_table import RawEvents, RawTable
from cinestream_platform.marts.star_lineage import edges_of_assets, frame_origins, known_edges


def raw(name: str, *columns: str) -> RawTable:
    delivered = tuple(Column(column, INTEGER if column.endswith("_id") else TEXT, column) for column in columns)
    return RawEvents(source="shop", name=name, description="", grain="", delivered=delivered, row_key=(columns[0],))


FILMS, COPIES = raw("films", "film_id", "name", "year"), raw("copies", "copy_id", "film_id", "shelf")


def titles(films: pl.LazyFrame, copies: pl.LazyFrame) -> pl.LazyFrame:
    counted = copies.group_by("film_id").agg(shelves=pl.col("shelf").n_unique())
    return films.join(counted, on="film_id", how="left").select(
        "film_id", title=pl.col("name") + " " + pl.col("year"), shelves="shelves", kind=pl.lit("film")
    )


def test_a_column_comes_from_what_it_is_computed_from_and_not_from_the_keys_of_joins() -> None:
    found = frame_origins(titles, {"films": FILMS, "copies": COPIES})
    origins = {column: [f"{table.name}.{name}" for table, name in of] for column, of in found.items()}
    assert origins["title"] == ["films.name", "films.year"]
    assert "copies.shelf" in origins["shelves"]
    assert not {"films.name", "films.year"} & {*origins["shelves"], *origins["film_id"]}
    assert {name.partition(".")[2] for name in origins["film_id"]} == {"film_id"}


@pytest.mark.parametrize(
    ("column", "origins"),
    [
        (("movielens_dw", "dim_movie", "release_year"), {("raw_movielens", "movies", "title")}),
        (
            ("chinook_dw", "fact_invoice_line", "amount"),
            {("raw_chinook", "invoice_line", "quantity"), ("raw_chinook", "invoice_line", "unit_price")},
        ),
        (("dvddw", "dim_customer", "city"), {("raw_dvdrental", "city", "city")}),
        (
            ("netflix_dw", "fact_ratings", "movie_key"),
            {("netflix_dw", "dim_movie", "movie_key"), ("raw_netflix", "ratings", "movie_id")},
        ),
    ],
)
def test_the_stars_columns_are_traced_to_the_delivered_ones(
    column: tuple[str, str, str], origins: set[tuple[str, str, str]]
) -> None:
    edges = known_edges()
    assert {
        (e.from_schema, e.from_table, e.from_column) for e in edges if (e.to_schema, e.to_table, e.to_column) == column
    } == origins


def test_what_is_written_down_is_what_the_transforms_say() -> None:
    assert known_edges() == edges_of_assets(), "run: make sources"
