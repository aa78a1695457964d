"""The server's settings, scaled to the machine, each with its reason.

What belongs here: only settings that differ from PostgreSQL's defaults, on purpose. synchronous_commit, fsync,
full_page_writes and autovacuum are not here: they stay on. ALTER SYSTEM overrides what is here.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1024 * 1024
GB = 1024 * MB

# Both hold a container's memory limit in bytes (cgroup 2, cgroup 1); the machine's memory is not what it may use.
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Machine:
    """What the settings are scaled by."""

    memory: int  # bytes
    cores: int
    disk_free: int  # bytes, where the data is
    shared_memory: int | None  # bytes of /dev/shm; None where there is no such folder


def this_machine(data_folder: Path) -> Machine:
    """The machine as seen by this process: a container's limits count."""
    memory = psutil.virtual_memory().total
    for path in CGROUP_LIMITS:
        text = path.read_text().strip() if path.exists() else ""
        if text.isdigit():
            memory = min(memory, int(text))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shm = Path("/dev/shm")  # noqa: S108 -- the kernel's shared memory, looked at, not written to
    shared_memory = shutil.disk_usage(shm).total if shm.is_dir() else None
    return Machine(memory, cores, shutil.disk_usage(data_folder).free, shared_memory)


def settings_file(machine: Machine, major: int) -> str:
    """The text of the configuration file for this machine and major version of PostgreSQL."""
    lines = ["# Written by cinestream_platform at every start. Your own settings: ALTER SYSTEM, which wins over these."]
    for name, value, reason in (
        *_memory(machine),
        *_bulk_loads(machine),
        *_parallelism(machine),
        *_behaviour(machine, major),
    ):
        lines += ["", f"# {reason}", f"{name} = '{value}'"]
    return "\n".join(lines) + "\n"


def _between(low: int, value: int, high: int) -> str:
    return f"{max(low, min(value, high)) // MB}MB"


def _memory(machine: Machine) -> list[tuple[str, str, str]]:
    memory = machine.memory
    return [
        (
            "shared_buffers",
            _between(128 * MB, memory // 8, 4 * GB),
            "An eighth, not the usual quarter: polars and the page cache share this machine.",
        ),
        (
            "effective_cache_size",
            _between(256 * MB, memory // 2, 256 * GB),
            "What the planner may expect to be cached.",
        ),
        (
            "maintenance_work_mem",
            _between(64 * MB, memory // 32, GB),
            "Index builds and foreign key validation of a partition sort in memory; a few of them run at once.",
        ),
        (
            "work_mem",
            _between(8 * MB, memory // 256, 128 * MB),
            "Per sort or hash; dashboards and publishing use several at a time.",
        ),
    ]


def _bulk_loads(machine: Machine) -> list[tuple[str, str, str]]:
    max_wal = min(8 * GB, max(64 * MB, machine.disk_free // 10))
    return [
        ("wal_level", "minimal", "COPY into a table of the same transaction then writes no WAL. Costs replication."),
        ("max_wal_senders", "0", "wal_level = minimal demands it."),
        ("max_wal_size", f"{max_wal // MB}MB", "Fewer checkpoints in a load; at most a tenth of the free disk."),
        ("min_wal_size", f"{max(32, max_wal // 8 // MB)}MB", "Keeps WAL files for reuse between loads."),
        ("checkpoint_timeout", "15min", "Each checkpoint makes full-page images of hot pages due again."),
        ("wal_compression", "on", "Full-page images shrink several times; pglz, as the wheel has no lz4."),
        ("max_locks_per_transaction", "256", "A query over a star locks every month's table and each of its indexes."),
    ]


def _parallelism(machine: Machine) -> list[tuple[str, str, str]]:
    cores = machine.cores
    return [
        ("max_worker_processes", str(max(8, cores)), "Room for one worker per core."),
        ("max_parallel_workers", str(cores), "More than cores only queue."),
        ("max_parallel_workers_per_gather", str(max(1, cores // 2)), "One query leaves half of the cores to others."),
        ("max_parallel_maintenance_workers", str(max(1, cores // 2)), "The same for one index build."),
    ]


def _behaviour(machine: Machine, major: int) -> list[tuple[str, str, str]]:
    settings = [
        ("max_connections", "200", "Dagster's webserver, daemon and every run hold pools of their own."),
        ("random_page_cost", "1.1", "Laptops and cloud disks are SSDs; 4 is for turning disks."),
        ("jit", "off", "Compiling costs more than it saves on queries of about a second."),
        (
            "client_connection_check_interval",
            "10s",
            "The statement of a killed run ends, and frees its locks.",
        ),
        ("timezone", "UTC", "Timestamps are UTC instants, whatever the laptop's zone."),
        ("log_timezone", "UTC", "The log in the same time as the data."),
        ("password_encryption", "scram-sha-256", "The default since 14; a warehouse must not depend on defaults here."),
        ("log_statement", "none", "Statements hold passwords (CREATE ROLE) and personal data."),
        ("log_min_error_statement", "panic", "By default each failing statement is logged whole, passwords included."),
        ("log_error_verbosity", "terse", "DETAIL and CONTEXT quote rows and statements; the client still gets them."),
        ("log_line_prefix", "%m [%p] %q%u@%d ", "Who and which database, beside time and process."),
    ]
    if major >= 17:  # older servers do not know it and would not start
        reason = "64 MB, not 8 GB: every login may NOTIFY, and the platform does not."
        settings.append(("max_notify_queue_pages", "8192", reason))
    if machine.shared_memory is not None and machine.shared_memory < GB:
        reason = "Shared memory is small (64 MB in Docker): parallel queries would fail, so they use files instead."
        settings.append(("dynamic_shared_memory_type", "mmap", reason))
    return settings
