"""The checks of ``cinestream doctor`` that look at services: Postgres, the object stores, Dagster, dbt.

What is missing and may be made is made (tables, roles, Dagster's database), as every other command does too.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg

from cinestream_platform.catalog import CATALOG, MART_SCHEMAS, PREDICTIONS, TABLES
from cinestream_platform.commands.findings import FAILED, OK, SKIPPED, WARNING, Finding
from cinestream_platform.commands.instance import NoDagsterDatabaseError, ensure_dagster_database, prepare_instance
from cinestream_platform.declarations.connector import OperationalSystem, SourceDatabaseError, SourceDriftError
from cinestream_platform.lake.store import KeyChangedError, NoConditionsError, ObjectStore, open_lake, open_landing
from cinestream_platform.lake.store_errors import explain, is_store_error, location_of
from cinestream_platform.marts.project import manifest_path
from cinestream_platform.messages import counted, describe, first_of
from cinestream_platform.services.logins import login_secrets
from cinestream_platform.services.process import PostgresServiceError
from cinestream_platform.settings import Settings, SettingsError
from cinestream_platform.warehouse import limits
from cinestream_platform.warehouse.access import ROLES, MissingRightError, drift, login_name
from cinestream_platform.warehouse.connection import PostgresTarget, PostgresUnreachableError, connect, tls_remedy
from cinestream_platform.warehouse.ddl import SchemaDriftError
from cinestream_platform.warehouse.migrate import WarehouseVersionError
from cinestream_platform.warehouse.open_views import view_drift
from cinestream_platform.warehouse.role_drift import differences, path_drift
from cinestream_platform.warehouse.setup import make_roles, prepare_warehouse

Check = Callable[[], Iterator[Finding]]
SHOWN_GRANTS = 3
NO_CONDITIONS = ", but the server knows no conditional put: `land` may replace what others land in the same moment"


class ServiceChecks:
    """Checks in the order in which one needs the other; those that a failure leaves without ground are skipped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._target: PostgresTarget | None = None
        self._is_prepared = False
        self._has_dagster_database = False

    def all(self) -> Iterator[tuple[str, Check]]:
        """Name and check, in order."""
        yield "postgres", self.postgres
        yield "rights", self.rights
        yield "warehouse", self.warehouse
        yield "roles", self.roles
        yield "grants", self.grants
        yield "server", self.server
        yield "landing", lambda: self.store("landing", lambda: open_landing(self._settings), "CINESTREAM_LANDING_URL")
        yield "lake", lambda: self.store("lake", lambda: open_lake(self._settings), "CINESTREAM_LAKE_URL")
        yield "dagster database", self.dagster_database
        yield "dagster", self.dagster
        yield "dbt", self.dbt
        for system in CATALOG.systems:
            yield "source database", partial(self.source_database, system)
        yield "files", self.files

    def postgres(self) -> Iterator[Finding]:
        """Reachable, and new enough."""
        try:
            target = PostgresTarget.started(self._settings)
            with connect(target, role=None) as conn:
                version = conn.execute("SHOW server_version").fetchone() or ("?",)
        except PostgresServiceError as error:
            yield Finding(FAILED, "postgres", str(error))
        except PostgresUnreachableError as error:
            yield Finding(FAILED, "postgres", *_unreachable(error, target))
        else:
            self._target = target
            kind = "external" if self._settings.postgres_host else "embedded"
            yield Finding(OK, "postgres", f"{version[0]}, {kind}, {target}")

    def rights(self) -> Iterator[Finding]:
        """What the login may do."""
        if self._target is None:
            yield Finding(SKIPPED, "rights", "without Postgres")
            return
        with connect(self._target, role=None) as conn:
            row = conn.execute(
                "SELECT rolsuper, rolcreaterole, has_database_privilege(current_database(), 'CREATE')"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        is_superuser, may_make_roles, may_create = row or (False, False, False)
        has = ["superuser"] if is_superuser else []
        has += ["CREATEROLE"] if may_make_roles else []
        has += ["CREATE on the database"] if may_create else []
        text = f"{self._target.user}: {', '.join(has) or 'none'}"
        if is_superuser or (may_make_roles and may_create):
            yield Finding(OK, "rights", text)
        else:
            remedy = f'let it own the database, and have a DBA run: ALTER ROLE "{self._target.user}" CREATEROLE;'
            yield Finding(WARNING, "rights", f"{text}; a DBA must make what is missing", remedy)

    def warehouse(self) -> Iterator[Finding]:
        """Tables and ledger as declared; made where they are missing."""
        if self._target is None:
            yield Finding(SKIPPED, "warehouse", "without Postgres")
            return
        try:
            logins = login_secrets(self._settings)
            changes = prepare_warehouse(self._target, TABLES, MART_SCHEMAS, logins, PREDICTIONS)
        except (SchemaDriftError, MissingRightError, PostgresUnreachableError, WarehouseVersionError) as error:
            yield Finding(FAILED, "warehouse", str(error))
            return
        self._is_prepared = True
        done = f" ({counted(len(changes), 'change')} made now)" if changes else ""
        yield Finding(OK, "warehouse", f"{len(TABLES)} tables and the ledger are as declared{done}")

    def source_database(self, system: OperationalSystem) -> Iterator[Finding]:
        """An operational system; none is no fault, for not everybody has that source."""
        name = "source database"
        try:
            is_named = bool(system.own and system.own().named_host(self._settings))
            connector = system.connect(self._settings)
        except SettingsError as error:
            yield Finding(FAILED, name, str(error))
            return
        except SourceDatabaseError as error:
            yield Finding(FAILED if is_named else SKIPPED, name, str(error))
            return
        try:
            with connector.read(system.feeds) as reader:
                found = f"{len(system.feeds)} tables, {len(reader.moment.columns)} in all"
            yield Finding(OK, name, f"{connector.address}: {found}")
        except SourceDriftError as error:
            yield Finding(FAILED, name, str(error))
        except connector.passing_faults as error:
            yield Finding(FAILED if is_named else SKIPPED, name, describe(error))

    def roles(self) -> Iterator[Finding]:
        """Group roles exist, and every login that there is a secret for is let in."""
        if self._target is None or not self._is_prepared:
            yield Finding(SKIPPED, "roles", "without a prepared warehouse")
            return
        secrets = login_secrets(self._settings)
        with connect(self._target, role=None) as conn:
            known = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles")}
            missing = [role for role in ROLES if role not in known]
            refused = [role for role in secrets if self._refusal(role)]
            if missing or refused:
                try:
                    make_roles(conn, secrets)
                except MissingRightError as error:
                    yield Finding(FAILED, "roles", str(error))
                    return
        reasons = [f"{login_name(role)}: {reason}" for role in refused if (reason := self._refusal(role))]
        made = [*missing, *(login_name(role) for role in refused)]
        if reasons:
            yield Finding(FAILED, "roles", "; ".join(reasons), "may these logins connect (pg_hba.conf)?")
        else:
            logins = f"logins: {', '.join(secrets) or 'none (CINESTREAM_LOGIN_<ROLE>_PASSWORD makes them)'}"
            anew = f"; made or given their password anew: {', '.join(made)}" if made else ""
            yield Finding(OK, "roles", f"{len(ROLES)} group roles; {logins}{anew}")

    def _refusal(self, role: str) -> str | None:
        """Why a role's login is not let in; ``None`` if it is."""
        if self._target is None:
            return None
        login = replace(self._target, user=login_name(role), password=login_secrets(self._settings)[role])
        try:
            psycopg.connect(login.conninfo()).close()
        except psycopg.OperationalError as error:
            busy = "too many connections" in str(error)  # its limit acts: the login itself is good
            return None if busy else _reason(error)
        return None

    def grants(self) -> Iterator[Finding]:
        """Who may read what is as declared."""
        if self._target is None or not self._is_prepared:
            yield Finding(SKIPPED, "grants", "without a prepared warehouse")
            return
        with connect(self._target) as conn, connect(self._target, role=None) as as_login:
            missing, surplus = drift(conn, TABLES, MART_SCHEMAS)
            views = view_drift(conn, TABLES)
            others = differences(as_login, TABLES, MART_SCHEMAS, self._settings.role_members)
            others += path_drift(as_login, TABLES, MART_SCHEMAS, self._settings.role_members)
        found = [f"missing: {grant}" for grant in missing] + [f"nobody declared: {grant}" for grant in surplus]
        found += [*views, *map(str, others)]
        if found:
            text = first_of(found, SHOWN_GRANTS, "; ")
            yield Finding(FAILED, "grants", text, "cinestream roles shows all, cinestream roles --apply mends them")
        else:
            yield Finding(OK, "grants", "as declared")

    def server(self) -> Iterator[Finding]:
        """Nobody can take the platform's place on the server; what this login may not see to is a DBA's."""
        if self._target is None or not self._is_prepared:
            yield Finding(SKIPPED, "server", "without a prepared warehouse")
            return
        databases = [self._settings.postgres_dagster_database]
        with connect(self._target, role=None) as conn:
            limits.apply_where_possible(conn, limits.wanted(conn, databases))
            left = [f"{statement.as_string(conn)};" for statement in limits.wanted(conn, databases)]
        if left:
            are = counted(len(left), "right or limit is", "rights and limits are")
            text = f"{are} not as declared, and {self._target.user} may not set that"
            yield Finding(WARNING, "server", text, f"have a DBA run in this database: {' '.join(left)}")
        else:
            yield Finding(OK, "server", "logins have limits, and nobody else is let in")

    def store(self, name: str, opened: Callable[[], ObjectStore], setting: str) -> Iterator[Finding]:
        """Listable; the lake, and a landing folder, writable too (the landing bucket may be read-only for us)."""
        store = None
        try:
            store = opened()
            next(iter(store.list()), None)
            writable = store.is_folder or name == "lake"
            conditions = _probe(store) if writable else ""
        except Exception as error:
            if not (is_store_error(error) or isinstance(error, (OSError, ValueError))):
                raise
            url = location_of(store) if store else setting
            yield Finding(FAILED, name, *explain(error, url, setting))
        else:
            yield Finding(
                OK, name, f"{location_of(store)} can be listed{' and written' if writable else ''}{conditions}"
            )

    def dagster_database(self) -> Iterator[Finding]:
        """Dagster's own database."""
        if self._target is None:
            yield Finding(SKIPPED, "dagster database", "without Postgres")
            return
        name = self._settings.postgres_dagster_database
        try:
            made = ensure_dagster_database(self._settings)
            with connect(replace(self._target, database=name), role=None) as conn:
                may = conn.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
        except (NoDagsterDatabaseError, PostgresUnreachableError) as error:
            yield Finding(FAILED, "dagster database", str(error))
            return
        if may and not may[0]:
            remedy = f'have a DBA run: ALTER DATABASE "{name}" OWNER TO "{self._target.user}";'
            yield Finding(FAILED, "dagster database", f"{self._target.user} may not create tables in {name}", remedy)
            return
        self._has_dagster_database = True
        yield Finding(OK, "dagster database", f"{name}{' (made now)' if made else ''}")

    def dagster(self) -> Iterator[Finding]:
        """The instance of this home loads."""
        if not self._has_dagster_database:
            yield Finding(SKIPPED, "dagster", "without its database")
            return
        prepare_instance(self._settings)
        from dagster import DagsterInstance

        with DagsterInstance.get() as instance:
            runs = instance.get_runs_count()
        yield Finding(OK, "dagster", f"instance in {self._settings.home_dir / 'dagster'}, {runs:,} runs")

    def dbt(self) -> Iterator[Finding]:
        """The manifest that the definitions read."""
        path = manifest_path(self._settings)
        if path.is_file():
            yield Finding(OK, "dbt", f"{path}")
        else:
            remedy = "cinestream prepare makes it (cinestream demo and ui do so by themselves)"
            yield Finding(WARNING, "dbt", f"{path} is missing, so the definitions cannot load", remedy)

    def files(self) -> Iterator[Finding]:
        """Files that wait for a person."""
        if self._target is None or not self._is_prepared:
            yield Finding(SKIPPED, "files", "without a prepared warehouse")
            return
        with connect(self._target) as conn:
            row = conn.execute("SELECT files_parked FROM platform.health").fetchone()
        if parked := row[0] if row else 0:
            remedy = "cinestream status says why; land them corrected, or cinestream reload KEY"
            yield Finding(WARNING, "files", f"{parked:,} parked", remedy)
        else:
            yield Finding(OK, "files", "none is parked")


def _probe(store: ObjectStore) -> str:
    """Write an object and delete it; its name begins with a dot, so that nobody ever loads it.

    Returns what is to be said of a server that puts an object over another one whatever the request's condition says.
    """
    key = f"_doctor/.probe-{uuid.uuid4().hex}" if not store.is_folder else f".doctor-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe"
        path.write_bytes(b"cinestream doctor")
        store.put_file(key, path)
        try:
            store.put_file_if(key, path, None)
        except KeyChangedError:
            said = ""
        except NoConditionsError:
            said = NO_CONDITIONS
        else:  # it took the header for one that it does not know
            said = NO_CONDITIONS
    store.delete([key])
    return said


def _reason(error: psycopg.OperationalError) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _unreachable(error: PostgresUnreachableError, target: PostgresTarget) -> tuple[str, str]:
    """What is wrong and what to do, for each way in which a Postgres may keep us out."""
    if error.__cause__ is None:
        return str(error), "install PostgreSQL 15 or newer, or unset CINESTREAM_POSTGRES_HOST for the embedded one"
    text = f"{target}: {' '.join(str(error.__cause__).split())}"
    if "password authentication failed" in text or "no password supplied" in text:
        return text, "correct CINESTREAM_POSTGRES_USER and CINESTREAM_POSTGRES_PASSWORD"
    if "does not exist" in text and "database" in text:
        return text, f'have a DBA run: CREATE DATABASE "{target.database}" OWNER "{target.user}";'
    if remedy := tls_remedy(target, text):
        return text, remedy
    if "pg_hba.conf" in text:
        return text, "have a DBA let this login and this machine in (pg_hba.conf)"
    return text, "start it, and check CINESTREAM_POSTGRES_HOST and CINESTREAM_POSTGRES_PORT"
