"""Partitions that are published side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cinestream_platform.publishing.parallel import in_parallel

KEYS = [f"2005-{month:02d}" for month in range(1, 13)]


class Work:
    """Remembers what was begun and what is done; ``do`` may be told to wait or to fail for a key."""

    def __init__(self, do: Callable[[str], None] = lambda _: None) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._do = do

    def __call__(self, key: str) -> Any:
        self.begun.append(key)
        self._do(key)
        self.ended.append(key)
        return f"published {key}"


@pytest.mark.parametrize("workers", [1, 2, 4, 20])
def test_results_come_in_the_order_of_the_keys_whoever_is_done_first(workers: int):
    work = Work(lambda key: time.sleep(0.02 if int(key[-2:]) % 3 == 1 else 0))
    assert list(in_parallel(work, KEYS, workers=workers)) == [f"published {key}" for key in KEYS]
    assert sorted(work.begun) == KEYS


def test_with_one_worker_keys_are_done_one_after_the_other():
    work = Work()
    assert list(in_parallel(work, iter(KEYS), workers=1)) == [f"published {key}" for key in KEYS]
    assert work.begun == work.ended == KEYS


def test_without_keys_there_is_nothing():
    assert list(in_parallel(Work(), [], workers=3)) == []


@pytest.mark.parametrize("workers", [2, 3])
def test_as_many_are_done_at_once_as_there_are_workers(workers: int):
    meeting = threading.Barrier(workers, timeout=300)
    work = Work(lambda _: meeting.wait())  # passes only if so many are there at the same time
    assert list(in_parallel(work, KEYS, workers=workers)) == [f"published {key}" for key in KEYS]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_than_one_beyond_the_workers_is_ahead_of_the_one_that_is_waited_for(workers: int):
    work = Work()
    results = in_parallel(work, KEYS, workers=workers)
    for number in range(1, len(KEYS) + 1):
        next(results)
        time.sleep(0.02)  # whatever was handed over is done by now
        # Those that were given, and those handed over while the last of them was waited for.
        assert len(work.begun) <= number + workers
    assert list(results) == []


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_while_the_first_takes_long_only_so_many_others_are_begun(workers: int):
    gate = threading.Event()
    work = Work(lambda key: gate.wait(300) if key == KEYS[0] else None)
    found: list[Any] = []
    consumer = threading.Thread(target=lambda: found.extend(in_parallel(work, KEYS, workers=workers)))
    consumer.start()
    expected = KEYS[: workers + 1] if workers > 1 else KEYS[:1]
    while len(work.begun) < len(expected):
        time.sleep(0.01)
    time.sleep(0.05)  # others would begin now
    assert sorted(work.begun) == expected
    gate.set()
    consumer.join(300)
    assert found == [f"published {key}" for key in KEYS]


def test_the_error_of_the_first_key_that_fails_is_raised_also_if_a_later_one_failed_before():
    def fail(key: str) -> None:
        if key == KEYS[2]:
            time.sleep(0.1)
        if key in KEYS[2:4]:
            raise LookupError(key)

    found: list[Any] = []
    with pytest.raises(LookupError, match=KEYS[2]):
        found.extend(in_parallel(Work(fail), KEYS, workers=3))
    assert found == [f"published {key}" for key in KEYS[:2]]


def test_after_an_error_those_that_had_begun_are_finished_and_no_others_are_begun():
    gate = threading.Event()

    def fail(key: str) -> None:
        if key == KEYS[0]:
            time.sleep(0.1)
            gate.set()
            raise LookupError(key)
        gate.wait(300)

    work = Work(fail)
    with pytest.raises(LookupError):
        list(in_parallel(work, KEYS, workers=2))
    assert {*KEYS[:2]} <= set(work.begun) <= {*KEYS[:3]}  # the third may have been free to begin
    assert sorted(work.ended) == sorted(set(work.begun) - {KEYS[0]})


def test_whoever_stops_asking_stops_the_work():
    work = Work(lambda _: time.sleep(0.01))
    results = in_parallel(work, KEYS, workers=2)
    next(results)
    results.close()
    begun = list(work.begun)
    time.sleep(0.1)
    assert work.begun == begun
    assert len(begun) <= 3
    assert len(work.ended) == len(begun)
