"""Ten thousand small files: what each costs when few and when many are loaded, and the build that follows.

Files of three ratings land together. The sensor is ticked as the daemon ticks it, and what it asks for is run, until
nothing is left; then all is built, and the same rows are loaded from one file and built, for comparison. Costs are
measured when few files are loaded and when many are.

    python -m benchmarks.many_files --files 10000 --store folder
    python -m benchmarks.many_files --files 10000 --store s3 --endpoint http://127.0.0.1:7070

``--endpoint`` is an S3 server that runs already, with the keys of ``CINESTREAM_S3_*``. Without it moto is started as
another process; being Python, it is slower than what is measured.
"""

import argparse
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from dagster import DagsterInstance, build_sensor_context
from pydantic import SecretStr

from benchmarks.measuring import machine
from cinestream_platform.automation.build_sensor import range_tags
from cinestream_platform.automation.jobs import build_job_of
from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG
from cinestream_platform.lake.s3 import S3Access, ensure_bucket
from cinestream_platform.lake.store import ObjectStore, open_landing
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
def s3_server(endpoint: str | None) -> Iterator[dict[str, str]]:
    """The settings of a new bucket on an S3 server: the one at ``endpoint``, or moto in a process of its own."""
    given_or_moto: AbstractContextManager[str] = nullcontext(endpoint) if endpoint else moto()
    with given_or_moto as url:
        access = S3Access(url, access_key_id=_key("ACCESS_KEY_ID"), secret_access_key=_key("SECRET_ACCESS_KEY"))
        bucket = f"many-files-{secrets.token_hex(4)}"
        ensure_bucket(access, bucket)
        yield {
            "CINESTREAM_S3_ENDPOINT_URL": url,
            "CINESTREAM_S3_ACCESS_KEY_ID": _key("ACCESS_KEY_ID").get_secret_value(),
            "CINESTREAM_S3_SECRET_ACCESS_KEY": _key("SECRET_ACCESS_KEY").get_secret_value(),
            "CINESTREAM_LANDING_URL": f"s3://{bucket}/landing",
            "CINESTREAM_LAKE_URL": f"s3://{bucket}/lake",
        }


def _key(name: str) -> SecretStr:
    """A key of the server that is given; moto takes any."""
    return SecretStr(os.environ.get(f"CINESTREAM_S3_{name}", "benchmark"))


@contextmanager
def moto() -> Iterator[str]:
    """The endpoint of moto, as another process on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


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
    landing = open_landing(get_settings())
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(lambda one: put(landing, f"movielens/ratings/many/{one[0]}", HEADER + one[1]), contents(files))
        )


def put(landing: ObjectStore, key: str, content: str) -> None:
    """Land one file as another program would; in a folder it appears when it is whole."""
    if not landing.is_folder:
        obstore.put(landing._store, key, content.encode())
        return
    path = landing.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}").write_text(content, newline="")
    path.with_name(f".{path.name}").replace(path)


@dataclass(frozen=True, order=True)
class Cost:
    """Seconds, and CPU seconds of this process (without Postgres and S3): other work changes those less."""

    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s (CPU {self.cpu:.2f})"


@contextmanager
def cost(of: list[Cost]) -> Iterator[None]:
    """Add what is done meanwhile."""
    begun, cpu = time.perf_counter(), time.process_time()
    yield
    of.append(Cost(time.perf_counter() - begun, time.process_time() - cpu))


class Bench:
    """A platform in this process."""

    def __init__(self) -> None:
        start_and_prepare(CATALOG, get_settings())
        ensure_manifest(get_settings())
        from cinestream_platform.definitions import build_definitions  # reads the manifest

        self.instance = DagsterInstance.ephemeral()
        self.defs: Any = build_definitions()

    def tick(self) -> Any:
        """The result of one evaluation of the landing sensor."""
        with build_sensor_context(
            instance=self.instance,
            repository_def=self.defs.get_repository_def(),
            resources=platform_resources(CATALOG, given(get_settings())),
        ) as context:
            return self.defs.resolve_sensor_def("landing_sensor").evaluate_tick(context)

    def run(self, request: Any) -> None:
        """Run what a sensor asked for."""
        config = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}, **request.run_config}
        self.defs.resolve_job_def(request.job_name).execute_in_process(
            instance=self.instance, asset_selection=list(request.asset_selection), run_config=config, tags=request.tags
        )

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

    def load_all(self) -> tuple[list[Cost], list[Cost]]:
        """What each tick and each run cost."""
        ticks: list[Cost] = []
        runs: list[Cost] = []
        while True:
            with cost(ticks):
                result = self.tick()
            if not result.run_requests:
                return ticks, runs
            for request in result.run_requests:
                with cost(runs):
                    self.run(request)

    def cost_of_one(self, name: str, times: int = 10) -> tuple[Cost, Cost]:
        """What the tick and the run of a single small file cost that lands now, in the median."""
        ticks: list[Cost] = []
        runs: list[Cost] = []
        for number in range(times):
            rows = f"{9_000_000 + abs(hash((name, number))) % 900_000},{number + 1},4.0,{FIRST}\r\n"
            put(open_landing(get_settings()), f"movielens/ratings/single/{name}-{number}.csv", HEADER + rows)
            with cost(ticks):
                result = self.tick()
            with cost(runs):
                for request in result.run_requests:
                    self.run(request)
        return sorted(ticks)[times // 2], sorted(runs)[times // 2]


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
    parser.add_argument(
        "--endpoint", help="S3 server that runs already; its keys are CINESTREAM_S3_ACCESS_KEY_ID and so on"
    )
    parser.add_argument("--arm", choices=["many", "one"])
    options = parser.parse_args()
    if options.arm is None:
        print(machine())
        builds = {}
        for arm in ("many", "one"):
            command = [sys.executable, "-m", "benchmarks.many_files", "--store", options.store, "--arm", arm]
            command += ["--endpoint", options.endpoint] if options.endpoint else []
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
        server: AbstractContextManager[dict[str, str]] = nullcontext({})
        if options.store == "s3":
            server = s3_server(options.endpoint)
        with server as variables:
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
    ticks, runs = bench.load_all()
    at_many = bench.cost_of_one("many")
    seconds, cpu = (sum(getattr(one, unit) for one in ticks + runs) for unit in ("seconds", "cpu"))
    print(f"{files:,} files in {Cost(seconds, cpu)}, {len(runs)} runs; the longest tick {max(ticks)}")
    print(f"runs: {', '.join(map(str, runs))}")
    print(f"per file {per_file(501, 2_500):.1f} ms after 500 files, {per_file(files - 2_000, files):.1f} ms at the end")
    for loaded, (tick, run) in ((FEW, at_few), (files, at_many)):
        print(f"a single file when {loaded:,} are loaded: tick {tick}, run {run}")
    return bench


def load_one(files: int) -> Bench:
    """Load the same rows from one file."""
    bench = Bench()
    whole = HEADER + "".join(rows for _, rows in contents(files))
    put(open_landing(get_settings()), "movielens/ratings/whole.csv", whole)
    bench.load_all()
    return bench


if __name__ == "__main__":
    main()
