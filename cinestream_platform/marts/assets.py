"""The marts as Dagster assets: one dbt process a run, whatever it is asked to rebuild.

What belongs here: which models are built together. How a model looks in Dagster is in ``translator``, how a request
becomes arguments of dbt in ``rebuild``, how dbt reaches the warehouse in ``resource``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from cinestream_platform import progress
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.marts.library import DbtCliInvocation, dbt_assets
from cinestream_platform.marts.lineage import column_lineage
from cinestream_platform.marts.publication import MartLedger, RecordedMart
from cinestream_platform.marts.rebuild import REBUILDS, Rebuild, dbt_arguments, rebuild_by
from cinestream_platform.marts.resource import MartsDbt, discard_artifacts
from cinestream_platform.marts.test_words import with_short_names
from cinestream_platform.marts.translator import MartsTranslator
from cinestream_platform.orchestration.beginning import begin_step
from cinestream_platform.orchestration.kept_checks import Checked, checked
from cinestream_platform.orchestration.published import PARTITION_ROW_COUNT, ROW_COUNT
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.warehouse.connection import PostgresTarget


class Ledger(Protocol):
    """What is told of every model that dbt has committed; made before dbt starts."""

    def record(self, model_key: dg.AssetKey, partition_keys: Sequence[str]) -> RecordedMart:
        """Record a mart, or those partitions of it just rebuilt (none = it has none); what it then is."""

    def trace(self, model_key: dg.AssetKey, lineage: dg.TableColumnLineage) -> None:
        """Record which columns the mart's columns come from."""

    def check(self, found: Sequence[Checked]) -> None:
        """Record what dbt's tests found."""


COLUMN_LINEAGE = "dagster/column_lineage"
LedgerFactory = Callable[[dg.AssetExecutionContext, PostgresTarget], Ledger]


class MartsRun(dg.Config):
    """What a run of the marts may be asked beyond its partitions."""

    full_refresh: bool = False
    """Create the tables anew, all partitions: needed once after a column was added, removed or retyped."""


def marts_assets(
    *,
    years: dg.PartitionsDefinition[str],
    months: dg.PartitionsDefinition[str],
    manifest: Path,
    ledger: LedgerFactory = MartLedger,
) -> list[dg.AssetsDefinition]:
    """The marts of the parsed dbt project; they need the resources ``dbt`` (`MartsDbt`),
    ``warehouse`` and ``warehouse_io_manager``.

    Args:
        years: partitions of the marts rebuilt by year, keys ``YYYY``, the same object as the facts'.
        months: partitions of the marts rebuilt by month, keys ``YYYY-MM``, the same object as the facts'.
        manifest: the parsed project (``marts.project.require_manifest``).
        ledger: keeps what the marts were made from.
    """
    parsed = with_short_names(json.loads(manifest.read_bytes()))
    return [
        _step("marts", parsed, ledger, exclude=" ".join(f"tag:{rebuild.tag}" for rebuild in REBUILDS)),
        _step_by(rebuild_by(PartitionUnit.YEAR), years, parsed, ledger),
        _step_by(rebuild_by(PartitionUnit.MONTH), months, parsed, ledger),
    ]


def _step_by(
    rebuild: Rebuild, partitions: dg.PartitionsDefinition[str], manifest: Mapping[str, Any], ledger: LedgerFactory
) -> dg.AssetsDefinition:
    return _step(
        f"marts_{rebuild.tag}",
        manifest,
        ledger,
        rebuild,
        select=f"tag:{rebuild.tag}",
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )


def _step(
    name: str, manifest: Mapping[str, Any], open_ledger: LedgerFactory, rebuild: Rebuild | None = None, **options: Any
) -> dg.AssetsDefinition:
    """The models that one dbt process builds, as one step."""
    database = next(iter(manifest["nodes"].values()))["database"]

    @dbt_assets(
        name=name,
        manifest=manifest,
        dagster_dbt_translator=MartsTranslator(),
        io_manager_key="warehouse_io_manager",  # hands marts to assets that read them; dbt writes them
        **options,
    )
    def marts(
        context: dg.AssetExecutionContext, config: MartsRun, dbt: MartsDbt, warehouse: Warehouse
    ) -> Iterator[Any]:
        # A run of the checks alone has no partition: they then look at all.
        requested = list(context.partition_keys) if rebuild and context.has_partition_key_range else []
        invoke = partial(
            dbt.cli,
            dbt_arguments(full_refresh=config.full_refresh),
            context=context,
            environment=rebuild.environment(requested) if rebuild else {},
        )
        yield from _build(context, dbt, invoke, database, requested, lambda: open_ledger(context, warehouse.target()))

    return marts


def _build(
    context: dg.AssetExecutionContext,
    dbt: MartsDbt,
    invoke: Callable[[], DbtCliInvocation],
    parsed_for: str,
    requested: Sequence[str],
    open_ledger: Callable[[], Ledger],
) -> Iterator[Any]:
    """Run dbt once; yield a materialization a model, with rows and column lineage, and a result a test."""
    if (database := dbt.postgres_target().database) != parsed_for:
        # dbt writes the database into every name: rows and columns would be looked up in the wrong one.
        raise dg.Failure(
            f"The dbt project was parsed for database {parsed_for}, the warehouse is {database}. Set "
            "CINESTREAM_POSTGRES_DATABASE alike everywhere, call ensure_manifest(settings) and reload the definitions."
        )
    begin_step("marts", dbt.settings)
    ledger = open_ledger()
    invocation = invoke()
    tested: list[Checked] = []
    try:
        for event in invocation.stream():
            progress.note("an event of dbt")
            tested += checked(event)
            if isinstance(event, dg.Output):
                mart, lineage = context.asset_key_for_output(event.output_name), _lineage(event, invocation)
                recorded = ledger.record(mart, requested)
                ledger.trace(mart, lineage)
                for key in requested:
                    rows = {PARTITION_ROW_COUNT: recorded.rows[key]}
                    context.add_asset_metadata(rows, asset_key=mart, partition_key=key)
                found: dict[str, Any] = {ROW_COUNT: recorded.total, COLUMN_LINEAGE: lineage}
                event = dg.Output(
                    event.value,
                    event.output_name,
                    metadata={**event.metadata, **found},
                    data_version=recorded.version,
                    tags=event.tags,
                )
            yield event
    finally:
        if invocation.process.poll() is None:  # we were stopped: dbt must not go on unwatched
            invocation.process.terminate()
            invocation.process.wait()
        ledger.check(tested)
    discard_artifacts(invocation.target_path, dbt.settings)


def _lineage(event: dg.Output[Any], invocation: DbtCliInvocation) -> dg.TableColumnLineage:
    """Which columns a model's columns come from, by the SQL that dbt has just run."""
    unique_id = str(event.metadata["unique_id"].value)
    model = invocation.manifest["nodes"][unique_id]
    compiled = invocation.target_path / "compiled" / model["package_name"] / model["original_file_path"]
    return column_lineage(invocation.manifest, unique_id, compiled.read_text(encoding="utf-8"))
