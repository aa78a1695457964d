"""An ordinary PostgreSQL server for a test, apart from the platform's own; its DBA is ``dba``, there is nobody else."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cinestream_platform.services.binaries import binaries_for, version_of
from cinestream_platform.services.process import Account, server_account
from cinestream_platform.warehouse.connection import PostgresTarget

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
DBA_PASSWORD = "dba-password"


def _binaries(version: str, account: Account, folder: Path) -> Path:
    if version == "15":
        if version_of(DEBIAN_15, account) is None:
            pytest.skip(f"{DEBIAN_15} is absent (Debian's package postgresql-15)")
        return DEBIAN_15
    return binaries_for(account, folder, int(version)).folder


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def own_postgres(version: str, *, tls: tuple[Path, Path] | None = None) -> Iterator[PostgresTarget]:
    """Run a server of a major version; the target is its DBA's. ``tls`` is its certificate with its key."""
    account = server_account()
    folder = Path(tempfile.mkdtemp(prefix="cinestream-own-postgres-"))
    try:
        folder.chmod(0o755)  # an unprivileged account must be able to enter
        programs = _binaries(version, account, folder)
        inner = folder / "server"
        inner.mkdir(mode=0o700)
        shutil.chown(inner, account.uid, account.gid)
        data, port = inner / "data", free_port()
        password = inner / "password"
        password.write_text(f"{DBA_PASSWORD}\n")
        shutil.chown(password, account.uid, account.gid)
        initdb = [programs / "initdb", "-D", data, "-U", "dba", "-E", "UTF8", "--auth=scram-sha-256", "--no-sync"]
        made = account.run([*initdb, f"--pwfile={password}"], timeout=600)
        assert made.returncode == 0, made.stdout
        options = f"-h 127.0.0.1 -p {port} -k {inner} -c fsync=off -c max_connections=60"
        for source, name in zip(tls or (), ("server.crt", "server.key"), strict=False):
            shutil.copyfile(source, data / name)
            (data / name).chmod(0o600)
            shutil.chown(data / name, account.uid, account.gid)
        options += " -c ssl=on" if tls else ""
        command = [programs / "pg_ctl", "-w", "-t", "120", "-D", data, "-l", inner / "log", "-o", options, "start"]
        started = account.run(command, timeout=600)
        assert started.returncode == 0, started.stdout
        try:
            yield PostgresTarget("127.0.0.1", port, "dba", SecretStr(DBA_PASSWORD), "postgres")
        finally:
            account.run([programs / "pg_ctl", "-w", "-m", "fast", "-D", data, "stop"], timeout=600)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def execute(target: PostgresTarget, *statements: str) -> None:
    """Run statements, each on its own, as the target's user."""
    with psycopg.connect(target.conninfo(), autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def wait_until(condition: object, seconds: float = 300.0) -> None:
    """Wait until a function is true; nobody waits so long on any machine, unless something is stuck."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.1)
