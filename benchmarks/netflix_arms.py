"""The arms: each a command of its own on the same files, with what it is given, and where its rows are afterwards."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import HERE, measured, peers_environment
from benchmarks.netflix_warehouse import (
    FACTS,
    RAW,
    Content,
    Size,
    content,
    empty,
    make_star,
    peers_login,
    sizes,
    wal_position,
)
from cinestream_platform.services.postgres import PostgresServer

ARMS = ("ours", "limit", "spark", "dlt", "pandas")
JDBC_PACKAGE = "libpostgresql-jdbc-java"
DLT_SCHEMA, PANDAS_SCHEMA = "bench_dlt", "bench_pandas"


@dataclass(frozen=True)
class Files:
    """The publisher's files, and what the peers are given of them (made only where there are peers)."""

    text: Path
    prepared: Path | None = None

    def about(self) -> dict[str, int]:
        """Rows, and the last film of the slice."""
        return json.loads((self.prepared / "about.json").read_text()) if self.prepared else {"rows": 0, "slice_film": 0}


@dataclass(frozen=True)
class Arm:
    """One way to load the ratings.

    Attributes:
        name: As in ``--arms``.
        title: As in the report.
        command: Without the file for the report of stages, its last argument.
        environment: On top of this process's.
        rows: The query for what was loaded.
        relation: The table that was filled.
        star: Whether the dims are to be there before, and if so, whether the fact table's months are.
        is_slice: Only the slice's films are loaded.
    """

    name: str
    title: str
    command: list[str]
    environment: dict[str, str]
    rows: str = FACTS
    relation: str = "netflix_dw.fact_ratings"
    star: str = ""
    is_slice: bool = False


@dataclass(frozen=True)
class Run:
    """What one run of an arm took and left."""

    arm: Arm
    seconds: float
    peak: int
    stages: dict[str, float]
    content: Content
    wal: int
    lake: int
    sizes: list[Size] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        """Of the rows that the arm loads."""
        return self.content.slice_rows if self.arm.is_slice else self.content.rows

    @property
    def rows(self) -> int:
        """How many it loaded."""
        return int(self.content_hash.rpartition("-")[2])


def why_not(name: str, jdbc: Path) -> str:
    """Why an arm cannot run on this machine; empty if it can."""
    if name != "spark":
        return ""
    if not shutil.which("java"):
        return "there is no Java; Debian's package default-jre-headless has it"
    return "" if jdbc.is_file() else f"there is no {jdbc}; Debian's package {JDBC_PACKAGE} has it"


def prepare(files: Path, folder: Path, slice_rows: int) -> Path:
    """Parse the files for the peers, once."""
    prepared = folder / f"for-peers-{slice_rows}"
    if not (prepared / "about.json").exists():
        shutil.rmtree(prepared, ignore_errors=True)
        python = peers_environment(folder.parent.parent)
        script = str(HERE / "netflix_prepare.py")
        subprocess.run([str(python), script, str(files), str(prepared), str(slice_rows)], check=True)
    return prepared


def make_arm(name: str, files: Files, server: PostgresServer, home: Path, *, peers: Path, jdbc: Path) -> Arm:
    """The arm of that name."""
    script = str(HERE / f"netflix_{name}_arm.py")
    if name == "ours":
        settings = {"CINESTREAM_HOME": str(home / "home"), "CINESTREAM_LANDING_SETTLE_SECONDS": "0"}
        settings |= {"PYTHONPATH": str(HERE.parent)}
        return Arm(name, "ours", [sys.executable, script, str(files.text)], settings)
    if files.prepared is None:
        raise ValueError("nothing was prepared for peers")
    login = peers_login(server)
    ratings = str(files.prepared / "ratings")
    if name == "limit":
        command = [sys.executable, script, str(files.prepared / "months")]
        return Arm(name, "the limit, by hand", command, login, star="bare")
    if name == "spark":
        command = [str(peers), script, ratings, str(jdbc)]
        return Arm(name, "Spark (JDBC)", command, login | {"SPARK_LOCAL_IP": "127.0.0.1"}, star="months")
    if name == "dlt":
        relation = f"{DLT_SCHEMA}.ratings"
        environment = login | {"DLT_DATA_DIR": str(home / "work" / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}
        command = [str(peers), script, ratings, DLT_SCHEMA]
        return Arm(name, "dlt (Parquet, ADBC)", command, environment, RAW.format(relation), relation)
    film, relation = str(files.about()["slice_film"]), f"{PANDAS_SCHEMA}.ratings"
    command = [str(peers), script, ratings, film, PANDAS_SCHEMA]
    return Arm(name, "pandas.to_sql, a slice", command, login, RAW.format(relation), relation, is_slice=True)


def run_arm(arm: Arm, files: Files, home: Path) -> Run:
    """Run an arm on an emptied server, and look at what it left."""
    cluster, work = home / "home", home / "work"
    server = empty(cluster)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if arm.star and files.prepared:
        make_star(server, files.prepared, with_months=arm.star == "months")
    report = work / "stages.json"
    before = wal_position(server)
    seconds, peak = measured([*arm.command, str(report)], arm.environment, work)
    wal = wal_position(server) - before
    lake = sum(path.stat().st_size for path in (cluster / "lake").rglob("*") if path.is_file())
    stages = json.loads(report.read_text())
    found = content(server, arm.rows, files.about()["slice_film"])
    return Run(arm, seconds, peak, stages, found, wal, lake, sizes(server))
