"""Once and whole, whatever dies: a load or build is killed at every dangerous point and simply run again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cinestream_platform.services.postgres import postgres_binary, start_postgres, stop_postgres
from cinestream_platform.services.process import account_of
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support import crash
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, database, environment_of, ratings_csv

GIVE_UP_SECONDS = 300
KEYS = ["movielens/movies/movies.csv", "movielens/ratings/a.csv", "movielens/ratings/b.csv"]
CONTENTS = [
    MOVIES,
    ratings_csv((user, 1 + user % 3, 3.5, Y2005 + user) for user in range(1, 31)),
    # Film 99 is in no movies.csv; user 1's rating of film 2 is newer than the one in a.csv.
    ratings_csv([*((user, 99, 4.0, Y2018 + user) for user in range(20, 60)), (1, 2, 0.5, Y2018)]),
]


def land_all(platform: Platform) -> None:
    for key, content in zip(KEYS, CONTENTS, strict=True):
        platform.land(key, content)


@pytest.fixture(scope="module")
def clean(
    postgres: PostgresTarget, calendar_template: str, manifest_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Hashes of one load and build that nothing disturbs."""
    stores = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch, database(postgres, "clean_load", calendar_template) as target:
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_LANDING_URL"] = (stores / "landing").as_uri()
        variables["CINESTREAM_LAKE_URL"] = (stores / "lake").as_uri()
        for name, value in variables.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        platform = Platform()
        land_all(platform)
        platform.load_and_build()
        yield platform.hashes() | {"members": members(platform)}
    get_settings.cache_clear()


def members(platform: Platform) -> str:
    """The dimensions but for their surrogate keys, which may skip numbers after a rollback."""
    movies = platform.row_hash("movielens_dw.dim_movie", "movie_id, title, release_year, is_inferred, is_in_source")
    users = platform.row_hash(
        "movielens_dw.dim_user", "user_id, rating_count, first_rated_at, last_rated_at, is_inferred"
    )
    return f"{movies} {users}"


def assert_as_clean(platform: Platform, clean: dict[str, str]) -> None:
    assert platform.hashes() | {"members": members(platform)} == clean
    assert platform.leftovers() == []
    assert platform.files() == [(key, "loaded") for key in KEYS]
    assert (
        platform.query("SELECT count(*) FROM raw_movielens.ratings GROUP BY _file_id, _line HAVING count(*) > 1") == []
    )
    [(loaded, in_table)] = platform.query(
        "SELECT sum(rows_loaded), (SELECT count(*) FROM raw_movielens.ratings)"
        " FROM ops.landed_file WHERE dataset = 'ratings'"
    )
    assert loaded == in_table == 71
    assert (
        platform.query(
            "SELECT table_name, partition_key FROM ops.publication WHERE is_latest GROUP BY 1, 2 HAVING count(*) > 1"
        )
        == []
    )
    assert platform.build() == []


