"""The marts of the DVD shop on a real Postgres: the view that is refreshed beside its readers, the files, the truths."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from dagster import AssetKey

from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.sources.dvdrental.load_database import load_archive
from cinestream_platform.warehouse.connection import connect
from tests.support.platform import Platform

STAR = """
INSERT INTO conformed.dim_date
    SELECT to_char(d, 'YYYYMMDD')::int, d, extract(year FROM d), extract(quarter FROM d), extract(month FROM d),
        date_trunc('month', d), extract(day FROM d), extract(isodow FROM d), extract(week FROM d), 'month', 'day', false
    FROM generate_series(timestamp '2005-05-01', '2007-02-28', '1 day') d;
CREATE TABLE dvddw.fact_rental_all PARTITION OF dvddw.fact_rental DEFAULT;
CREATE TABLE dvddw.fact_payment_all PARTITION OF dvddw.fact_payment DEFAULT;
INSERT INTO dvddw.dim_category (category_key, category_id, name, is_inferred, is_in_source)
    VALUES (1, 10, 'Action', false, true);
INSERT INTO dvddw.dim_film (film_key, film_id, title, categories, is_inferred, is_in_source)
    VALUES (1, 11, '=HYPERLINK("evil")', '{Action}', false, true), (2, 12, 'Plain', '{}', false, true);
INSERT INTO dvddw.bridge_film_category (film_key, category_key) VALUES (1, 1);
INSERT INTO dvddw.dim_store (store_key, store_id, is_inferred, is_in_source) VALUES (1, 1, false, true);
INSERT INTO dvddw.dim_staff (staff_key, staff_id, is_inferred, is_in_source) VALUES (1, 1, false, true);
INSERT INTO dvddw.dim_inventory (inventory_key, inventory_id, film_key, store_key, is_inferred, is_in_source)
    VALUES (1, 1, 1, 1, false, true);
INSERT INTO dvddw.dim_customer (customer_key, customer_id, is_active, valid_from, valid_to, is_current, is_inferred,
        is_in_source)
    VALUES (1, 7, true, '1900-01-01', '2006-01-01', false, false, true), (2, 7, true, '2006-01-01', NULL, true, false, true);
INSERT INTO dvddw.fact_rental
    VALUES (1, 20050501, 20050503, 1, 1, 1, 1, 1, '2005-05-01', '2005-05-03', false, 2, 0, 1, 2.99),
        (2, 20060601, NULL, 2, 1, 1, 1, 1, '2006-06-01', NULL, true, NULL, NULL, 0, 0);
