"""The two IO managers: raw assets publish landed files, all others publish frames by their table's write mode."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from dagster import ConfigurableIOManager, InputContext, OutputContext, ResourceDependency

from cinestream_platform import progress
from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.declarations.star_table import Fact, StarTable, versioned_dimensions
from cinestream_platform.declarations.table import Table
from cinestream_platform.ledger import landed_files
from cinestream_platform.ledger.publications import Publication
from cinestream_platform.loading.compaction import compact
from cinestream_platform.loading.files import Outcome, Report
from cinestream_platform.loading.raw_rows import RawRows
from cinestream_platform.messages import describe, quotes_no_values
from cinestream_platform.orchestration.checks import exact_measures
from cinestream_platform.orchestration.resources import Stores, Warehouse
from cinestream_platform.publishing.dimensions import delete_retired_versions, publish_table
from cinestream_platform.publishing.keys import KeyResolver
from cinestream_platform.publishing.parallel import MAX_AT_ONCE, in_parallel
from cinestream_platform.publishing.partitions import PartitionPublisher, Turn, analyze
from cinestream_platform.publishing.validation import BrokenRulesError, RuleResult, validate
from cinestream_platform.services.disk import keep_room
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect

NAMED_FILES = 100
"""So many loaded files of a run are named in its log; the ledger (``cinestream status --files``) has them all."""


@dataclass
class Delivery:
    """What a raw asset returns to be published: files to come; each is published when its report is asked for."""

    files: Iterator[Report]
    reports: list[Report] = field(default_factory=list)


@dataclass
class Build:
    """What a dim, bridge or fact asset returns to be published: one lazy frame per partition.

    ``file_ids`` tells the landed files that a partition is made from. ``publications`` and ``results`` are filled by
    publishing, so that checks can report them afterwards.
    """

    table: StarTable
    frames: Mapping[str, pl.LazyFrame]
    file_ids: Callable[[str], list[int]]
    on_published: Callable[[Publication], None]
    publications: list[Publication] = field(default_factory=list)
    results: dict[str, list[RuleResult]] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    inferred: dict[str, int] = field(default_factory=dict)


class RawIOManager(ConfigurableIOManager):
    """Publishes landed files into raw tables; hands downstream the rows that count, lazily, from the lake."""

    warehouse: ResourceDependency[Warehouse]
    stores: ResourceDependency[Stores]
    catalog: ResourceDependency[Catalog]

    @quotes_no_values
    def handle_output(self, context: OutputContext, delivery: Delivery) -> None:
        """Load every file that the delivery is for, then write small objects of the lake together.

        Each message is a row in Dagster's database: files that are loaded as they should be are named up to a number.
        """
        loaded = rows = rejected = 0
        for report in delivery.files:
            delivery.reports.append(report)
            if report.outcome is Outcome.LOADED:
                loaded, rows, rejected = loaded + 1, rows + report.rows_loaded, rejected + report.rows_rejected
            if len(delivery.reports) <= NAMED_FILES or report.outcome is not Outcome.LOADED:
                context.log.info(
                    "%s: %s, %s rows loaded, %s rejected. %s",
                    report.file.key,
                    report.outcome,
                    f"{report.rows_loaded:,}",
                    f"{report.rows_rejected:,}",
                    report.reason,
                )
        if len(delivery.reports) > NAMED_FILES:
            context.log.info("%s files loaded, %s rows, %s rejected.", f"{loaded:,}", f"{rows:,}", f"{rejected:,}")
        if delivery.reports:  # an extraction tells by itself what it did
            context.add_output_metadata(
                {
                    "files_loaded": loaded,
                    "files_not_loaded": len(delivery.reports) - loaded,
                    "rows_loaded": rows,
                    "rows_rejected": rejected,
                    "last_file": delivery.reports[-1].file.key,
                }
            )
        if loaded:
            self._compact(context)

    def _compact(self, context: OutputContext) -> None:
        """Write small objects of the lake together. The files are loaded, whatever comes of it: the next load tries."""
        try:
            together = compact(
                self.warehouse.target(), self.stores.lake(), self.catalog.feed_of_table(*context.asset_key.path)
            )
        except Exception as error:
            context.log.warning("Small objects of the lake stay as they are: %s", describe(error))
        else:
            if together:
                context.log.info("%s small objects of the lake are written together into one.", f"{together:,}")

    @quotes_no_values
    def load_input(self, context: InputContext) -> RawRows:
        """The current rows of the raw table; which files they are from is settled here, once a step."""
        feed = self.catalog.feed_of_table(*context.asset_key.path)
        with connect(self.warehouse.target()) as conn:
            files = landed_files.loaded(conn, feed.source, feed.dataset)
        return RawRows(self.stores.lake(), feed, files)


class WarehouseIOManager(ConfigurableIOManager):
    """Validates and publishes dims, bridges and facts; memory is bounded by one partition."""

    warehouse: ResourceDependency[Warehouse]

    @quotes_no_values
    def handle_output(self, context: OutputContext, build: Build) -> None:
        """Publish partition by partition; the few that a run changes together (``PartitionPublisher``).

        Raises:
            BrokenRulesError: Rows break a rule; partitions that wait for one another, this one and later ones are not
                published.
        """
        target, table = self.warehouse.target(), build.table
        publisher = _Publisher(target, build, context.run_id, KeyResolver(target, context.run_id))
        for published in publisher.publish_all():
            build.publications.append(published)
            build.on_published(published)
            context.log.info(
                "%s %s: %s rows, %s",
                table.qualified_name,
                "" if published.partition_key == WHOLE else published.partition_key,
                f"{published.rows:,}",
                "published" if published.changed else "unchanged",
            )
        build.inferred = publisher.keys.inferred
        for dimension in versioned_dimensions(table):
            delete_retired_versions(target, dimension)
        if isinstance(table, Fact) and any(publication.changed for publication in build.publications):
            analyze(target, table)

    def load_input(self, context: InputContext) -> None:
        """Dims and facts are read by SQL (dbt) or through their keys, not as inputs in Python."""
        raise NotImplementedError(
            f"{context.asset_key.to_user_string()} is no input: name it in a reference of the table that needs its "
            "keys, or read it in a dbt model."
        )


@dataclass(frozen=True)
class _Publisher:
    """Computes, validates and publishes a partition of a build, or a table that has none."""

    target: PostgresTarget
    build: Build
    run_id: str
    keys: KeyResolver

    def publish_all(self) -> Iterator[Publication]:
        """Every partition, or the table that has none, as it is published."""
        table = self.build.table
        if not isinstance(table, Fact):
            for key in self.build.frames:
                frame, file_ids = self._validated(key), self.build.file_ids(key)
                yield publish_table(self.target, table, frame, run_id=self.run_id, file_ids=file_ids)
            return
        with PartitionPublisher(self.target, table, self.run_id) as publisher:

            def built(turn: Turn) -> Publication:
                frame, file_ids = self._validated(turn.partition_key), self.build.file_ids(turn.partition_key)
                return publisher.build(turn, frame, file_ids=file_ids, joined=self.keys.joined(table))

            for partition in in_parallel(built, publisher.turns(self.build.frames), workers=MAX_AT_ONCE):
                yield from publisher.publish(partition)
            yield from publisher.finish()

    def _validated(self, partition_key: str) -> pl.DataFrame:
        """The rows with their keys. Raises ``BrokenRulesError`` where they break a rule; then nothing is written."""
        table = self.build.table
        keep_room(get_settings())
        frame = self.build.frames[partition_key].collect(engine="streaming")
        progress.note(f"{table.qualified_name} {partition_key} is computed")
        if table.references:
            frame = self.keys.resolve(table, frame)
        if isinstance(table, Fact):
            frame = frame.sort(table.primary_key)
        self.build.results[partition_key] = validate(table, frame)
        if not all(result.passed for result in self.build.results[partition_key]):
            raise BrokenRulesError(table, partition_key, self.build.results[partition_key])
        self.build.measures[partition_key] = _measures(table, frame)
        return frame


def _measures(table: Table, frame: pl.DataFrame) -> dict[str, Any]:
    """Row count and sums of the exact measures, to be compared with what Postgres then holds."""
    names = exact_measures(table)
    wide = {name: frame[name].cast(pl.Int64) if frame[name].dtype.is_integer() else frame[name] for name in names}
    return {"rows": frame.height} | {name: values.sum() for name, values in wide.items()}
