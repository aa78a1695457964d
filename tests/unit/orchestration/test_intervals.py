"""The intervals of Dagster that are made longer exist in the pinned version."""

from __future__ import annotations

from importlib import import_module

import pytest

from cinestream_platform.orchestration.intervals import INTERVALS, poll_less


@pytest.mark.parametrize(("module", "name"), INTERVALS)
def test_dagster_has_the_interval_and_takes_the_longer_one(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = import_module(module)
    before = getattr(found, name)
    monkeypatch.setattr(found, name, before)  # put back afterwards

    poll_less()

    assert getattr(found, name) == INTERVALS[module, name] > before
