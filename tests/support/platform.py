"""A whole platform for one test: a database of its own, a landing zone, a lake, and Dagster in this process.

Loads and builds go through the same jobs as in production (``automation.catch_up``), so that a test sees what a user
would see; only the daemon is left out.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult, build_sensor_context
from dagster._core.storage.event_log import in_memory as events_in_memory
from dagster._core.storage.runs import in_memory as runs_in_memory
from psycopg import sql
from sqlalchemy import create_engine, event
from sqlalchemy.pool import QueuePool

from cinestream_platform.automation import catch_up
from cinestream_platform.automation.build_sensor import range_tags
from cinestream_platform.automation.jobs import build_job_of, load_job_name
from cinestream_platform.automation.landing import load_requests, scan_landing
from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG, EXTRACTS, FEEDS, SOURCES
from cinestream_platform.lake.store import ObjectStore, open_lake, open_landing
from cinestream_platform.ledger.landed_files import DueFile
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.marts import project
from cinestream_platform.marts.declared import declare
from cinestream_platform.orchestration import warehouse
from cinestream_platform.orchestration.asset import asset_key
from cinestream_platform.orchestration.resources import given, platform_resources
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support import warm

RATINGS_HEADER = "userId,movieId,rating,timestamp"
MOVIES = b'movieId,title,genres\r\n1,Toy Boat (1995),Comedy|Drama\r\n2,"Long, Winding (2001)",Drama\r\n3,No Year,(no genres listed)\r\n'
Y2005, Y2018 = 1_110_000_000, 1_530_000_000
"""Seconds in 2005-03 and 2018-06 (UTC)."""


def csv_bytes(header: str, rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file as GroupLens writes it."""
    lines = [header, *(",".join(str(value) for value in row) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def ratings_csv(rows: Iterable[tuple[object, object, object, object]]) -> bytes:
    """A ratings file of (user, movie, rating, seconds)."""
    return csv_bytes(RATINGS_HEADER, rows)


class Platform:
    """What a test does with a platform."""

    def __init__(self) -> None:
        self.settings = get_settings()
        self.target: PostgresTarget = start_and_prepare(CATALOG, self.settings)
        self.landing: ObjectStore = open_landing(get_settings())
        self.lake = open_lake(self.settings)
        self.instance = _instance()

    @cached_property
    def defs(self) -> Any:
        """The definitions for this test's settings; tests with the same settings share them."""
        settings = {name: value for name, value in os.environ.items() if name.startswith("CINESTREAM_")}
        return _definitions(frozenset((name, settings[name]) for name in settings.keys() - PLACES))

    def declare(self) -> bool:
        """Write what the catalogue says, as the sensor and the demo do; whether it differed."""
        with connect(self.target) as conn:
            return declare(conn, self.defs.resolve_asset_graph(), CATALOG, self.settings)

    @cached_property
    def nodes(self) -> Any:
        """The assets as the build sensor sees them."""
        return _nodes(self.defs.resolve_asset_graph(), datetime.now(UTC).date())

    def land(self, key: str, content: bytes) -> str:
        """Put an object into the landing zone as any S3 client would; the key."""
        if self.landing.is_folder:
            path = self.landing.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}").write_bytes(content)
            path.with_name(f".{path.name}").replace(path)
            return key
        import obstore

        obstore.put(self.landing._store, key, content)
        return key

    def land_folder(self, folder: Path) -> list[str]:
        """Land every CSV file of a release."""
        return [
            self.land(f"{feed.prefix}{path.name}", path.read_bytes())
            for feed in FEEDS
            if (path := folder / f"{feed.dataset}.csv").is_file() and feed.takes(path.name)
        ]

    def scan(self) -> int:
        """List the landing zone; how many versions are new."""
        return sum(arrival.files for arrival in scan_landing(self.settings, self.target, self.landing))

    def load(self) -> list[ExecuteInProcessResult]:
        """Enter and load everything that is due."""
        return catch_up.load_landed(self.defs, self.instance, self.settings, self.target, self.landing)

    def extract(self, *, full: bool = False) -> ExecuteInProcessResult:
        """Extract the operational database, as its sensor or schedule would ask for."""
        return self.defs.resolve_job_def(load_job_name("dvdrental")).execute_in_process(
            instance=self.instance,
            asset_selection=[asset_key(feed.table) for feed in EXTRACTS],
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "ops": {"dvdrental_extraction": {"config": {"full": full}}},
            },
        )

    def build(self, *, marts: bool = False) -> list[list[str]]:
        """Build what is stale, as the sensor would; the runs, each as its range and assets. Failures raise."""
        nodes = self.nodes
        done = []
        for source in SOURCES:
            with connect(self.target) as conn:
                state = read_state(conn)
            for span, assets in plan_builds(source, nodes, state).runs():
                wanted = [key for key in assets if marts or not nodes[key].is_mart]
                if wanted:
                    self.run(wanted, span)
                    done.append([str(span), *(key.to_user_string() for key in wanted)])
        return done

    def run(self, assets: Sequence[AssetKey], span: tuple[str, str] | None = None) -> ExecuteInProcessResult:
        """Materialize assets of their source's build job over a range of partitions."""
        source = next((key.path[0] for key in assets if key.path[0] in SOURCES), SOURCES[0])
        job = self.defs.resolve_job_def(build_job_of(source, list(assets)))
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=list(assets),
            tags=range_tags(span),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def load_and_build(self, *, marts: bool = False) -> None:
        """Load what landed and build until nothing is stale."""
        self.load()
        for _ in range(5):
            if not self.build(marts=marts):
                return
        raise AssertionError("something is stale after five builds")

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query as the warehouse's owner."""
        with connect(self.target) as conn:
            return conn.execute(statement.encode(), parameters).fetchall()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """A statement as the warehouse's owner."""
        with connect(self.target) as conn:
            conn.execute(statement.encode(), parameters)

    def scalar(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value of a query."""
        [[value]] = self.query(statement, parameters)
        return value

    def status(self, key: str) -> list[str]:
        """What became of every version of a key, oldest first."""
        return [s for (s,) in self.query("SELECT status FROM ops.landed_file WHERE key = %s ORDER BY file_id", (key,))]

    def files(self) -> list[tuple[str, str]]:
        """(key, status) of every version in the ledger, in the order in which they were entered."""
        return self.query("SELECT key, status FROM ops.landed_file ORDER BY file_id")

    def ledger_row(self, key: str) -> dict[str, Any]:
        """The newest version of a key, as the ledger has it."""
        [(row,)] = self.query(
            "SELECT to_jsonb(f) FROM ops.landed_file f WHERE key = %s ORDER BY is_newest DESC, file_id DESC LIMIT 1",
            (key,),
        )
        return row

    def reload(self, key: str) -> None:
        """Ask for a file to be read again, as ``cinestream reload``."""
        from cinestream_platform.commands.files import reload_key

        reload_key(get_settings(), key)

    def retract(self, key: str) -> None:
        """Undo a file, as ``cinestream retract``."""
        from cinestream_platform.commands.files import retract_key

        retract_key(get_settings(), key)

    def tick(self, sensor: str) -> Any:
        """One evaluation of a sensor, as the daemon's."""
        with build_sensor_context(
            instance=self.instance,
            repository_def=self.defs.get_repository_def(),
            resources=platform_resources(CATALOG, given(get_settings())),
        ) as context:
            return self.defs.resolve_sensor_def(sensor).evaluate_tick(context)

    def load_files(self, *keys: str) -> ExecuteInProcessResult:
        """Load these keys alone, which a scan has entered, as a requested run does."""
        with connect(self.target) as conn:
            rows = conn.execute(
                "SELECT source, dataset, file_id, attempts FROM ops.landed_file WHERE key = ANY (%s) AND is_newest",
                (list(keys),),
            ).fetchall()
        [request] = load_requests([DueFile(*row) for row in rows], set(), per_run=len(rows))
        run = request.run_request()
        return self.defs.resolve_job_def(load_job_name(request.source)).execute_in_process(
            instance=self.instance,
            asset_selection=list(run.asset_selection or []),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **run.run_config},
            raise_on_error=False,
        )

    def publications(self, since: int = 0) -> list[tuple[str, str, bool]]:
        """(table, partition, is_changed) of every publication after ``since``, in order."""
        return self.query(
            "SELECT table_name, partition_key, is_changed FROM ops.publication WHERE publication_id > %s"
            " ORDER BY publication_id",
            (since,),
        )

    def last_publication(self) -> int:
        """Number of the last publication."""
        return self.scalar("SELECT coalesce(max(publication_id), 0) FROM ops.publication")

    def content_hashes(self) -> dict[tuple[str, str], str]:
        """The platform's own hash of every published table and partition."""
        rows = self.query("SELECT table_name, partition_key, content_hash FROM ops.publication WHERE is_latest")
        return {(table, partition): content for table, partition, content in rows}

    def partition_oids(self, table: str) -> dict[str, int]:
        """Child table to oid of a partitioned table of the star."""
        return dict(
            self.query(
                "SELECT inhrelid::regclass::text, inhrelid::bigint FROM pg_inherits WHERE inhparent = %s::regclass",
                (f"movielens_dw.{table}",),
            )
        )

    def leftovers(self) -> list[str]:
        """Tables in the star's staging schema: none may stay."""
        return [
            name
            for (name,) in self.query(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'movielens_dw_staging'::regnamespace"
            )
        ]

    def row_hash(self, table: str, columns: str = "*") -> str:
        """A hash of a table's rows that Postgres computes by itself, apart from the platform's own."""
        return self.scalar(
            f"SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, '|' ORDER BY r::text)), '')"
            f" FROM (SELECT {columns} FROM {table}) r"
        )

    def ratings_hash(self) -> str:
        """A hash of fact_ratings in natural ids, comparable between warehouses with other surrogate keys."""
        return self.row_hash(
            "movielens_dw.fact_ratings f JOIN movielens_dw.dim_user USING (user_key)"
            " JOIN movielens_dw.dim_movie USING (movie_key)",
            "user_id, movie_id, rating, rated_at, date_key",
        )

    def hashes(self) -> dict[str, str]:
        """Hashes of raw, star and (where they exist) marts, origin columns left out."""
        found = {"fact_ratings": self.ratings_hash()}
        found["raw"] = self.row_hash("raw_movielens.ratings", "user_id, movie_id, rating, timestamp")
        for (table,) in self.query("SELECT relname FROM pg_class WHERE relname LIKE 'mart\\_%%' AND relkind = 'r'"):
            if table in ("mart_movie_ratings", "mart_rating_distribution"):
                columns = {
                    "mart_movie_ratings": "movie_id, rating_count, rating_mean, bayesian_mean, last_rated_at",
                    "mart_rating_distribution": "*",
                }[table]
                found[table] = self.row_hash(f"movielens_marts.{table}", columns)
        return found