def go_on(platform: Platform) -> None:
    """Load and build again, as the sensors would; the dead process's session may take a moment to end."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        platform.load_and_build()
        if platform.scalar("SELECT count(*) FROM ops.landed_file WHERE status = 'pending'") == 0:
            return
        assert time.monotonic() < deadline, platform.files()
        time.sleep(0.1)


@pytest.mark.parametrize(
    "dying",
    [crash.die_in_raw_copy, crash.die_after_lake_upload, crash.die_before_raw_commit, crash.die_after_raw_commit],
    ids=lambda dying: dying.__name__,
)
def test_a_load_killed_at_any_point_is_done_again_to_the_same_rows(
    platform: Platform, environment: dict[str, str], clean: dict[str, str], dying: Callable[[], None]
) -> None:
    land_all(platform)

    assert crash.run_in_child(environment, dying) == -signal.SIGKILL
    committed = platform.scalar("SELECT count(*) FROM raw_movielens.ratings")
    assert committed == (71 if dying is crash.die_after_raw_commit else 0)  # small files share a transaction
    go_on(platform)

    assert_as_clean(platform, clean)


@pytest.mark.parametrize(
    "dying",
    [
        crash.die_in_partition_copy,
        crash.die_before_swap,
        crash.die_in_swap,
        crash.die_after_swap,
        crash.die_in_dim_upsert,
        crash.die_after_dim_is_staged,
        crash.die_after_inferring,
    ],
    ids=lambda dying: dying.__name__,
)
def test_a_build_killed_at_any_point_is_done_again_to_the_same_star(
    platform: Platform, environment: dict[str, str], clean: dict[str, str], dying: Callable[[], None]
) -> None:
    land_all(platform)
    platform.load()

    assert crash.run_in_child(environment, dying) == -signal.SIGKILL
    published = platform.partition_oids("fact_ratings")
    assert ("movielens_dw.fact_ratings_2018" in published) == (dying is crash.die_after_swap)
    go_on(platform)

    assert_as_clean(platform, clean)
    if dying is crash.die_after_swap:  # what was committed is not published again
        name = "movielens_dw.fact_ratings_2018"
        assert platform.partition_oids("fact_ratings")[name] == published[name]


def test_a_file_whose_load_is_killed_each_time_is_parked_and_does_not_stop_the_others(
    platform: Platform, environment: dict[str, str]
) -> None:
    """A file that takes all memory kills the process: nobody is left to count a failure afterwards."""
    land_all(platform)

    for _ in range(platform.settings.load_attempts):
        assert crash.run_in_child(environment, crash.die_before_raw_commit) == -signal.SIGKILL
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while platform.ledger_row(KEYS[1])["status"] != "parked":  # the session of the dead may hold it for a moment
        assert time.monotonic() < deadline, platform.files()
        platform.load()

    assert "ended without a result" in platform.ledger_row(KEYS[1])["reason"]
    assert platform.ledger_row(KEYS[2])["status"] == "loaded"


@pytest.fixture
def own_server(
    manifest_home: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The home of a Postgres that the test may kill, with the settings of a platform on it."""
    home = tmp_path_factory.mktemp("own-postgres")
    server = start_postgres(home)
    target = PostgresTarget(server.host, server.port, server.superuser, server.password, "cinestream")
    variables = environment_of(target, manifest_home)
    variables["CINESTREAM_LANDING_URL"] = (tmp_path / "landing").as_uri()
    variables["CINESTREAM_LAKE_URL"] = (tmp_path / "lake").as_uri()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield home
    stop_postgres(home)
    get_settings.cache_clear()


def kill_postmaster(home: Path) -> None:
    data_dir = start_postgres(home).data_dir
    pid = int((data_dir / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=300)


def stop_immediately(home: Path) -> None:
    data_dir = start_postgres(home).data_dir
    command = [postgres_binary(home, "pg_ctl"), "stop", "-D", data_dir, "-m", "immediate", "-w"]
    account_of(data_dir.stat().st_uid).run(command)


def test_a_postgres_that_crashes_in_mid_load_and_in_mid_build_has_the_same_rows_when_it_is_back(
    own_server: Path, clean: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinestream_platform.publishing import partitions as partition_publish
    from cinestream_platform.publishing.raw import FileTransaction

    platform = Platform()
    land_all(platform)

    def crash_after(owner: object, name: str, crash_server: Callable[[Path], None]) -> None:
        real = getattr(owner, name)

        def crashing(*args: object, **kwargs: object) -> object:
            result = real(*args, **kwargs)
            monkeypatch.setattr(owner, name, real)
            crash_server(own_server)
            return result

        monkeypatch.setattr(owner, name, crashing)

    crash_after(FileTransaction, "write", kill_postmaster)
    assert not all(result.success for result in platform.load())
    start_postgres(own_server)
    assert platform.scalar("SELECT count(*) FROM raw_movielens.ratings") == 0
    platform.load()

    crash_after(partition_publish, "_index", stop_immediately)
    with pytest.raises(Exception, match=r"connection|terminat|server"):
        platform.build()
    start_postgres(own_server)
    go_on(platform)

    assert_as_clean(platform, clean)
