"""Once and whole, whenever it dies: loading and building is killed at many points until it is done.

The points are drawn once, and told by what was done and not by the clock. ``make soak`` draws others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.netflix_kills import Content, assert_undisturbed, kill_until_done, land, undisturbed
from tests.support.platform import Platform

KILLS, SEED = 8, 7


@pytest.fixture(scope="module")
def clean(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Content, int]]:
    """The content after one load and build that nothing disturbs, and how many exchanges with Postgres they take."""
    with undisturbed(postgres, calendar_template, manifest_home, tmp_path_factory.mktemp("clean")) as measured:
        yield measured


def test_what_is_killed_at_many_points_ends_in_the_content_of_an_undisturbed_load(
    clean: tuple[Content, int], platform: Platform, environment: dict[str, str]
) -> None:
    content, exchanges = clean
    assert len(content.facts) < sum(rows for _, rows, *_ in content.raw)  # ratings of the common film gave way
    land(platform)

    assert kill_until_done(platform, environment, exchanges, kills=KILLS, seed=SEED) > 0

    assert_undisturbed(platform, content)
