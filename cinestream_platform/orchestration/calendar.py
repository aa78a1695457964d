"""The assets that several stars share."""

import polars as pl

from cinestream_platform.conformed import tables, transforms
from cinestream_platform.orchestration.asset import table_asset


@table_asset(tables.DIM_DATE)
def dim_date() -> pl.LazyFrame:
    """Computed; it reads nothing."""
    return transforms.dim_date()
