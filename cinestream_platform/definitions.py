"""Everything Dagster loads. Nothing else happens at import: no connection, no file but the dbt manifest."""

from dagster import Definitions, load_assets_from_modules

from cinestream_platform.conformed import assets as conformed
from cinestream_platform.orchestration.io_managers import RawIOManager, WarehouseIOManager
from cinestream_platform.orchestration.resources import Stores, Warehouse, s3_resource
from cinestream_platform.sources.movielens import assets as movielens


def build_definitions() -> Definitions:
    """All assets, checks, jobs, sensors and resources."""
    warehouse, stores = Warehouse(), Stores(s3=s3_resource())
    return Definitions(
        assets=[*load_assets_from_modules([conformed, movielens])],
        resources={
            "warehouse": warehouse,
            "stores": stores,
            "raw_io_manager": RawIOManager(warehouse=warehouse, stores=stores),
            "warehouse_io_manager": WarehouseIOManager(warehouse=warehouse),
        },
    )


defs = build_definitions()
