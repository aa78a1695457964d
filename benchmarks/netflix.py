"""The Netflix star, from the publisher's files to rated films: ours, a limit by hand, Spark, dlt and pandas, in turns.

Ours does the whole job: files land, every record is judged, raw rows, dims, facts and marts are built and checked by
Dagster's runs. The limit only fills the fact table, from rows that are parsed and keyed beforehand. Spark fills it from
parsed rows by JDBC; dlt and pandas fill a raw table, pandas a slice of it. Each arm is a process of its own on an
emptied server; afterwards its rows are hashed by one query, and an arm whose rows differ from ours fails the benchmark.

    make bench-netflix ROWS=10000000 ROUNDS=3
    python -m benchmarks.netflix --sizes 5000000,10000000,25000000
"""

import argparse
import hashlib
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks import netflix_report as report
from benchmarks.measuring import machine, peer_versions, peers_environment
from benchmarks.netflix_arms import ARMS, Files, Run, make_arm, prepare, run_arm, why_not
from benchmarks.netflix_queries import Answer, ask
from cinestream_platform.services.postgres import PostgresServer, start_postgres, stop_postgres

PEERS = {"spark": "pyspark", "dlt": "dlt", "pandas": "pandas"}


@dataclass
class Benchmark:
    """What is run, and what was found so far; the report is written anew after every run."""

    options: argparse.Namespace
    home: Path
    arms: list[str]
    left_out: dict[str, str]
    server: PostgresServer
    runs: list[Run] = field(default_factory=list)
    curve: list[list[Run]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def files(self, rows: int) -> Files:
        """The files, generated if none are given, and prepared for the peers if there are any."""
        text = self.options.files or self.home / "files" / str(rows) / "text"
        if not any(text.glob("combined_data_*.txt")):
            from cinestream_platform.sources.netflix.sample.generator import (
                generate,  # not needed where the files are given
            )

            generate(text, ratings=rows, seed=1, dirty=0.0)
        if self.arms == ["ours"]:
            return Files(text)
        folder = self.home / "files" / (_fingerprint(text) if self.options.files else str(rows))
        folder.mkdir(parents=True, exist_ok=True)
        return Files(text, prepare(text, folder, self.options.slice))

    def compare(self, rows: int) -> None:
        """Run all arms in turns."""
        self.write()  # so that no figures of another time are there if it fails
        files = self.files(rows)
        for number in range(self.options.rounds):
            for name in self.arms:
                self.runs.append(self.run(name, files))
                self.verify(files)
                if name == "ours" and self.options.queries and number == self.options.rounds - 1:
                    self.answers = ask(self.server, self.options.out.with_suffix(".plans.txt"))
                self.write()

    def sizes(self, numbers: list[int]) -> None:
        """Run ours alone at several sizes."""
        for rows in numbers:
            files = self.files(rows)
            self.curve.append([])
            for _ in range(self.options.rounds):
                self.curve[-1].append(self.run("ours", files))
                if self.curve[-1][-1].rows != rows:
                    raise SystemExit(f"ours has {self.curve[-1][-1].rows:,} of {rows:,} rows")
                self.write()

    def run(self, name: str, files: Files) -> Run:
        """Run an arm once."""
        peers = peers_environment(self.home) if name in PEERS else Path()
        arm = make_arm(name, files, self.server, self.home, peers=peers, jdbc=self.options.jdbc)
        print(f"{arm.title} …", end=" ", flush=True)
        found = run_arm(arm, files, self.home)
        print(f"{found.seconds:.1f} s, {found.rows:,} rows, hash {found.content_hash}", flush=True)
        return found

    def verify(self, files: Files) -> None:
        """Fail if the newest run's rows are not those of ours, or without ours those of the first arm that has all."""
        newest = self.runs[-1]
        whole = [run for run in self.runs if not run.arm.is_slice]
        reference = next((run for run in whole if run.arm.name == "ours"), whole[0] if whole else newest)
        expected = reference.content.slice_rows if newest.arm.is_slice else reference.content.rows
        rows = files.about()["rows"]
        if newest.content_hash != expected or (not newest.arm.is_slice and rows and newest.rows != rows):
            raise SystemExit(
                f"{newest.arm.name}: the rows are not those of {reference.arm.name}: {newest.content_hash} instead of "
                f"{expected}, of {rows or 'any number of'} rows in the files"
            )

    def write(self) -> None:
        """Write what was found so far."""
        parts = [self.circumstances()]
        if self.runs:
            parts += [report.arms_table(self.runs), "Seconds by stage:\n", report.stages_table(self.runs)]
        if self.curve:
            parts += ["Ours at several sizes:\n", report.curve_table([found for found in self.curve if found])]
        ours = [run for run in [*self.runs, *(run for found in self.curve for run in found)] if run.arm.name == "ours"]
        if ours:
            parts += [f"Tables that ours left, of {ours[-1].rows:,} ratings:\n", report.sizes_table(ours[-1])]
        if self.answers:
            parts += ["Sample questions, asked three times each:\n", report.queries_table(self.answers)]
        self.options.out.write_text("\n".join(parts))

    def circumstances(self) -> str:
        """Machine, versions and size."""
        versions = {"PostgreSQL": self.server.version, "Python": platform.python_version(), "polars": version("polars")}
        names = [PEERS[name] for name in self.arms if name in PEERS]
        versions |= peer_versions(peers_environment(self.home), names) if names else {}
        if "spark" in self.arms:
            versions["Java"] = _java_version()
        rows = [f"{run.rows:,} ratings" for run in self.runs if not run.arm.is_slice][:1]
        lines = [
            ", ".join([*rows, machine(), *(f"{name} {number}" for name, number in versions.items())]) + ",",
            f"{self.options.rounds} rounds{' in turns' if len(self.arms) > 1 else ''}.",
        ]
        lines += [f"Left out: {name}, for {why}." for name, why in self.left_out.items()]
        return "\n".join(lines) + "\n"


def _java_version() -> str:
    found = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    return found.stderr.split('"')[1]


def _fingerprint(folder: Path) -> str:
    """Of files that were given: what is prepared from them must not be taken for that of others."""
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:12]


