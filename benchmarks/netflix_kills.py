"""The Netflix star at size, killed at random moments: it must end as an undisturbed load ends.

One home is loaded undisturbed. In another, load and build are begun again and again, and each time either their process
dies by SIGKILL or the database by ``stop -m immediate``, until so many have died; should one come through before that,
its content is compared and the home is emptied. Content is what the files call films and customers, never a surrogate
key. A difference, a row that counts twice, or anything left in staging fails the run.

    python -m benchmarks.netflix_kills --rows 10000000 --kills 20
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.netflix_warehouse import FACTS, connect, empty
from cinestream_platform.catalog import CATALOG
from cinestream_platform.services.postgres import PostgresServer, start_postgres, stop_postgres
from cinestream_platform.sources.netflix.sample.generator import generate

SOURCE = "netflix"
VICTIMS = ("load", "load", "server")
HOMES = ("undisturbed", "disturbed")
RAW = """
SELECT key, _line, movie_id, customer_id, rating, date
FROM raw_netflix.ratings JOIN ops.landed_file ON file_id = _file_id
"""
MONTHS = """
SELECT customer_id, date_key, rating_count, rating_sum, first_date_key, last_date_key
FROM netflix_dw.fact_customer_months JOIN netflix_dw.dim_customer USING (customer_key)
"""
CUSTOMERS = "SELECT customer_id, first_rating_date, last_rating_date, total_ratings FROM netflix_dw.dim_customer"
FILMS = "SELECT movie_id, title, release_year, is_inferred, is_in_source FROM netflix_dw.dim_movie"
DAYS = "SELECT * FROM netflix_marts.mart_daily_ratings"
TRENDS = "SELECT * FROM netflix_marts.mart_customer_trends"
CONTENT = "SELECT count(*), coalesce(sum(hash_record_extended(r, 0)), 0)::text FROM ({}) AS r"
FAULTS = {
    "tables in staging": """
        SELECT count(*) FROM pg_class
        WHERE relkind = 'r' AND relnamespace::regnamespace::text = 'netflix_dw_staging'
    """,
    "files not loaded": "SELECT count(*) FROM ops.landed_file WHERE status <> 'loaded'",
    "lines that count twice": "SELECT count(*) - count(DISTINCT (_file_id, _line)) FROM raw_netflix.ratings",
    "months with two latest versions": """
        SELECT count(*) FROM (
            SELECT FROM ops.publication WHERE is_latest
            GROUP BY schema_name, table_name, partition_key HAVING count(*) > 1
        ) AS twice
    """,
    "foreign keys that are not validated": """
        SELECT count(*) FROM pg_constraint
        WHERE contype = 'f' AND NOT convalidated AND connamespace::regnamespace::text = 'netflix_dw'
    """,
}


def content(server: PostgresServer) -> dict[str, str]:
    """Rows and hash of every table, and what must be 0."""
    queries = {"raw": RAW, "facts": FACTS, "customer months": MONTHS, "customers": CUSTOMERS, "films": FILMS}
    queries |= {"days": DAYS, "trends": TRENDS}
    with connect(server) as conn:
        found = {name: conn.execute(CONTENT.format(query).encode()).fetchone() for name, query in queries.items()}
        found |= {name: conn.execute(query.encode()).fetchone() for name, query in FAULTS.items()}
    return {name: " ".join(map(str, row or ())) for name, row in found.items()}


def start(home: Path) -> subprocess.Popen[bytes]:
    """A process of its own that loads and builds all that is due."""
    settings = {"CINESTREAM_HOME": str(home), "CINESTREAM_LANDING_SETTLE_SECONDS": "0"}
    settings |= {"CINESTREAM_LOAD_ATTEMPTS": "1000", "CINESTREAM_LOAD_BACKOFF_SECONDS": "0"}
    command = [sys.executable, "-m", "benchmarks.netflix_kills", "load"]
    with (home.parent / f"{home.name}.log").open("a") as log:
        return subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True)


def load_and_build() -> None:
    """All that is due, as the sensors would ask for it, until nothing is stale."""
    from cinestream_platform.commands.instance import prepare_instance
    from cinestream_platform.marts.project import ensure_manifest
    from cinestream_platform.orchestration.warehouse import start_and_prepare
    from cinestream_platform.settings import get_settings

    settings = get_settings()
    target = start_and_prepare(CATALOG, settings)
    ensure_manifest(settings)
    prepare_instance(settings)
    from dagster import DagsterInstance

    from cinestream_platform.automation.catch_up import build_stale, load_landed
    from cinestream_platform.definitions import defs
    from cinestream_platform.lake.store import open_landing

    with DagsterInstance.get() as instance:
        results = load_landed(defs, instance=instance, settings=settings, target=target, landing=open_landing(settings))
        while all(result.success for result in results):
            if not (results := build_stale(defs, instance=instance, target=target, sources=[SOURCE])):
                return
    raise SystemExit("a run failed")


def land(home: Path, files: Path) -> None:
    """Put the files into the home's landing zone."""
    program = Path(sys.executable).with_name("cinestream")
    settings = {"CINESTREAM_HOME": str(home)}
    command = [str(program), "land", SOURCE, str(files)]
    subprocess.run(command, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)


