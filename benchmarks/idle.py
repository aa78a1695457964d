"""What an idle platform costs: CPU of all its processes, Postgres included, and logins to its databases.

Starts `cinestream ui` of a home in which `cinestream demo` has run, waits until it rests, and measures for minutes.

    python -m benchmarks.idle --home .cinestream --minutes 10
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import psycopg

SESSIONS = "SELECT coalesce(datname, '-'), sessions FROM pg_stat_database WHERE sessions > 0"


def main() -> None:
    """Print the share of a core and the logins an hour, in all and by process and database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cinestream"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--settle", type=float, default=90, help="seconds from the start until it rests")
    parser.add_argument("--port", type=int, default=3302)
    parser.add_argument("--cinestream", default=str(Path(sys.executable).with_name("cinestream")))
    options = parser.parse_args()
    environment = os.environ | {"CINESTREAM_HOME": str(options.home.absolute())}
    dsn = subprocess.run(
        [options.cinestream, "dsn"], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    log = (options.home / "idle-ui.log").open("w")
    command = [options.cinestream, "ui", "--port", str(options.port)]
    ui = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        time.sleep(options.settle)
        _measure(psutil.Process(ui.pid), dsn, options.minutes * 60)
    finally:
        os.killpg(ui.pid, signal.SIGTERM)
        ui.wait(60)


def _measure(platform: psutil.Process, dsn: str, seconds: float) -> None:
    # One connection for all of it: its own login is not counted.
    with psycopg.connect(dsn, autocommit=True) as conn:
        postmaster = psutil.Process(conn.info.backend_pid).parent()
        roots = [platform, *([postmaster] if postmaster else [])]
        before, sessions, started = _cpu(roots), _sessions(conn), time.monotonic()
        time.sleep(seconds)
        after, hours = _cpu(roots), (time.monotonic() - started) / 3600
        logins = _sessions(conn) - sessions
    used = after - before
    print(f"{sum(used.values()) / hours / 36:.1f} % of a core, {sum(logins.values()) / hours:,.0f} logins an hour")
    for name, share in used.most_common():
        print(f"  {share / hours / 36:6.2f} %  {name}")
    for name, count in logins.most_common():
        print(f"  {count / hours:8,.0f} logins an hour, database {name}")


def _cpu(roots: list[psutil.Process]) -> Counter[str]:
    """CPU seconds by kind of process, those of children that have ended included."""
    found: Counter[str] = Counter()
    for root in roots:
        for process in [root, *root.children(recursive=True)]:
            try:
                times, name = process.cpu_times(), _kind(process)
            except psutil.NoSuchProcess:
                continue
            found[name] += times.user + times.system + times.children_user + times.children_system
    return found


def _kind(process: psutil.Process) -> str:
    if process.name().startswith("postgres"):
        return "postgres"
    words = process.cmdline()
    for part in ("webserver", "daemon", "grpc", "code-server"):
        if part in words:
            return part
    return " ".join(word.rsplit("/")[-1] for word in words[:3])


def _sessions(conn: psycopg.Connection) -> Counter[str]:
    return Counter(dict(conn.execute(SESSIONS).fetchall()))


if __name__ == "__main__":
    main()
