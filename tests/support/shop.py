"""A live dvdrental database for one test, and the platform that extracts it.

Extractions are done by ``Extractor``, as the asset does them, without Dagster (half a second instead of two).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import psycopg
from psycopg.sql import SQL, Identifier, Literal
from pydantic import SecretStr

from cinestream_platform.catalog import EXTRACTS
from cinestream_platform.ledger import landed_files
from cinestream_platform.loading.extraction import Extracted, Extractor
from cinestream_platform.loading.raw_rows import RawRows
from cinestream_platform.services.postgres import postgres_binary
from cinestream_platform.settings import Settings, get_settings
from cinestream_platform.sources.dvdrental.database import SOURCE_TABLES
from cinestream_platform.sources.dvdrental.load_database import OWNER
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.sources.dvdrental.source import RENTAL_SHOP
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from tests.support.platform import Platform, database, environment_of, settled

FEEDS = {feed.dataset: feed for feed in EXTRACTS}


READER_PASSWORD = "pw-dvdrental_reader"  # as in ``environment_of``


def settings_for(server: PostgresTarget, home: Path, database: str) -> Settings:
    """Those of a warehouse on that server, which has the operational database too."""
    return Settings(
        home=home,
        postgres_host=server.host,
        postgres_port=server.port,
        postgres_user=server.user,
        postgres_password=server.password,
        postgres_database="postgres",
    ).with_own(DvdrentalSettings(host=None, password=SecretStr(READER_PASSWORD), database=database))


@contextmanager
def copy_of(template: str, server: PostgresTarget, name: str) -> Iterator[PostgresTarget]:
    """A database made like the template, for its superuser; ``load-source`` may replace it."""
    with database(server, name, template) as target:
        with connect(replace(server, database="postgres"), role=None) as conn:
            conn.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(name), Identifier(OWNER)))
        yield target


@contextmanager
def built_shop(
    server: PostgresTarget, name: str, source: str, warehouse: str, manifest_home: Path, stores: Path
) -> Iterator[Shop]:
    """A copy of an operational database, extracted and built into a copy of a warehouse, for all tests of a module.

    ``source`` and ``warehouse`` are the templates, ``name`` begins the copies' names, ``stores`` has lake and landing.
    """
    with (
        copy_of(source, server, name) as operational,
        database(server, f"{name}_warehouse", warehouse) as target,
        settled(
            environment_of(target, manifest_home) | {"CINESTREAM_DVDRENTAL_DATABASE": operational.database}, stores
        ),
    ):
        shop = Shop(operational)
        shop.extract()
        shop.platform.build()
        yield shop


@contextmanager
def in_encoding(shop: Shop, encoding: str) -> Iterator[Shop]:
    """The same database in another encoding, dropped at the end; the environment does not name it."""
    name, admin = f"{shop.source.database}_{encoding.lower()}", replace(shop.source, database="postgres")
    making = SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
    with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
        conn.execute(making.format(Identifier(name), Literal(encoding)))
    try:
        other = Shop(replace(shop.source, database=name))
        with tempfile.TemporaryDirectory() as folder:
            archive, home = f"{folder}/shop.dump", shop.platform.settings.home_dir
            for program, *arguments in (
                ("pg_dump", "-Fc", "-f", archive, "-d", shop.source.conninfo()),
                ("pg_restore", "--no-owner", "-d", other.source.conninfo(), archive),
            ):
                subprocess.run([postgres_binary(home, program), *arguments], check=True, timeout=120)
        yield other
    finally:
        with psycopg.connect(admin.conninfo(), autocommit=True) as conn:
            conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


class Shop:
    """The operational database and its warehouse."""

    def __init__(self, source: PostgresTarget) -> None:
        self.source = source
        self.messages: list[str] = []

    @classmethod
    def of_settings(cls) -> Shop:
        """The one that the environment's variables name, on the warehouse's server."""
        settings = get_settings()
        return cls(replace(PostgresTarget.started(settings), database=settings.own(DvdrentalSettings).database))

    @cached_property
    def platform(self) -> Platform:
        """The warehouse's side."""
        return Platform()

    def clerk(self) -> psycopg.Connection[Any]:
        """A connection that may change the database, as its superuser; what it writes without a zone is UTC."""
        return psycopg.connect(self.source.conninfo(), autocommit=True, options="-c TimeZone=UTC -c DateStyle=ISO")

    def execute(self, *statements: str) -> None:
        """Change the database, each statement in a transaction of its own."""
        with self.clerk() as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query in the operational database."""
        with self.clerk() as conn:
            return conn.execute(statement.encode()).fetchall()

    def counts(self) -> dict[str, int]:
        """Table to rows, in the operational database."""
        return {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in SOURCE_TABLES}

    def extract(self, *, full: bool = False, settings: Settings | None = None) -> Extracted:
        """Extract once, as the asset does."""
        p, settings = self.platform, settings or self.platform.settings
        connector, run = RENTAL_SHOP.connect(settings), str(uuid4())
        return Extractor(settings, RENTAL_SHOP, connector, p.target, p.lake, run, self.messages.append).run(full=full)

    def current(self, dataset: str) -> pl.DataFrame:
        """The raw rows that count, as dims and facts are made from: delivered columns, ordered by the first."""
        feed = FEEDS[dataset]
        with connect(self.platform.target) as conn:
            loaded = landed_files.loaded(conn, feed.source, dataset)
        columns = [column.name for column in feed.table.columns if column.source_name]
        return RawRows(self.platform.lake, feed, loaded).rows().select(columns).collect().sort(columns[0])

    def raw_counts(self) -> dict[str, int]:
        """Table to rows, in the warehouse's raw tables."""
        return {t: self.platform.scalar(f"SELECT count(*) FROM raw_dvdrental.{t}") for t in SOURCE_TABLES}

    def ledger(self) -> list[tuple[Any, ...]]:
        """Every row of the ledger as a whole."""
        return self.platform.query("SELECT to_jsonb(f)::text FROM ops.landed_file f ORDER BY file_id")

    def published(self) -> tuple[Any, ...]:
        """All that a reader may see change: the raw tables' rows and files, the ledger's, the extractions."""
        raw = {t: self.platform.row_hash(f"raw_dvdrental.{t}") for t in SOURCE_TABLES}
        loaded = self.platform.query(
            "SELECT to_jsonb(f)::text FROM ops.landed_file f WHERE status = 'loaded' ORDER BY 1"
        )
        return raw, loaded, self.platform.scalar("SELECT count(*) FROM ops.extraction")

    def folders(self) -> set[str]:
        """Folders of the lake that hold raw rows."""
        return {"/".join(item.key.split("/")[:4]) for item in self.platform.lake.list("raw/")}

    def loaded_folders(self) -> set[str]:
        """Folders of the lake that the ledger names and that are not empty."""
        return {
            path
            for (path,) in self.platform.query(
                "SELECT lake_path FROM ops.landed_file WHERE status IN ('loaded', 'superseded') AND rows_loaded > 0"
            )
        }
