"""A full disk: nothing begins, what runs ends by itself, no file is blamed, and a server that it stopped comes back."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import Connection

from cinestream_platform.commands.doctor import _disk
from cinestream_platform.commands.status import print_status
from cinestream_platform.services import disk
from cinestream_platform.services.ballast import ballast_of
from cinestream_platform.services.disk import DiskFullError, disks, keep_room, shortage
from cinestream_platform.services.postgres import PostgresServer, start_postgres, stop_postgres
from cinestream_platform.settings import Settings, get_settings
from tests.support.platform import MOVIES, Y2005, Platform, ratings_csv

MB = 1024 * 1024
RATINGS = "movielens/ratings/a.csv"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 400 MB, which the account that runs PostgreSQL can enter."""
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    folder.chmod(0o755)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("only root may mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def fill(folder: Path, leaving: int = 0) -> Path:
    """Take all free space but ``leaving`` bytes."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as sink, suppress(OSError):
        while (free := os.statvfs(folder).f_bavail * 4096 - leaving) > 0:
            sink.write(b"x" * min(MB, free))
    return path


@pytest.fixture
def tight(small_disk: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform whose lake is on the small disk."""
    monkeypatch.setenv("CINESTREAM_LAKE_URL", (small_disk / "lake").as_uri())
    get_settings.cache_clear()
    platform = Platform()
    yield platform
    get_settings.cache_clear()


def test_the_reserve_is_what_was_set_and_5_percent_of_a_small_disk(small_disk: Path) -> None:
    found = {disk.folder: disk for disk in disks(Settings(home=small_disk / "home"))}
    assert found[small_disk].reserve == found[small_disk].total // 20
    assert all(disk.reserve <= 2_000_000_000 for disk in found.values())
    assert [use for disk in found.values() for use in disk.uses].count("scratch") == 1


def test_sensors_skip_runs_refuse_and_people_are_told_while_a_disk_is_nearly_full(
    tight: Platform, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tight.land(RATINGS, ratings_csv([(1, 1, 4.0, Y2005)]))
    tight.scan()
    filler = fill(small_disk, leaving=5 * MB)

    for sensor in ("landing_sensor", "staleness_sensor", "dvdrental_change_sensor"):
        skipped = tight.tick(sensor)
        assert skipped.run_requests == []
        assert "nearly full" in skipped.skip_message
        assert "lake" in skipped.skip_message
    run = tight.load_files(RATINGS)
    assert not run.success
    [failure] = [event for event in run.all_events if event.is_step_failure]
    assert "nearly full" in str(failure.step_failure_data.error)
    [finding] = _disk(get_settings())
    assert finding.level == "FAILED"
    print_status(get_settings(), every_file=False)
    assert "nearly full" in " ".join(capsys.readouterr().out.split())
    assert tight.status(RATINGS) == ["pending"]

    filler.unlink()
    [request] = tight.tick("landing_sensor").run_requests
    assert request.job_name == "movielens_load"
    assert tight.load_files(RATINGS).success
    assert tight.status(RATINGS) == ["loaded"]


def test_a_disk_that_fills_in_the_middle_of_a_load_ends_it_and_no_file_is_blamed(
    tight: Platform, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "movielens/movies/movies.csv"
    tight.land(RATINGS, ratings_csv([(1, 1, 4.0, Y2005)]))
    tight.land(other, MOVIES)
    tight.scan()
    monkeypatch.setattr(disk, "LOOK_SECONDS", 0.0)
    put = type(tight.lake).put_file

    def fills(store: object, key: str, path: Path) -> None:
        fill(small_disk)
        put(store, key, path)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(tight.lake), "put_file", fills)
        for _ in range(4):  # more often than a file may fail
            run = tight.load_files(RATINGS)
            assert not run.success
    assert tight.status(RATINGS) == ["pending"]
    assert tight.ledger_row(RATINGS)["attempts"] == 0

    (small_disk / "filler").unlink()
    tight.load_and_build()
    assert [status for _, status in tight.files()] == ["loaded", "loaded"]


def test_what_runs_goes_on_until_half_of_the_reserve_is_left(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOOK_SECONDS", 0.0)
    settings = Settings(home=small_disk / "home")
    fill(small_disk, leaving=15 * MB)
    assert shortage(settings)
    keep_room(settings)
    fill(small_disk, leaving=5 * MB)
    with pytest.raises(DiskFullError, match="nearly full"):
        keep_room(settings)


def login(server: PostgresServer) -> Connection[tuple[int]]:
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.superuser,
        password=server.password.get_secret_value(),
        dbname="cinestream",
        autocommit=True,
        connect_timeout=10,
    )


def write_log(server: PostgresServer) -> None:
    """Each switch asks for a new segment of the log (16 MB), until there is no room for one."""
    with login(server) as conn:
        for _ in range(500):
            conn.execute("CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1); SELECT pg_switch_wal()")


def end(server: PostgresServer) -> None:
    """The end of a server that may be trying to recover without room: with luck it succeeds, and is killed."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        postmaster = psutil.Process(int((server.data_dir / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=60)


def test_a_server_that_a_full_disk_stopped_starts_again_by_its_ballast(
    small_disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINESTREAM_POSTGRES_DATA_ROOT", str(small_disk / "data"))  # a home is closed to its account
    home = small_disk / "home"
    server = start_postgres(home)
    assert small_disk in server.data_dir.parents
    ballast = ballast_of(server.data_dir)
    assert ballast.stat().st_blocks * 512 >= 40_000_000, "its space is taken, not only promised"
    with login(server) as conn:
        conn.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    filler = fill(small_disk)

    with pytest.raises(psycopg.OperationalError):
        write_log(server)
    end(server)

    with caplog.at_level(logging.WARNING):
        again = start_postgres(home)

    assert not ballast.exists()
    assert "reserve file of" in caplog.text
    with login(again) as conn:
        assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    assert start_postgres(home) == again, "without room the ballast is not made again"
    assert not ballast.exists()

    filler.unlink()
    start_postgres(home)
    assert ballast.exists()
    assert stop_postgres(home)


def test_a_full_disk_under_a_running_server_shuts_nobody_out(
    small_disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINESTREAM_POSTGRES_DATA_ROOT", str(small_disk / "data"))
    home = small_disk / "home"
    server = start_postgres(home)
    with login(server) as conn:
        conn.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    ballast = ballast_of(server.data_dir)
    filler = fill(small_disk)

    with caplog.at_level(logging.WARNING):
        assert start_postgres(home) == server

    assert not ballast.exists()
    assert "was deleted" in caplog.text
    with login(server) as conn:
        assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    filler.unlink()
    start_postgres(home)
    assert ballast.exists()
    assert stop_postgres(home)
