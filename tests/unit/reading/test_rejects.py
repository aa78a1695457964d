"""Rejected records of a file wait on disk and come back in order."""

import polars as pl

from cinestream_platform.reading import rejects as module
from cinestream_platform.reading.blocks import REJECT_SCHEMA
from cinestream_platform.reading.rejects import FIRST_ROWS, SAMPLES_OF_A_RULE, Rejects, count_by_rule


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


def test_each_rule_is_counted_and_its_first_records_are_samples_however_they_come_in_batches(tmp_path):
    rejects = Rejects(tmp_path / "rejects")
    rows = [(line, "rare" if line in (3, 500) else f"rule {line % 2}", "text", str(line)) for line in range(1_000)]
    for begin in range(0, 1_000, 7):
        rejects.add(pl.DataFrame(rows[begin : begin + 7], schema=REJECT_SCHEMA, orient="row"))
    assert rejects.by_rule == {"rare": 2, "rule 0": 499, "rule 1": 499}
    assert rejects.by_rule == count_by_rule(pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row"))
    lines = {rule: [line for line, name, _ in rejects.samples.iter_rows() if name == rule] for rule in rejects.by_rule}
    assert lines == {"rare": [3, 500], "rule 0": [0, 2, 4], "rule 1": [1, 5, 7]}
    assert len(lines["rule 0"]) == SAMPLES_OF_A_RULE
    assert "raw" not in rejects.samples.columns
