"""Load and build, killed at other points in every round, for ``MINUTES`` (10). ``SEED`` repeats the rounds of a run."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.netflix_kills import assert_undisturbed, kill_until_done, land, undisturbed
from tests.support.platform import Platform, database, environment_of


def test_whatever_dies_at_whatever_point_the_content_is_that_of_an_undisturbed_load(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path: Path
) -> None:
    first = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    end = time.monotonic() + 60 * float(os.environ.get("MINUTES", "10"))
    rounds = kills = 0
    print(f"\nSEED={first}")
    with undisturbed(postgres, calendar_template, manifest_home, tmp_path / "clean") as (content, exchanges):
        while time.monotonic() < end:
            seed, stores = first + rounds, tmp_path / f"round{rounds}"
            with (
                database(postgres, "killed_netflix", calendar_template) as target,
                pytest.MonkeyPatch.context() as patch,
            ):
                variables = environment_of(target, manifest_home)
                for name in ("landing", "lake"):
                    variables[f"CINESTREAM_{name.upper()}_URL"] = (stores / name).as_uri()
                for name, value in variables.items():
                    patch.setenv(name, value)
                get_settings.cache_clear()
                platform = Platform()
                land(platform)
                kills += kill_until_done(platform, variables, exchanges, kills=20, seed=seed)
                assert_undisturbed(platform, content)
            rounds += 1
            print(f"round {rounds} (seed {seed}): as undisturbed, {kills} killed so far", flush=True)
    assert kills > 0
