"""Raw load of generated ratings: ours, psql's copy and dlt, in turns on one file and one server.

Ours reads, judges every record, writes Parquet to the lake, copies rows with their origin into the raw table and
commits the ledger. psql's copy only copies the text into a bare table with the same four columns. dlt normalizes to
Parquet and loads it by ADBC. Each arm is a process of its own; time and peak memory are the whole process's.

    make bench ROWS=25000000
"""

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import psycopg

from benchmarks.measuring import HERE, measured, peers_environment
from cinestream_platform.services.postgres import PostgresServer, postgres_binary, start_postgres, stop_postgres
from cinestream_platform.sources.movielens.sample.generator import generate_ratings

COLUMNS = '"userId" integer, "movieId" integer, rating numeric(2,1), "timestamp" bigint'


def arms(server: PostgresServer, home: Path, csv: Path, work: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Name to command and environment."""
    login = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.superuser, "PGDATABASE": "cinestream"}
    login["PGPASSWORD"] = server.password.get_secret_value()
    uri = f"postgresql://{server.superuser}:{login['PGPASSWORD']}@{server.host}:{server.port}/cinestream"
    copy = ["-q", "-v", "ON_ERROR_STOP=1", "-c", "DROP TABLE IF EXISTS bench_copy"]
    copy += ["-c", f"CREATE TABLE bench_copy ({COLUMNS})", "-c", f"\\copy bench_copy FROM '{csv}' CSV HEADER"]
    settings = {
        "CINESTREAM_HOME": str(home),
        "CINESTREAM_LANDING_URL": (work / "landing").as_uri(),
        "CINESTREAM_LAKE_URL": (work / "lake").as_uri(),
        "CINESTREAM_LANDING_SETTLE_SECONDS": "0",
        "PYTHONPATH": str(HERE.parent),
    }
    return {
        "ours": ([sys.executable, str(HERE / "our_arm.py"), str(csv)], settings),
        "psql \\copy": ([str(postgres_binary(home, "psql")), *copy], login),
        "dlt (Parquet, ADBC)": (
            [str(peers_environment(home)), str(HERE / "dlt_arm.py"), str(csv), uri, "bench_dlt"],
            {"DLT_DATA_DIR": str(work / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"},
        ),
    }


def _forget(server: PostgresServer, work: Path) -> None:
    """Empty what the last round left, so that every round loads into the same state."""
    login = {"host": server.host, "port": server.port, "user": server.superuser, "dbname": "cinestream"}
    with psycopg.connect(**login, password=server.password.get_secret_value(), autocommit=True) as conn:  # type: ignore[arg-type]
        for statement in (
            "DROP TABLE IF EXISTS bench_copy",
            "DROP SCHEMA IF EXISTS bench_dlt, bench_dlt_staging CASCADE",
            "DROP SCHEMA IF EXISTS ops, raw_movielens CASCADE",
            "CHECKPOINT",
        ):
            conn.execute(statement)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()


def main() -> None:
    """Run all arms in turns and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, default=Path(".cinestream") / "bench")
    options = parser.parse_args()
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    csv = Path(tempfile.gettempdir()) / f"cinestream-ratings-{options.rows}.csv"
    if not csv.exists():
        generate_ratings(csv, rows=options.rows)
    server = start_postgres(home)
    work = home / "work"
    found: dict[str, list[tuple[float, int]]] = {}
    try:
        for _ in range(options.rounds):
            for name, (command, environment) in arms(server, home, csv, work).items():
                _forget(server, work)
                found.setdefault(name, []).append(measured(command, environment, home))
                print(name, [round(seconds, 1) for seconds, _ in found[name]], flush=True)
    finally:
        stop_postgres(home)
    print(f"\n{options.rows:,} ratings, {csv.stat().st_size / 1e6:,.0f} MB, PostgreSQL {server.version},")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {options.rounds} rounds in turns\n")
    print("| arm | median s | min–max s | rows/s | ours / arm | peak MB |\n|---|---:|---:|---:|---:|---:|")
    ours = statistics.median(seconds for seconds, _ in found["ours"])
    for name, results in found.items():
        seconds = sorted(s for s, _ in results)
        middle = statistics.median(seconds)
        peak = max(peak for _, peak in results) / 1e6
        spread = f"{seconds[0]:.1f}–{seconds[-1]:.1f}"
        rate = options.rows / middle
        print(f"| {name} | {middle:.1f} | {spread} | {rate:,.0f} | {ours / middle:.2f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
