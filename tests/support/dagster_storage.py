"""Dagster's instance on the real storage: the project's dagster.yaml, in a database of its own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance

from cinestream_platform.orchestration import storage
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.platform import database

ROOT = Path(__file__).parents[2]


@contextmanager
def stored_instance(server: PostgresTarget, folder: Path) -> Iterator[tuple[DagsterInstance, psycopg.Connection]]:
    """An instance as the daemon's, and a connection to its database."""
    with database(server, f"dagster{uuid.uuid4().hex[:12]}") as target, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOST": target.host,
            "PORT": str(target.port),
            "USER": target.user,
            "PASSWORD": target.password.get_secret_value(),
            "DATABASE": target.database,
        }.items():
            patch.setenv(f"CINESTREAM_DAGSTER_PG_{name}", value)
        patch.setenv("DAGSTER_HOME", str(folder))
        shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
        with (
            psycopg.connect(target.conninfo(), autocommit=True) as conn,
            DagsterInstance.from_config(str(folder)) as instance,
        ):
            try:
                yield instance, conn
            finally:
                url = getattr(instance.event_log_storage, "postgres_url", "")
                storage.pool(url).dispose()
