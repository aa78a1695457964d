"""One server process: which one is ours, how it starts, how it stops.

What belongs here: processes, ports, the pid file and the log. Its files are in ``cluster``, its settings in
``postgres_config``; logging in is the business of ``postgres``.
"""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from cinestream_platform.services.cluster import CONFIG_FILE, Cluster, State, read_state, write_state
from cinestream_platform.services.postgres_config import settings_file, this_machine
from cinestream_platform.services.process import (
    SAME_START_SECONDS,
    PostgresServiceError,
    ProcessMark,
    account_of,
    is_alive,
)

HOST = "127.0.0.1"
# Below Linux' ephemeral ports (32768 and up), which any outgoing connection may occupy while the server is down.
PORTS = range(15432, 25432)
LOG_LIMIT = 16 * 1024 * 1024  # bytes; a longer log is set aside at the next start, one generation
ORPHAN_GRACE_SECONDS = 5.0
# The server may have written these because of orphans or of another program's port: worth another try.
PASSING_TROUBLE = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
PORT_TROUBLE = ("could not bind", "could not create any TCP/IP sockets")


@dataclass(frozen=True)
class PidFile:
    """What a server wrote into its postmaster.pid."""

    pid: int
    started: int  # seconds since the epoch
    port: int
    status: str  # "starting", "ready", "stopping"; empty before the first of them is written


def read_pid_file(data_dir: Path) -> PidFile | None:
    """The pid file; None when there is none or it is not whole (yet)."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), int(lines[2]), int(lines[3]), lines[7].strip() if len(lines) > 7 else "")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _serves(process: psutil.Process, data_dir: Path) -> bool:
    """Whether this is a postmaster on the folder: its program, its ``-D`` and its owner all say so."""
    try:
        command = process.cmdline()
        right_owner = process.uids().real == data_dir.stat().st_uid
        return right_owner and Path(command[0]).name == "postgres" and command[1:3] == ["-D", str(data_dir)]
    except (psutil.Error, IndexError, FileNotFoundError):
        return False


def our_postmaster(room: Path) -> psutil.Process | None:
    """The live postmaster that pid, start time and data folder prove to be ours.

    Raises:
        PostgresServiceError: Someone else started a server on our data.
    """
    state = read_state(room)
    if state is None:
        return None
    written = read_pid_file(state.data_dir)
    # Killed between its start and its first line in the pid file, a starter leaves only the mark in our state.
    pid = written.pid if written else state.mark.pid if state.mark else None
    try:
        process = psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None
    if process is None or not is_alive(process) or not _serves(process, state.data_dir):
        return None
    mark = ProcessMark.of(process)
    remembered = state.mark is not None and state.mark.same_process_as(mark)
    # The server notes its start a moment after the kernel does; this proof is for a state file that was lost.
    if remembered or (written and abs(written.started - mark.created) < 2 * SAME_START_SECONDS):
        return process
    raise PostgresServiceError(
        f"Process {pid} serves {state.data_dir}, but its start time is not that of the server which we started. "
        f"Look at it (`ps -fp {pid}`), stop it (`kill -INT {pid}`), then try again."
    )


def start_server(cluster: Cluster, deadline: float) -> None:
    """Wait until the running server is ready; start it if there is none. Another port or another try where that helps.

    Args:
        cluster: Whose server; the caller holds its lock.
        deadline: When to give up, as ``time.monotonic()`` counts.

    Raises:
        PostgresServiceError: It did not start, or is not ready in time; with the end of its log.
    """
    refused: set[int] = set()
    while not _already_running(cluster, deadline):
        _wait_for_orphans(cluster, deadline)
        _write_settings(cluster)
        port = _choose_port(cluster, refused)
        log_start = _open_new_log(cluster.log_file)
        postmaster = _launch(cluster, port)
        if postmaster and _wait_until_ready(cluster, postmaster, deadline):
            return
        said = cluster.log_file.read_bytes()[log_start:].decode(errors="replace")
        if any(trouble in said for trouble in PORT_TROUBLE) and len(refused) < 5:
            refused.add(port)
        elif not any(trouble in said for trouble in PASSING_TROUBLE) or time.monotonic() > deadline:
            raise PostgresServiceError(
                f"PostgreSQL {cluster.binaries.version} on {cluster.data_dir} did not start; its log says why."
                f"{log_tail(cluster.log_file)}"
            )
        time.sleep(0.5)


def _already_running(cluster: Cluster, deadline: float) -> bool:
    """Whether our server runs and became ready; one that was killed while it started counts as not running."""
    postmaster = our_postmaster(cluster.room)
    return postmaster is not None and _wait_until_ready(cluster, postmaster, deadline)


def _write_settings(cluster: Cluster) -> None:
    text = settings_file(this_machine(cluster.data_dir), cluster.binaries.major)
    target = cluster.data_dir / CONFIG_FILE
    # Written by the account, not by root: the folder is the account's, and a link in it must not lead root astray.
    written = cluster.account.run(["/bin/sh", "-c", 'cat > "$1"', "sh", target], text=text)
    if written.returncode != 0:
        raise PostgresServiceError(f"{target} cannot be written: {written.stdout}. Check the free space of the disk.")


def _launch(cluster: Cluster, port: int) -> psutil.Process | None:
    """Start the postmaster as nobody's child and remember it; ``None`` if it has ended already.

    Not by pg_ctl: that hands paths to a shell unescaped, so a ``$`` in a folder's name breaks it.
    """
    settings = {"listen_addresses": HOST, "port": port, "unix_socket_directories": "", "cluster_name": cluster.name}
    command = [str(cluster.binaries.folder / "postgres"), "-D", str(cluster.data_dir)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # The shell leaves at once, so that no zombie stays with the caller; its output is the pid, the server's is the log.
    with cluster.log_file.open("ab") as log:
        answer = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            check=True,
            **cluster.account.popen_options,
        )
    state = read_state(cluster.room) or State(cluster.data_dir)
    try:
        process = psutil.Process(int(answer.stdout))
        write_state(cluster.room, replace(state, port=port, mark=ProcessMark.of(process)))
    except psutil.Error:
        return None
    return process


def _wait_until_ready(cluster: Cluster, postmaster: psutil.Process, deadline: float) -> bool:
    """Wait for the server to accept connections; False when it ended instead.

    Raises:
        PostgresServiceError: The time is up; the server is left to go on (it may be recovering from a crash).
    """
    while is_alive(postmaster):
        written = read_pid_file(cluster.data_dir)
        if written is not None and written.pid == postmaster.pid and written.status == "ready":
            return True
        if time.monotonic() > deadline:
            raise PostgresServiceError(
                f"PostgreSQL (process {postmaster.pid}) is not ready in time. After a crash it replays up to "
                f"max_wal_size of changes first: wait and try again.{log_tail(cluster.log_file)}"
            )
        time.sleep(0.05)
    return False


def _choose_port(cluster: Cluster, refused: set[int]) -> int:
    """The remembered port if it is free, else the next free one; where the search begins differs by data folder."""
    state = read_state(cluster.room)
    offset = int(cluster.name.rsplit("-", 1)[1], 16) % len(PORTS)
    remembered = [state.port] if state is not None and state.port is not None else []
    ports: list[int] = [*remembered, *PORTS[offset:], *PORTS[:offset]]
    for port in ports:
        if port not in refused and _is_free(port):
            return port
    raise PostgresServiceError(f"No TCP port from {PORTS[0]} to {PORTS[-1]} is free on {HOST}. Free one of them.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does: TIME_WAIT does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _wait_for_orphans(cluster: Cluster, deadline: float) -> None:
    """After a crash: wait for the dead postmaster's children to leave, then remove its pid file.

    The file must go, as PostgreSQL refuses to start when the pid in it lives again as something unrelated. That is
    safe once no process of the cluster is left; should one be overlooked, the shared memory block still gives it away.
    Children notice the death at their next wait; one that computes is asked to end (SIGTERM) after some seconds.
    """
    asked = time.monotonic() + ORPHAN_GRACE_SECONDS
    while processes := _processes_of(cluster):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in processes)
            raise PostgresServiceError(
                f"Processes {pids} of the former server on {cluster.data_dir} do not end. End them (`kill {pids}`)."
            )
        if time.monotonic() > asked and not any(_serves(process, cluster.data_dir) for process in processes):
            for process in processes:
                with suppress(psutil.Error):
                    process.terminate()
        time.sleep(0.2)
    (cluster.data_dir / "postmaster.pid").unlink(missing_ok=True)


def _processes_of(cluster: Cluster) -> list[psutil.Process]:
    """All live processes of a server on the data folder; its children bear the cluster's name in their titles."""
    title = f"postgres: {cluster.name}: "
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            child = process.uids().real == cluster.account.uid and " ".join(process.cmdline()).startswith(title)
            if (child or _serves(process, cluster.data_dir)) and is_alive(process):
                found.append(process)
    return found


