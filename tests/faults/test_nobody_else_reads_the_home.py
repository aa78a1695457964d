"""The home is closed to all other accounts of the machine, whatever the umask; a home of before is closed at the next
start. A landing zone elsewhere is its owner's business."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.services.cluster import read_state, room_of
from cinestream_platform.services.home import close_home
from cinestream_platform.services.postgres import postgres_status, start_postgres, stop_postgres
from cinestream_platform.services.process import make_private, server_account
from tests.support.command_line import CommandLine

OTHERS = 0o077


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    """What other accounts may list, read or write, of all that is ours in a folder and of itself."""
    entries = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    return [f"{path} {mode(path):o}" for path in entries if path.stat().st_uid == os.geteuid() and mode(path) & OTHERS]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "parent" / "home"
    yield found
    stop_postgres(found)


def run_with_umask_0(cli: CommandLine, *arguments: str | Path) -> str:
    done = subprocess.run(
        cli.command(*arguments),
        env=cli.environment,
        capture_output=True,
        text=True,
        timeout=1500,
        umask=0,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_whatever_the_umask_nothing_of_a_home_is_open_to_others(home: Path, tmp_path: Path) -> None:
    cli = CommandLine(home)
    run_with_umask_0(cli, "demo", "--source", "movielens", "--scale", "0.05")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0114709,862\n")
    run_with_umask_0(cli, "land", "movielens", tmp_path / "links.csv", "--name", "more.csv")
    made = {path.name for path in home.iterdir()}
    assert made >= {"landing", "lake", "services", "dagster", "dbt", "sample", "logins", "demo.json", "demo.log"}
    assert any(home.glob("dagster/storage/**/*.out")) or any(home.glob("dagster/storage/**/*.err"))
    assert open_to_others(home) == []
    state = read_state(room_of(home))
    assert state is not None
    assert mode(state.data_dir.parent) & OTHERS == 0  # the data, wherever it lies


def test_a_home_of_before_is_closed_at_the_next_start(tmp_path: Path) -> None:
    home, zone = tmp_path / "home", tmp_path / "zone"
    for name in ("landing/movielens/ratings/a.csv", "lake/raw/x.parquet", "dagster/logs/1.err", "demo.log"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("1")
    zone.mkdir()
    (zone / "a.csv").write_text("1")
    (home / "landing" / "out").symlink_to(zone)
    for path in (tmp_path, *tmp_path.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    cli = CommandLine(home, {"CINESTREAM_LANDING_URL": zone.as_uri()})
    run_with_umask_0(cli, "services", "status")
    assert open_to_others(home) == []
    assert (mode(home), mode(home / "demo.log")) == (0o700, 0o600)
    assert (mode(zone), mode(zone / "a.csv"), mode(tmp_path)) == (0o777, 0o666, 0o777)  # not ours to close


def test_a_home_that_is_closed_is_not_walked_again(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "x").write_text("1")
    (tmp_path / "lake" / "x").chmod(0o644)
    tmp_path.chmod(0o700)
    close_home(tmp_path)
    assert mode(tmp_path / "lake" / "x") == 0o644  # shut out by the folder above it
    close_home(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_folder_for_everybody_is_no_home_to_be_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    close_home(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_folders_are_made_closed_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "a" / "b")
        zone = ObjectStore((tmp_path / "a" / "zone").as_uri())
        (tmp_path / "local").write_text("1")
        zone.put_file("m/r/a.csv", tmp_path / "local")
    finally:
        os.umask(before)
    assert [mode(path) for path in (tmp_path / "a", tmp_path / "a/b", zone.folder, zone.folder / "m/r")] == [0o700] * 4
    assert mode(zone.folder / "m/r/a.csv") == 0o600


@pytest.mark.parametrize(
    ("folder_mode", "file_mode"), [(0o755, 0o644), (0o750, 0o640), (0o2770, 0o640), (0o700, 0o600)]
)
def test_a_file_is_as_open_as_the_folder_of_others_that_it_is_put_in(
    tmp_path: Path, folder_mode: int, file_mode: int
) -> None:
    (tmp_path / "zone").mkdir()
    (tmp_path / "zone").chmod(folder_mode)
    (tmp_path / "local").write_text("1")
    zone = ObjectStore((tmp_path / "zone").as_uri())
    before = os.umask(0o077)
    try:
        zone.put_file("m/r/a.csv", tmp_path / "local")
    finally:
        os.umask(before)
    assert mode(zone.folder / "m/r") & 0o777 == folder_mode & 0o777
    assert mode(zone.folder / "m/r/a.csv") == file_mode
    assert mode(zone.folder) == folder_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_the_server_of_an_old_home_that_has_its_data_inside_goes_on_after_the_home_is_closed() -> None:
    folder = Path(tempfile.mkdtemp(prefix="cinestream-old-home-"))
    home = folder / "home"
    try:
        folder.chmod(0o755)
        room_of(home).mkdir(parents=True)
        for path in (home, home / "services", room_of(home)):
            path.chmod(0o755)
        (home / "lake").mkdir(mode=0o755)
        data = start_postgres(home).data_dir
        assert data.is_relative_to(home)
        stop_postgres(home)
        close_home(home)
        gid = server_account().gid
        assert [(mode(path), path.stat().st_gid) for path in (home, home / "services", room_of(home))] == [
            (0o710, gid)
        ] * 3
        assert mode(home / "lake") == 0o700
        start_postgres(home)
        assert postgres_status(home) is not None
        close_home(home)  # and does not change it again
        assert mode(home) == 0o710
    finally:
        stop_postgres(home)
        shutil.rmtree(folder, ignore_errors=True)
