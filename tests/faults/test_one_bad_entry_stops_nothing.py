"""No entry of the landing zone stops the others, and each is loaded, parked with a reason, or shown as waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cinestream_platform.commands.status import print_status
from cinestream_platform.lake import folder
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.settings import get_settings
from tests.conftest import REGION
from tests.support.platform import Y2005, Platform, ratings_csv

YEAR = 365 * 86_400


@pytest.fixture
def database_template(calendar_template: str) -> str:
    """Every test begins with a prepared database."""
    return calendar_template


def rows(number: int) -> bytes:
    """Content of its own for each file, lest it is a duplicate of another."""
    return ratings_csv([(number, number, 3.0, Y2005)])


def status_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    print_status(get_settings(), every_file=False)
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def reason_shown(lines: list[str], key: str) -> str:
    return lines[len(lines) - lines[::-1].index(key)]


def test_a_symbolic_link_to_a_folder_above_it_stops_nothing(platform: Platform) -> None:
    platform.land("movielens/ratings/good.csv", rows(1))
    (platform.landing.folder / "movielens" / "ratings" / "loop").symlink_to("..")
    platform.load()
    assert platform.files() == [("movielens/ratings/loop", "parked"), ("movielens/ratings/good.csv", "loaded")] or (
        sorted(platform.files()) == [("movielens/ratings/good.csv", "loaded"), ("movielens/ratings/loop", "parked")]
    )


@pytest.mark.parametrize(
    "name", ["a.csv#2", "a#1", "a.csv#12345", "a.csv#", "#", "a%23.csv", "~", "...", "-", "a.csv.", " ", "C:"]
)
def test_a_name_that_is_a_key_is_loaded_whatever_a_library_makes_of_it(platform: Platform, name: str) -> None:
    platform.land(f"movielens/ratings/{name}", rows(1))
    platform.land("movielens/ratings/good.csv", rows(2))
    platform.load()
    assert sorted(platform.files()) == sorted(
        [(f"movielens/ratings/{name}", "loaded"), ("movielens/ratings/good.csv", "loaded")]
    )


def test_names_that_are_no_keys_are_parked_one_by_one(platform: Platform) -> None:
    names = [
        b"\xe9.csv",
        b"\xe8.csv",
        b"\xc3\xa9.csv",
        b"\x1a.csv",
        b"\x1ae9.csv",
        b"\x01",
        b"new\nline",
        b"\x7f\xff" * 120,
    ]
    place = platform.landing.folder / "movielens" / "ratings"
    place.mkdir(parents=True)
    deep = os.fsencode(place)
    for part in [b"\xff" * 250] * 5:  # 1,250 bytes that need three characters each
        deep += b"/" + part
        Path(os.fsdecode(deep)).mkdir()
    for number, name in enumerate(names, start=1):
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(rows(number))
    platform.load()
    files = platform.files()
    assert len(files) == len(names) + 1  # and the folder that is too deep to be looked into
    assert [key for key, status in files if status == "loaded"] == ["movielens/ratings/é.csv"]
    reasons = platform.query("SELECT reason FROM ops.landed_file WHERE status = 'parked'")
    assert all("control character" in reason or "longer than" in reason for (reason,) in reasons)
    platform.scan()
    assert platform.files() == files  # entered once


def test_a_file_dated_ahead_is_loaded_and_does_not_count_as_the_newest_for_years(platform: Platform) -> None:
    ahead = time.time() + 20 * YEAR
    for key, content in (("chinook/genre/Genre.csv", b"GenreId,Name\n1,Ahead\n"), ("movielens/ratings/a.csv", rows(1))):
        path = platform.landing.folder / platform.land(key, content)
        os.utime(path, (ahead, ahead))
    platform.load()
    assert {status for _, status in platform.files()} == {"loaded"}
    landed = "SELECT count(*) FROM ops.landed_file WHERE last_modified > clock_timestamp() + interval '1 minute'"
    assert platform.scalar(landed) == 0
    platform.land("chinook/genre/Genre.csv", b"GenreId,Name\n1,Now\n")
    platform.load()
    assert platform.query("SELECT name FROM raw_chinook.genre") == [("Now",)]


@pytest.mark.parametrize("seconds", [-(2**40), -(2**31), -1, 0, 253_402_300_800, 2**33])
def test_no_date_of_a_file_stops_the_listing(platform: Platform, seconds: int) -> None:
    path = platform.landing.folder / platform.land("movielens/ratings/a.csv", rows(1))
    platform.land("movielens/ratings/good.csv", rows(2))
    os.utime(path, (seconds, seconds))
    platform.load()
    assert sorted(platform.files()) == [("movielens/ratings/a.csv", "loaded"), ("movielens/ratings/good.csv", "loaded")]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    found = ObjectStore((tmp_path / "zone").as_uri())
    (found.folder / "m" / "r").mkdir(parents=True)
    return found


class Clock:
    """The machine's clocks, as a test sets them."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.passed = 0.0

    def time(self) -> float:
        return time.time() + self.ahead + self.passed

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(folder, "time", clock)
    return clock


