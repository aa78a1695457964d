"""What orchestration costs: the demo in a fresh home, and how much of its time is not reading, computing or COPY.

Work is the time inside the loading of a file, inside the building and publishing of a table, and dbt's own running of
models and tests. The rest is orchestration: starting processes, loading definitions, events, checks, parsing of dbt.

    python -m benchmarks.orchestration --scale 1
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS: dict[str, float] = {}


def _timed(owner: Any, name: str, label: str) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return real(*args, **kwargs)
        finally:
            SECONDS[label] = SECONDS.get(label, 0.0) + time.perf_counter() - started

    setattr(owner, name, timed)


def _count_dbt(module: Any) -> None:
    discard = module.discard_artifacts

    def counted(folder: Path, step: str) -> None:
        elapsed = json.loads((folder / "run_results.json").read_text())["elapsed_time"]
        SECONDS["dbt: models and tests"] = SECONDS.get("dbt: models and tests", 0.0) + elapsed
        discard(folder, step)

    module.discard_artifacts = counted


def main() -> None:
    """Run the demo and print where its time went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="cinestream-orchestration-") as home:
        os.environ["CINESTREAM_HOME"] = home
        from cinestream_platform.catalog import CATALOG
        from cinestream_platform.commands.demo import run_demo
        from cinestream_platform.commands.instance import prepare_instance
        from cinestream_platform.loading.files import FileLoader
        from cinestream_platform.marts.project import ensure_manifest
        from cinestream_platform.orchestration import asset
        from cinestream_platform.orchestration.warehouse import start_and_prepare
        from cinestream_platform.services.postgres import stop_postgres
        from cinestream_platform.settings import get_settings

        start_and_prepare(CATALOG, get_settings())
        prepare_instance(get_settings())
        ensure_manifest(get_settings())
        installed = time.perf_counter() - started
        from cinestream_platform.marts import assets

        _timed(FileLoader, "_attempt", "files: read, judge, write, COPY")
        _timed(asset, "publish", "tables: compute, validate, COPY, constraints")
        _count_dbt(assets)
        try:
            run_demo(get_settings(), None, release="", scale=options.scale, sources=(), fresh=False)
        finally:
            stop_postgres(Path(home))
    total = time.perf_counter() - started - installed
    work = sum(SECONDS.values())
    print(f"once a home: Postgres, schemas and dbt's parse took {installed:.1f} s")
    for label, seconds in SECONDS.items():
        print(f"{label:<46} {seconds:6.1f} s")
    print(f"{'orchestration':<46} {total - work:6.1f} s of {total:.1f} s: {(total - work) / total:.0%}")


if __name__ == "__main__":
    main()
