"""The marts as Dagster assets: one dbt process a run, whatever it is asked to rebuild.

What belongs here: which models are built together, and how a request becomes arguments of dbt. How a model looks in
Dagster is in ``translator``, how dbt reaches the warehouse in ``resource``.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
from dagster_dbt import DbtCliInvocation, dbt_assets
from dagster_dbt.core.dbt_event_iterator import DbtEventIterator

from cinestream_platform.marts.project import require_manifest
from cinestream_platform.marts.publication import MartLedger
from cinestream_platform.marts.resource import MartsDbt, discard_artifacts
from cinestream_platform.marts.translator import BY_YEAR_TAG, MartsTranslator
from cinestream_platform.orchestration.resources import Warehouse
from cinestream_platform.warehouse.connection import PostgresTarget


class Ledger(Protocol):
    """What is told of every model that dbt has committed; made before dbt starts."""

    def record(self, model_key: dg.AssetKey, partition_keys: Sequence[str]) -> None:
        """Record a mart; ``partition_keys`` are the years just rebuilt, empty where it is not rebuilt by year."""


LedgerFactory = Callable[[dg.AssetExecutionContext, PostgresTarget], Ledger]


class MartsRun(dg.Config):
    """What a run of the marts may be asked beyond its partitions."""

    full_refresh: bool = False
    """Create the tables anew, all years: needed once after a column was added, removed or retyped."""


def marts_assets(
    *,
    years: dg.PartitionsDefinition[str],
    manifest: Path | None = None,
    ledger: LedgerFactory = MartLedger,
) -> list[dg.AssetsDefinition]:
    """The marts of the parsed dbt project; they need the resources ``dbt`` (`MartsDbt`) and ``warehouse``.

    Args:
        years: partitions of the marts rebuilt by year, keys ``YYYY``, the same object as the facts'.
        manifest: the parsed project; by default the one that ``ensure_manifest()`` made.
        ledger: keeps what the marts were made from.

    Raises:
        MartsNotPreparedError: the project has not been parsed.
    """
    parsed = json.loads((manifest or require_manifest()).read_bytes())
    database = next(iter(parsed["nodes"].values()))["database"]
    translator = MartsTranslator()

    @dbt_assets(
        name="marts",
        manifest=parsed,
        exclude=f"tag:{BY_YEAR_TAG}",
        dagster_dbt_translator=translator,
    )
    def marts(
        context: dg.AssetExecutionContext, config: MartsRun, dbt: MartsDbt, warehouse: Warehouse
    ) -> Iterator[Any]:
        yield from _build(context, dbt, config, database, [], lambda: ledger(context, warehouse.target()))

    @dbt_assets(
        name="marts_by_year",
        manifest=parsed,
        select=f"tag:{BY_YEAR_TAG}",
        partitions_def=years,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=translator,
    )
    def marts_by_year(
        context: dg.AssetExecutionContext, config: MartsRun, dbt: MartsDbt, warehouse: Warehouse
    ) -> Iterator[Any]:
        # A run of the checks alone has no partition: they then look at all years.
        requested = list(context.partition_keys) if context.has_partition_key_range else []
        yield from _build(context, dbt, config, database, requested, lambda: ledger(context, warehouse.target()))

    return [marts, marts_by_year]


def dbt_arguments(requested_years: Sequence[str], *, full_refresh: bool = False) -> list[str]:
    """Arguments of dbt that rebuild and test the selected models, in all years or from the first to the last named.

    dbt's unit tests are left out: they test the SQL, not the data, and belong in CI.
    """
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if full_refresh:
        arguments.append("--full-refresh")
    if requested_years:
        years = [int(year) for year in requested_years]
        arguments += ["--vars", json.dumps({"year_from": min(years), "year_to": max(years)})]
    return arguments


def _build(
    context: dg.AssetExecutionContext,
    dbt: MartsDbt,
    config: MartsRun,
    parsed_for: str,
    requested_years: Sequence[str],
    open_ledger: Callable[[], Ledger],
) -> Iterator[Any]:
    """Run dbt once; yield a materialization a model, with rows and column lineage, and a result a test."""
    if (database := dbt.postgres_target().database) != parsed_for:
        # dbt writes the database into every name: rows and columns would be looked up in the wrong one.
        raise dg.Failure(
            f"The dbt project was parsed for database {parsed_for}, the warehouse is {database}. Set "
            "CINESTREAM_POSTGRES_DATABASE alike everywhere, call ensure_manifest() and reload the definitions."
        )
    ledger = open_ledger()
    invocation = dbt.cli(dbt_arguments(requested_years, full_refresh=config.full_refresh), context=context)
    try:
        for event in invocation.stream():
            if isinstance(event, dg.Output):
                event = _with_rows_and_lineage(event, invocation)
                ledger.record(context.asset_key_for_output(event.output_name), requested_years)
            yield event
    finally:
        if invocation.process.poll() is None:  # we were stopped: dbt must not go on unwatched
            invocation.process.terminate()
            invocation.process.wait()
    discard_artifacts(invocation.target_path, context.op_def.name)


def _with_rows_and_lineage(event: dg.Output[Any], invocation: DbtCliInvocation) -> Any:
    """The materialization of one model with its row count, column schema and column lineage.

    One event at a time: over a whole stream, dagster-dbt 0.29 polls for the next event without a pause, which kept one
    of two cores busy until dbt had ended (9.0 s of CPU instead of 0.8, 11 s a run instead of 8), and looks up columns
    of tests, which have none. Its four threads also change the process's working directory and restore it out of order.
    """
    [described] = DbtEventIterator(iter([event]), invocation).fetch_row_counts().fetch_column_metadata()
    return described
