"""The embedded PostgreSQL, started for real, and broken on purpose."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from cinestream_platform.services.binaries import candidate_folders
from cinestream_platform.services.cluster import read_state, room_of
from cinestream_platform.services.postgres import (
    PostgresServiceError,
    postgres_binary,
    postgres_status,
    start_postgres,
    stop_postgres,
)
from cinestream_platform.services.process import is_alive

REPOSITORY = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
START = "import sys; from pathlib import Path; from cinestream_platform.services.postgres import start_postgres\n"
START += "print(start_postgres(Path(sys.argv[1])).port, flush=True)\n"


@pytest.fixture
def open_folder():
    """A new folder that every account can enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="cinestream-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_home(tmp_path, open_folder, monkeypatch):
    """Makes homes below pytest's folder (0700, so root's data goes outside) and stops their servers at the end."""
    monkeypatch.setenv("CINESTREAM_POSTGRES_DATA_ROOT", str(open_folder / "data"))
    homes = []

    def make(name="home"):
        homes.append(tmp_path / name)
        return homes[-1]

    yield make
    for home in homes:
        stop_postgres(home)


@pytest.fixture
def home(make_home):
    return make_home()


@pytest.fixture(scope="module")
def shared_home():
    """One home for the tests that only look at a server."""
    home = Path(tempfile.mkdtemp(prefix="cinestream-test-"))
    home.chmod(0o755)
    yield home
    stop_postgres(home)
    shutil.rmtree(home)


def connect(server, password=None, database="cinestream"):
    password = password or server.password.get_secret_value()
    return psycopg.connect(
        host=server.host, port=server.port, user=server.superuser, password=password, dbname=database, autocommit=True
    )


def ask(server, query, **options):
    with connect(server, **options) as connection:
        return connection.execute(query).fetchone()[0]


def postmaster_of(server):
    return psutil.Process(int((server.data_dir / "postmaster.pid").read_text().split()[0]))


def start_elsewhere(home, code=START):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
        start_new_session=True,
    )


def kill_postmaster(server):
    postmaster = postmaster_of(server)
    postmaster.kill()
    while is_alive(postmaster):
        time.sleep(0.01)


def test_a_new_home_gets_a_server_with_both_databases(home):
    server = start_postgres(home)
    assert server.version.startswith(ask(server, "SHOW server_version"))
    assert ask(server, "SELECT current_database()", database="dagster") == "dagster"
    assert postgres_status(home) == server
    assert stop_postgres(home) is True
    assert postgres_status(home) is None
    assert stop_postgres(home) is False


