"""pandas' way: to_sql with many rows an INSERT, into a raw table; of the slice's films only.

Runs in the peers' environment: netflix_pandas_arm.py RATINGS LAST_FILM SCHEMA REPORT. The login is in libpq's
variables.
"""

import json
import os
import sys
import time
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

CHUNK = 10_000  # times four columns: Postgres takes at most 65,535 parameters a statement
folder, film, schema, report = sys.argv[1:5]
login = "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format_map(os.environ)

began = time.perf_counter()
frame = pd.read_parquet(folder, filters=[("movie_id", "<=", int(film))])
read = time.perf_counter()
engine = sa.create_engine(f"postgresql+psycopg://{login}")
types = {"movie_id": sa.Integer, "customer_id": sa.Integer, "rating": sa.SmallInteger, "date": sa.Date}
with engine.begin() as conn:
    conn.execute(sa.text(f'CREATE SCHEMA "{schema}"'))
    frame.to_sql("ratings", conn, schema=schema, index=False, method="multi", chunksize=CHUNK, dtype=types)
written = time.perf_counter()
Path(report).write_text(json.dumps({"read": read - began, "write": written - read}))
