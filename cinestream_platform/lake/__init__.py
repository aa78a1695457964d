"""Object stores: listing and fetching files, reading them, raw rows as Parquet. Knows nothing of Dagster."""
