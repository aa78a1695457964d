"""How the marts look in Dagster and when they run: what dbt's own parse gives, without a database."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.star_table import PartitionedFact
from cinestream_platform.marts import project
from cinestream_platform.marts.assets import marts_assets
from cinestream_platform.marts.exports import CHECK, export_assets
from cinestream_platform.marts.project import MartsNotPreparedError, ensure_manifest
from cinestream_platform.marts.rebuild import REBUILDS, dbt_arguments, rebuild_by
from cinestream_platform.marts.resource import MartsDbt
from cinestream_platform.marts.translator import source_of_schema
from cinestream_platform.orchestration.resources import Warehouse, given
from cinestream_platform.settings import Settings
from cinestream_platform.sources.chinook.tables import STAR_TABLES
from cinestream_platform.sources.dvdrental.tables import STAR_TABLES as RENTAL_TABLES
from cinestream_platform.warehouse.connection import PostgresTarget

YEARS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 1 *", start="1995", fmt="%Y")
MONTHS = dg.TimeWindowPartitionsDefinition(cron_schedule="0 0 1 * *", start="1999-11", fmt="%Y-%m")
NAMED_BY_THE_BUSINESS = {"gold_kpi_category", "mv_kpi_global", "v_daily_rating_summary", "v_movie_performance"}
MODELS = {
    path: path.read_text(encoding="utf-8")
    for source in CATALOG.names
    for path in (project.PROJECT_DIR / "models" / source).glob("*.sql")
}
"""The SQL of every mart."""


def key(table: str, source: str = "movielens") -> dg.AssetKey:
    return dg.AssetKey([source, table])


@pytest.fixture(scope="module")
def manifest(manifest_home: Path) -> Path:
    return ensure_manifest(Settings(home=manifest_home, postgres_database="cinestream"))


@pytest.fixture(scope="module")
def assets(manifest: Path) -> list[dg.AssetsDefinition]:
    return marts_assets(years=YEARS, months=MONTHS, manifest=manifest)


def marts_of(tag: str | None) -> set[dg.AssetKey]:
    """The marts whose SQL has a tag of a rebuild, or none (``None``): by their file, or the alias in it."""
    found = set()
    for path, sql in MODELS.items():
        tags = {rebuild.tag for rebuild in REBUILDS if f'"{rebuild.tag}"' in sql}
        alias = re.search(r'alias="(\w+)"', sql)
        if tags == ({tag} if tag else set()):
            found.add(key(alias[1] if alias else path.stem, path.parent.name))
    return found


def test_every_mart_is_one_asset_below_its_source(assets: list[dg.AssetsDefinition]) -> None:
    marts, by_year, by_month = assets
    assert (marts.keys, by_year.keys, by_month.keys) == (marts_of(None), marts_of("by_year"), marts_of("by_month"))
    assert sum(len(made.keys) for made in assets) == len(MODELS)
    assert (by_year.partitions_def, by_month.partitions_def) == (YEARS, MONTHS)
    assert by_year.backfill_policy == by_month.backfill_policy == dg.BackfillPolicy.single_run()
    assert [step.op.name for step in assets] == ["marts", "marts_by_year", "marts_by_month"]
    assert marts.partitions_def is None


def test_every_mart_that_computes_has_a_unit_test(manifest: Path) -> None:
    parsed = json.loads(manifest.read_bytes())
    tested = {name for test in parsed["unit_tests"].values() for name in test["depends_on"]["nodes"]}
    models = [node for node in parsed["nodes"].values() if node["resource_type"] == "model"]
    computed = {node["unique_id"] for node in models if node["config"]["materialized"] == "incremental"}
    assert computed - tested == set()


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
        assert re.search(r"Grain: one row( per\b|,)", spec.description or "")
        assert all(column.description and column.type != "?" for column in columns.columns)
        assert spec.metadata["dagster/table_name"] == f"{schema}.{spec.key.path[-1]}"
        assert spec.key in checked


def test_the_sources_of_dbt_are_the_assets_of_the_star(assets: list[dg.AssetsDefinition]) -> None:
    marts = {mart for definition in assets for mart in definition.keys}
    dependencies = {dep.asset_key for definition in assets for spec in definition.specs for dep in spec.deps}
    assert dependencies - marts <= {key(table.name, table.source) for table in CATALOG.tables}
    for source in CATALOG.sources:
        facts = {key(table.name, table.source) for table in source.tables if isinstance(table, PartitionedFact)}
        assert facts & dependencies, source.name


def test_a_mart_by_year_or_month_reads_facts_and_what_never_changes(assets: list[dg.AssetsDefinition]) -> None:
    """A dim that every load changes would make every partition stale with every load."""
    of_month = assets[2].asset_deps
    calendar = key("dim_date", "conformed")
    for mart, read in of_month.items():
        assert calendar in read, mart
        assert all(name.path[-1].startswith("fact_") for name in read - {calendar}), mart


def test_what_is_computed_of_all_months_reads_the_marts_of_the_months(assets: list[dg.AssetsDefinition]) -> None:
    ratings = key("fact_ratings", "netflix")
    assert [mart for mart in assets[0].keys if ratings in assets[0].asset_deps[mart]] == []


def test_a_table_of_marts_is_called_mart_and_what_marts_share_is_no_table(manifest: Path) -> None:
    nodes = [node for node in json.loads(manifest.read_bytes())["nodes"].values() if node["resource_type"] == "model"]
    kinds = {node["name"]: node["config"]["materialized"] for node in nodes}
    assert {name for name, kind in kinds.items() if kind == "ephemeral"} == {
        name for name in kinds if name[:4] == "int_"
    }
    assert {name for name in kinds if name.partition("_")[0] not in ("mart", "int")} == NAMED_BY_THE_BUSINESS
    assert {node["alias"].partition("_")[0] for node in nodes if kinds[node["name"]] == "incremental"} == {"mart"}
    assert all(node["description"] for node in nodes)


def test_no_macro_names_a_table_expression_of_its_caller(manifest: Path) -> None:
    """A macro reads what it is given, or a source: a query then reads from top to bottom."""
    macros = json.loads(manifest.read_bytes())["macros"].values()
    for macro in (macro for macro in macros if macro["package_name"] == "cinestream"):
        code = re.sub(r"\{\{.*?\}\}|\{#.*?#\}|--[^\n]*", "", macro["macro_sql"], flags=re.DOTALL)
        own = set(re.findall(r"(\w+) as \(\n", code))
        read = set(re.findall(r"\b(?:from|join) (\w+)(?=[\s;)]|$)", code)) - {"pg_class", "pg_attribute"}
        assert read <= own, macro["name"]


def test_views_read_marts_alone(assets: list[dg.AssetsDefinition], manifest: Path) -> None:
    """As a materialized view: the star's columns must stay free to be widened."""
    nodes = json.loads(manifest.read_bytes())["nodes"].values()
    views = {
        node["alias"] for node in nodes if node["resource_type"] == "model" and "view" in node["config"]["materialized"]
    }
    assert views == NAMED_BY_THE_BUSINESS
    deps = assets[0].asset_deps
    assert deps[key("gold_kpi_category", "dvdrental")] == {key("mart_kpi_category", "dvdrental")}
    assert deps[key("v_daily_rating_summary", "netflix")] == {key("mart_daily_ratings", "netflix")}
    assert deps[key("v_movie_performance", "netflix")] == {key("mart_movie_performance", "netflix")}


