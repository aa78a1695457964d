r"""Running SQL of somebody else's in a scratch database: published scripts by psql, archives by pg_restore.

What belongs here: what such SQL may not do on this machine, and when it is ended. psql obeys lines that begin with a
backslash (``\!`` runs a shell): since CVE-2025-8714 it can be told to refuse them until a key is named that the script
cannot know (https://www.postgresql.org/docs/18/app-psql.html, ``\restrict``). What the login may do in the server is
``load_database``'s work.
"""

import os
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from psycopg.sql import SQL, Identifier

from cinestream_platform.declarations.connector import SourceDatabaseError
from cinestream_platform.messages import bounded
from cinestream_platform.services.disk import keep_room
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect, session_environment

MOST_SECONDS = 3_600.0
MOST_BYTES = 4 * 1024**3
"""Of the database that is filled, and of a script. What is published has 15 MB."""
MOST_SAID = 16 * 1024**2
"""Bytes of messages."""
LOOK_SECONDS = 1.0
ENDED = "the script or archive was ended"
EXTENSIONS = ("vector",)
"""What a script may ask for that only a superuser can make: Pagila 4 has a column of it."""

_PUBLISHED = ("pagila-schema.sql", "pagila-data.sql")
_MESSAGE_LINES = 6
_COPY = re.compile(rb"\s*COPY\s.*\sFROM\s+stdin\b.*;\s*$", re.IGNORECASE)
_LEFT_OUT = re.compile(
    rb"\\(un)?restrict [A-Za-z0-9]+\s*$"  # pg_dump's own; ours holds for the whole script
    rb"|ALTER [^;]* OWNER TO [^;]*;\s*$"  # all belongs to who runs it
    rb"|(ALTER DEFAULT PRIVILEGES|GRANT|REVOKE) [^;]*;\s*$"  # who may read it is decided here
    rb"|COMMENT ON EXTENSION [^;]*;\s*$"  # for its owner alone
)
"""Lines that stand for nothing here, as pg_restore leaves them out with ``--no-owner`` and ``--no-privileges``."""


def published_scripts(path: Path) -> list[Path]:
    """The scripts of a folder of Pagila, in their order, or the one that is named.

    Raises:
        SourceDatabaseError: The folder lacks one.
    """
    if not path.is_dir():
        return [path]
    scripts = [path / name for name in _PUBLISHED]
    if missing := [script.name for script in scripts if not script.is_file()]:
        raise SourceDatabaseError(
            f"{path} lacks {' and '.join(missing)}: give Pagila's folder with both, or one script"
        )
    return scripts


def run_script(settings: Settings, script: Path, target: PostgresTarget) -> None:
    """Run a script to its end as the target's login.

    Raises:
        SourceDatabaseError: It needs a meta-command, has a faulty statement, or takes too long or too much room.
    """
    if script.stat().st_size > MOST_BYTES:
        raise SourceDatabaseError(f"{script} has more than {MOST_BYTES:,} bytes")
    program = postgres_binary(settings.home_dir, "psql")
    # FETCH_COUNT: what a script selects is not gathered in memory.
    variables = ("ON_ERROR_STOP=1", "FETCH_COUNT=1000", "VERBOSITY=terse")
    options = ["--no-psqlrc", "--quiet", "--no-password", *(f"--set={one}" for one in variables), "--file=-"]
    key = secrets.token_hex(24)
    with tempfile.TemporaryFile() as prepared:
        with script.open("rb") as lines:
            prepared.write(f"\\restrict {key}\n".encode())
            prepared.writelines(_prepared(lines))
            prepared.write(f"\n\\unrestrict {key}\n".encode())
        prepared.seek(0)
        code, said = run_client(settings, [program, *options], target, prepared)
    if code != 0:
        raise SourceDatabaseError(_why(script, said, str(program)))