def listed(store: ObjectStore) -> list[str]:
    return [found.key for found in store.list(settle_seconds=30)]


def test_a_file_dated_ahead_is_read_once_it_has_rested(store: ObjectStore, clock: Clock) -> None:
    path = store.folder / "m" / "r" / "a.csv"
    path.write_bytes(b"1")
    os.utime(path, (time.time() + YEAR, time.time() + YEAR))
    assert listed(store) == []
    assert "still being written" in (next(store.look(settle_seconds=30)).waits or "")
    clock.passed = 31
    assert listed(store) == ["m/r/a.csv"]


def test_a_file_dated_ahead_that_still_grows_is_not_read(store: ObjectStore, clock: Clock) -> None:
    path = store.folder / "m" / "r" / "a.csv"
    clock.ahead = -3600  # the clock was set back: even the kernel's record of the last change is ahead
    for length in (1, 2, 3):
        path.write_bytes(b"1" * length)
        assert listed(store) == []
        assert "ahead of this machine's clock" in (next(store.look(settle_seconds=30)).waits or "")
        clock.passed += 31
    assert listed(store) == ["m/r/a.csv"]  # seen unchanged since


def test_a_file_with_a_date_that_is_past_is_read_at_the_first_look(store: ObjectStore) -> None:
    path = store.folder / "m" / "r" / "a.csv"
    path.write_bytes(b"1")
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert listed(store) == ["m/r/a.csv"]


def test_what_waits_is_shown_by_status_with_its_reason(
    platform: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINESTREAM_LANDING_SETTLE_SECONDS", "3600")
    get_settings.cache_clear()
    place = platform.landing.folder
    old = place / platform.land("movielens/ratings/old.csv", rows(1))
    os.utime(old, (0, 0))
    platform.land("movielens/ratings/fresh.csv", rows(2))
    (place / "movielens" / "ratings" / ".half.csv.x7Gs9").write_bytes(b"userId")
    (place / "movielens" / ".rsync-partial").mkdir()
    lines = status_lines(capsys)
    assert "not seen yet" in reason_shown(lines, "movielens/ratings/old.csv")
    platform.settings = get_settings()
    platform.load()
    assert platform.files() == [("movielens/ratings/old.csv", "loaded")]
    lines = status_lines(capsys)
    assert "movielens/ratings/old.csv" not in lines
    assert reason_shown(lines, "movielens/ratings/fresh.csv").startswith("waits: still being written")
    for key in ("movielens/ratings/.half.csv.x7Gs9", "movielens/.rsync-partial"):
        assert reason_shown(lines, key).startswith("waits: in transit: a part of its name begins with a dot")


def test_a_landing_zone_that_cannot_be_listed_is_shown_and_what_the_ledger_knows_too(
    platform: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    platform.land("movielens/ratings/a.csv", rows(1))
    platform.load()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLUMNS", "200")  # narrow tables break names
    monkeypatch.setenv("CINESTREAM_LANDING_URL", (tmp_path / "file" / "zone").as_uri())
    get_settings.cache_clear()
    lines = status_lines(capsys)
    assert "cannot be listed" in reason_shown(lines, get_settings().landing)
    assert any("movielens/ratings" in line and "1" in line for line in lines)


LOOK_AS_NOBODY = """
import os, sys
from cinestream_platform.lake.store import ObjectStore
store = ObjectStore(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for found in sorted(store.look(), key=lambda one: one.key):
    print(found.key, found.waits or "is read", sep=" | ")
"""


@contextmanager
def readable_by_all(folder: Path) -> Iterator[None]:
    """pytest's folders are private; another account needs a way in."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.parents) if path.stat().st_uid == os.geteuid()}
    for path, mode in modes.items():
        path.chmod(mode | 0o011)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="nothing is closed to root, and only root can be somebody else")
def test_a_file_or_folder_without_permission_waits_and_names_the_account(store: ObjectStore) -> None:
    for name in ("m/r/open.csv", "m/r/closed.csv", "m/closed/hidden.csv", "m/names-only/a.csv"):
        (store.folder / name).parent.mkdir(exist_ok=True)
        (store.folder / name).write_bytes(b"1")
        (store.folder / name).chmod(0o644)
    (store.folder / "m/r/closed.csv").chmod(0o600)
    (store.folder / "m/closed").chmod(0o700)
    (store.folder / "m/names-only").chmod(0o744)
    with readable_by_all(store.folder.parent):
        for path in (store.folder, store.folder / "m", store.folder / "m/r"):
            path.chmod(0o755)
        answer = subprocess.run(
            [sys.executable, "-c", LOOK_AS_NOBODY, store.url], capture_output=True, text=True, timeout=600, check=True
        )
    denied = "permission denied for account nobody"
    assert answer.stdout.splitlines() == [
        f"m/closed | {denied}: what is in it is not seen",
        f"m/names-only | {denied}: what is in it is not seen",
        f"m/r/closed.csv | {denied}",
        "m/r/open.csv | is read",
    ]


def test_a_file_that_is_closed_waits_and_is_loaded_when_it_is_opened(
    platform: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``os.access`` answers for another account here: the tests may run as root, to whom nothing is closed."""
    path = platform.landing.folder / platform.land("movielens/ratings/a.csv", rows(1))
    platform.land("movielens/ratings/good.csv", rows(2))
    path.chmod(0o000)
    access = os.access
    monkeypatch.setattr(os, "access", lambda *given, **named: "dir_fd" not in named and access(*given, **named))
    platform.load()
    assert platform.files() == [("movielens/ratings/good.csv", "loaded")]
    lines = status_lines(capsys)
    assert reason_shown(lines, "movielens/ratings/a.csv").startswith("waits: permission denied for account ")
    path.chmod(0o644)  # changes neither its date nor its version
    platform.load()
    assert sorted(platform.files()) == [("movielens/ratings/a.csv", "loaded"), ("movielens/ratings/good.csv", "loaded")]


def test_ten_thousand_files_are_listed_in_one_walk_that_opens_none(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10_000):
        (store.folder / "m" / "r" / f"{number}.csv").touch()
    opened = []
    original = os.open
    monkeypatch.setattr(os, "open", lambda *given, **named: opened.append(given[0]) or original(*given, **named))
    assert sum(1 for _ in store.look(settle_seconds=2)) == 10_000
    assert len(opened) < 20  # a few for each folder


# S3


def s3_client(platform: Platform) -> object:
    import boto3

    settings = platform.settings
    assert settings.s3_access_key_id is not None
    assert settings.s3_secret_access_key is not None
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=REGION,
        aws_access_key_id=settings.s3_access_key_id.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
    )


def put(platform: Platform, key: str, content: bytes) -> None:
    bucket, _, prefix = platform.landing.url.removeprefix("s3://").partition("/")
    s3_client(platform).put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=content)  # type: ignore[attr-defined]