def _arms(text: str) -> list[str]:
    names = text.replace(",", " ").split()
    if unknown := [name for name in names if name not in ARMS]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; arms are {', '.join(ARMS)}")
    return [name for name in ARMS if name in names]  # ours first: the others' rows are compared with it


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arms", type=_arms, default=" ".join(ARMS), help="any of: %(default)s")
    parser.add_argument("--sizes", help="sizes at which ours runs alone, such as 5000000,10000000; no other arm then")
    parser.add_argument("--queries", action="store_true", help="ask the sample questions of what the last of ours left")
    parser.add_argument("--files", type=Path, help="folder with the publisher's files, instead of generated ones")
    parser.add_argument("--slice", type=int, default=500_000, help="most rows that pandas is given")
    parser.add_argument("--jdbc", type=Path, default=Path("/usr/share/java/postgresql.jar"), help="JDBC driver")
    parser.add_argument("--home", type=Path, default=Path(".cinestream") / "bench-netflix")
    parser.add_argument("--out", type=Path, help="file for the tables; <home>/netflix.md by default")
    return parser.parse_args()


def main() -> None:
    """Run it, and print the tables."""
    options = _options()
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    options.out = options.out or home / "netflix.md"
    options.files = options.files.absolute() if options.files else None
    wanted = ["ours"] if options.sizes else options.arms
    left_out = {name: why for name in wanted if (why := why_not(name, options.jdbc))}
    for name, why in left_out.items():
        print(f"{name} is left out: {why}")
    if len(left_out) == len(wanted):
        raise SystemExit("no arm is left")
    server = start_postgres(home / "home")
    benchmark = Benchmark(options, home, [name for name in wanted if name not in left_out], left_out, server)
    try:
        if options.sizes:
            benchmark.sizes([int(size) for size in options.sizes.split(",")])
        else:
            benchmark.compare(options.rows)
    finally:
        stop_postgres(home / "home")
    print(f"\n{options.out.read_text()}\n(also in {options.out})")


if __name__ == "__main__":
    main()
