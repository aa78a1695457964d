"""The marts and exports of the Netflix Prize on a real Postgres: figures, one corrected month, readers, files.

Dims and facts are put into the warehouse and its ledger by hand: what is tested begins behind them.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from dagster import AssetKey

from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG, MART_SCHEMAS, TABLES
from cinestream_platform.declarations.partitioning import WHOLE, PartitionUnit
from cinestream_platform.ledger.publications import Publication, read_state, record
from cinestream_platform.marts import user_item_matrix
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.warehouse.access import drift
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import Platform
from tests.support.reader import Reader

Rating = tuple[int, int, int, int]
"""Customer, film, day, stars; keys and ids are the same."""

MEMBERS = """
INSERT INTO netflix_dw.dim_movie (movie_key, movie_id, title, release_year, is_inferred, is_in_source)
    VALUES (1, 10, 'Alpha', 2000, false, true), (2, 20, 'Beta', NULL, false, true), (3, 30, 'Gamma', 1999, false, true);
INSERT INTO netflix_dw.dim_customer
        (customer_key, customer_id, first_rating_date, last_rating_date, total_ratings, is_inferred, is_in_source)
    VALUES (1, 101, '2004-11-05', '2004-11-05', 1, false, true), (2, 102, '2004-12-11', '2004-12-11', 1, false, true),
        (3, 103, '2005-01-02', '2005-01-02', 1, false, true);
"""
NOVEMBER, DECEMBER, JANUARY = "2004-11", "2004-12", "2005-01"
RATINGS: dict[str, list[Rating]] = {
    NOVEMBER: [(1, 1, 20041105, 5)],
    DECEMBER: [(2, 2, 20041211, 2)],
    JANUARY: [(3, 1, 20050102, 4)],
}
"""w = 0.5, b = 2.75 and p = 3.3 of the empirical Bayes mean, as in the unit test of the mart."""

BY_MONTH = ("mart_daily_ratings", "mart_movie_months", "mart_customer_trends")
WHOLE_MARTS = (
    *("mart_ratings_by_month", "mart_ratings_by_year", "mart_movie_performance"),
    *("v_daily_rating_summary", "v_movie_performance"),
)
MATRIX, DIMENSIONS = "export_user_item_matrix", "export_user_item_dimensions"


def publish(platform: Platform, month: str, ratings: list[Rating]) -> None:
    """What the facts' build leaves: both partitions with these rows, and their publications."""
    begin, end = (day.strftime("%Y%m%d") for day in PartitionUnit.MONTH.first_days(month))
    with connect(platform.target) as conn, conn.transaction():
        for table in ("fact_ratings", "fact_customer_months"):
            child = f"netflix_dw.{table}_{month.replace('-', '_')}"
            conn.execute(
                f"CREATE TABLE IF NOT EXISTS {child} PARTITION OF netflix_dw.{table} FOR VALUES FROM ({begin}) TO ({end})"
            )
            conn.execute(f"DELETE FROM {child}")
        conn.cursor().executemany(
            "INSERT INTO netflix_dw.fact_ratings (rating_key, customer_key, movie_key, date_key, rating, created_at)"
            " VALUES (%s, %s, %s, %s, %s, now())",
            [(movie << 32 | customer, customer, movie, day, stars) for customer, movie, day, stars in ratings],
        )
        conn.execute(
            "INSERT INTO netflix_dw.fact_customer_months SELECT customer_key, date_key / 100 * 100 + 1, count(*),"
            " sum(rating), min(date_key), max(date_key), now() FROM netflix_dw.fact_ratings"
            f" WHERE date_key >= {begin} AND date_key < {end} GROUP BY 1, 2"
        )
        for table in ("fact_ratings", "fact_customer_months"):
            published = Publication(month, len(ratings), f"{table} {sorted(ratings)}", (), True)
            record(conn, "netflix_dw", table, "by-hand", published)


@pytest.fixture
def platform(marts_platform: Platform) -> Platform:
    """The star with three months of one rating each."""
    marts_platform.run([AssetKey(["conformed", "dim_date"])])
    marts_platform.execute(MEMBERS)
    with connect(marts_platform.target) as conn, conn.transaction():
        for dim in ("dim_movie", "dim_customer"):
            record(conn, "netflix_dw", dim, "by-hand", Publication(WHOLE, 3, dim, (), True))
    for month, ratings in RATINGS.items():
        publish(marts_platform, month, ratings)
    return marts_platform


