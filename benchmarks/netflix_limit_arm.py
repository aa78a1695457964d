"""How fast this server can be made to hold the fact table at all: written by hand, nothing read, parsed or checked.

netflix_limit_arm.py MONTHS REPORT: every month is a file as COPY BINARY reads it, with keys looked up and in the
order of rating_key. Two workers take the largest that is left, copy it into a bare table made in the same transaction
(no WAL, rows frozen), give it the fact table's keys, index and CHECKs, and attach it without a scan. The login is in
libpq's variables.
"""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg

WORKERS = 2
PIECE = 2**20
COLUMNS = "rating_key, customer_key, movie_key, date_key, rating"
BARE = (
    "rating_key bigint NOT NULL, customer_key integer NOT NULL, movie_key integer NOT NULL, date_key integer NOT NULL,"
    " rating smallint NOT NULL"
)
FOREIGN = {
    "customer_key": "netflix_dw.dim_customer",
    "movie_key": "netflix_dw.dim_movie",
    "date_key": "conformed.dim_date",
}


@contextmanager
def timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    """Add up the seconds of a stage."""
    started = time.perf_counter()
    yield
    spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - started


def load_month(path: str) -> dict[str, float]:
    """One month, from file to attached partition; seconds a stage."""
    spent: dict[str, float] = {}
    year, month = map(int, Path(path).stem.split("-"))
    first, end = year * 10_000 + month * 100 + 1, (year + month // 12) * 10_000 + (month % 12 + 1) * 100 + 1
    name = f"netflix_dw.fact_ratings_{year}_{month:02}"
    with psycopg.connect("", autocommit=True) as conn:
        conn.execute("SET max_parallel_maintenance_workers = 0; SET max_parallel_workers_per_gather = 0")
        with conn.transaction():  # one for all that locks nothing of others: one sync to disk
            _build(conn, spent, name, Path(path), f"date_key >= {first} AND date_key < {end}")
            committing = time.perf_counter()
        spent["commit"] = time.perf_counter() - committing
        with timed(spent, "foreign keys"):
            for column, dim in FOREIGN.items():
                # NOT VALID first: else the dim would be locked against the other worker as long as rows are looked at.
                constraint = f"fact_ratings_{column}_fkey"
                foreign = f"FOREIGN KEY ({column}) REFERENCES {dim} ({column}) NOT VALID"
                conn.execute(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {foreign}".encode())
                conn.execute(f"ALTER TABLE {name} VALIDATE CONSTRAINT {constraint}".encode())
        with timed(spent, "attach"), conn.transaction():
            bounds = f"FOR VALUES FROM ({first}) TO ({end})"
            conn.execute(f"ALTER TABLE netflix_dw.fact_ratings ATTACH PARTITION {name} {bounds}".encode())
            conn.execute(f"ALTER TABLE {name} DROP CONSTRAINT bound".encode())
    return spent


def _build(conn: psycopg.Connection[Any], spent: dict[str, float], name: str, path: Path, bound: str) -> None:
    """The month as a table of its own, with all that needs no other table."""
    with timed(spent, "copy"):
        conn.execute(f"CREATE TABLE {name} ({BARE})".encode())
        _copy(conn, name, path)
    with timed(spent, "primary key"):
        conn.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (rating_key, date_key)".encode())
    with timed(spent, "index"):
        conn.execute(f"CREATE INDEX ON {name} USING brin (movie_key) WITH (pages_per_range = 32)".encode())
    with timed(spent, "CHECKs"):
        # A column with a constant default is added without touching a row.
        conn.execute(
            f"ALTER TABLE {name} ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),"
            " ADD CONSTRAINT fact_ratings_rating_range CHECK (rating >= 1 AND rating <= 5),"
            f" ADD CONSTRAINT bound CHECK ({bound})".encode()
        )
    with timed(spent, "ANALYZE"):
        conn.execute(f"ANALYZE {name}".encode())


def _copy(conn: psycopg.Connection[Any], name: str, path: Path) -> None:
    statement = f"COPY {name} ({COLUMNS}) FROM STDIN (FORMAT binary, FREEZE)"
    with path.open("rb") as file, conn.cursor().copy(statement.encode()) as copy:
        while piece := file.read(PIECE):
            copy.write(piece)


def main() -> None:
    """All months, then the parent's statistics."""
    months = sorted(Path(sys.argv[1]).glob("*.bin"), key=lambda path: path.stat().st_size, reverse=True)
    spent: dict[str, float] = {}
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        for found in pool.map(load_month, map(str, months)):
            for stage, seconds in found.items():
                spent[stage] = spent.get(stage, 0.0) + seconds / WORKERS
    with timed(spent, "ANALYZE"), psycopg.connect("", autocommit=True) as conn:
        conn.execute("ANALYZE ONLY netflix_dw.fact_ratings")
    Path(sys.argv[2]).write_text(json.dumps(spent))


if __name__ == "__main__":
    main()
