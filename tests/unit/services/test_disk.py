"""What counts as a full disk, and how the sentence about it reads."""

import errno
from pathlib import Path

import polars as pl
import psycopg
import pytest

from cinestream_platform.services import disk
from cinestream_platform.services.disk import DiskFullError, disks, is_for_lack_of_room, keep_room, shortage
from cinestream_platform.settings import Settings

NEVER_FREE_MB = 10**9


@pytest.mark.parametrize(
    "error",
    [
        DiskFullError("full"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        psycopg.errors.DiskFull("could not extend file"),
        pl.exceptions.ComputeError("No space left on device (os error 28)"),
    ],
)
def test_every_layer_s_word_for_a_full_disk_is_known(error: BaseException):
    assert is_for_lack_of_room(error)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), ValueError("disk"), psycopg.errors.DataError("x")])
def test_other_errors_are_the_file_s(error: BaseException):
    assert not is_for_lack_of_room(error)


def test_one_file_system_is_named_once_with_all_its_uses(tmp_path: Path):
    settings = Settings(
        home=tmp_path / "home",
        postgres_host="elsewhere",
        landing_url="s3://bucket/landing",
        lake_url=(tmp_path / "lake with spaces").as_uri(),
    )
    uses = [use for found in disks(settings) for use in found.uses]
    assert sorted(uses) == ["home", "lake", "scratch"]
    assert len(disks(settings)) == len({found.folder.stat().st_dev for found in disks(settings)})


def test_the_sentence_names_the_disk_what_is_free_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "SMALL_DISK_SHARE", 2.0)
    settings = Settings(home=tmp_path, disk_reserve_mb=NEVER_FREE_MB)
    reason = shortage(settings)
    assert reason is not None
    assert "GB free of" in reason
    assert "home" in reason
    assert "Make room" in reason
    assert "\n" not in reason


def test_without_a_reserve_nothing_is_refused(tmp_path: Path):
    assert shortage(Settings(home=tmp_path, disk_reserve_mb=0)) is None


def test_running_work_looks_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    looks = []
    monkeypatch.setattr(disk, "shortage", lambda *_: looks.append(1))
    monkeypatch.setattr(disk, "_looked_at", float("-inf"))
    monkeypatch.setattr(disk, "LOOK_SECONDS", 1_000.0)
    settings = Settings(home=tmp_path)
    for _ in range(1000):
        keep_room(settings)
    assert len(looks) == 1
