"""Which columns a mart's columns come from: read from SQL, without a database."""

from typing import Any

import dagster as dg

from cinestream_platform.marts.lineage import column_lineage, tables_read

RATINGS, MOVIES = dg.AssetKey(["movielens", "fact_ratings"]), dg.AssetKey(["movielens", "dim_movie"])


def table(name: str, schema: str, *columns: str, kind: str = "source", reads: tuple[str, ...] = ()) -> dict[str, Any]:
    """A node of dbt's manifest."""
    return {
        "name": name,
        "schema": schema,
        "resource_type": kind,
        "columns": {column: {"data_type": "integer"} for column in columns},
        "config": {"materialized": "ephemeral" if name.startswith("int_") else "incremental"},
        "depends_on": {"nodes": list(reads)},
    }


MANIFEST = {
    "sources": {
        "ratings": table("fact_ratings", "movielens_dw", "movie_key", "rating"),
        "movies": table("dim_movie", "movielens_dw", "movie_key", "title"),
    },
    "nodes": {
        "int": table("int_ratings", "", kind="model", reads=("ratings",)),
        "mart": table(
            "mart_movies", "movielens_marts", "title", "total", "rows", kind="model", reads=("movies", "int")
        ),
    },
}
SQL = """
with __dbt__cte__int_ratings as (select movie_key, rating as stars from "warehouse"."movielens_dw"."fact_ratings"),
totals as (select movie_key, sum(stars) as total, count(*) as rows from __dbt__cte__int_ratings group by movie_key)
select movies.title::text as title, (coalesce(totals.total, 0))::bigint as total, totals.rows
from "warehouse"."movielens_dw"."dim_movie" as movies left join totals using (movie_key)
"""


def origins(lineage: dg.TableColumnLineage) -> dict[str, list[tuple[dg.AssetKey, str]]]:
    return {name: [(dep.asset_key, dep.column_name) for dep in deps] for name, deps in lineage.deps_by_column.items()}


def test_a_column_comes_from_columns_of_tables_also_through_an_intermediate_model():
    found = origins(column_lineage(MANIFEST, "mart", SQL))
    assert found == {"title": [(MOVIES, "title")], "total": [(RATINGS, "rating")], "rows": []}


def test_every_column_of_a_star_is_known_by_name():
    found = column_lineage(
        MANIFEST, "mart", SQL.replace("stars from", "stars, * from").replace("sum(stars)", "max(rating)")
    )
    assert origins(found)["total"] == [(RATINGS, "rating")]


def test_a_mart_reads_tables_and_an_intermediate_model_is_none():
    assert [node["name"] for node in tables_read(MANIFEST, "mart")] == ["dim_movie", "fact_ratings"]
