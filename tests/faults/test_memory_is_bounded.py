"""Memory is bounded in bytes, whatever a file holds, and reading stops once a file cannot pass.

Each file is read in a process of its own, with all that a run worker imports, as a load reads it; its peak is what the
kernel counts. Files are of a tenth of the size for which docs/benchmarks.md has the figures: what grows with the file
shows all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.memory_of_reading import FILES

MOST_MB = 600
MOST_CPU_SECONDS = 2


def read_in_a_process(name: str, megabytes: float) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory_of_reading", name, str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["rejected_lines", "json_empty_objects", "broken_quotes", "netflix_sections"])
def test_a_large_file_of_bad_records_is_refused_within_600_mb(name: str) -> None:
    found = read_in_a_process(name, 40)
    assert found["peak_mb"] <= MOST_MB
    assert "records are rejected" in found["result"]


@pytest.mark.parametrize("name", ["short_lines", "wide_rejects"])
def test_lines_that_are_as_short_as_can_be_take_no_more_memory_than_others(name: str) -> None:
    assert read_in_a_process(name, 40)["peak_mb"] <= MOST_MB


def test_quotes_that_are_never_closed_take_time_in_proportion_to_the_file() -> None:
    found = read_in_a_process("unclosed_quotes", 1.1)
    assert found["cpu_seconds"] <= MOST_CPU_SECONDS
    assert "record_quotes" in found["result"]


def test_reading_stops_long_before_the_end_of_a_file_that_cannot_pass() -> None:
    found = read_in_a_process("rejected_lines", 200)
    lines = 200_000_000 // len(FILES["rejected_lines"].line)
    read = int(found["result"].split(" of the first ")[1].split(" ")[0].replace(",", ""))
    assert read < lines / 3
