"""Object stores: listing the landing zone, fetching and reading files, Parquet of the raw tables. Knows nothing of Dagster."""
