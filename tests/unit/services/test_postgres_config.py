"""The settings follow the machine and never turn a safety off."""

import re

import pytest

from cinestream_platform.services.postgres_config import GB, MB, Machine, settings_file


def settings_of(memory=16 * GB, cores=4, disk_free=500 * GB, shared_memory=8 * GB):
    text = settings_file(Machine(memory, cores, disk_free, shared_memory), 18)
    return dict(re.findall(r"^(\w+) = '(.*)'$", text, flags=re.MULTILINE))


def test_a_laptop_of_16_gb_gets_an_eighth_of_its_memory_as_shared_buffers():
    settings = settings_of()
    assert settings["shared_buffers"] == "2048MB"
    assert settings["maintenance_work_mem"] == "512MB"
    assert settings["work_mem"] == "64MB"
    assert settings["max_wal_size"] == "8192MB"


def test_a_small_container_stays_within_its_memory():
    settings = settings_of(memory=512 * MB, cores=1)
    assert settings["shared_buffers"] == "128MB"
    assert settings["work_mem"] == "8MB"
    assert settings["max_parallel_workers"] == "1"
    assert settings["max_parallel_maintenance_workers"] == "1"


def test_a_server_of_512_gb_does_not_take_more_than_4_gb_of_buffers():
    assert settings_of(memory=512 * GB)["shared_buffers"] == "4096MB"


def test_write_ahead_log_takes_at_most_a_tenth_of_the_free_disk():
    assert settings_of(disk_free=30 * GB)["max_wal_size"] == "3072MB"
    assert settings_of(disk_free=2 * GB)["max_wal_size"] == "204MB"
    assert settings_of(disk_free=0)["max_wal_size"] == "64MB"
    assert settings_of(disk_free=0)["min_wal_size"] == "32MB"  # PostgreSQL's least: two segments


def test_small_shared_memory_moves_parallel_queries_to_files():
    assert settings_of(shared_memory=64 * MB)["dynamic_shared_memory_type"] == "mmap"
    assert "dynamic_shared_memory_type" not in settings_of(shared_memory=None)


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes", "autovacuum"])
def test_no_safety_is_turned_off(name):
    assert name not in settings_of()


def test_every_setting_is_preceded_by_its_reason():
    lines = settings_file(Machine(GB, 1, GB, None), 18).splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert re.match(r"# \S.{20,}\.$", lines[number - 1]), line


def test_a_server_is_told_only_settings_that_its_version_knows() -> None:
    machine = Machine(GB, 1, GB, None)
    assert "max_notify_queue_pages" in settings_file(machine, 17)
    assert "max_notify_queue_pages" not in settings_file(machine, 16)
