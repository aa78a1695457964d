"""The server that all arms share: emptied before each of them, and asked for content, sizes and WAL after it."""

import io
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from psycopg.sql import SQL, Identifier, Literal

from cinestream_platform.conformed.tables import DIM_DATE
from cinestream_platform.conformed.transforms import dim_date
from cinestream_platform.declarations.table import Table
from cinestream_platform.services.postgres import DATABASES, PostgresServer, start_postgres
from cinestream_platform.sources.netflix.tables import DIM_CUSTOMER, DIM_MOVIE, FACT_RATINGS, MONTHS
from cinestream_platform.warehouse.ddl import ensure_tables

PEERS_LOGIN = "bench_peers"
KEPT = {"services", "logins"}
"""What stays of a home: the server, and the passwords of its roles, which outlive its databases."""

FACTS = """
SELECT m.movie_id, c.customer_id, f.date_key, f.rating
FROM netflix_dw.fact_ratings f JOIN netflix_dw.dim_movie m USING (movie_key)
    JOIN netflix_dw.dim_customer c USING (customer_key)
WHERE f.rating_key = m.movie_id * 4294967296 + c.customer_id
"""
"""The ratings by what the files call films and customers; a row with wrong keys is missing here."""
RAW = """
SELECT movie_id, customer_id, rating,
    date_part('year', date) * 10000 + date_part('month', date) * 100 + date_part('day', date) AS date_key
FROM {}
"""
CONTENT = """
SELECT count(*), coalesce(sum(h), 0), count(*) FILTER (WHERE movie_id <= {film}),
    coalesce(sum(h) FILTER (WHERE movie_id <= {film}), 0)
FROM (
    SELECT movie_id, hash_record_extended(ROW(movie_id::int, customer_id::int, date_key::int, rating::int), 0) AS h
    FROM ({rows}) AS r
) AS hashed
"""
SIZES = """
SELECT n.nspname, coalesce(p.relname, c.relname), sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information_schema$)'
GROUP BY 1, 2 ORDER BY 3 DESC
"""


@dataclass(frozen=True)
class Size:
    """Bytes of a table with all its partitions."""

    relation: str
    heap: int
    indexes: int


@dataclass(frozen=True)
class Content:
    """Number and hash of rows, whatever their order; all of them, and those of the slice's films."""

    rows: str
    slice_rows: str


def connect(server: PostgresServer, database: str = "cinestream") -> psycopg.Connection[Any]:
    """As the superuser, in autocommit."""
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.superuser,
        password=server.password.get_secret_value(),
        dbname=database,
        autocommit=True,
    )


def peers_login(server: PostgresServer) -> dict[str, str]:
    """A superuser for the peers, as libpq's variables.

    The server's own has a password of few SCRAM iterations, as it is random; JDBC's driver refuses fewer than 4,096.
    """
    password = secrets.token_urlsafe(24)
    with connect(server, "postgres") as conn:
        if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (PEERS_LOGIN,)).fetchone():
            conn.execute(SQL("CREATE ROLE {} LOGIN SUPERUSER").format(Identifier(PEERS_LOGIN)))
        conn.execute("SET scram_iterations = 4096")
        conn.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(PEERS_LOGIN), Literal(password)))
    return server.client_environment() | {"PGUSER": PEERS_LOGIN, "PGPASSWORD": password}


def empty(home: Path) -> PostgresServer:
    """The home's server with new databases, and nothing else in the home."""
    server = start_postgres(home)
    with connect(server, "postgres") as conn:
        for name in DATABASES:
            conn.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        server = start_postgres(home)
        conn.execute("CHECKPOINT")
    for path in home.iterdir():
        if path.is_dir() and path.name not in KEPT:
            shutil.rmtree(path)
    return server


def make_star(server: PostgresServer, prepared: Path, *, with_months: bool) -> None:
    """The declared dims, filled, and the declared fact table: bare, or with a partition for every month."""
    with connect(server) as conn:
        ensure_tables(conn, (DIM_DATE, DIM_MOVIE, DIM_CUSTOMER, FACT_RATINGS))
        member = [pl.lit(False).alias("is_inferred"), pl.lit(True).alias("is_in_source")]
        _fill(conn, DIM_DATE, dim_date().collect())
        for table in (DIM_MOVIE, DIM_CUSTOMER):
            _fill(conn, table, pl.read_csv(prepared / f"{table.name}.csv").with_columns(member))
        for month in month_keys() if with_months else ():
            statement = SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
            child = Identifier(FACT_RATINGS.schema, FACT_RATINGS.partition_name(month))
            parent = Identifier(FACT_RATINGS.schema, FACT_RATINGS.name)
            conn.execute(statement.format(child, parent, *map(Literal, MONTHS.bounds(month) or ())))
        conn.execute("CHECKPOINT")


def month_keys() -> list[str]:
    """Every month that ratings can be of."""
    first, last = (int(key[:4]) * 12 + int(key[5:]) - 1 for key in (MONTHS.first, MONTHS.last or MONTHS.first))
    return [f"{month // 12}-{month % 12 + 1:02}" for month in range(first, last + 1)]


def _fill(conn: psycopg.Connection[Any], table: Table, frame: pl.DataFrame) -> None:
    relation, columns = Identifier(table.schema, table.name), SQL(", ").join(map(Identifier, frame.columns))
    text = io.BytesIO()
    frame.write_csv(text, include_header=False)
    with conn.cursor().copy(SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(relation, columns)) as copy:
        copy.write(text.getvalue())
    conn.execute(SQL("ANALYZE {}").format(relation))


def content(server: PostgresServer, rows: str, slice_film: int) -> Content:
    """What a query's rows hold."""
    with connect(server) as conn:
        query = CONTENT.format(rows=rows, film=int(slice_film))
        count, total, slice_count, slice_total = conn.execute(query.encode()).fetchone() or (0, 0, 0, 0)
    return Content(_named(count, total), _named(slice_count, slice_total))


def _named(count: int, total: int) -> str:
    return f"{int(total) % 2**64:016x}-{count}"


def sizes(server: PostgresServer) -> list[Size]:
    """Every table of the warehouse, the largest first."""
    with connect(server) as conn:
        return [Size(f"{schema}.{name}", heap, indexes) for schema, name, heap, indexes in conn.execute(SIZES.encode())]


def wal_position(server: PostgresServer) -> int:
    """Bytes of WAL written since the server was made."""
    with connect(server) as conn:
        row = conn.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    return row[0] if row else 0
