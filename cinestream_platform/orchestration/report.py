"""The relationship report as an asset: what a source's raw tables hold and how they relate, as Markdown.

It publishes no table: its content is the metadata of its materialization, so that Dagster keeps the older ones.
"""

from collections.abc import Iterator

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, asset

from cinestream_platform.declarations.source import Source
from cinestream_platform.messages import MAX_METADATA, bounded, quotes_no_values
from cinestream_platform.orchestration.asset import asset_key, owners_of
from cinestream_platform.orchestration.kept_checks import keeps_checks
from cinestream_platform.orchestration.table_checks import report_check_result, report_check_spec
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.profile import profile_source
from cinestream_platform.warehouse.profile_text import markdown

REPORT_KIND = "report"


def report_asset(source: Source) -> AssetsDefinition:
    """``[source, "relationship_report"]``: the profile of the source's raw tables as they are when it runs."""
    key = AssetKey([source.name, "relationship_report"])

    @asset(
        key=key,
        description="Rows, columns, key candidates and relations of the raw tables. Made anew every day.",
        group_name=f"{source.name}_reports",
        kinds={"postgres", REPORT_KIND},
        deps=[asset_key(table) for table in source.raw_tables],
        check_specs=[report_check_spec(key)],
        required_resource_keys={"warehouse"},
        owners=owners_of(source),
    )
    @quotes_no_values
    @keeps_checks
    def relationship_report(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        with connect(context.resources.warehouse.target()) as conn:
            profile = profile_source(conn, source.name, source.raw_tables, source.relations)
        yield MaterializeResult(
            metadata={
                "report": MetadataValue.md(bounded(markdown(profile), MAX_METADATA)),
                "raw_rows": sum(table.rows for table in profile.tables),
                "orphans": profile.orphans,
            },
            check_results=[report_check_result(profile, key)],
        )

    return relationship_report
