"""A source may have several operational systems: each is extracted, watched and scheduled by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cinestream_platform.automation.extraction import _alone, extraction_schedules, extraction_sensors
from cinestream_platform.declarations.connector import Connector, OperationalSystem, SourceDatabaseError
from cinestream_platform.declarations.source import Source
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.extracted import extracted_assets_of
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.source import SOURCE


def unreachable(_: Settings) -> Connector:
    raise SourceDatabaseError("nobody is there")


@pytest.fixture
def two() -> Source:
    feeds = SOURCE.extracts
    systems = (
        OperationalSystem(name="north", feeds=feeds[:5], connect=unreachable),
        OperationalSystem(name="south", feeds=feeds[5:], connect=unreachable),
    )
    return replace(SOURCE, systems=systems)


def test_each_system_has_a_step_a_sensor_and_a_schedule_of_its_own(two: Source) -> None:
    assert two.extracts == SOURCE.extracts
    assert [sensor.name for sensor in extraction_sensors([two], 30)] == ["north_change_sensor", "south_change_sensor"]
    schedules = extraction_schedules([two])
    assert [schedule.name for schedule in schedules] == ["north_full_extraction", "south_full_extraction"]
    made = extracted_assets_of(two)
    assert [assets.op.name for assets in made] == ["north_extraction", "south_extraction"]
    for assets, system in zip(made, two.systems, strict=True):
        assert assets.keys == {asset_key(feed.table) for feed in system.feeds}


def test_a_systems_run_extracts_that_system_alone(two: Source) -> None:
    for system in two.systems:
        assert _alone(two, system) == [asset_key(feed.table) for feed in system.feeds]
    [only] = SOURCE.systems
    assert _alone(SOURCE, only) is None, "all that its job loads"
