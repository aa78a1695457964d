"""Applying the numbered SQL files of ``migrations/`` once each, and remembering which ran (``ops.migration``).

What belongs here: finding what a database still needs, applying it, and refusing a database of another version.
What does not: declared tables, which ``ddl`` creates and evolves.

A file is named ``NNNN_words.sql``. It runs as the role ``data_engineer``, in one transaction with the row that records
it, so that a process that is killed leaves all of it or nothing. A fresh database runs every file. Therefore a file
that changes a declared table says ``ALTER TABLE IF EXISTS``: declared tables are created afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any

from psycopg import Connection, errors

from cinestream_platform.errors import CineStreamError
from cinestream_platform.warehouse import locks

NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
HOME = files("cinestream_platform.warehouse").joinpath("migrations")


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of its text: a file that ran must not be changed afterwards."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


class WarehouseVersionError(CineStreamError):
    """This version of the platform cannot work on the database as it is."""


class UpgradeNeededError(WarehouseVersionError):
    """The database holds data of an earlier version; ``cinestream upgrade`` brings it up to date."""


class OtherVersionError(WarehouseVersionError):
    """The database was upgraded by a newer version, or a migration was changed after it ran."""


def declared_migrations(folder: Traversable = HOME) -> list[Migration]:
    """The files of the folder in the order of their numbers.

    Raises:
        ValueError: Two files have the same number.
    """
    named = [(path, NAME.fullmatch(path.name)) for path in folder.iterdir()]
    found = sorted(
        (Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")) for path, match in named if match),
        key=lambda migration: migration.number,
    )
    for one, next_one in pairwise(found):
        if one.number == next_one.number:
            raise ValueError(f"migrations {one} and {next_one} have the same number")
    return found


def needed_migrations(conn: Connection[Any], migrations: Sequence[Migration]) -> list[Migration]:
    """The migrations that this database has not seen.

    Raises:
        OtherVersionError: The database knows a migration that this version does not, or with another text.
    """
    applied = _applied(conn)
    known = {migration.number: migration for migration in migrations}
    for number, (name, sha256) in applied.items():
        if number not in known:
            raise OtherVersionError(
                f"the warehouse was upgraded by a newer version of the platform (migration {number:04d}_{name}). "
                "Use that version, or restore a backup from before the upgrade."
            )
        if known[number].sha256 != sha256:
            raise OtherVersionError(
                f"migration {known[number]} was changed after this warehouse ran it. Restore the file and write the "
                "change as a new migration."
            )
    return [migration for migration in migrations if migration.number not in applied]


def is_fresh(conn: Connection[Any]) -> bool:
    """Whether the platform never finished preparing this database, so that it holds no data of an earlier version."""
    row = conn.execute("SELECT obj_description(to_regnamespace('ops')::oid, 'pg_namespace') IS NULL").fetchone()
    return bool(row and row[0])


def apply_migrations(conn: Connection[Any], migrations: Sequence[Migration]) -> list[str]:
    """Run what is needed, each in one transaction with its record; what ran, in words.

    ``conn`` is in autocommit mode and acts as the owner. Of several processes one runs a migration, the others wait.

    Raises:
        OtherVersionError: This database is of another version.
    """
    _ensure_record(conn)
    changes: list[str] = []
    while migration := _apply_next(conn, migrations):
        changes.append(f"applied migration {migration}")
    return changes


def _ensure_record(conn: Connection[Any]) -> None:
    """Create ``ops.migration`` where it is missing."""
    if _has_record(conn):
        return
    try:
        with conn.transaction():
            conn.execute("CREATE SCHEMA IF NOT EXISTS ops")
            conn.execute(
                """
                CREATE TABLE ops.migration (
                    number integer PRIMARY KEY,
                    name text NOT NULL,
                    sha256 text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
                )
                """
            )
            conn.execute("COMMENT ON TABLE ops.migration IS 'SQL files that ran. Grain: one row per migration.'")
    except (errors.UniqueViolation, errors.DuplicateTable, errors.DuplicateSchema):
        if not _has_record(conn):  # another process has made the schema and is not done
            _ensure_record(conn)


def _apply_next(conn: Connection[Any], migrations: Sequence[Migration]) -> Migration | None:
    """Run the first migration that is needed; ``None`` where none is."""
    with conn.transaction():
        locks.lock_migrations(conn)
        for migration in needed_migrations(conn, migrations):
            conn.execute(migration.sql.encode())
            conn.execute(
                "INSERT INTO ops.migration (number, name, sha256) VALUES (%s, %s, %s)",
                (migration.number, migration.name, migration.sha256),
            )
            return migration
    return None


def _applied(conn: Connection[Any]) -> dict[int, tuple[str, str]]:
    """Number to name and hash of the migrations that ran here."""
    if not _has_record(conn):
        return {}
    rows = conn.execute("SELECT number, name, sha256 FROM ops.migration").fetchall()
    return {number: (name, sha256) for number, name, sha256 in rows}


def _has_record(conn: Connection[Any]) -> bool:
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'ops' AND c.relname = 'migration')"
    ).fetchone()
    return bool(row and row[0])
