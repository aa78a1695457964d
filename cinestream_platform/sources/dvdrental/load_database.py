"""Making the operational dvdrental database on the warehouse's server: from the published archive, or generated.

What belongs here: who owns such a database, who may read it, and that readers see all of it or nothing. It is filled
under another name by a role of its own, ``dvdrental_owner``, who can log in only meanwhile: an archive is SQL of
somebody else's, which must not run as the server's superuser.
"""

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier
from pydantic import SecretStr

from cinestream_platform.lake.archives import unpack_zip
from cinestream_platform.samples import dvdrental
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, SourceDatabaseError, source_target
from cinestream_platform.warehouse import locks
from cinestream_platform.warehouse.access import password_verifier
from cinestream_platform.warehouse.connection import PostgresTarget, connect, session_environment

OWNER = "dvdrental_owner"
TURN = "load-source"
"""Name of the session that makes such a database; there is one at a time."""
ARCHIVE_MEMBER = "dvdrental.tar"
# The published archive unpacks 0.6 to 2.8 MB.
_MAX_BYTES = 1024**3
_MAX_RATIO = 50.0
_MESSAGE_LINES = 6
_PATIENCE_SECONDS = 3.0


def load_archive(settings: Settings, path: Path, *, replace: bool = False) -> bool:
    """Restore an archive of pg_dump (or a zip that holds ``dvdrental.tar``); an existing database stays as it is.

    Args:
        settings: They say where the database is.
        path: The archive.
        replace: Put it in the place of an existing database, whose sessions end.

    Returns:
        False if the database was there and is left alone but for its reader's rights.

    Raises:
        SourceDatabaseError: There is no such file, it is no such archive, it could not be restored, or the place is
            not ours to write. The database is as it was.
        UnsafeArchiveError, CorruptArchiveError: The zip must not or cannot be unpacked.
    """
    _refuse_foreign(settings)
    if not path.is_file():
        raise SourceDatabaseError(f"there is no file {path}")
    with _unpacked(path.resolve()) as archive:
        _pg_restore(settings, ["--list", archive], path)

        def restore(target: PostgresTarget) -> None:
            options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", "--no-password"]
            _pg_restore(settings, [*options, f"--dbname={target.database}", archive], path, target)

        return _load(settings, restore, replace=replace)


def load_sample(
    settings: Settings,
    *,
    scale: float = 1.0,
    seed: int = 1,
    dirt: bool = True,
    variant: dvdrental.Variant = "dvdrental",
    replace: bool = False,
) -> dvdrental.Sample | None:
    """Generate a database, as ``samples.dvdrental`` does; None if one was there and is left alone.

    Raises:
        SourceDatabaseError: The place is not ours to write. The database is as it was.
    """
    _refuse_foreign(settings)
    made: list[dvdrental.Sample] = []

    def fill(target: PostgresTarget) -> None:
        with connect(target, role=None) as conn:
            made.append(dvdrental.generate(conn, scale=scale, seed=seed, dirt=dirt, variant=variant))

    return made[0] if _load(settings, fill, replace=replace) else None


def _refuse_foreign(settings: Settings) -> None:
    if settings.dvdrental_host:
        raise SourceDatabaseError(
            f"CINESTREAM_DVDRENTAL_HOST names {settings.dvdrental_host}: the operational database there is not ours to "
            "write. Unset it to have one on the warehouse's server."
        )


