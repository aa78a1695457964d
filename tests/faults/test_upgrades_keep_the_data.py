"""A warehouse of an earlier version with data in place reaches this version by ``cinestream upgrade``, also when killed.

``tests/data/warehouse_before_migrations.tar.xz`` is a dump of a warehouse (generated Chinook files, loaded and built, the
calendar cut to a few years) and its lake, made by the last version without migrations.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dagster import AssetKey
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cinestream_platform.automation.planning import plan_builds
from cinestream_platform.catalog import CATALOG, MART_SCHEMAS, TABLES
from cinestream_platform.ledger.publications import read_state
from cinestream_platform.orchestration import warehouse
from cinestream_platform.orchestration.staleness import nodes_of
from cinestream_platform.services.binaries import candidate_folders
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.access import ROLES, drift
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.migrate import UpgradeNeededError, declared_migrations
from cinestream_platform.warehouse.open_views import view_drift
from tests.support import ledger as ledger_by_hand
from tests.support.platform import Platform, database, environment_of, settled

ARCHIVE = Path(__file__).parents[1] / "data" / "warehouse_before_migrations.tar.xz"
INVOICES = (
    b"invoice_id,customer_id,invoice_date,billing_address,billing_city,billing_state,billing_country,"
    b"billing_postal_code,total\n9001,6,2026-01-03 10:00:00,Somewhere 1,Prague,,Czech Republic,14300,5.94\n"
)


@pytest.fixture
def earlier(postgres: PostgresTarget, manifest_home: Path, tmp_path: Path) -> Iterator[PostgresTarget]:
    """The settings of a platform whose warehouse was made by the version before migrations."""
    name = f"t{uuid.uuid4().hex[:12]}"
    (tmp_path / "stores").mkdir()
    with database(postgres, name) as target, tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "stores", filter="data")
        variables = environment_of(target, manifest_home)
        variables["CINESTREAM_POSTGRES_DAGSTER_DATABASE"] = f"{name}_dagster"
        with settled(variables, tmp_path / "stores"):
            _restore(target, tmp_path / "stores" / "warehouse.sql", get_settings().landing)
            try:
                yield target
            finally:
                with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
                    dagster = sql.Identifier(f"{name}_dagster")
                    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(dagster))


def _restore(target: PostgresTarget, dump: Path, landing: str) -> None:
    with psycopg.connect(target.conninfo(), autocommit=True) as conn:
        for role in ROLES:
            conn.execute(f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$".encode())
    psql = [candidate_folders()[0] / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}"]
    subprocess.run([*psql, target.conninfo()], check=True, capture_output=True, timeout=600)
    with psycopg.connect(target.conninfo(), autocommit=True) as conn:
        ledger_by_hand.lie_in(conn, landing)
        conn.execute("UPDATE ops.publication SET relation = NULL")  # a dump keeps no oids


def content(target: PostgresTarget) -> dict[str, int]:
    """Rows of every table of the restored star, its raw tables, its marts and its ledger."""
    with connect(target) as conn:
        names = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname ~ 'chinook|conformed' OR (schemaname = 'ops' AND tablename ~ 'landed|publication|rejected')"
        ).fetchall()
        return {name: conn.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()[0] for (name,) in names}


def upgrade() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cinestream_platform.cli", "upgrade"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ.copy(),
    )


def finished(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def stranger(target: PostgresTarget) -> psycopg.Connection:
    """A session that is none of the platform's."""
    return psycopg.connect(make_conninfo(target.conninfo(), application_name="a stranger"), autocommit=True)


@contextmanager
def held(target: PostgresTarget, table: str) -> Iterator[psycopg.Connection]:
    """Somebody who keeps a table from being altered."""
    with stranger(target) as conn, conn.transaction():
        conn.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
        yield conn


def wait_for_upgrade_to_wait(target: PostgresTarget, process: subprocess.Popen[str]) -> None:
    with stranger(target) as conn:
        while process.poll() is None:
            [waiting] = conn.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND starts_with(application_name, 'cinestream') AND wait_event_type = 'Lock'"
            ).fetchone()
            if waiting:
                return
            time.sleep(0.05)
    raise AssertionError(f"the upgrade ended: {process.communicate()[0]}")


def test_a_warehouse_of_an_earlier_version_is_refused_with_the_command_that_helps(earlier: PostgresTarget) -> None:
    warehouse.forget_prepared()
    before = content(earlier)
    with pytest.raises(UpgradeNeededError, match="Stop the platform, then run: cinestream upgrade"):
        warehouse.start_and_prepare(CATALOG, get_settings())
    assert content(earlier) == before


def test_an_upgrade_that_is_killed_in_the_middle_is_repeated_and_keeps_every_row(earlier: PostgresTarget) -> None:
    before = content(earlier)
    for table in ("ops.landed_file", "chinook_dw.fact_invoice"):
        with held(earlier, table):
            killed = upgrade()
            wait_for_upgrade_to_wait(earlier, killed)
            killed.send_signal(signal.SIGKILL)
            killed.wait()
    output = finished(upgrade())
    assert f"at migration {declared_migrations()[-1]}" in output
    assert content(earlier) == before
    assert "applied" not in finished(upgrade())


def test_after_an_upgrade_only_the_calendar_is_stale_and_files_load_build_and_are_undone(
    earlier: PostgresTarget,
) -> None:
    finished(upgrade())
    warehouse.forget_prepared()
    platform = Platform()
    with connect(earlier) as conn:
        nodes, state = nodes_of(platform.defs.resolve_asset_graph(), CATALOG), read_state(conn)
        assert plan_builds("chinook", nodes, state).runs() == [(None, [AssetKey(["conformed", "dim_date"])])]
        # Analysts had rights on single columns; now they read the open views.
        assert (drift(conn, TABLES, MART_SCHEMAS), view_drift(conn, TABLES)) == (([], []), [])
        conn.execute("SET ROLE data_analyst")
        assert conn.execute("SELECT * FROM chinook_dw_open.dim_customer").fetchall()
    invoices = "SELECT count(*) FROM chinook_dw.fact_invoice"
    before = platform.scalar(invoices)
    key = platform.land("chinook/invoice/invoice_2026-01-03.csv", INVOICES)
    platform.load_and_build()
    assert platform.status(key) == ["loaded"]
    assert platform.scalar(invoices) == before + 1
    assert platform.scalar("SELECT count(*) FROM conformed.dim_date WHERE week_start IS NULL") == 0, "made again"
    platform.retract(key)
    platform.load_and_build()
    assert platform.scalar(invoices) == before


def test_an_upgrade_waits_for_the_platforms_own_sessions(earlier: PostgresTarget) -> None:
    with connect(earlier):
        waiting = upgrade()
        assert waiting.stdout is not None
        lines = [waiting.stdout.readline(), waiting.stdout.readline()]
    assert lines[1] == "waiting: other sessions of the platform are open: 1\n"
    finished(waiting)
