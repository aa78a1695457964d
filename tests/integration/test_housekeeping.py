"""The nightly job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cinestream_platform.publishing.raw import FileTransaction
from cinestream_platform.warehouse.connection import connect
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Y2018, Platform, ratings_csv

KEY = "movielens/ratings/a.csv"


def folders(platform: Platform) -> set[str]:
    return {"/".join(item.key.split("/")[:4]) for item in platform.lake.list("raw/")}


def clean(platform: Platform) -> None:
    assert platform.defs.resolve_job_def("housekeeping").execute_in_process(instance=platform.instance).success


def test_the_nightly_job_deletes_what_failed_attempts_left_and_nothing_else(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land(KEY, ratings_csv([(1, 1, "4.0", Y2018)]))
    with monkeypatch.context() as patch:

        def fail(*_: Any) -> None:
            raise RuntimeError("after the upload")

        patch.setattr(FileTransaction, "claim", fail)
        platform.load()
    [left] = folders(platform)
    platform.load()
    loaded = str(platform.ledger_row(KEY)["lake_path"])
    assert folders(platform) == {left, loaded}
    (tmp_path / "x.parquet").write_bytes(b"somebody else's")
    platform.lake.put_file("raw/customers/2023/x.parquet", tmp_path / "x.parquet")
    platform.lake.put_file("raw/movielens/ratings/file-9-of-another-warehouse/x.parquet", tmp_path / "x.parquet")
    others = {"raw/customers/2023/x.parquet", "raw/movielens/ratings/file-9-of-another-warehouse"}

    clean(platform)
    assert folders(platform) == {left, loaded} | others  # it might still be written
    with connect(platform.target) as conn:
        ledger_by_hand.let_two_days_pass(conn)
    clean(platform)
    assert folders(platform) == {loaded} | others
    assert platform.ledger_row(KEY)["lake_attempts"] == []
    platform.build()
    assert platform.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 1
