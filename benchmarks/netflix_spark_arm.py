"""Spark's way: Parquet of parsed ratings, joined to the dims, written by JDBC into the partitioned fact table.

Runs in the peers' environment: netflix_spark_arm.py RATINGS DRIVER_JAR REPORT. Keys, CHECK and index are in place, as
INSERT is the only way that Spark's JDBC has. The login is in libpq's variables.
"""

import json
import os
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

CORES = 2
ratings_folder, jar, report = sys.argv[1:4]
url = f"jdbc:postgresql://{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
login = {"user": os.environ["PGUSER"], "password": os.environ["PGPASSWORD"], "driver": "org.postgresql.Driver"}

began = time.perf_counter()
spark = (
    SparkSession.builder.master(f"local[{CORES}]")
    .config("spark.jars", jar)
    .config("spark.driver.memory", "4g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
started = time.perf_counter()


def dim(table: str, key: str, natural: str):  # noqa: ANN201 - Spark's own type
    """The keys of a dim."""
    return spark.read.jdbc(url, table, properties=login).select(key, natural)


movies = dim("netflix_dw.dim_movie", "movie_key", "movie_id")
customers = dim("netflix_dw.dim_customer", "customer_key", "customer_id")
facts = (
    spark.read.parquet(ratings_folder)
    .join(f.broadcast(movies), "movie_id")
    .join(f.broadcast(customers), "customer_id")
    .select(
        (f.shiftleft(f.col("movie_id").cast("long"), 32) + f.col("customer_id")).alias("rating_key"),
        "customer_key",
        "movie_key",
        (f.year("date") * 10_000 + f.month("date") * 100 + f.dayofmonth("date")).alias("date_key"),
        f.col("rating").cast("short"),
    )
)
options = {**login, "batchsize": "10000", "reWriteBatchedInserts": "true", "numPartitions": str(CORES)}
facts.write.jdbc(url, "netflix_dw.fact_ratings", mode="append", properties=options)
written = time.perf_counter()
spark.stop()
Path(report).write_text(json.dumps({"start": started - began, "read, join, write": written - started}))