@pytest.mark.parametrize("store_kind", ["s3"], indirect=True)
def test_every_key_of_a_bucket_is_loaded_parked_or_shown(
    any_platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    place = "movielens/ratings"
    fate = {
        f"{place}/good.csv": "loaded",
        f"{place}/a.csv#2": "loaded",
        f"{place}//twice.csv": "parked",
        f"{place}/file/": "parked",  # with content it is not a marker of a folder
        f"{place}/tab\t.csv": "parked",
        f"{place}/{'x' * 300}.csv": "parked",
        f"{place}/{'é' * 480}": "parked",
        "top.csv": "parked",
        f"{place}/sub/deep/er.csv": "loaded",
    }
    for number, key in enumerate(fate, start=1):
        put(any_platform, key, rows(number))
    put(any_platform, f"{place}/.half.csv", b"userId")
    put(any_platform, f"{place}/empty-folder/", b"")
    any_platform.load()
    assert dict(any_platform.files()) == fate
    assert all(reason for (reason,) in any_platform.query("SELECT reason FROM ops.landed_file WHERE status = 'parked'"))
    assert "in transit" in reason_shown(status_lines(capsys), f"{place}/.half.csv")
    any_platform.load()
    assert dict(any_platform.files()) == fate  # entered once


@pytest.mark.parametrize("store_kind", ["s3"], indirect=True)
def test_an_object_that_is_listed_and_may_not_be_read_is_parked_and_stops_no_other(
    any_platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    put(any_platform, "movielens/ratings/closed.csv", rows(1))
    put(any_platform, "movielens/ratings/good.csv", rows(2))
    bucket = any_platform.landing.url.removeprefix("s3://").partition("/")[0]
    what = f"arn:aws:s3:::{bucket}/landing/movielens/ratings/closed.csv"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": what}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    s3_client(any_platform).put_bucket_policy(Bucket=bucket, Policy=policy)  # type: ignore[attr-defined]
    for _ in range(any_platform.settings.load_attempts):
        any_platform.load()
    assert sorted(any_platform.files()) == [
        ("movielens/ratings/closed.csv", "parked"),
        ("movielens/ratings/good.csv", "loaded"),
    ]
    assert "access is denied" in reason_shown(status_lines(capsys), "movielens/ratings/closed.csv")