PLACES = {
    "CINESTREAM_POSTGRES_DATABASE",
    "CINESTREAM_DVDRENTAL_DATABASE",
    "CINESTREAM_LANDING_URL",
    "CINESTREAM_LAKE_URL",
}
"""Settings that each test has of its own, and that are looked up when assets run."""


def _instance() -> DagsterInstance:
    """Dagster's own storage, in memory; it would connect anew for each event, a fifth of what a run costs here.

    Nobody migrates it: to write down its version by Alembic would take longer than to make all tables.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (runs_in_memory, events_in_memory):
            patch.setattr(module, "stamp_alembic_rev", lambda *_: None)
        instance = DagsterInstance.ephemeral()
    events: Any = instance.event_log_storage
    runs: Any = instance.run_storage
    for storage in (events, runs):
        url = storage._engine.url
        storage._engine = create_engine(url, poolclass=QueuePool, connect_args={"check_same_thread": False})
        event.listen(storage._engine, "connect", lambda conn, _: conn.execute("PRAGMA foreign_keys = ON"))

    @contextmanager
    def event_connection() -> Iterator[Any]:
        with events._db_lock, events._engine.begin() as conn:
            yield conn

    events._connect = event_connection
    runs.connect = runs._engine.begin
    return instance


def definitions() -> Any:
    """The definitions for the settings of this process; settings with the same ones share them."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("CINESTREAM_")}
    return _definitions(frozenset((name, settings[name]) for name in settings.keys() - PLACES))


