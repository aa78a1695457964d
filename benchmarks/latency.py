"""From a file's arrival to its row in a mart: put a file, wait until it shows, and again; p50 of 20 files.

Starts the daemon of a home in which ``cinestream demo`` has run: sensors, queue and run workers are the real ones.

    python -m benchmarks.latency --home .cinestream --files 20
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

QUERY = """
SELECT count(*) FROM movielens_marts.mart_user_activity JOIN movielens_dw.dim_user USING (user_key) WHERE user_id = %s
"""


def main() -> None:
    """Print every latency and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cinestream"))
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--port", type=int, default=3301)
    options = parser.parse_args()
    environment = os.environ | {"CINESTREAM_HOME": str(options.home.absolute())}
    cinestream = str(Path(sys.executable).with_name("cinestream"))
    dsn = subprocess.run(
        [cinestream, "dsn"], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    log = (options.home / "latency-ui.log").open("w")
    ui = subprocess.Popen([cinestream, "ui", "--port", str(options.port)], env=environment, stdout=log, stderr=log)
    try:
        time.sleep(40)
        first_user = 1_000_000 + int(time.time()) % 1_000_000 * 100
        found = [_one(cinestream, environment, dsn, first_user + number) for number in range(options.files)]
    finally:
        ui.terminate()
        ui.wait(60)
    print(f"p50 {statistics.median(found):.1f} s, min {min(found):.1f}, max {max(found):.1f} of {len(found)} files")


def _one(cinestream: str, environment: dict[str, str], dsn: str, user: int) -> float:
    """Seconds from the end of one put to the row."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"ratings-{user}.csv")
        path.write_bytes(f"userId,movieId,rating,timestamp\r\n{user},1,4.5,1112484819\r\n".encode())
        subprocess.run([cinestream, "land", "movielens", str(path)], env=environment, check=True, capture_output=True)
    started = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as conn:
        while time.monotonic() - started < 300:
            if conn.execute(QUERY, (user,)).fetchone() == (1,):
                print(f"{time.monotonic() - started:.1f}", end=" ", flush=True)
                return time.monotonic() - started
            time.sleep(0.1)
    raise SystemExit("not there after 300 s")


if __name__ == "__main__":
    main()