def stop_server(room: Path, postmaster: psutil.Process) -> None:
    """End the sessions and stop the server; raises ``PostgresServiceError`` when it does not stop."""
    state = read_state(room)
    if state is None or state.binaries is None:
        raise PostgresServiceError(f"{room / 'state.json'} does not name the programs: start the server again first.")
    owner = account_of(state.data_dir.stat().st_uid)
    command: list[str | Path] = [state.binaries / "pg_ctl", "stop", "-D", state.data_dir, "-m", "fast", "-w"]
    answer = owner.run(command)
    if answer.returncode != 0 and is_alive(postmaster):
        raise PostgresServiceError(
            f"PostgreSQL (process {postmaster.pid}) did not stop: {answer.stdout.strip()} Try again."
            f"{log_tail(room / 'server.log')}"
        )


def _open_new_log(path: Path) -> int:
    """Make sure of a private log file; returns its length in bytes. A long one is set aside."""
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if os.geteuid() == 0:  # so that the home's owner can start the server again after root did
            os.fchown(descriptor, path.parent.stat().st_uid, path.parent.stat().st_gid)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def shorten_log(path: Path) -> bool:
    """Set a long log of a running server aside, one generation; whether it was long.

    The server has the file open to append, so that it is emptied and not renamed: a renamed one it would go on writing.
    """
    if not path.exists() or path.stat().st_size <= LOG_LIMIT:
        return False
    old = path.with_suffix(".log.1")
    old.unlink(missing_ok=True)
    old.touch(mode=0o600)
    shutil.copyfile(path, old)
    os.truncate(path, 0)
    return True


def log_tail(path: Path) -> str:
    """The last lines of the server's log, with its name, to go at the end of a message."""
    lines = path.read_text(errors="replace").splitlines()[-20:] if path.exists() else []
    return "\n".join([f" The end of {path}:", *lines])
