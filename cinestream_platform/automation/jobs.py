"""The jobs: per source one that loads what arrived, and those that build star and marts from what is loaded."""

from collections.abc import Sequence
from typing import Any

from dagster import AssetKey, AssetSelection, define_asset_job

from cinestream_platform.catalog import EXTRACTS, SOURCES, TABLES, main_unit
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.run_tags import SOURCE_TAG

BUILDS = "Builds the dims, facts and marts that are stale, and writes the exports; the staleness sensor asks for it."


def load_job_name(source: str) -> str:
    """The job that loads landed files into raw tables, or extracts a database into them."""
    return f"{source}_load"


def build_job_name(source: str) -> str:
    """The job that builds dims, facts and marts, and writes the exports."""
    return f"{source}_build"


def _apart(source: str) -> dict[PartitionUnit, list[AssetKey]]:
    """Tables with other partitions than most of their source: Dagster wants one kind of partitions a job."""
    found: dict[PartitionUnit, list[AssetKey]] = {}
    for table in TABLES:
        if table.source == source and table.is_partitioned and table.unit is not main_unit(source):
            found.setdefault(table.unit, []).append(asset_key(table))
    return found


def build_job_names(source: str) -> list[str]:
    """All jobs that build something of a source."""
    return [build_job_name(source), *(f"{build_job_name(source)}_by_{unit}" for unit in _apart(source))]


def build_job_of(source: str, assets: Sequence[AssetKey]) -> str:
    """The job that can build these assets in one run."""
    units = [unit for unit, keys in _apart(source).items() if set(keys) & set(assets)]
    return f"{build_job_name(source)}_by_{units[0]}" if units else build_job_name(source)


def _loads(source: str) -> str:
    """What the load job of a source does, for people."""
    if any(feed.source == source for feed in EXTRACTS):
        return f"Extracts the database of {source} into its raw tables; a sensor asks for it when rows have changed."
    return f"Loads landed files of {source} into its raw tables; the landing sensor asks for it."


def _jobs() -> list[Any]:
    """All jobs of every source."""
    made = []
    for source in SOURCES:
        raw = AssetSelection.groups(f"{source}_raw")
        built = ("conformed_star", f"{source}_star", f"{source}_marts", f"{source}_exports")
        star: AssetSelection = AssetSelection.groups(*built)
        tags = {SOURCE_TAG: source}
        made.append(define_asset_job(load_job_name(source), raw, tags=tags, description=_loads(source)))
        for unit, keys in _apart(source).items():
            other = AssetSelection.assets(*keys)
            star -= other
            name = f"{build_job_name(source)}_by_{unit}"
            made.append(define_asset_job(name, other, tags=tags, description=f"{BUILDS} Those by {unit}."))
        made.append(define_asset_job(build_job_name(source), star, tags=tags, description=BUILDS))
    return made


JOBS = _jobs()


def load_job(source: str) -> Any:
    """The job named ``load_job_name``."""
    return next(job for job in JOBS if job.name == load_job_name(source))