def undisturbed(home: Path, files: Path) -> tuple[dict[str, str], float]:
    """What a load that nothing disturbs ends in, and how many seconds it takes."""
    server = empty(home)
    land(home, files)
    begin = time.monotonic()
    if start(home).wait():
        raise SystemExit(f"the undisturbed load failed: see {home}.log")
    seconds = time.monotonic() - begin
    return content(server), seconds


def end(process: subprocess.Popen[bytes], home: Path, victim: str) -> None:
    """End a load: all its processes, dbt's among them, or the server that it works on."""
    if victim == "server":  # what pg_ctl stop -m immediate sends
        os.kill(int((start_postgres(home).data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def disturbed(home: Path, files: Path, kills: int, seconds: float, rng: random.Random) -> Iterator[dict[str, str]]:
    """Loads that are killed so many times in all; what each of them ended in."""
    killed = 0
    while killed < kills:
        empty(home)
        land(home, files)
        process = start(home)
        while killed < kills:
            moment, victim = rng.uniform(0.05, 0.5) * seconds, rng.choice(VICTIMS)
            try:
                if process.wait(moment):
                    raise SystemExit(f"a load failed by itself: see {home}.log")
                break
            except subprocess.TimeoutExpired:
                end(process, home, victim)
            killed += 1
            print(f"{killed}: {victim} killed after {moment:.1f} s", flush=True)
            process = start(home)
        if process.wait():
            raise SystemExit(f"the last load failed: see {home}.log")
        yield content(start_postgres(home))


def compare(home: Path, files: Path, kills: int, rng: random.Random) -> bool:
    """Whether all disturbed loads ended as the undisturbed one; says what each ended in."""
    expected, seconds = undisturbed(home / HOMES[0], files)
    stop_postgres(home / HOMES[0])
    shown = "\n".join(f"  {name}: {found}" for name, found in expected.items())
    print(f"undisturbed: {seconds:.0f} s\n{shown}", flush=True)
    wrong = [name for name in FAULTS if expected[name] != "0"]
    for found in disturbed(home / HOMES[1], files, kills, seconds, rng):
        wrong += [f"{name}: {found[name]}" for name in expected if found[name] != expected[name]]
        print("; ".join(wrong) or "the same content", flush=True)
    return not wrong


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--home", type=Path, default=Path(".cinestream") / "netflix-kills")
    options = parser.parse_args()
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    files = home / "files"
    generate(files, ratings=options.rows, seed=1, dirty=0.0)
    try:
        is_right = compare(home, files, options.kills, random.Random(options.seed))
    finally:
        for name in HOMES:
            stop_postgres(home / name)
    raise SystemExit(0 if is_right else 1)


if __name__ == "__main__":
    load_and_build() if sys.argv[1:] == ["load"] else main()
