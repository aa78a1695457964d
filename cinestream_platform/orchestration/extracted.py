"""The assets of raw tables that are extracted from an operational system.

They are one step: their rows are of one moment and are published together, or not at all, also when only some of the
assets are asked for.
"""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetOut,
    AssetsDefinition,
    Config,
    Failure,
    multi_asset,
)

from cinestream_platform.declarations.connector import OperationalSystem, SourceDriftError
from cinestream_platform.declarations.source import Source
from cinestream_platform.loading.extraction import Extractor, TooManyRejectedError
from cinestream_platform.messages import quotes_no_values
from cinestream_platform.orchestration.asset import asset_key, system_key, table_properties
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.kept_checks import keeps_checks
from cinestream_platform.orchestration.raw_checks import raw_check_results, raw_check_specs, raw_result
from cinestream_platform.warehouse.connection import connect


class ExtractConfig(Config):
    """How a run extracts."""

    full: bool = False
    """Read everything, also tables that grow: finds rows that were deleted or changed without a trace."""
    report_unchanged: bool = True
    """Materialize tables that had not changed too; its checks take longer than a small extraction."""


DESCRIPTION = "All tables as they were at one moment; nothing is written of those that had not changed."


def extracted_assets_of(source: Source) -> list[AssetsDefinition]:
    """The assets of raw tables that are extracted: one step for each system of the source."""
    return [_extraction(source, system) for system in source.systems]


def _extraction(source: Source, system: OperationalSystem) -> AssetsDefinition:
    feeds = system.feeds

    @quotes_no_values
    @keeps_checks
    def extract(context: AssetExecutionContext, config: ExtractConfig) -> Iterator[Any]:
        warehouse, stores = context.resources.warehouse, context.resources.stores
        settings = warehouse.settings
        begin_step(system.step, settings)
        target = warehouse.target()
        extractor = Extractor(
            settings, system, system.connect(settings), target, stores.lake(), context.run.run_id, context.log.warning
        )
        try:
            extracted = extractor.run(full=config.full)
        except (SourceDriftError, TooManyRejectedError) as error:
            raise Failure(str(error), allow_retries=False) from error
        for name in extracted.moment.unknown_columns(feeds):
            context.log.info("%s is not extracted: no declaration names it", name)
        wanted = {key.path[-1] for key in context.selected_asset_keys}
        news = [
            feed
            for feed in feeds
            if feed.table.name in wanted and (config.report_unchanged or feed.dataset in extracted.rows)
        ]
        results = []
        for feed in news:
            loaded, rejected = extracted.rows.get(feed.dataset, (0, 0))
            metadata: dict[str, Any] = {
                "changed": feed.dataset in extracted.rows,
                "rows_loaded": loaded,
                "rows_rejected": rejected,
                "is_full": extracted.is_full,
                "taken_at": extracted.moment.taken_at.isoformat(),
            }
            results.append((feed, metadata))
        with connect(target) as conn:
            for feed, metadata in results:
                yield raw_result(conn, feed, asset_key(feed.table), metadata)
            for feed in news:
                yield from raw_check_results(conn, feed, asset_key(feed.table), 1)

    made: AssetsDefinition = multi_asset(
        name=system.step,
        outs={
            feed.table.name: AssetOut(
                **table_properties(feed.table, source, DESCRIPTION),
                io_manager_key="raw_io_manager",
                is_required=False,
            )
            for feed in feeds
        },
        deps=[system_key(system, feed) for feed in feeds],
        internal_asset_deps={feed.table.name: {system_key(system, feed)} for feed in feeds},
        check_specs=[spec for feed in feeds for spec in raw_check_specs(feed, asset_key(feed.table))],
        required_resource_keys={"warehouse", "stores"},
        can_subset=True,
    )(extract)
    return made
