"""Old runs, events, checks and logs are deleted; the last state of every asset, partition and check stays."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    MaterializeResult,
    StaticPartitionsDefinition,
    asset,
    asset_check,
    materialize,
)

from cinestream_platform.automation.retention import UnknownStorageError, _delete_run, delete_old
from cinestream_platform.warehouse.connection import PostgresTarget
from tests.support.dagster_storage import stored_instance

KEEP = timedelta(days=30)
YEARS = StaticPartitionsDefinition(["2004", "2005", "2006"])
FACT, DIM, LANDED = AssetKey("fact"), AssetKey("dim"), AssetKey("landed")


@asset(partitions_def=YEARS)
def fact(context: AssetExecutionContext) -> MaterializeResult[None]:
    """By year."""
    print("a line for the compute log")
    return MaterializeResult(metadata={"run": context.run_id})


@asset
def dim() -> MaterializeResult[None]:
    """Whole."""
    return MaterializeResult(data_version=None, metadata={"rows": 3})


@asset_check(asset=dim)
def has_rows(context: AssetCheckExecutionContext) -> AssetCheckResult:
    """Passes."""
    return AssetCheckResult(passed=True, metadata={"run": context.run.run_id})


@pytest.fixture
def stored(postgres: PostgresTarget, tmp_path: Path) -> Iterator[tuple[DagsterInstance, psycopg.Connection]]:
    with stored_instance(postgres, tmp_path) as made:
        yield made


def build(instance: DagsterInstance, year: str | None = None) -> str:
    done = materialize([fact] if year else [dim, has_rows], instance=instance, partition_key=year)  # type: ignore[list-item]
    return done.run_id


def age(conn: psycopg.Connection, days: int, run_ids: list[str] | None = None) -> None:
    """Make what is stored (of these runs) older."""
    interval = f"interval '{days} days'"
    which = "run_id = ANY (%(ids)s) OR %(ids)s IS NULL"
    for table, column in (
        ("runs", "update_timestamp"),
        ("event_logs", "timestamp"),
        ("asset_check_executions", "create_timestamp"),
    ):
        conn.execute(f"UPDATE {table} SET {column} = {column} - {interval} WHERE {which}", {"ids": run_ids})  # type: ignore[arg-type]


def clean(instance: DagsterInstance, seconds: float = 600) -> Any:
    return delete_old(instance, KEEP, seconds=seconds, log=lambda _: None, defined=lambda: {DIM: {"has_rows"}})


def last_states(instance: DagsterInstance) -> dict[str, Any]:
    """What the UI shows of assets, partitions and checks."""
    check = AssetCheckKey(DIM, "has_rows")
    events = instance.event_log_storage
    return {
        "dim": instance.get_latest_materialization_event(DIM),
        "landed": instance.get_latest_materialization_event(LANDED),
        "years": events.get_latest_storage_id_by_partition(FACT, DagsterEventType.ASSET_MATERIALIZATION),
        "materialized": instance.get_materialized_partitions(FACT),
        "records": [
            (record.asset_entry.asset_key, record.asset_entry.last_run_id, record.asset_entry.last_materialization)
            for record in instance.get_asset_records([FACT, DIM, LANDED])
        ],
        "check": events.get_latest_asset_check_execution_by_key([check])[check].evaluation,
    }


def runs(instance: DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def test_old_runs_go_and_the_last_state_of_everything_stays(
    stored: tuple[DagsterInstance, psycopg.Connection], tmp_path: Path
) -> None:
    instance, conn = stored
    first_2004, only_2005, last_2004 = build(instance, "2004"), build(instance, "2005"), build(instance, "2004")
    first_dim, last_dim = build(instance), build(instance)
    for number in range(3):
        instance.report_runless_asset_event(AssetMaterialization(LANDED, metadata={"file_id": number}))
    age(conn, 40)
    recent = build(instance, "2006")
    before = last_states(instance)

    done = clean(instance)

    assert runs(instance) == {only_2005, last_2004, last_dim, recent}
    assert last_states(instance) == before
    assert (done.runs, done.checks, done.is_complete) == (2, 1, True)
    assert done.events == 2
    for gone in (first_2004, first_dim):
        assert not instance.all_logs(gone)
        assert not (tmp_path / "storage" / gone).exists()
    assert instance.all_logs(last_2004)
    assert (tmp_path / "storage" / last_2004).exists()
    orphans = "SELECT count(*) FROM asset_event_tags WHERE event_id NOT IN (SELECT id FROM event_logs)"
    assert conn.execute(orphans).fetchone() == (0,)
    assert clean(instance) == type(done)(is_complete=True)


def test_what_is_younger_than_the_setting_or_not_finished_stays(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    for _ in range(2):
        build(instance, "2004")
    age(conn, 29)
    unfinished = instance.create_run_for_job(fact_job(), status=DagsterRunStatus.STARTED)
    age(conn, 100, [unfinished.run_id])

    assert clean(instance).runs == 0
    assert len(runs(instance)) == 3


def fact_job() -> Any:
    from dagster import Definitions, define_asset_job

    return Definitions([fact], jobs=[define_asset_job("facts", [FACT])]).resolve_job_def("facts")


def test_a_run_that_failed_last_stays_until_its_asset_is_made_again(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored

    @asset(key=DIM)
    def failing() -> None:
        raise RuntimeError("no")

    build(instance)
    failed = materialize([failing], instance=instance, raise_on_error=False).run_id
    age(conn, 40)

    clean(instance)
    assert failed in runs(instance)  # the UI says that the last attempt failed
    build(instance)
    clean(instance)

    assert failed not in runs(instance)


def test_of_a_check_that_its_asset_has_no_more_nothing_old_stays(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored

    @asset(key=AssetKey("of_another_location"))
    def elsewhere() -> None: ...

    def check_of(of: Any, name: str) -> Any:
        @asset_check(asset=of, name=name)
        def passes() -> AssetCheckResult:
            return AssetCheckResult(passed=True)

        return passes

    renamed = materialize([dim, check_of(dim, "old_name")], instance=instance).run_id
    others = materialize([elsewhere, check_of(elsewhere, "theirs")], instance=instance).run_id
    age(conn, 40)
    build(instance)
    recent = materialize([dim, check_of(dim, "removed_today")], instance=instance).run_id

    clean(instance)

    names = conn.execute("SELECT DISTINCT check_name FROM asset_check_executions ORDER BY 1").fetchall()
    assert names == [("has_rows",), ("removed_today",), ("theirs",)]
    assert renamed not in runs(instance)
    assert {others, recent} <= runs(instance)


def test_a_night_that_is_killed_half_way_through_a_run_is_finished_by_the_next(
    stored: tuple[DagsterInstance, psycopg.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, conn = stored
    first, _ = build(instance, "2004"), build(instance, "2004")
    age(conn, 40)
    before_kill = instance.event_log_storage.delete_events

    def killed(run_id: str) -> None:
        before_kill(run_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instance.event_log_storage, "delete_events", killed)
        with pytest.raises(KeyboardInterrupt):
            clean(instance)
    assert first in runs(instance)
    assert not instance.all_logs(first)

    assert clean(instance).runs == 1
    assert first not in runs(instance)


def test_a_night_that_is_too_short_says_so_and_deletes_no_half_run(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    for _ in range(3):
        build(instance, "2004")
    age(conn, 40)

    assert not clean(instance, seconds=0).is_complete

    assert len(runs(instance)) == 3
    assert clean(instance).runs == 2


def test_tables_of_another_version_of_dagster_are_left_alone(
    stored: tuple[DagsterInstance, psycopg.Connection],
) -> None:
    instance, conn = stored
    for _ in range(2):
        build(instance, "2004")
    age(conn, 40)
    conn.execute('ALTER TABLE event_logs RENAME COLUMN "partition" TO partition_of_asset')

    with pytest.raises(UnknownStorageError, match=r"event_logs\.partition"):
        clean(instance)

    assert conn.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_deleting_a_run_twice_is_no_error(stored: tuple[DagsterInstance, psycopg.Connection]) -> None:
    instance, _ = stored
    run_id = build(instance, "2004")

    for _ in range(2):
        _delete_run(instance, run_id)

    assert runs(instance) == set()
