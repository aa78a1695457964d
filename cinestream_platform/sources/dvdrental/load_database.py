"""Making the operational dvdrental database on the warehouse's server: from the published archive, or generated.

What belongs here: who owns such a database, who may read it, and that readers see all of it or nothing. It is filled
under another name by a login that is made for it and dropped afterwards: an archive or a script is SQL of somebody
else's, which must not run as the server's superuser, nor as who owns the database that is there. How it is run is
``foreign_sql``'s work.
"""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

from psycopg import Connection, errors
from psycopg.sql import SQL, Composed, Identifier, Literal
from pydantic import SecretStr

from cinestream_platform.declarations.connector import SourceDatabaseError
from cinestream_platform.releases.archives import unpack_zip
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental import foreign_sql
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES, source_target
from cinestream_platform.sources.dvdrental.sample import generator as dvdrental
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse import limits, locks
from cinestream_platform.warehouse.access import password_verifier
from cinestream_platform.warehouse.connection import PostgresTarget, connect

OWNER = "dvdrental_owner"
LOADER = "dvdrental_loader"
"""The login that fills a database, and owns nothing but that; it is there only meanwhile."""
TURN = "load-source"
"""Name of the session that makes such a database; there is one at a time."""
ARCHIVE_MEMBER = "dvdrental.tar"
# The published archive unpacks 0.6 to 2.8 MB.
_MAX_BYTES = 1024**3
_MAX_RATIO = 50.0
_MESSAGE_LINES = 6
_PATIENCE_SECONDS = 3.0
READER_SHARE = 0.1
"""Part of the server's connections that the reader may have; an extraction takes a few."""


def load_archive(settings: Settings, path: Path, *, replace: bool = False) -> bool:
    """Restore an archive of pg_dump (or a zip that holds ``dvdrental.tar``), or run a script, or Pagila's folder.

    An existing database stays as it is.

    Args:
        settings: They say where the database is.
        path: The archive, a script that ends with ``.sql``, or the folder.
        replace: Put it in the place of an existing database, whose sessions end.

    Returns:
        False if the database was there and is left alone but for its reader's rights.

    Raises:
        SourceDatabaseError: There is no such file, it is no such archive, it could not be restored or run, or the place
            is not ours to write. The database is as it was.
        UnsafeArchiveError, CorruptArchiveError: The zip must not or cannot be unpacked.
    """
    _refuse_foreign(settings)
    if not path.exists():
        raise SourceDatabaseError(f"there is no file {path}")
    if path.is_dir() or path.suffix.lower() == ".sql":
        return _run_scripts(settings, foreign_sql.published_scripts(path), replace=replace)
    with _unpacked(path.resolve()) as archive:
        _pg_restore(settings, ["--list", archive], path)

        def restore(target: PostgresTarget) -> None:
            options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", "--no-password"]
            _pg_restore(settings, [*options, f"--dbname={target.database}", archive], path, target)

        return _load(settings, restore, replace=replace)


