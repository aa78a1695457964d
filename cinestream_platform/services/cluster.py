"""The files of the embedded PostgreSQL: where they are, what is remembered, and how the data folder is made.

What belongs here: everything about the cluster that is true while the server is down.

    <home>/services/postgres/lock, password (0600), state.json, server.log
    <place>/cluster/data      <place> is the folder above, or one outside the home when root's server account is
                              shut out of it; state.json remembers which
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from cinestream_platform.services.binaries import Binaries, binaries_for
from cinestream_platform.services.process import (
    Account,
    PostgresServiceError,
    ProcessMark,
    account_of,
    server_account,
    write_whole,
)

SUPERUSER = "cinestream"
CONFIG_FILE = "cinestream.conf"
OUTSIDE = Path("/var/lib/cinestream")  # survives a restart, unlike /tmp


@dataclass(frozen=True)
class State:
    """What is remembered between two calls."""

    data_dir: Path
    binaries: Path | None = None
    version: str | None = None
    port: int | None = None
    mark: ProcessMark | None = None  # of the postmaster that was started last


@dataclass(frozen=True)
class Cluster:
    """The cluster of one home: where it is, whose it is and which programs fit it."""

    room: Path
    data_dir: Path
    account: Account
    binaries: Binaries

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.room / "server.log"

    @property
    def name(self) -> str:
        """The server's ``cluster_name``; it is in the title of each of its processes."""
        return cluster_name(self.data_dir)


def room_of(home: Path) -> Path:
    """The folder of this service below the home (absolute, links resolved; it need not exist)."""
    return home.expanduser().resolve() / "services" / "postgres"


def cluster_name(data_dir: Path) -> str:
    """A name that no other data folder's processes bear."""
    return f"cinestream-{_digest(data_dir)}"


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def read_state(room: Path) -> State | None:
    """What was remembered; None when nothing was.

    Raises:
        PostgresServiceError: The file is damaged.
    """
    path = room / "state.json"
    try:
        values = json.loads(path.read_text())
        mark = values["mark"] and ProcessMark(**values["mark"])
        binaries = values["binaries"] and Path(values["binaries"])
        return State(Path(values["data_dir"]), binaries, values["version"], values["port"], mark)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PostgresServiceError(
            f"{path} is damaged ({error}). It says where the data is: restore it, or write "
            '{"data_dir": "<folder that holds PG_VERSION>", "binaries": null, "version": null, "port": null, '
            '"mark": null} into it.'
        ) from error


def write_state(room: Path, state: State) -> None:
    """Remember the state."""
    values = {
        "data_dir": str(state.data_dir),
        "binaries": str(state.binaries) if state.binaries else None,
        "version": state.version,
        "port": state.port,
        "mark": state.mark.as_dict() if state.mark else None,
    }
    write_whole(room / "state.json", json.dumps(values, indent=1) + "\n", mode=0o600)


def read_password(room: Path) -> SecretStr | None:
    """The superuser's password, None when there is no file.

    Raises:
        PostgresServiceError: The file is not ours to read.
    """
    path = room / "password"
    try:
        return SecretStr(path.read_text().strip()) or None
    except FileNotFoundError:
        return None
    except PermissionError as error:
        owner = account_of(path.stat().st_uid).name
        raise PostgresServiceError(f"{path} belongs to {owner}: work as {owner}, or set another home.") from error


def password_of(room: Path, data_dir: Path) -> SecretStr:
    """The password of existing data.

    Raises:
        PostgresServiceError: The file is gone; the message says how to go on.
    """
    password = read_password(room)
    if password is not None:
        return password
    raise PostgresServiceError(
        f"{room / 'password'} is missing, but {data_dir} holds data that only its password opens. "
        f"{password_remedy(room, data_dir)}"
    )


def password_remedy(room: Path, data_dir: Path) -> str:
    """What to do when the password file is not there or not right."""
    path = room / "password"
    return (
        f"Restore the file (one line, mode 0600). If it is lost: (1) stop the server (`stop_postgres`), "
        f"(2) write a new password into {path}, mode 0600, "
        f"(3) as {account_of(data_dir.stat().st_uid).name}, send the line "
        f"ALTER ROLE {SUPERUSER} PASSWORD '<it>' to the standard input of `postgres --single -D {data_dir} postgres`. "
        f"If the data may go: stop the server and delete {data_dir.parent} and {room / 'state.json'}."
    )


def open_cluster(room: Path, *, deadline: float) -> Cluster:
    """The cluster of this room, made by initdb when there is none. The caller holds the lock.

    Args:
        room: The service's folder below the home.
        deadline: When to give up, as ``time.monotonic()`` counts.

    Raises:
        PostgresServiceError: It cannot be made, or is not ours to run.
    """
    state = _find_or_place(room)
    data_dir = state.data_dir
    exists = (data_dir / "PG_VERSION").exists()
    account = _account_for(data_dir) if exists else server_account()
    major = int((data_dir / "PG_VERSION").read_text()) if exists else None
    binaries = binaries_for(account, data_dir.parent.parent, major)
    cluster = Cluster(room, data_dir, account, binaries)
    if exists:
        password_of(room, data_dir)
        _remove_unfinished(data_dir.parent)
    else:
        _create(cluster, deadline)
    found = replace(state, binaries=binaries.folder, version=binaries.version)
    if found != state:  # a full disk takes no file, and a server that runs needs none
        write_state(room, found)
    return cluster