def keys(*names: str) -> list[AssetKey]:
    return [AssetKey(["netflix", name]) for name in names]


def planned(platform: Platform) -> dict[Any, set[str]]:
    """What the staleness sensor would ask for: range to assets."""
    with connect(platform.target) as conn:
        plan = plan_builds("netflix", nodes_of(platform.defs.resolve_asset_graph(), CATALOG), read_state(conn))
    return {span: {key.path[-1] for key in assets} for span, assets in plan.runs()}


def mart(platform: Platform, name: str, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
    return platform.query(f"SELECT {columns} FROM netflix_marts.{name} WHERE {where} ORDER BY 1, 2")


def places(platform: Platform, where: str) -> dict[str, list[tuple[Any, ...]]]:
    """Where the rows lie, and which transactions wrote them."""
    return {name: mart(platform, name, "ctid::text, xmin::text, month_start", where) for name in BY_MONTH}


def exported(platform: Platform, month: str) -> list[tuple[Any, ...]]:
    path = platform.lake.folder / "exports" / "user_item_matrix" / f"month={month}" / "ratings.parquet"
    frame = pl.read_parquet(path, hive_partitioning=False)
    assert dict(frame.schema) == {
        "customer_key": pl.Int32,
        "movie_key": pl.Int32,
        "rating": pl.Int8,
        "date": pl.Date,
    }
    return frame.rows()


def published_since(platform: Platform, number: int) -> set[tuple[str, str]]:
    made = {*BY_MONTH, *WHOLE_MARTS, MATRIX, DIMENSIONS}
    return {(table, key) for table, key, _ in platform.publications(number) if table in made}


def test_marts_and_exports_of_the_months(platform: Platform) -> None:
    """One story, since a run of dbt takes some ten seconds."""
    everything = {*BY_MONTH, *WHOLE_MARTS, MATRIX, DIMENSIONS}
    assert planned(platform) == {(NOVEMBER, JANUARY): everything}
    assert len(platform.build(marts=True)) == 1  # one range, one run
    assert planned(platform) == {}

    # The figures, worked by hand.
    nov, dec, jan = date(2004, 11, 1), date(2004, 12, 1), date(2005, 1, 1)
    assert mart(platform, "mart_daily_ratings") == [
        (20041105, date(2004, 11, 5), nov, 1, 5, Decimal(5), 0, 0, 0, 0, 1),
        (20041211, date(2004, 12, 11), dec, 1, 2, Decimal(2), 0, 1, 0, 0, 0),
        (20050102, date(2005, 1, 2), jan, 1, 4, Decimal(4), 0, 0, 0, 1, 0),
    ]
    assert mart(platform, "mart_movie_months") == [
        (1, nov, 1, 5, 0, 0, 0, 0, 1),
        (1, jan, 1, 4, 0, 0, 0, 1, 0),
        (2, dec, 1, 2, 0, 1, 0, 0, 0),
    ]
    assert mart(platform, "mart_customer_trends") == [
        (month, 1, "1", 1, 1, stars, Decimal(stars), Decimal(1)) for month, stars in ((nov, 5), (dec, 2), (jan, 4))
    ]
    assert mart(platform, "mart_ratings_by_month") == [
        (nov, 2004, 1, Decimal(5), 1, 1, None, None, 1),
        (dec, 2004, 1, Decimal(2), 1, 1, 0, Decimal(0), 2),
        (jan, 2005, 1, Decimal(4), 1, 1, 0, Decimal(0), 3),
    ]
    assert mart(platform, "mart_ratings_by_year") == [
        (2004, 2, Decimal("3.5"), 0, 1, 0, 0, 1, 2, 2, 2, None, None, 2),
        (2005, 1, Decimal(4), 0, 0, 0, 1, 0, 1, 1, 1, -1, Decimal("-0.5"), 3),
    ]
    shown = "movie_id, title, rating_count, bayesian_mean, bayesian_rank, popularity_rank, first_month, last_month"
    assert mart(platform, "mart_movie_performance", shown) == [
        (10, "Alpha", 2, Decimal("4.4"), 1, 1, nov, jan),
        (20, "Beta", 1, Decimal("2.2"), 2, 2, dec, dec),
        (30, "Gamma", 0, Decimal("3.3"), None, None, None, None),
    ]

    # Views: read by whoever reads dashboards; marts like any other in the ledger and in Dagster.
    with connect(platform.target, role="dashboard_reader") as conn:
        days = (
            "SELECT date_key, day_name, is_weekend, rating_count_7_day_mean FROM netflix_marts.v_daily_rating_summary"
        )
        assert conn.execute(f"{days} ORDER BY 1").fetchall() == [
            (20041105, "Friday", False, None),
            (20041211, "Saturday", True, Decimal("0.142857")),
            (20050102, "Sunday", True, Decimal("0.142857")),
        ]
        best = "SELECT title, bayesian_rank FROM netflix_marts.v_movie_performance ORDER BY bayesian_rank"
        assert conn.execute(best).fetchall() == [("Alpha", 1), ("Beta", 2)]
    with connect(platform.target) as conn:
        differing = [grant for grants in drift(conn, TABLES, MART_SCHEMAS) for grant in grants]
    assert [grant for grant in differing if grant.schema == "netflix_marts"] == []
    comments = "SELECT obj_description('netflix_marts.v_movie_performance'::regclass), col_description(%s::regclass, 2)"
    [(of_view, of_column)] = platform.query(comments, ("netflix_marts.v_movie_performance",))
    assert "Grain: one row per film" in of_view
    assert of_column.startswith("Title as delivered")
    rows = dict(platform.query("SELECT table_name, rows FROM ops.publication WHERE schema_name = 'netflix_marts'"))
    assert rows["v_movie_performance"] == 2
    assert rows["v_daily_rating_summary"] == 3
    shown = platform.instance.get_latest_materialization_event(*keys("v_movie_performance"))
    assert shown.asset_materialization.metadata["dagster/row_count"].value == 2

    # Files: what the fact holds, in the order of the keys, and what the keys stand for.
    assert exported(platform, NOVEMBER) == [(1, 1, 5, date(2004, 11, 5))]
    assert exported(platform, JANUARY) == [(3, 1, 4, date(2005, 1, 2))]
    folder = platform.lake.folder / "exports" / "user_item_matrix"
    assert pl.read_parquet(folder / "customers.parquet").rows() == [(1, 101), (2, 102), (3, 103)]
    assert pl.read_parquet(folder / "movies.parquet").rows() == [
        (1, 10, "Alpha", 2000),
        (2, 20, "Beta", None),
        (3, 30, "Gamma", 1999),
    ]

    # Somebody has changed both views: one still has its columns.
    view_oid = "SELECT 'netflix_marts.v_movie_performance'::regclass::oid"
    oid = platform.scalar(view_oid)
    definition = platform.scalar("SELECT pg_get_viewdef('netflix_marts.v_movie_performance'::regclass)").rstrip("; \n")
    platform.execute(f"""
        CREATE OR REPLACE VIEW netflix_marts.v_movie_performance AS {definition} AND title <> 'Alpha';
        DROP VIEW netflix_marts.v_daily_rating_summary; CREATE VIEW netflix_marts.v_daily_rating_summary AS SELECT 1 AS x;
    """)

    # December is corrected: only its rows are written, and only its file; the other months are not even looked at.
    before, untouched = platform.last_publication(), places(platform, "month_start <> '2004-12-01'")
    mtime = (folder / f"month={NOVEMBER}" / "ratings.parquet").stat().st_mtime_ns
    publish(platform, DECEMBER, [(2, 2, 20041211, 2), (2, 1, 20041211, 3)])
    assert planned(platform) == {(DECEMBER, DECEMBER): everything - {DIMENSIONS}}
    statement = "SELECT count(*), sum(rating_count) FROM netflix_marts.mart_daily_ratings"
    with Reader(platform.target, statement) as days:
        platform.build(marts=True)
    assert not days.errors
    assert days.seen == {(3, 3), (3, 4)}
    assert planned(platform) == {}
    assert places(platform, "month_start <> '2004-12-01'") == untouched
    assert (folder / f"month={NOVEMBER}" / "ratings.parquet").stat().st_mtime_ns == mtime
    assert published_since(platform, before) == {
        *((name, DECEMBER) for name in (*BY_MONTH, MATRIX)),
        *((name, WHOLE) for name in WHOLE_MARTS),
    }
    assert mart(platform, "mart_customer_trends", where="month_start = '2004-12-01'") == [
        (dec, 2, "2-5", 1, 2, 5, Decimal("2.5"), Decimal(2))
    ]
    assert mart(platform, "mart_ratings_by_month", "month_start, rating_count_growth, cumulative_rating_count") == [
        (nov, None, 1),
        (dec, Decimal(1), 3),
        (jan, Decimal("-0.5"), 4),
    ]
    assert exported(platform, DECEMBER) == [(2, 1, 3, date(2004, 12, 11)), (2, 2, 2, date(2004, 12, 11))]
    assert platform.scalar(view_oid) == oid  # replaced
    assert len(mart(platform, "v_movie_performance")) == 2
    assert len(mart(platform, "v_daily_rating_summary")[0]) == 13  # made anew

    # January is retired, and so is who rated in it alone: no row of it stays anywhere, nor its file.
    publish(platform, JANUARY, [])
    with connect(platform.target) as conn, conn.transaction():
        conn.execute("UPDATE netflix_dw.dim_customer SET is_in_source = false WHERE customer_key = 3")
        record(conn, "netflix_dw", "dim_customer", "by-hand", Publication(WHOLE, 3, "without 3", (), True))
    assert planned(platform) == {(JANUARY, JANUARY): everything}
    with (
        Reader(platform.target, "SELECT count(*) FROM netflix_marts.v_daily_rating_summary") as summary,
        Reader(platform.target, "SELECT count(*) FROM netflix_marts.v_movie_performance", prepared=True) as films,
    ):
        platform.build(marts=True)
    assert not summary.errors + films.errors
    assert summary.seen == {(3,), (2,)}
    assert films.seen == {(2,)}
    assert planned(platform) == {}
    assert places(platform, "month_start = '2005-01-01'") == {name: [] for name in BY_MONTH}
    assert [row[0] for row in mart(platform, "mart_ratings_by_year")] == [2004]
    assert not (folder / f"month={JANUARY}" / "ratings.parquet").exists()
    export = "SELECT rows FROM ops.publication WHERE table_name = %s AND partition_key = %s AND is_latest"
    assert platform.scalar(export, (MATRIX, JANUARY)) == 0


def test_an_export_of_a_range_is_one_step_that_repeats_without_news(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = platform.run(keys(MATRIX, DIMENSIONS), (NOVEMBER, JANUARY))
    assert [(check.check_name, check.passed) for check in done.get_asset_check_evaluations()] == [
        (user_item_matrix.CHECK, True)
    ] * 2
    events = done.asset_materializations_for_node("netflix__export_user_item_matrix")
    assert {event.partition: event.metadata["dagster/row_count"].value for event in events} == dict.fromkeys(RATINGS, 1)
    assert published_since(platform, 0) == {*((MATRIX, month) for month in RATINGS), (DIMENSIONS, WHOLE)}
    before = platform.last_publication()
    platform.run(keys(MATRIX), (NOVEMBER, NOVEMBER))
    assert published_since(platform, before) == set()

    # A month that fails keeps its place in the plan; those before it are done.
    write = user_item_matrix.write

    def fail_for_december(lake: Any, key: str, rows: pl.DataFrame) -> None:
        if DECEMBER in key:
            raise OSError("no space left")
        write(lake, key, rows)

    for month in (NOVEMBER, DECEMBER):
        publish(platform, month, [*RATINGS[month], (3, 3, int(month.replace("-", "")) * 100 + 20, 1)])
    with monkeypatch.context() as patch:
        patch.setattr(user_item_matrix, "write", fail_for_december)
        with pytest.raises(OSError, match="no space left"):
            platform.run(keys(MATRIX), (NOVEMBER, DECEMBER))
    assert published_since(platform, before) == {(MATRIX, NOVEMBER)}
    assert MATRIX in planned(platform)[DECEMBER, DECEMBER]
    assert MATRIX not in planned(platform).get((NOVEMBER, DECEMBER), set())

    # Files that do not hold what the fact holds are told of.
    monkeypatch.setattr(user_item_matrix, "write", lambda lake, key, rows: write(lake, key, rows.head(1)))
    [check] = platform.run(keys(MATRIX), (DECEMBER, DECEMBER)).get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["differing"].value == {DECEMBER: {"fact": [2, 3], "file": [1, 2]}}