# ---- the archive -----------------------------------------------------------------------------------------------------


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The archive itself, taken out of its zip if it is in one."""
    if path.suffix.lower() != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cinestream-") as folder:
        members = unpack_zip(path, Path(folder), max_bytes=_MAX_BYTES, max_ratio=_MAX_RATIO)
        names = [member.relative_to(folder).as_posix() for member in members]
        if names != [ARCHIVE_MEMBER]:
            raise SourceDatabaseError(f"{path} holds {', '.join(names) or 'nothing'}, not {ARCHIVE_MEMBER} alone")
        yield members[0]


def _pg_restore(
    settings: Settings, arguments: list[str | Path], path: Path, target: PostgresTarget | None = None
) -> None:
    program = postgres_binary(settings.home_dir, "pg_restore")
    done = subprocess.run(
        [program, *arguments],
        # Nothing of the caller's environment: PG* variables and service files would turn it elsewhere.
        env=target.client_environment() | session_environment() if target else {},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = " / ".join(done.stderr.strip().splitlines()[-_MESSAGE_LINES:])
        what = "could not be restored, and nothing was changed" if target else "is no archive of pg_dump"
        remedy = (
            f" {program} is too new for this server: set CINESTREAM_POSTGRES_BINARIES to the bin folder of its version."
            if "transaction_timeout" in said
            else ""
        )
        raise SourceDatabaseError(f"{path} {what}: {said}{remedy}")


# ---- the database ----------------------------------------------------------------------------------------------------


def _load(settings: Settings, fill: Callable[[PostgresTarget], None], *, replace: bool) -> bool:
    """Make the database by ``fill``, or find it made."""
    reader, admin = source_target(settings), PostgresTarget.from_settings(settings)
    with connect(admin, role=None) as conn, _named_rights(admin):
        # The server may take a moment to notice that the connection of one that was killed is closed.
        if not locks.sole_session(conn, TURN, wait_seconds=_PATIENCE_SECONDS):
            raise SourceDatabaseError("another cinestream load-source is at work; wait for it, then try again")
        _ensure_role(conn, OWNER)
        _ensure_role(conn, reader.user)
        _let_log_in(conn, reader.user, reader.password)
        conn.execute(_statement("ALTER ROLE {} SET default_transaction_read_only = on", reader.user))
        if _is_ours(conn, reader.database) and not replace:
            with connect(with_changes(admin, database=reader.database), role=None) as inside:
                inside.execute(_statement("SET ROLE {}", OWNER))
                _let_read(inside, reader.user, settings.dvdrental_schema)
            return False
        _build(conn, admin, reader, settings.dvdrental_schema, fill)
        return True


def _build(
    conn: Connection[Any],
    admin: PostgresTarget,
    reader: PostgresTarget,
    schema: str,
    fill: Callable[[PostgresTarget], None],
) -> None:
    """Fill a database of another name, then give it the name; a half-made one is dropped."""
    password = SecretStr(secrets.token_urlsafe(24))
    making = with_changes(admin, database=f"{reader.database}_loading", user=OWNER, password=password)
    try:
        _drop(conn, making.database)  # a killed load's
        conn.execute(
            _statement("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0", making.database, OWNER)
        )
        _let_log_in(conn, OWNER, password)
        fill(making)
        with connect(making, role=None) as inside:
            _check_tables(inside, schema)
            _let_read(inside, reader.user, schema)
            inside.execute("ANALYZE")
        _drop(conn, reader.database)
        conn.execute(_statement("ALTER DATABASE {} RENAME TO {}", making.database, reader.database))
    finally:
        conn.execute(_statement("ALTER ROLE {} NOLOGIN PASSWORD NULL", OWNER))
        _drop(conn, making.database)


def _statement(text: str, *names: str) -> Composed:
    return SQL(text).format(*map(Identifier, names))  # the texts are this module's


def _ensure_role(conn: Connection[Any], role: str) -> None:
    if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        conn.execute(_statement("CREATE ROLE {}", role))
    # Who is no superuser can give away a database, and end a session, only as a member of the role in question.
    conn.execute(_statement("GRANT {} TO CURRENT_USER", role))


def _let_log_in(conn: Connection[Any], role: str, password: SecretStr) -> None:
    verifier = password_verifier(conn, role, password)
    conn.execute(_statement("ALTER ROLE {} LOGIN", role) + SQL(" PASSWORD {}").format(verifier))


def _is_ours(conn: Connection[Any], database: str) -> bool:
    """Whether the database exists and was made here; one of somebody else's is never touched.

    Raises:
        SourceDatabaseError: It exists and belongs to somebody else: the warehouse itself, for instance.
    """
    row = conn.execute(
        "SELECT rolname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE datname = %s", (database,)
    ).fetchone()
    if row and row[0] != OWNER:
        raise SourceDatabaseError(
            f"database {database} belongs to {row[0]}: it was not made by cinestream load-source, and is left alone. "
            "Set CINESTREAM_DVDRENTAL_DATABASE to another name, or, to read this one, CINESTREAM_DVDRENTAL_HOST."
        )
    return row is not None


def _drop(conn: Connection[Any], database: str) -> None:
    if _is_ours(conn, database):
        conn.execute(_statement("DROP DATABASE {} WITH (FORCE)", database))


def _check_tables(conn: Connection[Any], schema: str) -> None:
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(format('%%I.%%I', %s::text, name)) IS NULL"
    if missing := [name for (name,) in conn.execute(query, (list(SOURCE_TABLES), schema))]:
        raise SourceDatabaseError(
            f"this is no dvdrental: schema {schema} lacks {', '.join(missing)}. Nothing was changed."
        )


def _let_read(conn: Connection[Any], reader: str, schema: str) -> None:
    """Let the reader read the schema's tables and views, those to come too, and do nothing else there.

    ``conn`` acts as the owner.
    """
    for statement in (
        _statement("REVOKE ALL ON DATABASE {} FROM PUBLIC", conn.info.dbname),
        _statement("GRANT CONNECT ON DATABASE {} TO {}", conn.info.dbname, reader),
        _statement("GRANT USAGE ON SCHEMA {} TO {}", schema, reader),
        _statement("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", schema, reader),
        _statement("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}", schema, reader),
    ):
        conn.execute(statement)
    # Every new function is everybody's to call, and these run with their owner's rights (rewards_report, for one).
    functions = (
        "SELECT format('REVOKE ALL ON ROUTINE %%s FROM PUBLIC', p.oid::regprocedure) FROM pg_proc p"
        " WHERE prosecdef AND pronamespace = %s::regnamespace AND pg_has_role(proowner, 'USAGE')"
    )
    for (revoke,) in conn.execute(functions, (Identifier(schema).as_string(conn),)).fetchall():
        conn.execute(revoke)


@contextmanager
def _named_rights(admin: PostgresTarget) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise SourceDatabaseError(
            f"{admin.user} may not make the dvdrental database on {admin.host}: {error.diag.message_primary}. Have a "
            f'DBA run: ALTER ROLE "{admin.user}" CREATEDB CREATEROLE; or name a server that has one by '
            "CINESTREAM_DVDRENTAL_HOST."
        ) from error
