"""The nightly job."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.platform import Y2018, Platform, ratings_csv


def test_the_nightly_job_deletes_old_leftovers_and_nothing_that_counts(platform: Platform, tmp_path: Path) -> None:
    platform.land("movielens/ratings/a.csv", ratings_csv([(1, 1, "4.0", Y2018)]))
    platform.load()
    loaded = str(platform.ledger_row("movielens/ratings/a.csv")["lake_path"])
    (tmp_path / "part.parquet").write_bytes(b"left by a crash")
    for name in ("file-8-old", "file-9-young"):
        platform.lake.put_file(f"raw/movielens/ratings/{name}/part.parquet", tmp_path / "part.parquet")
    two_days_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    for name in (loaded, "raw/movielens/ratings/file-8-old"):
        for path in (platform.lake.folder / name).rglob("*.parquet"):
            os.utime(path, (two_days_ago, two_days_ago))

    assert platform.defs.resolve_job_def("housekeeping").execute_in_process(instance=platform.instance).success
    folders = {"/".join(item.key.split("/")[:4]) for item in platform.lake.list("raw/")}
    assert folders == {loaded, "raw/movielens/ratings/file-9-young"}