def nodes() -> Any:
    """The assets of these definitions as the build sensor sees them."""
    return _nodes(definitions().resolve_asset_graph(), datetime.now(UTC).date())


@lru_cache(maxsize=8)
def _nodes(asset_graph: Any, _: date) -> Any:
    """The same for a day: to list all partitions takes 0.1 s."""
    return nodes_of(asset_graph, CATALOG)


@cache
def _definitions(_: frozenset[tuple[str, str]]) -> Any:
    """Of these settings and this environment (importing them needs the dbt manifest)."""
    from cinestream_platform.definitions import build_definitions
    from cinestream_platform.marts import resource

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "dbt_executable", warm.dbt_executable)
        built = build_definitions()
    gc.freeze()  # they stay: the collector need not look through them again and again
    return built


@contextmanager
def database(server: PostgresTarget, name: str, template: str | None = None) -> Iterator[PostgresTarget]:
    """A database of its own on a running server, empty or a copy of another, dropped at the end."""
    # Each statement has its own session, in a database that nobody drops: another fixture drops ``cinestream``.
    admin = replace(server, database="postgres")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    # The other strategy writes every page to the WAL: four times the CPU.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
        conn.execute(drop)
        copying = create.format(sql.Identifier(name), sql.Identifier(template or "template1"))
        try:
            conn.execute(copying)
        except psycopg.errors.ObjectInUse:  # by a session that somebody keeps; who made the template is done with it
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (template,))
            conn.execute(copying)
        if template:
            _grant_alike(conn, name, template)
    try:
        yield replace(server, database=name)
    finally:
        with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
            for made in (name, f"{name}_dvdrental"):
                conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(made)))


