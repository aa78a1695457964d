"""The assets that several stars share."""

from cinestream_platform.conformed import tables, transforms
from cinestream_platform.orchestration.asset import table_asset

dim_date = table_asset(tables.DIM_DATE)(transforms.dim_date)
