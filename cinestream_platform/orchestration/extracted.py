"""The decorator that turns an extraction into the assets of all raw tables of an operational database.

They are one step: their rows are of one moment and are published together, or not at all, also when only some of the
assets are asked for.
"""

from collections.abc import Callable, Iterator
from inspect import getdoc
from typing import Any, Protocol

from dagster import AssetExecutionContext, AssetOut, AssetsDefinition, Config, Failure, Output, multi_asset

from cinestream_platform.declarations.source import Source
from cinestream_platform.loading.extraction import Extracted, Extractor, TooManyRejectedError
from cinestream_platform.messages import quotes_no_values
from cinestream_platform.orchestration import checks
from cinestream_platform.orchestration.asset import asset_key, table_properties
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.io_managers import Delivery
from cinestream_platform.reading.database_reader import SourceDatabase, SourceDriftError
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.connection import connect


class ExtractConfig(Config):
    """How a run extracts."""

    full: bool = False
    """Read everything, also tables that grow: finds rows that were deleted or changed without a trace."""
    report_unchanged: bool = True
    """Materialize tables that had not changed too; 17 checks a table take longer than a small extraction."""


class Extraction(Protocol):
    """The function that is decorated."""

    def __call__(self, extractor: Extractor, *, full: bool) -> Extracted:
        """Extract once."""
        ...


def extracted_assets(
    source: Source, database: Callable[[Settings], SourceDatabase]
) -> Callable[[Extraction], AssetsDefinition]:
    """The assets of raw tables that are extracted together.

    Args:
        source: What is extracted, together.
        database: Where they are; asked when a run begins.
    """
    feeds = source.extracts

    def decorate(function: Extraction) -> AssetsDefinition:
        @quotes_no_values
        def extract(context: AssetExecutionContext, config: ExtractConfig) -> Iterator[Any]:
            begin_step(f"{source.name}_extraction")
            settings, warehouse, stores = get_settings(), context.resources.warehouse, context.resources.stores
            target = warehouse.target()
            extractor = Extractor(
                settings, database(settings), target, stores.lake(), feeds, context.run.run_id, context.log.warning
            )
            try:
                extracted = function(extractor, full=config.full)
            except (SourceDriftError, TooManyRejectedError) as error:
                raise Failure(str(error), allow_retries=False) from error
            for name in extracted.snapshot.unknown_columns(feeds):
                context.log.info("%s is not extracted: no declaration names it", name)
            wanted = {key.path[-1] for key in context.selected_asset_keys}
            news = [
                feed
                for feed in feeds
                if feed.table.name in wanted and (config.report_unchanged or feed.dataset in extracted.rows)
            ]
            for feed in news:
                loaded, rejected = extracted.rows.get(feed.dataset, (0, 0))
                metadata: dict[str, Any] = {
                    "changed": feed.dataset in extracted.rows,
                    "rows_loaded": loaded,
                    "rows_rejected": rejected,
                    "is_full": extracted.is_full,
                    "taken_at": extracted.snapshot.taken_at.isoformat(),
                }
                yield Output(Delivery(iter(())), output_name=feed.table.name, metadata=metadata)
            with connect(target) as conn:
                for feed in news:
                    yield from checks.raw_check_results(conn, feed, asset_key(feed.table))

        made: AssetsDefinition = multi_asset(
            name=f"{source.name}_extraction",
            outs={
                feed.table.name: AssetOut(
                    **table_properties(feed.table, source, getdoc(function) or ""),
                    io_manager_key="raw_io_manager",
                    is_required=False,
                )
                for feed in feeds
            },
            check_specs=[spec for feed in feeds for spec in checks.raw_check_specs(feed, asset_key(feed.table))],
            required_resource_keys={"warehouse", "stores"},
            can_subset=True,
        )(extract)
        return made

    return decorate