@contextmanager
def database_of_the_manifest(server: PostgresTarget, template: str, home: Path) -> Iterator[PostgresTarget]:
    """The database ``cinestream``, whose name the home's dbt manifest is made for, for as long as marts are built there.

    A test of another database may have had the project parsed for that one. The session's server has a database
    ``cinestream`` before and after: fixtures log in by it.
    """
    admin = replace(server, database="postgres")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "dbt_executable", warm.dbt_executable)
        project.ensure_manifest(Settings(home=home, postgres_database="cinestream"))
    try:
        with database(admin, "cinestream", template) as target:
            warehouse.forget_prepared()  # an earlier database had the same name
            yield target
    finally:
        warehouse.forget_prepared()
        with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
            conn.execute("CREATE DATABASE cinestream")


@contextmanager
def platform_of(
    server: PostgresTarget, name: str, template: str | None, home: Path, stores: Path
) -> Iterator[Platform]:
    """A platform on a database and stores of its own, for as long as a fixture of more than one test lives."""
    with database(server, name, template) as target, settled(environment_of(target, home), stores):
        yield Platform()


def _grant_alike(conn: psycopg.Connection[Any], name: str, template: str) -> None:
    """Give roles the rights on a database that they have on its template: CREATE DATABASE does not copy them."""
    rights = """
        SELECT r.rolname, string_agg(privilege_type, ', ')
        FROM pg_database, aclexplode(datacl) LEFT JOIN pg_roles r ON r.oid = grantee
        WHERE datname = %s GROUP BY 1"""
    granted = conn.execute(rights, (template,)).fetchall()
    if granted:
        conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    for role, privileges in granted:
        grantee = sql.Identifier(role) if role else sql.SQL("PUBLIC")
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}")
        conn.execute(grant.format(sql.SQL(privileges), sql.Identifier(name), grantee))


@contextmanager
def settled(variables: dict[str, str], stores: Path) -> Iterator[None]:
    """These settings, with stores in a folder, for as long as a fixture of more than one test lives."""
    places = {
        "CINESTREAM_LANDING_URL": (stores / "landing").as_uri(),
        "CINESTREAM_LAKE_URL": (stores / "lake").as_uri(),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (variables | places).items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


def environment_of(target: PostgresTarget, home: Path) -> dict[str, str]:
    """The settings, as environment variables, of a platform on this database."""
    return {
        "CINESTREAM_HOME": str(home),
        "CINESTREAM_POSTGRES_HOST": target.host,
        "CINESTREAM_POSTGRES_PORT": str(target.port),
        "CINESTREAM_POSTGRES_USER": target.user,
        "CINESTREAM_POSTGRES_PASSWORD": target.password.get_secret_value(),
        "CINESTREAM_POSTGRES_DATABASE": target.database,
        "CINESTREAM_DVDRENTAL_PASSWORD": "pw-dvdrental_reader",
        "CINESTREAM_DVDRENTAL_DATABASE": f"{target.database}_dvdrental",
        "CINESTREAM_LANDING_SETTLE_SECONDS": "0",
        "CINESTREAM_LOAD_BACKOFF_SECONDS": "0",
        **{f"CINESTREAM_LOGIN_{role.upper()}_PASSWORD": f"pw-{role}" for role in ROLE_NAMES},
    }


ROLE_NAMES = ("admin", "data_engineer", "data_analyst", "ml_engineer", "dashboard_reader")


def real_data() -> Path:
    """The publishers' files: ``CINESTREAM_REAL_DATA``, by default ``../shared/data`` beside the checkout."""
    return Path(os.environ.get("CINESTREAM_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
