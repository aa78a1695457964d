"""dlt's way: Parquet through ADBC. Runs in the peers' environment: dlt_arm.py CSV URI SCHEMA."""

import sys

import dlt
import polars as pl

path, uri, schema = sys.argv[1:4]


@dlt.resource(name="ratings", write_disposition="replace")
def ratings():  # noqa: ANN201 - dlt's own type
    """The file as Arrow tables of 1 million rows, typed as our raw table is."""
    types = {"userId": pl.Int32, "movieId": pl.Int32, "rating": pl.Float64, "timestamp": pl.Int64}
    for batch in pl.scan_csv(path, schema=types).collect_batches(chunk_size=1_000_000):
        typed = batch.select(
            "userId",
            "movieId",
            pl.col("rating").cast(pl.Decimal(2, 1)),
            (pl.col("timestamp") * 1_000_000).cast(pl.Datetime("us", "UTC")),
        )
        yield typed.to_arrow(compat_level=pl.CompatLevel.oldest())


pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(uri), dataset_name=schema)
pipeline.run(ratings, loader_file_format="parquet")
