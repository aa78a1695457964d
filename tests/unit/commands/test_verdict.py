"""The first lines of ``cinestream status``: what is said of which state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cinestream_platform.commands.verdict import Health, described
from cinestream_platform.processes.runs import Runs
from tests.support.alerts import condition

WELL = Health(
    postgres="postgresql://cinestream@127.0.0.1:5432/cinestream",
    has_ui=True,
    has_daemon=True,
    runs=Runs(),
    stale={},
    parked=0,
    waiting=0,
    failing=0,
    held=0,
    extracted=(("dvdrental", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),),
    not_extracted={},
    disk="42.4 GB free of 270.6 GB at /data (home)",
    shortage=None,
)


def said(health: Health) -> dict[str, str]:
    return dict(described(health))


def test_the_first_line_is_the_verdict() -> None:
    assert next(described(WELL)) == ("verdict", "all is well")
    assert list(said(WELL)) == ["verdict", "services", "stale now", "runs", "files", "extracted", "disk"]
    assert said(WELL)["stale now"] == "nothing"
    assert said(WELL)["extracted"] == "dvdrental 2026-05-01 12:30 UTC"
    assert said(replace(WELL, not_extracted={"shop": "why"}))["not extracted"] == "shop: why"


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (replace(WELL, parked=2), "LOOK: 2 files are parked"),
        (replace(WELL, parked=1), "LOOK: 1 file is parked"),
        (replace(WELL, failing=1, waiting=1), "LOOK: 1 file failed and will be tried again"),
        (replace(WELL, runs=Runs(failed=("movielens_load",))), "LOOK: the last run failed of movielens_load"),
        (replace(WELL, not_extracted={"shop": "a table is a view"}), "LOOK: shop cannot be extracted"),
        (replace(WELL, shortage="The disk is nearly full."), "LOOK: The disk is nearly full."),
        (replace(WELL, has_daemon=False, waiting=1), "LOOK: work waits, and no daemon does it"),
        (replace(WELL, has_daemon=False, stale={"a.b": 1}), "LOOK: work waits, and no daemon does it"),
        (
            replace(WELL, alerts=(condition("a", kind="failed_check", sentence="The check x fails"),)),
            "LOOK: The check x",
        ),
        (replace(WELL, parked=1, alerts=(condition("a", kind="parked_file"),)), "LOOK: 1 file is parked"),
        (replace(WELL, parked=1, runs=Runs(failed=("x",))), "LOOK: 1 file is parked; the last run failed of x"),
    ],
)
def test_what_needs_a_person_is_named_in_the_verdict(health: Health, words: str) -> None:
    assert said(health)["verdict"].startswith(words)


@pytest.mark.parametrize(
    "health",
    [
        replace(WELL, waiting=3, stale={"a.b": 12}),  # the daemon does it
        replace(WELL, has_daemon=False, waiting=3, runs=Runs(running=1)),  # a demo runs
        replace(WELL, has_daemon=False, has_ui=False),  # and nothing is to be done
    ],
)
def test_what_goes_on_by_itself_needs_nobody(health: Health) -> None:
    assert said(health)["verdict"] == "all is well"


def test_a_run_that_failed_for_its_files_is_told_but_the_files_alone_are_what_needs_a_look() -> None:
    runs = Runs(failed_for_files=("movielens_load",))
    told = said(replace(WELL, parked=1, runs=runs))
    assert told["verdict"] == "LOOK: 1 file is parked"
    assert told["runs"].endswith("last run of movielens_load loaded all but the files that it could not load")
    assert said(replace(WELL, runs=runs))["verdict"] == "all is well"  # the file was retracted or corrected


def test_of_many_names_some_are_listed_and_the_others_counted() -> None:
    health = replace(WELL, stale={f"s.t{n}": n + 1 for n in range(9)})
    assert said(health)["stale now"] == "s.t0, s.t1 (2), s.t2 (3), s.t3 (4), s.t4 (5) and 4 more"


def test_what_was_not_looked_at_is_not_told() -> None:
    assert "stale now" not in said(replace(WELL, stale=None))
