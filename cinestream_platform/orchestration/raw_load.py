"""Loading landed files for a run: what its log and its materialization say of them.

What does not belong here: loading itself (``loading.files``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagster import AssetExecutionContext, Failure, MetadataValue

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.loading.compaction import compact
from cinestream_platform.loading.files import FileLoader, Outcome, Report
from cinestream_platform.messages import bounded, counted, describe
from cinestream_platform.orchestration.published import SHOWN_FILES
from cinestream_platform.orchestration.run_tags import NOT_LOADED_TAG
from cinestream_platform.warehouse.connection import PostgresTarget

NAMED_FILES = 100
"""So many loaded files of a run are named in its log; the ledger (``cinestream status --files``) has them all."""


@dataclass(frozen=True)
class Load:
    """The outcomes of the files of a run, in order."""

    reports: tuple[Report, ...]

    @property
    def loaded(self) -> list[Report]:
        """Those that were loaded."""
        return [report for report in self.reports if report.outcome is Outcome.LOADED]

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows were loaded, and how many records rejected."""
        return sum(report.rows_loaded for report in self.loaded), sum(report.rows_rejected for report in self.loaded)

    def metadata(self) -> dict[str, Any]:
        """What the materialization says."""
        if not self.reports:
            return {}
        rows, rejected = self.rows
        return {
            "files_loaded": len(self.loaded),
            "files_not_loaded": len(self.reports) - len(self.loaded),
            "rows_loaded": rows,
            "rows_rejected": rejected,
            "last_file": self.reports[-1].file.key,
        }


def load_files(context: AssetExecutionContext, loader: FileLoader) -> Load:
    """Load every file that the loader is for, then write small objects of the lake together.

    Each message is a row in Dagster's database: files that are loaded as they should be are named up to a number.
    """
    reports: list[Report] = []
    for report in loader.load_pending():
        reports.append(report)
        if len(reports) <= NAMED_FILES or report.outcome is not Outcome.LOADED:
            context.log.info(
                "%s: %s, %s rows loaded, %s rejected. %s",
                report.file.key,
                report.outcome,
                f"{report.rows_loaded:,}",
                f"{report.rows_rejected:,}",
                report.reason,
            )
    load = Load(tuple(reports))
    if len(reports) > NAMED_FILES:
        rows, rejected = load.rows
        counts = (f"{number:,}" for number in (len(load.loaded), rows, rejected))
        context.log.info("%s files loaded, %s rows, %s rejected.", *counts)
    if load.loaded:
        _compact(context, loader.target, loader.lake, loader.feed)
    return load


def _compact(context: AssetExecutionContext, target: PostgresTarget, lake: ObjectStore, feed: Feed) -> None:
    """Write small objects of the lake together. The files are loaded, whatever comes of it: the next load tries."""
    try:
        together = compact(target, lake, feed)
    except Exception as error:
        context.log.warning("Small objects of the lake were not merged: %s", describe(error))
    else:
        if together:
            context.log.info("%s small objects of the lake were merged into one.", f"{together:,}")


def fail_for_files_not_loaded(context: AssetExecutionContext, load: Load) -> None:
    """Fail the run for files that are parked or failed; all others are published by now.

    A tag says that this step failed for its files alone: they are accounted for in the ledger, the run did its work.
    """
    bad = [report for report in load.reports if report.outcome in (Outcome.PARKED, Outcome.FAILED)]
    if bad:
        others = " (the others are)" if len(bad) < len(load.reports) else ""
        tag = f"{NOT_LOADED_TAG}{context.asset_key.to_python_identifier()}"
        context.instance.add_run_tags(context.run.run_id, {tag: str(len(bad))})
        raise Failure(
            f"{len(bad):,} of {counted(len(load.reports), 'file')} could not be loaded{others}:\n"
            + bounded("\n".join(f"{report.file.key} {report.outcome}: {report.reason}" for report in bad), 5_000),
            metadata={"files": MetadataValue.json({r.file.key: bounded(r.reason, 500) for r in bad[:SHOWN_FILES]})},
            # The ledger knows when a file is to be tried again; repeating the run would not help.
            allow_retries=False,
        )
