"""The two IO managers: frames of declared tables are published by them, and tables are handed to assets that read them.

What does not belong here: publishing itself (``publishing.publish``), and loading landed files (``raw_load``).
"""

from collections.abc import Mapping

import polars as pl
from dagster import ConfigurableIOManager, InputContext, OutputContext, ResourceDependency

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import Bridge, Fact, StarTable
from cinestream_platform.declarations.table import Dimension
from cinestream_platform.errors import CineStreamError
from cinestream_platform.ledger.publications import MadeFrom
from cinestream_platform.loading.raw_rows import RawRows
from cinestream_platform.messages import quotes_no_values
from cinestream_platform.orchestration.published import metadata_of
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.orchestration.table_inputs import TableRows, raw_input, table_input
from cinestream_platform.publishing.publish import Frames, publish
from cinestream_platform.warehouse.connection import connect


class NotPublishableError(CineStreamError):
    """What an asset returned cannot be published as a declared table."""


class RawIOManager(ConfigurableIOManager):
    """Hands downstream the rows of raw tables, lazily, from the lake."""

    warehouse: ResourceDependency[Warehouse]
    stores: ResourceDependency[Stores]
    catalog: ResourceDependency[Catalog]

    def handle_output(self, context: OutputContext, obj: object) -> None:
        """Refuse: raw tables are filled from deliveries, so that each of their rows leads back to one."""
        raise NotPublishableError(
            f"{context.asset_key.to_user_string()} is filled from landed files only. Land a file (cinestream land)."
        )

    @quotes_no_values
    def load_input(self, context: InputContext) -> RawRows | pl.LazyFrame | pl.DataFrame:
        """All rows of the raw table; an input of the type ``RawRows`` gets it file by file."""
        return raw_input(context, self.warehouse.target(), self.stores.lake(), self.catalog)


Rows = pl.DataFrame | pl.LazyFrame


class WarehouseIOManager(ConfigurableIOManager):
    """Validates and publishes what an asset of a declared dim, bridge or fact returns, by the table's write mode."""

    warehouse: ResourceDependency[Warehouse]
    catalog: ResourceDependency[Catalog]

    @quotes_no_values
    def handle_output(self, context: OutputContext, obj: Rows | Mapping[str, Rows]) -> None:
        """Publish a frame, or one per partition of the run.

        Raises:
            NotPublishableError: It is no frame of a declared table, or one frame for several partitions.
            BrokenRulesError: Rows break a rule of the table.
        """
        table = self._table(context)
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [WHOLE]
        frames = obj if isinstance(obj, Mapping) else dict.fromkeys(keys, obj)
        if set(frames) != set(keys) or (len(keys) > 1 and frames is not obj):
            raise NotPublishableError(
                f"{table.qualified_name}: return one frame for the partition of the run, or a mapping with one for "
                f"each of its {len(keys)} partitions."
            )
        lazy = {key: frames[key].lazy() for key in keys}
        target = self.warehouse.target()
        published = publish(
            target,
            Frames(table, lazy, lambda _: MadeFrom()),
            run_id=context.run_id,
            settings=self.warehouse.settings,
            log=context.log.info,
        )
        with connect(target) as conn:
            found = [metadata for _, metadata in metadata_of(conn, published.publications)]
        rows = sum(publication.rows for publication in published.publications)
        context.add_output_metadata(found[0] if len(found) == 1 else {"rows": rows})

    def _table(self, context: OutputContext) -> StarTable:
        """The declared dim, bridge or fact of the asset's key."""
        found = self.catalog.table(*context.asset_key.path)
        if not isinstance(found, Dimension | Bridge | Fact):
            name = context.asset_key.to_user_string()
            raise NotPublishableError(f"{name} is not a declared dim, bridge or fact: declare it first.")
        return found

    @quotes_no_values
    def load_input(self, context: InputContext) -> TableRows | pl.LazyFrame | pl.DataFrame:
        """A dim, bridge, fact or mart, or the partitions of it that the asset needs; read when it is collected.

        Raises:
            UnknownInputError: The asset is not a table of the warehouse.
        """
        return table_input(context, self.warehouse.target(), self.catalog)
