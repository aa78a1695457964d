"""Rejected records of a file wait on disk and come back in order."""

import polars as pl

from cinestream_platform.reading import rejects as module
from cinestream_platform.reading.blocks import REJECT_SCHEMA
from cinestream_platform.reading.rejects import FIRST_ROWS, Rejects


def test_all_come_back_in_order_and_few_are_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WAITING_BYTES", 2_000)
    rejects = Rejects(tmp_path / "rejects")
    rows = [(line, "rule", f"text {line}", None) for line in range(1_000)]
    for begin in range(0, 1_000, 50):
        rejects.add(pl.DataFrame(rows[begin : begin + 50], schema=REJECT_SCHEMA, orient="row"))
    assert rejects.rows == 1_000
    assert rejects.first.rows() == rows[:FIRST_ROWS]
    assert [row for frame in rejects.frames() for row in frame.rows()] == rows
    assert len(list((tmp_path / "rejects").iterdir())) > 5
    kept = [row for frame in rejects.rows_of(7) for row in frame.rows()]
    assert kept == [(7, line, rule, raw) for line, rule, raw, _ in rows]


def test_a_file_without_rejected_records_leaves_nothing_on_disk(tmp_path):
    rejects = Rejects(tmp_path / "rejects")
    rejects.add(pl.DataFrame(schema=REJECT_SCHEMA))
    assert (rejects.rows, list(rejects.frames()), (tmp_path / "rejects").exists()) == (0, [], False)