def test_settings_in_force_are_ours_and_no_safety_is_off(shared_home):
    server = start_postgres(shared_home)
    expected = {
        "wal_level": "minimal",
        "max_connections": "200",
        "jit": "off",
        "timezone": "UTC",
        "fsync": "on",
        "synchronous_commit": "on",
        "autovacuum": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "unix_socket_directories": "",
    }
    assert {name: ask(server, f"SHOW {name}") for name in expected} == expected
    assert ask(server, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    assert ask(server, "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == 0


def test_text_sorts_by_code_point(shared_home):
    query = "SELECT array_to_string(array_agg(x ORDER BY x), '') FROM unnest(ARRAY['b','A','a','B','ä']) x"
    assert ask(start_postgres(shared_home), query) == "ABabä"


def test_a_wrong_password_is_refused(shared_home):
    server = start_postgres(shared_home)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(server, "SELECT 1", password="wrong")


def test_it_listens_on_loopback_only(shared_home):
    postmaster = postmaster_of(start_postgres(shared_home))
    listening = {c.laddr for c in postmaster.net_connections("all") if c.status == psutil.CONN_LISTEN}
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert postmaster.net_connections("unix") == []


def test_a_running_server_is_reused(shared_home):
    first = start_postgres(shared_home)
    postmaster = postmaster_of(first)
    assert start_postgres(shared_home) == first
    assert postmaster_of(first) == postmaster


def test_port_password_and_data_are_the_same_after_a_stop(home):
    first = start_postgres(home)
    with connect(first) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS x")
    stop_postgres(home)
    second = start_postgres(home)
    assert second == first
    assert ask(second, "SELECT x FROM kept") == 42


def test_two_processes_at_once_get_one_server(home):
    starters = [start_elsewhere(home) for _ in range(2)]
    ports = {starter.communicate(timeout=600)[0] for starter in starters}
    server = postgres_status(home)
    assert ports == {f"{server.port}\n"}
    serving = [p for p in psutil.process_iter(["cmdline"]) if str(server.data_dir) in (p.info["cmdline"] or [])]
    assert len(serving) == 1


def test_the_server_outlives_a_kill_of_the_whole_group_of_its_starter(home):
    starter = start_elsewhere(home, START + "import time; time.sleep(600)")
    starter.stdout.readline()
    server = postgres_status(home)
    postmaster = postmaster_of(server)
    os.killpg(starter.pid, signal.SIGKILL)
    assert starter.communicate(timeout=300)[0] == ""  # end of file: the server does not hold the starter's pipe
    assert ask(server, "SELECT 1") == 1
    assert start_postgres(home) == server
    assert postmaster_of(server) == postmaster


def test_the_server_holds_neither_the_lock_nor_a_pipe_of_its_starter(shared_home):
    postmaster = postmaster_of(start_postgres(shared_home))
    held = [str(link.readlink()) for link in Path(f"/proc/{postmaster.pid}/fd").iterdir()]
    room = room_of(shared_home)
    assert str(room / "lock") not in held
    assert {str(Path(f"/proc/{postmaster.pid}/fd/{number}").readlink()) for number in (0, 1, 2)} == {
        "/dev/null",
        str(room / "server.log"),
    }


def test_committed_data_survives_a_kill_of_the_postmaster(home):
    server = start_postgres(home)
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS x")
    kill_postmaster(server)
    assert postgres_status(home) is None
    assert ask(start_postgres(home), "SELECT sum(x) FROM kept") == 500500


def test_a_server_that_recovers_from_the_kill_of_a_backend_is_waited_for(home):
    server = start_postgres(home)
    with connect(server) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 1 AS one")
        conn.commit()
        [backend] = conn.execute("SELECT pg_backend_pid()").fetchone()
        os.kill(backend, signal.SIGKILL)  # the postmaster now restarts all its processes
    for _ in range(20):
        assert start_postgres(home).port == server.port
    assert ask(server, "SELECT one FROM kept") == 1


def test_a_session_that_computes_on_after_the_kill_of_the_postmaster_does_not_prevent_the_start(home):
    server = start_postgres(home)
    connection = connect(server)
    backend = psutil.Process(connection.info.backend_pid)

    def compute():
        with pytest.raises(psycopg.OperationalError):
            connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")

    thread = threading.Thread(target=compute)
    thread.start()
    while ask(server, f"SELECT state FROM pg_stat_activity WHERE pid = {backend.pid}") != "active":
        time.sleep(0.01)
    kill_postmaster(server)
    assert ask(start_postgres(home), "SELECT 1") == 1
    thread.join(300)
    assert not thread.is_alive()
    assert not is_alive(backend)


def test_a_stale_pid_file_that_names_an_unrelated_process_harms_neither(home):
    server = start_postgres(home)
    pid_file = server.data_dir / "postmaster.pid"
    text = pid_file.read_text()
    stop_postgres(home)
    owner = server.data_dir.stat()
    options = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if IS_ROOT else {}
    unrelated = subprocess.Popen(["sleep", "600"], **options)
    try:
        # Of the server's own account: PostgreSQL itself would take it for a running server and refuse to start.
        pid_file.write_text("\n".join([str(unrelated.pid), *text.splitlines()[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        assert postgres_status(home) is None
        assert stop_postgres(home) is False
        assert ask(start_postgres(home), "SELECT 1") == 1
        assert stop_postgres(home) is True
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


def test_a_server_that_someone_else_started_on_our_data_is_reported_and_left_alone(home):
    server = start_postgres(home)
    room = room_of(home)
    postmaster = postmaster_of(server)
    pid_file = server.data_dir / "postmaster.pid"
    text = pid_file.read_text()
    state = (room / "state.json").read_text()
    started = text.splitlines()[2]
    pid_file.write_text(text.replace(started, str(int(started) - 1000)))
    (room / "state.json").write_text(state.replace(f'"pid": {postmaster.pid}', f'"pid": {postmaster.pid + 1}'))
    for call in (start_postgres, stop_postgres, postgres_status):
        with pytest.raises(PostgresServiceError, match=rf"Process {postmaster.pid} serves"):
            call(home)
    assert postmaster.is_running()
    pid_file.write_text(text)
    (room / "state.json").write_text(state)


def test_a_lost_state_file_does_not_lose_the_running_server(home, open_folder):
    server = start_postgres(home)
    room = room_of(home)
    if not server.data_dir.is_relative_to(room):
        pytest.skip("data outside the home are found through the state file only")
    (room / "state.json").unlink()
    assert start_postgres(home) == server


def test_a_port_taken_in_between_moves_the_server_to_another(home):
    first = start_postgres(home)
    stop_postgres(home)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", first.port))
        taker.listen()
        second = start_postgres(home)
        assert second.port != first.port
        assert ask(second, "SELECT 1") == 1
    stop_postgres(home)
    assert start_postgres(home).port == second.port


def test_a_kill_in_the_middle_of_initdb_leaves_nothing_half(home):
    starter = start_elsewhere(home)
    room = room_of(home)
    while not ((state := read_state(room)) and list(state.data_dir.parent.glob("initdb-*/data/base"))):
        assert starter.poll() is None
        time.sleep(0.005)
    starter.kill()
    starter.communicate(timeout=300)
    folder = state.data_dir.parent
    assert list(folder.glob("initdb-*"))
    assert not state.data_dir.exists()
    server = start_postgres(home)
    assert ask(server, "SELECT 1") == 1
    assert {path.name for path in folder.iterdir()} == {"ballast", "data"}


def test_leftovers_of_initdb_beside_good_data_are_cleaned(home):
    server = start_postgres(home)
    leftover = server.data_dir.parent / "initdb-old"
    (leftover / "data").mkdir(parents=True)
    (leftover / "password").write_text("secret")
    start_postgres(home)
    assert not leftover.exists()


def test_no_password_is_on_a_command_line_or_in_the_log(home):
    seen, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            for process in psutil.process_iter():
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    server = start_postgres(home)
    with connect(server) as connection, pytest.raises(psycopg.Error):
        connection.execute("CREATE ROLE cinestream PASSWORD 'of_a_failing_statement'")
    with connect(server) as connection, pytest.raises(psycopg.Error):
        connection.execute("DO $$ BEGIN EXECUTE 'CREATE ROLE cinestream PASSWORD ''of_a_failing_statement'''; END $$")
    stop_postgres(home)
    done.set()
    watcher.join()
    assert any("initdb" in line for line in seen)
    log = (room_of(home) / "server.log").read_text()
    assert 'role "cinestream" already exists' in log
    assert "of_a_failing_statement" not in log
    password = server.password.get_secret_value()
    assert password not in log
    assert not [line for line in seen if password in line]
    assert password not in repr(server)


def test_the_password_file_is_private_and_is_the_only_copy(home):
    server = start_postgres(home)
    room = room_of(home)
    path = room / "password"
    assert path.stat().st_mode & 0o777 == 0o600
    password = server.password.get_secret_value()
    for folder in (room, server.data_dir.parent):
        files = [file for file in folder.rglob("*") if file.is_file() and file != path]
        assert not [file for file in files if password.encode() in file.read_bytes()]


def test_a_deleted_password_file_is_named_with_a_remedy_that_works(home):
    server = start_postgres(home)
    path = room_of(home) / "password"
    path.unlink()
    with pytest.raises(PostgresServiceError, match=rf"{path} is missing.*ALTER ROLE cinestream PASSWORD"):
        start_postgres(home)
    stop_postgres(home)
    path.write_text("a new one\n")
    path.chmod(0o600)
    owner = server.data_dir.stat()
    subprocess.run(
        [postgres_binary(home, "postgres"), "--single", "-D", server.data_dir, "postgres"],
        input="ALTER ROLE cinestream PASSWORD 'a new one'\n",
        cwd="/",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
        **({"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if IS_ROOT else {}),
    )
    assert ask(start_postgres(home), "SELECT 1", password="a new one") == 1


def test_a_wrong_password_file_is_named(home):
    start_postgres(home)
    path = room_of(home) / "password"
    path.write_text("not the one\n")
    with pytest.raises(PostgresServiceError, match=rf"password authentication failed.*{path}"):
        start_postgres(home)


def test_a_broken_configuration_is_reported_with_the_end_of_the_log(home):
    server = start_postgres(home)
    stop_postgres(home)
    with (server.data_dir / "postgresql.conf").open("a") as stream:
        stream.write("no_such_setting = 1\n")
    with pytest.raises(PostgresServiceError, match=r"(?s)did not start.*server\.log.*no_such_setting"):
        start_postgres(home)


def test_data_that_vanished_is_reported_and_not_made_anew(home):
    server = start_postgres(home)
    stop_postgres(home)
    server.data_dir.rename(server.data_dir.with_name("away"))
    with pytest.raises(PostgresServiceError, match="disk not mounted"):
        start_postgres(home)
    server.data_dir.with_name("away").rename(server.data_dir)
    assert start_postgres(home) == server


def test_two_homes_side_by_side_have_two_servers(make_home):
    first, second = start_postgres(make_home("first")), start_postgres(make_home("second"))
    assert first.port != second.port
    assert first.password.get_secret_value() != second.password.get_secret_value()
    assert ask(first, "SHOW data_directory") == str(first.data_dir)
    assert ask(second, "SHOW data_directory") == str(second.data_dir)


def test_a_long_home_with_blanks_quotes_and_dollars_works(make_home):
    server = start_postgres(make_home('it\'s a "home" for $HOME `x` é ' + 120 * "l"))
    assert ask(server, "SELECT 1") == 1


def test_programs_of_the_same_version_log_in_by_the_servers_environment(shared_home):
    server = start_postgres(shared_home)
    command = [postgres_binary(shared_home, "psql"), "-XAtc", "SHOW server_version"]
    answer = subprocess.run(command, env=server.client_environment(), capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == server.version


def test_variables_of_libpq_do_not_lead_the_login_astray(shared_home, monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1x")
    start_postgres(shared_home)


def test_asking_for_status_or_stop_of_no_home_makes_none(tmp_path):
    assert postgres_status(tmp_path / "none") is None
    assert stop_postgres(tmp_path / "none") is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/usr/lib/postgresql/15/bin/initdb").exists(), reason="needs Debian's PostgreSQL 15")
def test_data_of_postgresql_15_stay_with_its_programs(home, monkeypatch):
    monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", "/usr/lib/postgresql/15/bin")
    server = start_postgres(home)
    assert server.version.startswith("15.")
    stop_postgres(home)
    monkeypatch.delenv("CINESTREAM_POSTGRES_BINARIES")
    assert start_postgres(home) == server
    assert postgres_binary(home, "psql") == Path("/usr/lib/postgresql/15/bin/psql")


@pytest.mark.skipif(not IS_ROOT, reason="only root's server account can be shut out")
def test_a_closed_home_of_root_works_and_no_folder_is_opened(make_home, tmp_path, open_folder):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    folders = [closed, *closed.parents]
    before = [folder.stat().st_mode for folder in folders]
    home = make_home("closed/home")
    server = start_postgres(home)
    assert ask(server, "SELECT 1") == 1
    assert server.data_dir.is_relative_to(open_folder)
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    assert [folder.stat().st_mode for folder in folders] == before
    stop_postgres(home)
    assert start_postgres(home) == server


@pytest.mark.skipif(not IS_ROOT, reason="only root's server account can be shut out")
def test_a_closed_checkout_of_root_works_with_a_copy_of_the_programs(home, tmp_path, open_folder, monkeypatch):
    installation = candidate_folders()[0].parent
    package = installation.parent
    for folder in (installation, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, tmp_path / folder.relative_to(package.parent))
    monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", str(tmp_path / package.name / installation.name / "bin"))
    server = start_postgres(home)
    psql = postgres_binary(home, "psql")
    assert psql.is_relative_to(open_folder)
    answer = subprocess.run(
        [psql, "-XAtc", "SELECT 1"], env=server.client_environment(), capture_output=True, text=True
    )
    assert answer.stdout == "1\n"
    assert postmaster_of(server).exe() == str(psql.with_name("postgres"))
    assert start_postgres(home) == server


@pytest.mark.skipif(not IS_ROOT, reason="only root's server account can be shut out")
def test_an_open_home_of_root_keeps_the_data_within(open_folder):
    home = open_folder / "home"
    home.mkdir()
    (home / "services" / "postgres").mkdir(parents=True)
    for folder in (home, home / "services", home / "services" / "postgres"):
        folder.chmod(0o755)  # as homes were made before they were closed
    try:
        server = start_postgres(home)
        assert server.data_dir.is_relative_to(home)
        (room_of(home) / "state.json").unlink()
        assert start_postgres(home) == server
    finally:
        stop_postgres(home)


@pytest.mark.skipif(not IS_ROOT, reason="only root's server account can be shut out")
def test_data_left_by_a_deleted_home_are_reported_and_kept(home):
    server = start_postgres(home)
    stop_postgres(home)
    shutil.rmtree(home)
    with pytest.raises(PostgresServiceError, match=str(server.data_dir)):
        start_postgres(home)
    assert (server.data_dir / "PG_VERSION").exists()


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become another account")
def test_an_ordinary_user_runs_the_server_as_himself(open_folder):
    nobody = pwd.getpwnam("nobody")
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    # The interpreter of a checkout may be below /root; the system's loads the same packages if it is of one version.
    python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    search = os.pathsep.join([str(REPOSITORY), *[path for path in sys.path if path.endswith("site-packages")]])
    command = [python, "-c", START, str(home)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"}
    if not Path(python).exists():
        pytest.skip(f"{python} is missing")
    try:
        answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, **as_nobody)
        assert answer.returncode == 0, answer.stderr
        server = postgres_status(home)
        assert server.data_dir.is_relative_to(home)
        assert postmaster_of(server).uids().real == nobody.pw_uid
        assert (room_of(home) / "password").stat().st_uid == nobody.pw_uid
        # Root finds the same server, stops it, starts it, and leaves it to its owner.
        assert start_postgres(home) == server
        assert stop_postgres(home) is True
        assert start_postgres(home) == server
        assert postmaster_of(server).uids().real == nobody.pw_uid
        stop_postgres(home)
        answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, **as_nobody)
        assert answer.stdout == f"{server.port}\n", answer.stderr
    finally:
        stop_postgres(home)
