"""How the marts look in Dagster and when they run, without a database."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cinestream_platform.marts.assets import dbt_arguments, marts_assets
from cinestream_platform.marts.project import ensure_manifest
from cinestream_platform.marts.resource import MartsDbt
from cinestream_platform.marts.translator import source_of_schema
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.settings import Settings
from cinestream_platform.sources.chinook.tables import STAR_TABLES
from cinestream_platform.sources.dvdrental.tables import STAR_TABLES as RENTAL_TABLES
from cinestream_platform.warehouse.connection import PostgresTarget

YEARS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="1995", fmt="%Y")
BY_YEAR = {"mart_genre_trends", "mart_rating_distribution"}
FOLLOWING = {"mart_movie_ratings", "mart_user_activity", "mart_user_retention", "mart_tag_popularity"}
MUSIC = {
    *(f"mart_sales_by_{period}" for period in ("day", "month", "year")),
    *(f"mart_{product}_sales" for product in ("track", "album", "artist", "genre", "media_type")),
    *("mart_country_sales", "mart_city_sales", "mart_customer_segments", "mart_customer_retention"),
    *("mart_employee_performance", "mart_team_performance"),
}
RENTALS = {
    *("mart_customer_analytics", "mart_customer_cohorts", "mart_movie_performance", "mart_movie_performance_monthly"),
    *("gold_kpi_category", "mv_kpi_global"),
}


def key(table: str, source: str = "movielens") -> dg.AssetKey:
    return dg.AssetKey([source, table])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_manifest(Settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def assets(manifest: Path) -> list[dg.AssetsDefinition]:
    return marts_assets(years=YEARS, manifest=manifest)


def test_every_mart_is_one_asset_below_its_source(assets: list[dg.AssetsDefinition]) -> None:
    marts, by_year = assets
    assert marts.keys == {
        *(key(name) for name in FOLLOWING),
        *(key(name, "chinook") for name in MUSIC),
        *(key(name, "dvdrental") for name in RENTALS),
    }
    assert by_year.keys == {key(name) for name in BY_YEAR}
    assert by_year.partitions_def == YEARS
    assert by_year.backfill_policy == dg.BackfillPolicy.single_run()
    assert marts.partitions_def is None


def test_every_mart_has_group_owner_kinds_description_columns_table_and_checks(
    assets: list[dg.AssetsDefinition],
) -> None:
    checked = {check.asset_key for definition in assets for check in definition.check_specs}
    for spec in (spec for definition in assets for spec in definition.specs):
        columns: Any = spec.metadata["dagster/column_schema"]
        schema = f"{spec.key.path[0]}_marts"
        assert spec.group_name == schema
        assert spec.owners == ["team:data-platform"]
        assert spec.kinds == {"dbt", "postgres"}
        assert "Grain: one row a" in (spec.description or "")
        assert all(column.description and column.type != "?" for column in columns.columns)
        assert spec.metadata["dagster/table_name"] == f"{schema}.{spec.key.path[-1]}"
        assert spec.key in checked


def test_the_sources_of_dbt_are_the_assets_of_the_star(assets: list[dg.AssetsDefinition]) -> None:
    marts = {mart for definition in assets for mart in definition.keys}
    dependencies = {dep.asset_key for definition in assets for spec in definition.specs for dep in spec.deps}
    assert dependencies - marts == {
        key("dim_date", "conformed"),
        *map(key, ("dim_movie", "dim_genre", "dim_user", "dim_tag", "bridge_movie_genre", "fact_ratings", "fact_tags")),
        *(key(table.name, "chinook") for table in STAR_TABLES if "playlist" not in table.name),
        *(key(f"dim_{name}", "dvdrental") for name in ("customer", "film", "category", "inventory", "store")),
        *(key(name, "dvdrental") for name in ("bridge_film_category", "fact_rental", "fact_payment")),
    }


def test_the_view_of_the_whole_shop_reads_marts_alone(assets: list[dg.AssetsDefinition]) -> None:
    """A view bars the columns of what it reads from being widened, which the star must stay free for."""
    assert assets[0].asset_deps[key("mv_kpi_global", "dvdrental")] == {
        key(name, "dvdrental") for name in ("mart_customer_analytics", "mart_movie_performance", "gold_kpi_category")
    }


def test_no_mart_reads_a_personal_column(manifest: Path) -> None:
    """Everybody with a dashboard reads marts; a mart has no column but those of its contract."""
    tables = (*STAR_TABLES, *RENTAL_TABLES)
    personal = {column.name for table in tables for column in table.columns if column.is_personal}
    assert {"first_name", "company", "address", "birth_date", "address2", "username"} <= personal
    nodes = json.loads(manifest.read_bytes())["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    words = {node["name"]: {*re.findall(r"\w+", node["raw_code"]), *node["columns"]} for node in models}
    assert words.keys() >= MUSIC | RENTALS
    assert {name: found for name in words if (found := words[name] & personal)} == {}


@pytest.mark.parametrize(
    ("schema", "source"),
    [
        ("movielens_dw", "movielens"),
        ("movielens_marts", "movielens"),
        ("conformed", "conformed"),
        ("dvddw", "dvdrental"),
    ],
)
def test_a_schema_names_its_source(schema: str, source: str) -> None:
    assert source_of_schema(schema) == source


def test_a_range_of_years_is_one_dbt_command_without_unit_tests() -> None:
    build = ["build", "--exclude-resource-type", "unit_test"]
    assert dbt_arguments([]) == build
    assert dbt_arguments(["2005"]) == [*build, "--vars", '{"year_from": 2005, "year_to": 2005}']
    assert dbt_arguments(["2004", "2005", "2006"]) == [*build, "--vars", '{"year_from": 2004, "year_to": 2006}']
    assert dbt_arguments(["2005"], full_refresh=True)[3] == "--full-refresh"


class NoWarehouse(Warehouse):
    """The warehouse resource of a run that must not reach it."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Warehouse]:
        yield self


def test_a_manifest_of_another_database_stops_the_run_before_dbt_starts(
    assets: list[dg.AssetsDefinition], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import SecretStr

    class Elsewhere(MartsDbt):
        def postgres_target(self) -> PostgresTarget:
            return PostgresTarget("nowhere.invalid", 1, "u", SecretStr(""), "another")

    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("dbt was started"))
    resources = {"dbt": Elsewhere(), "warehouse": NoWarehouse()}
    result = dg.materialize([assets[0]], resources=resources, raise_on_error=False)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "parsed for database cinestream, the warehouse is another" in str(failure.step_failure_data)
