"""dlt's way: Parquet of parsed ratings through ADBC into a raw table, without keys or constraints.

Runs in the peers' environment: netflix_dlt_arm.py RATINGS SCHEMA REPORT. The login is in libpq's variables.
"""

import json
import os
import sys
import time
from pathlib import Path

import dlt
import pyarrow.parquet as pq

folder, schema, report = sys.argv[1:4]
login = "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format_map(os.environ)


@dlt.resource(name="ratings", write_disposition="replace")
def ratings():  # noqa: ANN201 - dlt's own type
    """The files as Arrow tables."""
    for part in sorted(Path(folder).glob("*.parquet")):
        yield pq.read_table(part)


pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(f"postgresql://{login}"), dataset_name=schema)
stages, began = {}, time.perf_counter()
for stage, step in (
    ("extract", lambda: pipeline.extract(ratings, loader_file_format="parquet")),
    ("normalize", pipeline.normalize),
    ("load", pipeline.load),
):
    step()
    stages[stage], began = time.perf_counter() - began, time.perf_counter()
Path(report).write_text(json.dumps(stages))