def test_a_table_of_the_same_name_in_two_schemas_is_two_assets(assets: list[dg.AssetsDefinition]) -> None:
    for source in ("dvdrental", "netflix"):
        spec = assets[0].specs_by_key[key("mart_movie_performance", source)]
        assert spec.metadata["dagster/table_name"] == f"{source}_marts.mart_movie_performance"


def test_the_view_of_the_whole_shop_reads_marts_alone(assets: list[dg.AssetsDefinition]) -> None:
    """A view bars the columns of what it reads from being widened, which the star must stay free for."""
    assert assets[0].asset_deps[key("mv_kpi_global", "dvdrental")] == {
        key(name, "dvdrental") for name in ("mart_customer_analytics", "mart_movie_performance", "mart_kpi_category")
    }


def test_no_mart_reads_a_personal_column(manifest: Path) -> None:
    """Everybody with a dashboard reads marts; a mart has no column but those of its contract."""
    tables = (*STAR_TABLES, *RENTAL_TABLES)
    personal = {column.name for table in tables for column in table.columns if column.is_personal}
    assert {"first_name", "company", "address", "birth_date", "address2", "username"} <= personal
    nodes = json.loads(manifest.read_bytes())["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    words = {node["name"]: {*re.findall(r"\w+", node["raw_code"]), *node["columns"]} for node in models}
    assert words.keys() >= {path.stem for path in MODELS}
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


def test_a_range_of_partitions_is_one_dbt_command_without_unit_tests() -> None:
    build = ["build", "--no-write-json", "--exclude-resource-type", "unit_test"]
    assert (dbt_arguments(), dbt_arguments(full_refresh=True)) == (build, [*build, "--full-refresh"])
    years, months = rebuild_by(PartitionUnit.YEAR).environment, rebuild_by(PartitionUnit.MONTH).environment
    assert years([]) == {}
    assert years(["2005"]) == {"CINESTREAM_DBT_YEAR_FROM": "2005", "CINESTREAM_DBT_YEAR_TO": "2005"}
    assert years(["2004", "2005", "2006"]) == {"CINESTREAM_DBT_YEAR_FROM": "2004", "CINESTREAM_DBT_YEAR_TO": "2006"}
    assert months(["2005-01", "2004-12"]) == {
        "CINESTREAM_DBT_MONTH_FROM": "200412",
        "CINESTREAM_DBT_MONTH_TO": "200501",
    }


def test_a_unit_is_named_alike_in_dbt_and_in_the_ledger(manifest: Path) -> None:
    """Tag, strategy, column and variables of every model that is rebuilt by partitions."""
    nodes = [node for node in json.loads(manifest.read_bytes())["nodes"].values() if node["resource_type"] == "model"]
    for rebuild in REBUILDS:
        models = [node for node in nodes if rebuild.tag in node["tags"]]
        assert models
        for model in models:
            assert model["config"]["incremental_strategy"] == f"replace_{rebuild.unit}s"
            assert rebuild.column in model["columns"]
            assert f"in_requested_{rebuild.unit}s(" in model["raw_code"]
    assert [rebuild.tag for rebuild in REBUILDS] == ["by_year", "by_month"]
    assert rebuild_by(PartitionUnit.YEAR).value_of("2005") == 2005
    assert rebuild_by(PartitionUnit.MONTH).value_of("2005-12") == date(2005, 12, 1)


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
    resources = {
        "dbt": Elsewhere(settings=given(Settings())),
        "warehouse": NoWarehouse(catalog=given(CATALOG), settings=given(Settings())),
        "warehouse_io_manager": dg.mem_io_manager,
    }
    result = dg.materialize([assets[0]], resources=resources, raise_on_error=False)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "parsed for database cinestream, the warehouse is another" in str(failure.step_failure_data)


def test_the_kpis_are_exported_each_by_an_asset_after_its_mart(manifest: Path) -> None:
    exports = {next(iter(made.keys)): made for made in export_assets(manifest)}
    assert {key.to_user_string(): made.asset_deps[key] for key, made in exports.items()} == {
        "dvdrental/export_gold_kpi_category": {dg.AssetKey(["dvdrental", "gold_kpi_category"])},
        "dvdrental/export_mv_kpi_global": {dg.AssetKey(["dvdrental", "mv_kpi_global"])},
    }
    for key, made in exports.items():
        assert made.specs_by_key[key].group_name == "dvdrental_exports"
        assert [check.name for check in made.check_specs] == [CHECK]


def test_dbts_own_message_reaches_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "dbt_project"
    shutil.copytree(project.PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    (copy / "models" / "movielens" / "mart_broken.sql").write_text("select * from {{ ref('nothing_there') }}")
    monkeypatch.setattr(project, "PROJECT_DIR", copy)
    with pytest.raises(MartsNotPreparedError, match="nothing_there"):
        ensure_manifest(Settings(home=tmp_path / "home"))
