"""Ten thousand small files: what each costs when few and when many are loaded, and the build that follows.

Files of three ratings land together. The sensor is ticked as the daemon ticks it, and what it asks for is run, until
nothing is left; then all is built, and the same rows are loaded from one file and built, for comparison. Costs are
measured when few files are loaded and when many are.

    python -m benchmarks.many_files --files 10000 --store folder
    python -m benchmarks.many_files --files 10000 --store s3
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import obstore
from dagster import DagsterInstance, build_sensor_context

from benchmarks.measuring import machine
from cinestream_platform.automation.build_sensor import range_tags
from cinestream_platform.automation.jobs import build_job_of
from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG
from cinestream_platform.lake.store import open_landing
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.marts.project import ensure_manifest
from cinestream_platform.orchestration.resources import given, platform_resources
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.services.postgres import stop_postgres
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect

ROWS_PER_FILE = 3
FIRST, LAST = 1_000_000_000, 1_700_000_000
"""Seconds between which the ratings are dated: 2001 to 2023."""
FEW = 100


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """The settings of an S3 server on loopback (moto), a process of this one."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "CINESTREAM_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "CINESTREAM_S3_ACCESS_KEY_ID": "key",
        "CINESTREAM_S3_SECRET_ACCESS_KEY": "secret",
        "CINESTREAM_LANDING_URL": "s3://many-files/landing",
        "CINESTREAM_LAKE_URL": "s3://many-files/lake",
    }
    client = boto3.client(
        "s3",
        endpoint_url=variables["CINESTREAM_S3_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="many-files")
    try:
        yield variables
    finally:
        server.stop()


def contents(files: int) -> Iterator[tuple[str, str]]:
    """(name, rows) of each file: ratings of a user of its own."""
    chance = random.Random(7)
    for number in range(1, files + 1):
        films = chance.sample(range(1, 5_000), ROWS_PER_FILE)
        yield (
            f"{number:06}.csv",
            "".join(f"{number},{film},{chance.randint(1, 10) / 2},{chance.randint(FIRST, LAST)}\r\n" for film in films),
        )


HEADER = "userId,movieId,rating,timestamp\r\n"


def land(files: int) -> None:
    """Put all files into the landing zone."""
    for name, rows in contents(files):
        put(f"movielens/ratings/many/{name}", HEADER + rows)


def put(key: str, content: str) -> None:
    """Land one file as another program would; in a folder it appears when it is whole."""
    landing = open_landing(get_settings())
    if not landing.is_folder:
        obstore.put(landing._store, key, content.encode())
        return
    path = landing.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}").write_text(content, newline="")
    path.with_name(f".{path.name}").replace(path)


class Bench:
    """A platform in this process."""

    def __init__(self) -> None:
        start_and_prepare(CATALOG, get_settings())
        ensure_manifest(get_settings())
        from cinestream_platform.definitions import build_definitions  # reads the manifest

        self.instance = DagsterInstance.ephemeral()
        self.defs: Any = build_definitions()

    def tick(self) -> tuple[float, Any]:
        """Seconds and result of one evaluation of the landing sensor."""
        begun = time.perf_counter()
        with build_sensor_context(
            instance=self.instance,
            repository_def=self.defs.get_repository_def(),
            resources=platform_resources(CATALOG, given(get_settings())),
        ) as context:
            result = self.defs.resolve_sensor_def("landing_sensor").evaluate_tick(context)
        return time.perf_counter() - begun, result

    def run(self, request: Any) -> float:
        """Seconds of a requested run."""
        begun = time.perf_counter()
        config = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}, **request.run_config}
        self.defs.resolve_job_def(request.job_name).execute_in_process(
            instance=self.instance, asset_selection=list(request.asset_selection), run_config=config, tags=request.tags
        )
        return time.perf_counter() - begun

    def build(self) -> float:
        """Seconds of building what is stale: dims and facts of MovieLens, without marts, whose input is the same."""
        nodes = nodes_of(self.defs.resolve_asset_graph(), CATALOG)
        begun = time.perf_counter()
        with connect(start_and_prepare(CATALOG, get_settings())) as conn:
            state = read_state(conn)
        for span, assets in plan_builds("movielens", nodes, state).runs():
            if wanted := [key for key in assets if not nodes[key].is_mart]:
                self.defs.resolve_job_def(build_job_of("movielens", wanted)).execute_in_process(
                    instance=self.instance,
                    asset_selection=wanted,
                    tags=range_tags(span),
                    run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                )
        return time.perf_counter() - begun

    def load_all(self) -> tuple[float, list[float], int]:
        """Seconds in all, of each tick, and how many runs it took."""
        begun, ticks, runs = time.perf_counter(), [], 0
        while True:
            seconds, result = self.tick()
            ticks.append(seconds)
            if not result.run_requests:
                return time.perf_counter() - begun, ticks, runs
            for request in result.run_requests:
                self.run(request)
                runs += 1

    def cost_of_one(self, name: str, times: int = 10) -> float:
        """Median seconds from listing to commit of a single small file that lands now."""
        found = []
        for number in range(times):
            rows = f"{9_000_000 + abs(hash((name, number))) % 900_000},{number + 1},4.0,{FIRST}\r\n"
            put(f"movielens/ratings/single/{name}-{number}.csv", HEADER + rows)
            begun = time.perf_counter()
            _, result = self.tick()
            for request in result.run_requests:
                self.run(request)
            found.append(time.perf_counter() - begun)
        return sorted(found)[len(found) // 2]


def per_file(first: int, last: int) -> float:
    """Milliseconds a file between two of the files that were loaded, by the moments of their commits."""
    with connect(start_and_prepare(CATALOG, get_settings())) as conn:
        row = conn.execute(
            """
            SELECT extract(epoch FROM max(loaded_at) - min(loaded_at)) * 1000 / nullif(count(*), 0) FROM (
                SELECT loaded_at, row_number() OVER (ORDER BY loaded_at, file_id) AS n FROM ops.landed_file
                WHERE status = 'loaded' AND key LIKE '%%/many/%%'
            ) f WHERE n BETWEEN %s AND %s
            """,
            (first, last),
        ).fetchone()
    return float(row[0] or 0) if row else 0.0


def main() -> None:
    """Run both arms, each in a process and a home of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--store", choices=["folder", "s3"], default="folder")
    parser.add_argument("--arm", choices=["many", "one"])
    options = parser.parse_args()
    if options.arm is None:
        print(machine())
        builds = {}
        for arm in ("many", "one"):
            command = [sys.executable, "-m", "benchmarks.many_files", "--store", options.store, "--arm", arm]
            done = subprocess.run(
                [*command, "--files", str(options.files)], check=True, stdout=subprocess.PIPE, text=True
            )
            *lines, builds[arm] = done.stdout.splitlines()
            print("\n".join(lines))
        ratio = float(builds["many"]) / float(builds["one"])
        print(f"build from many files {builds['many']} s, from one {builds['one']} s: {ratio:.2f} times")
        return
    with tempfile.TemporaryDirectory(prefix="cinestream-many-") as home:
        os.environ["CINESTREAM_HOME"] = home
        os.environ["CINESTREAM_LANDING_SETTLE_SECONDS"] = "0"
        with s3_server() if options.store == "s3" else nullcontext({}) as variables:
            os.environ.update(variables)
            try:
                print(f"{(load_many if options.arm == 'many' else load_one)(options.files).build():.1f}")
            finally:
                stop_postgres(Path(home))


def load_many(files: int) -> Bench:
    """Load many files; what that costs is printed."""
    bench = Bench()
    land(FEW)
    bench.load_all()
    at_few = bench.cost_of_one("few")
    land(files)
    seconds, ticks, runs = bench.load_all()
    at_many = bench.cost_of_one("many")
    print(f"{files:,} files in {seconds:.0f} s, {runs} runs; ticks up to {max(ticks):.2f} s")
    print(f"per file {per_file(501, 2_500):.1f} ms after 500 files, {per_file(files - 2_000, files):.1f} ms at the end")
    print(f"a single file, tick and run: {at_few:.2f} s at {FEW}, {at_many:.2f} s at {files:,} loaded")
    return bench


def load_one(files: int) -> Bench:
    """Load the same rows from one file."""
    bench = Bench()
    whole = HEADER + "".join(rows for _, rows in contents(files))
    put("movielens/ratings/whole.csv", whole)
    bench.load_all()
    return bench


if __name__ == "__main__":
    main()