def _find_or_place(room: Path) -> State:
    """What is remembered, or, before the first start, a new state with a place for the data."""
    state = read_state(room)
    if state is not None and (state.data_dir / "PG_VERSION").exists():
        return state
    if state is not None and state.mark is not None:
        raise PostgresServiceError(
            f"{state.data_dir} held the data of this home and is not there any more. Is a disk not mounted? "
            f"If the data may be made anew, empty, delete {room / 'state.json'} and try again."
        )
    data_dir = room / "cluster" / "data"
    if not (data_dir / "PG_VERSION").exists():
        data_dir = _place(room, server_account()) / "cluster" / "data"
    write_state(room, State(data_dir))
    return State(data_dir)


def _account_for(data_dir: Path) -> Account:
    """The account of existing data: its owner, as PostgreSQL runs for nobody else."""
    owner = account_of(data_dir.stat().st_uid)
    if os.geteuid() not in (0, owner.uid):
        raise PostgresServiceError(
            f"{data_dir} belongs to {owner.name}, and PostgreSQL runs for the owner of its data only. "
            f"Work as {owner.name}, or set CINESTREAM_HOME to a folder of your own."
        )
    if not owner.can_enter(data_dir.parent):
        raise PostgresServiceError(
            f"Account {owner.name}, who owns {data_dir}, is now shut out by a folder above it. Open that folder again, "
            "or move the data to where it can be reached and name the new place in state.json."
        )
    return owner


def _place(room: Path, account: Account) -> Path:
    """The folder that will hold the cluster: the room, or a new folder outside that the account can enter."""
    if account.can_enter(room):
        return room
    named = os.environ.get("CINESTREAM_POSTGRES_DATA_ROOT")
    root = Path(named).resolve() if named else OUTSIDE
    place = root / _digest(room)
    if (place / "cluster" / "data").exists():
        raise PostgresServiceError(
            f"{place / 'cluster' / 'data'} holds the data of an earlier home at {room.parent.parent}, whose files are "
            f"gone. Restore that home, or, if the data may go, delete {place}, then try again."
        )
    for folder in (root, place):
        _make_open_folder(folder)
    if account.can_enter(place):
        return place
    raise PostgresServiceError(
        f"Account {account.name}, who runs PostgreSQL, can enter neither {room} nor {place}. Set "
        "CINESTREAM_POSTGRES_DATA_ROOT to a folder that it can enter; no folder's permissions were changed."
    )


def _make_open_folder(folder: Path) -> None:
    """Make a folder that all can enter; one that exists keeps its permissions."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask says; it holds only the account's private folder and public programs


def _create(cluster: Cluster, deadline: float) -> None:
    """Run initdb beside the final folder, then rename: a data folder is complete or absent."""
    folder = cluster.data_dir.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    _give(folder, cluster.account)
    _remove_unfinished(folder)
    password = read_password(cluster.room)
    if password is None:
        password = SecretStr(secrets.token_urlsafe(32))
        write_whole(cluster.room / "password", password.get_secret_value() + "\n", mode=0o600)
    temporary = Path(tempfile.mkdtemp(prefix="initdb-", dir=folder))
    _give(temporary, cluster.account)
    try:
        _initdb(cluster, temporary, password, deadline)
        (temporary / "data").rename(cluster.data_dir)
    finally:
        _remove_unfinished(folder)


def _initdb(cluster: Cluster, temporary: Path, password: SecretStr, deadline: float) -> None:
    # A file of the account, 0600, as the password must not be on a command line; it goes with its folder.
    password_file = temporary / "password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(password.get_secret_value() + "\n")
    _give(password_file, cluster.account)
    # The built-in provider sorts by code point on every machine; a libc update would change the order of indexes.
    builtin = ["--locale-provider=builtin"] if cluster.binaries.major >= 17 else []
    # Iterations make guessable passwords dear to guess. This one is 256 random bits, and Dagster logs in for every
    # statement: a login takes 3 ms and not 7, a quarter of the demo's time. For all other roles the default holds.
    cheap_login = ["--set=scram_iterations=1"] if cluster.binaries.major >= 16 else []
    answer = cluster.account.run(
        [
            cluster.binaries.folder / "initdb",
            *("--pgdata", temporary / "data", "--username", SUPERUSER, f"--pwfile={password_file}"),
            *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", *builtin, "--lc-messages=C"),
            *("--data-checksums", "--no-instructions", *cheap_login),
        ],
        timeout=max(1.0, deadline - time.monotonic()),
    )
    if answer.returncode == 0:
        include = f"include_if_exists = '{CONFIG_FILE}'\n"
        answer = cluster.account.run(
            [
                "/bin/sh",
                "-c",
                'sed -i /^scram_iterations/d "$1" && cat >> "$1"',
                "sh",
                temporary / "data" / "postgresql.conf",
            ],
            text=include,
        )
    if answer.returncode != 0:
        raise PostgresServiceError(
            f"initdb could not make {cluster.data_dir} as {cluster.account.name}. It said:\n{answer.stdout[-2000:]}"
        )


def _give(path: Path, account: Account) -> None:
    """Make the account the owner of a file or folder of ours, when we are root."""
    if os.geteuid() == 0:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed initdb left; its orphaned children may still be writing for a moment."""
    for leftover in folder.glob("initdb-*"):
        for _ in range(50):
            shutil.rmtree(leftover, ignore_errors=True)
            if not leftover.exists():
                break
            time.sleep(0.1)
