"""The jobs: per source one that loads landed files, and one that builds star and marts from what is loaded."""

from typing import Any

from dagster import AssetSelection, define_asset_job

from cinestream_platform.catalog import SOURCES


def load_job_name(source: str) -> str:
    """The job that loads landed files into raw tables."""
    return f"{source}_load"


def build_job_name(source: str) -> str:
    """The job that builds dims, facts and marts."""
    return f"{source}_build"


def _jobs() -> list[Any]:
    """Both jobs of every source."""
    made = []
    for source in SOURCES:
        raw = AssetSelection.groups(f"{source}_raw")
        star = AssetSelection.groups("conformed_star", f"{source}_star", f"{source}_marts")
        # The ledger counts attempts at a file and decides when the next is due; a retried run would know no better.
        made.append(define_asset_job(load_job_name(source), raw, tags={"dagster/max_retries": "0"}))
        made.append(define_asset_job(build_job_name(source), star))
    return made


JOBS = _jobs()
