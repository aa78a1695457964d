"""Fixtures of tests of whole platforms: the calendar's template, marts, an operational database. conftest loads them.

They import what they use when they are used, as those of conftest do.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.connection import PostgresTarget

if TYPE_CHECKING:
    from cinestream_platform.sources.dvdrental.sample.generator import Sample
    from tests.support.platform import Platform
    from tests.support.shop import Shop


@pytest.fixture(scope="session")
def calendar_template(
    postgres: PostgresTarget, prepared_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A prepared database with dim_date, made once: 100 years of days take a second in every first build."""
    from dagster import AssetKey

    from tests.support.platform import Platform, database, environment_of, settled

    with database(postgres, "calendar_template", prepared_template) as target:
        with settled(environment_of(target, manifest_home), tmp_path_factory.mktemp("calendar")):
            Platform().run([AssetKey(["conformed", "dim_date"])])
        yield target.database


@pytest.fixture
def marts_platform(
    postgres: PostgresTarget,
    database_template: str,
    manifest_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    """A platform on folders in a copy named ``cinestream``, the name that the dbt manifest was made for."""
    from tests.support.platform import Platform, database_of_the_manifest, environment_of

    with database_of_the_manifest(postgres, database_template, manifest_home) as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (tmp_path / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (tmp_path / "lake").as_uri()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        yield Platform()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def generated_source(
    postgres: PostgresTarget, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Sample]]:
    """A generated dvdrental database, with dirt, that tests copy; and what is in it."""
    from cinestream_platform.sources.dvdrental.load_database import load_sample
    from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
    from tests.support.shop import READER_PASSWORD

    name = "dvdrental_template"
    settings = Settings(
        home=tmp_path_factory.mktemp("dvdrental"),
        postgres_host=postgres.host,
        postgres_port=postgres.port,
        postgres_user=postgres.user,
        postgres_password=postgres.password,
        postgres_database="postgres",
    ).with_own(DvdrentalSettings(host=None, password=SecretStr(READER_PASSWORD), database=name))
    sample = load_sample(settings, scale=0.1, replace=True)
    assert sample is not None
    yield name, sample
    with psycopg.connect(replace(postgres, database="postgres").conninfo(), autocommit=True) as conn:
        conn.execute("DROP DATABASE dvdrental_template WITH (FORCE)")


@pytest.fixture
def shop(
    environment: dict[str, str],
    generated_source: tuple[str, Sample],
    postgres: PostgresTarget,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """An operational database of its own, and a platform that has not extracted it yet."""
    from tests.support.shop import Shop, copy_of

    with copy_of(generated_source[0], postgres, f"dvd{uuid.uuid4().hex[:12]}") as source:
        environment["CINESTREAM_DVDRENTAL_DATABASE"] = source.database
        monkeypatch.setenv("CINESTREAM_DVDRENTAL_DATABASE", source.database)
        get_settings.cache_clear()
        yield Shop(source)
