"""How a dbt source or model appears in Dagster.

What belongs here: keys, groups, owners and metadata of the marts, and nothing that runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cinestream_platform.catalog import CATALOG
from cinestream_platform.declarations.source import PLATFORM_OWNER
from cinestream_platform.marts.library import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from cinestream_platform.marts.test_words import described
from cinestream_platform.orchestration.asset import Tier, tags_of


def source_of_schema(schema: str) -> str:
    """The source system that a schema belongs to, the first part of an asset key: ``shop_dw`` -> ``shop``."""
    source = CATALOG.source_of_schema(schema)
    return source.name if source else schema.removesuffix("_dw")


def table_of(dbt_resource_props: Mapping[str, Any]) -> str:
    """The table's name: the model's alias (models of two schemas may share it, models may not share a name)."""
    return str(dbt_resource_props.get("alias") or dbt_resource_props["name"])


class MartsTranslator(DagsterDbtTranslator):
    """Asset keys ``[source, table]`` as everywhere in the platform; a dbt source *is* the asset that builds it."""

    def __init__(self) -> None:
        # The sources are described by the assets that build them; a second description here would compete with it.
        super().__init__(DagsterDbtTranslatorSettings(enable_source_metadata=False))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """``shop_dw.dim_film`` -> ``shop/dim_film``; a mart -> ``shop/mart_…``."""
        return dg.AssetKey([source_of_schema(dbt_resource_props["schema"]), table_of(dbt_resource_props)])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The schema, for a mart: ``shop_marts``."""
        return str(dbt_resource_props["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        """The owner of the mart's source."""
        source = CATALOG.source_of_schema(dbt_resource_props["schema"])
        return [source.owner if source else PLATFORM_OWNER]

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """Dbt's own, and those of every asset."""
        source = CATALOG.source_of_schema(dbt_resource_props["schema"])
        return {**super().get_tags(dbt_resource_props), **tags_of(source, Tier.MART)}

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """A test as a check, described in words."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(description=described(manifest["nodes"][unique_id])) if spec else None

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Columns as dbt declares them, and the table's name without the database, which differs between machines."""
        table_name = f"{dbt_resource_props['schema']}.{table_of(dbt_resource_props)}"
        return {**super().get_metadata(dbt_resource_props), "dagster/table_name": table_name}