def make_extensions(admin: PostgresTarget, scripts: Sequence[Path]) -> None:
    """Make what only a superuser can and these scripts ask for, in the admin's target."""
    wanted = set()
    for script in scripts:
        with script.open("rb") as lines:
            for line in lines:
                if found := re.match(rb"CREATE EXTENSION (?:IF NOT EXISTS )?\"?(\w+)", line):
                    wanted.add(found[1].decode())
    if chosen := wanted.intersection(EXTENSIONS):
        with connect(admin, role=None) as conn:
            conn.execute("SET search_path = pg_catalog")
            for name in sorted(chosen):
                conn.execute(SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA public").format(Identifier(name)))


def _prepared(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The script, line by line, with empty ones for those that are left out: numbers stay."""
    in_data = False
    for line in lines:
        if in_data:
            in_data = line.rstrip() != b"\\."
        else:
            in_data = _COPY.match(line) is not None
            if _LEFT_OUT.match(line):
                line = b"\n"
        yield line


def _why(script: Path, said: str, program: str) -> str:
    """Which line a script stopped at, and why; a meta-command by its name."""
    if "invalid command \\restrict" in said:
        return (
            f"{program} does not know \\restrict, without which a script could run commands on this machine: take psql "
            "17.6, 18 or newer (CINESTREAM_POSTGRES_BINARIES)"
        )
    stopped = re.search(r"^psql:<stdin>:(\d+): (.*)$", said, re.MULTILINE)
    if stopped and "backslash commands are restricted" in stopped[2]:
        number = int(stopped[1]) - 1  # the first line is ours
        return (
            f"{script} needs the meta-command {_meta_command(script, number)} of psql (line {number}): only SQL of a "
            "script is run here. Nothing was changed. Take the command out of it, or run it yourself and name the "
            "database by CINESTREAM_DVDRENTAL_HOST."
        )
    lines = re.sub(r"psql:<stdin>:(\d+): ", lambda found: f"line {int(found[1]) - 1}: ", said).strip().splitlines()
    return f"{script} could not be run, and nothing was changed: {bounded(' / '.join(lines[:_MESSAGE_LINES]), 1_000)}"


def _meta_command(script: Path, number: int) -> str:
    with script.open("rb") as lines:
        line = next((line for count, line in enumerate(lines, start=1) if count == number), b"")
    found = re.search(rb"\\(\w+|[^\s\w])", line)
    return found[0].decode(errors="replace")[:20] if found else "\\?"


def run_client(
    settings: Settings, command: Sequence[str | Path], target: PostgresTarget | None, script: BinaryIO | None = None
) -> tuple[int, str]:
    """Run psql or pg_restore, with nothing of the caller's environment; exit code and what it said.

    Raises:
        SourceDatabaseError: It was ended, for it took too long, said too much, or filled the database beyond the limit.
        DiskFullError: A disk is nearly full.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory(prefix="cinestream-") as folder:
        process = subprocess.Popen(
            command,
            env=target.client_environment() | session_environment() if target else {},
            cwd=folder,
            stdin=script or subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            _watch(settings, process, target, said)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        return process.returncode, said.read(MOST_SAID).decode(errors="replace")


def _watch(
    settings: Settings, process: "subprocess.Popen[bytes]", target: PostgresTarget | None, said: BinaryIO
) -> None:
    """Wait for the end of a program that is within its limits."""
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            process.wait(LOOK_SECONDS)
            return
        except subprocess.TimeoutExpired:
            keep_room(settings)
        if time.monotonic() > deadline:
            raise SourceDatabaseError(f"{ENDED} after {MOST_SECONDS:,.0f} s, the most it may take; nothing was changed")
        if (size := _size(settings, target)) > MOST_BYTES:
            raise SourceDatabaseError(f"{ENDED} with {size:,} bytes in the database; nothing was changed")
        if os.fstat(said.fileno()).st_size > MOST_SAID:
            raise SourceDatabaseError(f"{ENDED} after {MOST_SAID:,} bytes of messages; nothing was changed")


def _size(settings: Settings, target: PostgresTarget | None) -> int:
    if target is None:
        return 0
    size = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s"
    with connect(PostgresTarget.started(settings), role=None) as conn:
        row = conn.execute(size, (target.database,)).fetchone()
    return int(row[0]) if row else 0
