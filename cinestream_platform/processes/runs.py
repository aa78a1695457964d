"""The state of Dagster's runs, as its own database says: what runs, what waits, and the jobs whose last run failed.

Runs are read where Dagster keeps them and copied nowhere: a copy would be older than what it is compared with, and
Postgres joins no two databases without a login's password in one of them. Schema ``platform`` has all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg

from cinestream_platform.orchestration.run_tags import NOT_LOADED_TAG
from cinestream_platform.processes.presence import NAME as DAEMON
from cinestream_platform.warehouse.connection import PostgresTarget, connect

LAST_FAILED = """
SELECT job,
    EXISTS (SELECT FROM public.run_tags t WHERE t.run_id = last.run_id AND starts_with(t.key, %(tag)s))
    AND NOT EXISTS (
        SELECT FROM public.event_logs e
        WHERE e.run_id = last.run_id AND e.dagster_event_type = 'STEP_FAILURE' AND NOT EXISTS (
            SELECT FROM public.run_tags t WHERE t.run_id = last.run_id AND t.key = %(tag)s || e.step_key
        )
    ) AS is_for_files
FROM (
    SELECT DISTINCT ON (pipeline_name) pipeline_name AS job, status, run_id FROM public.runs
    WHERE status IN ('SUCCESS', 'FAILURE') ORDER BY pipeline_name, id DESC
) AS last
WHERE status = 'FAILURE' ORDER BY job
"""


@dataclass(frozen=True)
class Runs:
    """How many runs there are, and the jobs whose last run failed.

    ``failed_for_files`` are jobs that did their work but for files that could not be loaded. The ledger counts those
    files, as parked or as to be tried again, and also knows when they were corrected; a failed run stays one.
    """

    running: int = 0
    queued: int = 0
    failed: tuple[str, ...] = ()
    failed_for_files: tuple[str, ...] = ()


def read_runs(target: PostgresTarget, database: str) -> tuple[bool, Runs]:
    """Whether a daemon works, and the state of runs; ``database`` is Dagster's own, which may not be there yet."""
    try:
        with connect(replace(target, database=database), role=None) as conn:
            row = conn.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND starts_with(application_name, %s)),"
                " to_regclass('public.runs') IS NOT NULL",
                (DAEMON,),
            ).fetchone()
            has_daemon, has_runs = row or (False, False)
            if not has_runs:
                return has_daemon, Runs()
            counts = conn.execute(
                "SELECT count(*) FILTER (WHERE status IN ('STARTED', 'STARTING', 'CANCELING')),"
                " count(*) FILTER (WHERE status IN ('QUEUED', 'NOT_STARTED')) FROM public.runs"
                " WHERE status IN ('STARTED', 'STARTING', 'CANCELING', 'QUEUED', 'NOT_STARTED')"
            ).fetchone()
            failed = conn.execute(LAST_FAILED, {"tag": NOT_LOADED_TAG}).fetchall()
    except psycopg.errors.InvalidCatalogName:
        return False, Runs()
    running, queued = counts or (0, 0)
    for_files = tuple(job for job, is_for_files in failed if is_for_files)
    return has_daemon, Runs(running, queued, tuple(job for job, _ in failed if job not in for_files), for_files)
