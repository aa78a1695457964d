"""The intervals of Dagster that are made longer exist in the pinned version."""

from __future__ import annotations

from importlib import import_module

import pytest

from cinestream_platform.processes.intervals import INTERVALS, poll_less


def test_dagster_has_the_intervals_and_takes_the_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {(module, name): getattr(import_module(module), name) for module, name in INTERVALS}
    for (module, name), seconds in before.items():
        monkeypatch.setattr(import_module(module), name, seconds)  # put back afterwards

    poll_less()

    for (module, name), seconds in INTERVALS.items():
        assert getattr(import_module(module), name) == seconds > before[module, name]
