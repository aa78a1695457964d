"""Everything Dagster loads. Nothing else happens at import: no connection, no file but the dbt manifest."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from dagster import (
    BetaWarning,
    Definitions,
    InitResourceContext,
    TimeWindowPartitionsDefinition,
    in_process_executor,
    load_asset_checks_from_modules,
    load_assets_from_modules,
)

# single_run backfills are beta in 1.13: known, pinned and tested, so no reason to greet every user with a warning.
warnings.filterwarnings("ignore", category=BetaWarning)

from cinestream_platform import sources  # noqa: E402
from cinestream_platform.automation.alerts import alert_sensor  # noqa: E402
from cinestream_platform.automation.build_sensor import staleness_sensor  # noqa: E402
from cinestream_platform.automation.extraction import extraction_schedules, extraction_sensors  # noqa: E402
from cinestream_platform.automation.housekeeping import HOUSEKEEPING_SCHEDULE, housekeeping  # noqa: E402
from cinestream_platform.automation.jobs import JOBS  # noqa: E402
from cinestream_platform.automation.landing import landing_sensor  # noqa: E402
from cinestream_platform.automation.reaper import dead_run_sensor  # noqa: E402
from cinestream_platform.automation.reports import REPORTS_JOB, REPORTS_SCHEDULE  # noqa: E402
from cinestream_platform.catalog import CATALOG  # noqa: E402
from cinestream_platform.declarations.partitioning import PartitionUnit  # noqa: E402
from cinestream_platform.declarations.source import Source  # noqa: E402
from cinestream_platform.marts.assets import marts_assets  # noqa: E402
from cinestream_platform.marts.exports import export_assets  # noqa: E402
from cinestream_platform.marts.project import require_manifest  # noqa: E402
from cinestream_platform.marts.resource import MartsDbt  # noqa: E402
from cinestream_platform.marts.user_item_matrix import all_user_item_assets  # noqa: E402
from cinestream_platform.orchestration import calendar  # noqa: E402
from cinestream_platform.orchestration.io_managers import RawIOManager, WarehouseIOManager  # noqa: E402
from cinestream_platform.orchestration.partitions import YEARS, time_window  # noqa: E402
from cinestream_platform.orchestration.resources import given, platform_resources  # noqa: E402
from cinestream_platform.settings import Settings, get_settings  # noqa: E402


def assets_module(source: Source) -> ModuleType:
    """The module that holds a source's assets, by the name of its package."""
    return import_module(f"{sources.__name__}.{source.name}.assets")


def _months_of_marts() -> TimeWindowPartitionsDefinition:
    """The months of the marts that are rebuilt by month: one definition, whichever sources have such marts."""
    months = [source.monthly_marts for source in CATALOG.sources if source.monthly_marts]
    lasts = [closed.last for closed in months if closed.last]
    last = max(lasts) if len(lasts) == len(months) else None
    return time_window(PartitionUnit.MONTH, min(closed.first for closed in months), last)


def _settings_of_the_process(_: InitResourceContext) -> Settings:
    return get_settings()


def build_definitions(settings: Settings | None = None, resources: Mapping[str, Any] | None = None) -> Definitions:
    """All assets, checks, jobs, sensors and resources.

    Args:
        settings: Where everything is. By default the process's own, looked up whenever a run or a sensor begins.
        resources: Resources by key that take the place of the platform's own: ``warehouse``, ``stores``, ``dbt``,
            ``raw_io_manager``, ``warehouse_io_manager``.

    Raises:
        MartsNotPreparedError: The dbt project has not been parsed.
    """
    now = settings or get_settings()
    of_settings = given(settings or _settings_of_the_process)
    chosen = platform_resources(CATALOG, of_settings) | dict(resources or {})
    warehouse, stores = chosen["warehouse"], chosen["stores"]
    manifest = require_manifest(now)
    modules = [assets_module(source) for source in CATALOG.sources]
    return Definitions(
        assets=[
            *load_assets_from_modules([calendar, *modules], include_specs=True),
            *marts_assets(years=YEARS, months=_months_of_marts(), manifest=manifest),
            *export_assets(manifest),
            *all_user_item_assets(),
        ],
        asset_checks=load_asset_checks_from_modules(modules),
        jobs=[*JOBS, housekeeping, REPORTS_JOB],
        schedules=[HOUSEKEEPING_SCHEDULE, REPORTS_SCHEDULE, *extraction_schedules(CATALOG.sources)],
        sensors=[
            landing_sensor(now.sensor_interval_seconds),
            staleness_sensor(now.sensor_interval_seconds),
            dead_run_sensor(),
            alert_sensor(),
            *extraction_sensors(CATALOG.sources, now.extraction_interval_seconds),
        ],
        # A process per step costs 3 to 7 s of imports; these steps are seconds or run in Postgres.
        executor=in_process_executor,
        resources={
            "dbt": MartsDbt(settings=of_settings),
            "raw_io_manager": RawIOManager(warehouse=warehouse, stores=stores, catalog=given(CATALOG)),
            "warehouse_io_manager": WarehouseIOManager(warehouse=warehouse, catalog=given(CATALOG)),
            **chosen,
        },
    )


defs = build_definitions()