INSERT INTO dvddw.fact_payment VALUES (1, 20070214, 1, 2, 1, 1, 1, 1, '2007-02-14', 2.99);
"""
STAR_TABLES = (
    *("dim_category", "dim_film", "dim_store", "dim_staff", "dim_inventory", "dim_customer"),
    *("bridge_film_category", "fact_rental", "fact_payment"),
)
MARTS = (
    *("mart_customer_analytics", "mart_customer_cohorts", "mart_movie_performance", "mart_movie_performance_monthly"),
    *("mart_kpi_category", "gold_kpi_category", "mv_kpi_global"),
)
EXPORTS = ("export_gold_kpi_category", "export_mv_kpi_global")
CATEGORIES = "SELECT category, month_start, revenue FROM dvdrental_marts.gold_kpi_category ORDER BY 1, 2"
KPI = "SELECT revenue, rental_count, most_rented_film FROM dvdrental_marts.mv_kpi_global"


@pytest.fixture
def database_template(prepared_template: str) -> str:
    """The days come from the statements above."""
    return prepared_template


def keys(*names: str) -> list[AssetKey]:
    return [AssetKey(["dvdrental", name]) for name in names]


def exported(platform: Platform, mart: str) -> tuple[pl.DataFrame, list[dict[str, str]]]:
    """An export, from Parquet and from CSV."""
    path = platform.lake.folder / "exports" / mart / mart
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        return pl.read_parquet(path.with_suffix(".parquet")), list(csv.DictReader(file))


def planned(platform: Platform) -> set[AssetKey]:
    """What the staleness sensor would ask for."""
    with connect(platform.target) as conn:
        plan = plan_builds("dvdrental", nodes_of(platform.defs.resolve_asset_graph(), CATALOG), read_state(conn))
    return {key for _, assets in plan.runs() for key in assets}


def upgrade_from_the_old_name(platform: Platform) -> None:
    """As in an installation whose table had the name that the business gave: nothing read the view by its new name."""
    platform.execute("DROP VIEW dvdrental_marts.gold_kpi_category")
    platform.execute("ALTER TABLE dvdrental_marts.mart_kpi_category RENAME TO gold_kpi_category")
    migration = files("cinestream_platform.warehouse.migrations") / "0048_mart_names.sql"
    for _ in range(2):  # the second time as in an installation that never had it
        with connect(platform.target) as conn, conn.transaction():
            conn.execute(migration.read_text(encoding="utf-8").encode())


def test_the_view_is_refreshed_beside_its_readers_and_the_files_follow_it(marts_platform: Platform) -> None:
    """One story, since a run of dbt takes some five seconds."""
    platform = marts_platform
    platform.execute(STAR)
    done = platform.run(keys(*MARTS, *EXPORTS))
    title = '=HYPERLINK("evil")'
    assert platform.query(KPI) == [(Decimal("2.99"), 2, title)]
    assert platform.scalar("SELECT count(*) FROM dvdrental_marts.mart_customer_analytics") == 1  # of two versions

    # Seen as any mart: a contract in Dagster and in Postgres, readers' grants, a publication made from its marts'.
    built = done.asset_materializations_for_node("marts")
    [view] = [event for event in built if event.asset_key == keys("mv_kpi_global")[0]]
    declared: Any = platform.defs.resolve_asset_graph().get(view.asset_key).metadata["dagster/column_schema"]
    assert len(declared.columns) == len(view.metadata["dagster/column_lineage"].value.deps_by_column) == 23
    rights = "SELECT count(*) FROM unnest(%s::text[]) r WHERE has_table_privilege(r, 'dvdrental_marts.mv_kpi_global', 'SELECT')"
    assert platform.scalar(rights, (["data_analyst", "ml_engineer", "dashboard_reader"],)) == 3
    described = "SELECT col_description('dvdrental_marts.mv_kpi_global'::regclass, 1)"
    assert platform.scalar(described).startswith("Last day (UTC)")
    made_from = """
        SELECT array_agg(u.table_name ORDER BY u.table_name) FROM ops.publication p
        JOIN ops.publication u ON u.publication_id = ANY (p.upstream) WHERE p.table_name = %s AND p.is_latest"""
    assert platform.scalar(made_from, ("mv_kpi_global",)) == [
        *("mart_customer_analytics", "mart_kpi_category", "mart_movie_performance")
    ]
    assert platform.scalar(made_from, ("export_mv_kpi_global",)) == ["mv_kpi_global"]
    assert planned(platform) & {*keys(*MARTS, *EXPORTS)} == set()

    frame, cells = exported(platform, "mv_kpi_global")
    assert frame.select("revenue", "rental_count", "most_rented_film").rows() == platform.query(KPI)
    assert (cells[0]["revenue"], cells[0]["most_rented_film"]) == ("2.99", f"'{title}")
    frame, cells = exported(platform, "gold_kpi_category")
    assert frame.get_column("month_start").to_list() == [date(2005, 5, 1), date(2006, 6, 1), date(2007, 2, 1)]
    assert [(row["rental_count"], row["revenue"]) for row in cells] == [("1", "0.00"), ("1", "0.00"), ("0", "2.99")]

    categories = platform.query(CATEGORIES)
    upgrade_from_the_old_name(platform)
    with connect(platform.target, role="dashboard_reader") as conn:
        assert conn.execute(CATEGORIES.encode()).fetchall() == categories != []
    assert platform.scalar("SELECT relkind::text FROM pg_class WHERE relname = 'mart_kpi_category'") == "r"

    # A reader holds the view open meanwhile: it is neither in the way nor does it see anything change.
    oid = "SELECT 'dvdrental_marts.mv_kpi_global'::regclass::oid"
    same, unblocked = platform.scalar(oid), "SET idle_in_transaction_session_timeout = '60s'"
    with psycopg.connect(platform.target.conninfo()) as reader:
        reader.execute(unblocked)
        reader.execute("COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ")
        before: list[Any] = reader.execute(KPI).fetchall()
        platform.execute("UPDATE dvddw.fact_payment SET amount = 5.01")
        platform.run(keys("mart_customer_analytics", "mv_kpi_global", "export_mv_kpi_global"))
        assert reader.execute(KPI).fetchall() == before
    assert platform.query(KPI) == [(Decimal("5.01"), 2, title)]
    assert platform.scalar(oid) == same
    assert exported(platform, "mv_kpi_global")[1][0]["revenue"] == "5.01"


def test_the_published_archive_gives_the_truths_that_were_measured_on_it(
    marts_platform: Platform, dvdrental_files: Path
) -> None:
    platform = marts_platform
    load_archive(platform.settings, dvdrental_files / "dvdrental.tar", replace=True)
    platform.extract()
    platform.run([AssetKey(["conformed", "dim_date"]), *keys(*STAR_TABLES, *MARTS, *EXPORTS)], ("2005-04", "2007-04"))
    assert planned(platform) & {*keys(*MARTS, *EXPORTS)} == set()  # marts that read marts are not stale for ever

    [kpi] = exported(platform, "mv_kpi_global")[0].to_dicts()
    assert kpi == platform_row(platform, "mv_kpi_global")
    assert {name: kpi[name] for name in ("customer_count", "active_customer_count", "copy_count", "film_count")} == {
        **{"customer_count": 599, "active_customer_count": 584, "copy_count": 4_581, "film_count": 1_000},
    }
    assert (kpi["payment_count"], kpi["revenue"]) == (14_596, Decimal("61312.04"))
    assert (kpi["rental_count"], kpi["open_rental_count"], kpi["unpaid_rental_count"]) == (16_044, 183, 1_452)
    assert (kpi["film_without_stock_count"], kpi["film_in_stock_never_rented_count"], kpi["unrented_copy_count"]) == (
        42,
        0,
        1,
    )
    assert (kpi["first_rental_date"], kpi["as_of_date"]) == (date(2005, 5, 24), date(2007, 5, 14))
    assert (kpi["top_category"], kpi["top_category_revenue"]) == ("Sports", Decimal("4892.19"))
    assert platform.query(
        "SELECT title, rental_count FROM dvdrental_marts.mart_movie_performance WHERE rental_rank <= 2 ORDER BY 2 DESC"
    ) == [("Bucket Brotherhood", 34), ("Rocketeer Mother", 33)]
    assert platform.query(
        "SELECT customer_id, payment_count, lifetime_value FROM dvdrental_marts.mart_customer_analytics"
        " ORDER BY lifetime_value DESC LIMIT 2"
    ) == [(148, 45, Decimal("211.55")), (526, 42, Decimal("208.58"))]
    assert platform.query(
        "SELECT month_start, sum(rental_count)::int, sum(payment_count)::int, sum(revenue)"
        " FROM dvdrental_marts.gold_kpi_category GROUP BY 1 HAVING sum(revenue) > 0 OR month_start < '2005-07-01'"
        " ORDER BY 1"
    ) == [
        (date(2005, 5, 1), 1_156, 0, Decimal("0.00")),
        (date(2005, 6, 1), 2_311, 0, Decimal("0.00")),
        (date(2007, 2, 1), 0, 2_016, Decimal("8351.84")),
        (date(2007, 3, 1), 0, 5_644, Decimal("23886.56")),
        (date(2007, 4, 1), 0, 6_754, Decimal("28559.46")),
        (date(2007, 5, 1), 0, 182, Decimal("514.18")),
    ]
    assert platform.query(
        "SELECT store_id, sum(payment_count)::int, sum(revenue) FROM dvdrental_marts.mart_movie_performance_monthly"
        " GROUP BY 1 ORDER BY 1"
    ) == [(1, 7_211, Decimal("30628.91")), (2, 7_385, Decimal("30683.13"))]


def platform_row(platform: Platform, mart: str) -> dict[str, Any]:
    """The single row of a mart."""
    with psycopg.connect(platform.target.conninfo(), row_factory=psycopg.rows.dict_row) as conn:
        [row] = conn.execute(f"SELECT * FROM dvdrental_marts.{mart}".encode()).fetchall()
        return row
