"""Which files are loaded together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinestream_platform.ledger.landed_files import LandedFile
from cinestream_platform.loading import file_batches as batches
from cinestream_platform.loading.file_batches import BATCH_BYTES, BATCH_FILES, SMALL_BYTES, file_batches
from cinestream_platform.sources.movielens.feeds import MOVIES, RATINGS

FILE = LandedFile(
    *(0, "movielens", "ratings", "", "a.csv", "e", 100, datetime(2024, 1, 1, tzinfo=UTC), datetime.now(UTC)),
    *("pending", 0, None, {}, []),
)

files_to_load = st.lists(
    st.tuples(
        st.one_of(st.integers(0, SMALL_BYTES), st.integers(SMALL_BYTES - 2, SMALL_BYTES + 2), st.just(10**9)),
        st.sampled_from([0, 0, 0, 1]),
    ),
    max_size=200,
).map(
    lambda drawn: [replace(FILE, file_id=n, size_bytes=size, attempts=tried) for n, (size, tried) in enumerate(drawn)]
)


@given(files_to_load)
def test_every_file_is_in_one_batch_in_its_order_and_who_is_large_or_suspect_is_alone(files: list[LandedFile]) -> None:
    found = list(file_batches(RATINGS, files))
    assert [file for batch in found for file in batch] == files
    for batch in found:
        assert batch
        assert len(batch) == 1 or all(file.size_bytes <= SMALL_BYTES and not file.attempts for file in batch)
        assert len(batch) <= BATCH_FILES
        assert len(batch) == 1 or sum(file.size_bytes for file in batch) <= BATCH_BYTES


def test_neighbours_that_are_small_are_together_up_to_a_number() -> None:
    files = [replace(FILE, file_id=n) for n in range(2 * BATCH_FILES + 1)]
    assert [len(batch) for batch in file_batches(RATINGS, files)] == [BATCH_FILES, BATCH_FILES, 1]


def test_files_that_replace_the_whole_table_are_never_together() -> None:
    files = [replace(FILE, file_id=n, dataset="movies") for n in range(3)]
    assert [len(batch) for batch in file_batches(MOVIES, files)] == [1, 1, 1]


def test_a_file_that_may_be_a_partition_of_its_own_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches.raw_files, "OWN_PARTITION_FROM", 50)
    files = [replace(FILE, file_id=n, size_bytes=size) for n, size in enumerate([10, 10, 51, 10])]
    assert [len(batch) for batch in file_batches(RATINGS, files)] == [2, 1, 1]
