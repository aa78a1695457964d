"""Fixtures of tests that need a whole platform with marts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cinestream_platform.orchestration import warehouse
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.platform import Platform, database, environment_of


@pytest.fixture
def marts_platform(
    postgres: PostgresTarget, manifest_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform on folders in a fresh database named ``cinestream``, the name that the dbt manifest was made for."""
    with database(postgres, "cinestream") as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (tmp_path / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (tmp_path / "lake").as_uri()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        warehouse._prepared.cache_clear()  # an earlier database had the same name
        yield Platform()
    get_settings.cache_clear()
    # The session's server has a database of that name, for whoever asks next.
    with database(postgres, "cinestream"):
        pass