def _run_scripts(settings: Settings, scripts: list[Path], *, replace: bool) -> bool:
    def run(target: PostgresTarget) -> None:
        admin = PostgresTarget.started(settings)
        foreign_sql.make_extensions(with_changes(admin, database=target.database), scripts)
        for script in scripts:
            foreign_sql.run_script(settings, script, target)
        _check_tables(target, settings.own(DvdrentalSettings).schema_name, scripts[-1])

    return _load(settings, run, replace=replace)


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
    if host := settings.own(DvdrentalSettings).host:
        raise SourceDatabaseError(
            f"CINESTREAM_DVDRENTAL_HOST names {host}: the operational database there is not ours to "
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
    code, messages = foreign_sql.run_client(settings, [program, *arguments], target)
    if code != 0:
        said = " / ".join(messages.strip().splitlines()[-_MESSAGE_LINES:])
        what = "could not be restored, and nothing was changed" if target else "is not an archive of pg_dump"
        remedy = (
            f" {program} is too new for this server: set CINESTREAM_POSTGRES_BINARIES to the bin folder of its version."
            if "transaction_timeout" in said
            else ""
        )
        raise SourceDatabaseError(f"{path} {what}: {said}{remedy}")


# ---- the database ----------------------------------------------------------------------------------------------------


def _load(settings: Settings, fill: Callable[[PostgresTarget], None], *, replace: bool) -> bool:
    """Make the database by ``fill``, or find it made."""
    reader, admin = source_target(settings), PostgresTarget.started(settings)
    with connect(admin, role=None) as conn, _named_rights(admin):
        # The server may take a moment to notice that the connection of one that was killed is closed.
        if not locks.sole_session(conn, TURN, wait_seconds=_PATIENCE_SECONDS):
            raise SourceDatabaseError("another cinestream load-source is at work; wait for it, then try again")
        _ensure_role(conn, OWNER)
        _ensure_role(conn, reader.user)
        _let_log_in(conn, reader.user, reader.password)
        conn.execute(_statement("ALTER ROLE {} SET default_transaction_read_only = on", reader.user))
        _limit(conn, reader.user)
        if _is_ours(conn, reader.database) and not replace:
            with _inside(admin, reader.database) as inside:
                limits.apply_where_possible(inside, limits.open_functions(inside))
                inside.execute(_statement("SET ROLE {}", OWNER))
                _let_read(inside, reader.user, settings.own(DvdrentalSettings).schema_name)
            return False
        _build(conn, admin, reader, settings.own(DvdrentalSettings).schema_name, fill)
        return True


def _build(
    conn: Connection[Any],
    admin: PostgresTarget,
    reader: PostgresTarget,
    schema: str,
    fill: Callable[[PostgresTarget], None],
) -> None:
    """Fill a database of another name, then give it to its owner and the name to it; a half-made one is dropped."""
    password = SecretStr(secrets.token_urlsafe(24))
    making = with_changes(admin, database=f"{reader.database}_loading", user=LOADER, password=password)
    _forget_loading(conn, making.database)  # a killed load's
    try:
        _ensure_role(conn, LOADER)
        _let_log_in(conn, LOADER, password)
        conn.execute(
            _statement("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0", making.database, LOADER)
        )
        conn.execute(_statement("REVOKE ALL ON DATABASE {} FROM PUBLIC", making.database))
        fill(making)
        _check_tables(making, schema)
        with _inside(admin, making.database) as inside:
            # The database first: only its owner may create in schema public, and Postgres goes on in any order.
            inside.execute(_statement("ALTER DATABASE {} OWNER TO {}", making.database, OWNER))
            inside.execute(_statement("REASSIGN OWNED BY {} TO {}", LOADER, OWNER))
            limits.apply_where_possible(inside, limits.open_functions(inside))
            inside.execute(_statement("DROP OWNED BY {}", LOADER))  # what it had granted, and rights it was granted
            inside.execute(_statement("SET ROLE {}", OWNER))
            _let_read(inside, reader.user, schema)
            inside.execute("ANALYZE")
        _drop(conn, reader.database)
        conn.execute(_statement("ALTER DATABASE {} RENAME TO {}", making.database, reader.database))
    finally:
        _forget_loading(conn, making.database)


def _forget_loading(conn: Connection[Any], database: str) -> None:
    """Drop a database that is being filled, and the login that fills it."""
    _drop(conn, database)
    conn.execute(_statement("DROP ROLE IF EXISTS {}", LOADER))


@contextmanager
def _inside(admin: PostgresTarget, database: str) -> Iterator[Connection[Any]]:
    """A session in a database of somebody else's making: no function there is taken for one of Postgres' own."""
    with connect(with_changes(admin, database=database), role=None) as conn:
        conn.execute("SET search_path = pg_catalog")
        yield conn


def _statement(text: str, *names: str) -> Composed:
    return SQL(text).format(*map(Identifier, names))  # the texts are this module's


def _ensure_role(conn: Connection[Any], role: str) -> None:
    if not conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        conn.execute(_statement("CREATE ROLE {}", role))
    # Who is not a superuser can give away a database, and end a session, only as a member of the role in question.
    conn.execute(_statement("GRANT {} TO CURRENT_USER", role))


def _let_log_in(conn: Connection[Any], role: str, password: SecretStr) -> None:
    verifier = password_verifier(conn, role, password)
    conn.execute(_statement("ALTER ROLE {} LOGIN", role) + SQL(" PASSWORD {}").format(verifier))


def _limit(conn: Connection[Any], reader: str) -> None:
    """Leave the platform its share of the server's connections; its own login may be the reader."""
    if reader != conn.info.user:
        limit = Literal(limits.connection_limit(conn, READER_SHARE))
        conn.execute(_statement("ALTER ROLE {}", reader) + SQL(" CONNECTION LIMIT {}").format(limit))


def _is_ours(conn: Connection[Any], database: str) -> bool:
    """Whether the database exists and was made here; one of somebody else's is never touched.

    Raises:
        SourceDatabaseError: It exists and belongs to somebody else: the warehouse itself, for instance.
    """
    row = conn.execute(
        "SELECT rolname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE datname = %s", (database,)
    ).fetchone()
    if row and row[0] not in (OWNER, LOADER):
        raise SourceDatabaseError(
            f"database {database} belongs to {row[0]}: it was not made by cinestream load-source, and is left alone. "
            "Set CINESTREAM_DVDRENTAL_DATABASE to another name, or, to read this one, CINESTREAM_DVDRENTAL_HOST."
        )
    return row is not None


def _drop(conn: Connection[Any], database: str) -> None:
    if _is_ours(conn, database):
        conn.execute(_statement("DROP DATABASE {} WITH (FORCE)", database))


def _check_tables(target: PostgresTarget, schema: str, script: Path | None = None) -> None:
    """See as who filled it that all tables are there, and, of a ``script``, that it brought films.

    Raises:
        SourceDatabaseError: It is not a dvdrental, or an empty one.
    """
    query = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(format('%%I.%%I', %s::text, name)) IS NULL"
    with connect(target, role=None) as conn:
        if missing := [name for (name,) in conn.execute(query, (list(SOURCE_TABLES), schema))]:
            raise SourceDatabaseError(
                f"this is not a dvdrental: schema {schema} lacks {', '.join(missing)}. Nothing was changed."
            )
        if script and not conn.execute(SQL("SELECT 1 FROM {} LIMIT 1").format(Identifier(schema, "film"))).fetchone():
            raise SourceDatabaseError(
                f"{script} has made tables without rows. Nothing was changed. Pagila's rows have their own script: "
                "give the folder that has both."
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
