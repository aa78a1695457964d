"""A log of bounded size."""

from __future__ import annotations

from cinestream_platform.processes.rotating_log import RotatingLog


def test_old_parts_go_and_the_newest_lines_stay(tmp_path):
    log = RotatingLog(tmp_path / "logs" / "daemon.log", most_bytes=100, generations=3)
    lines = [f"{number:09d}\n".encode() for number in range(100)]
    for line in lines:
        log.write(line)
    log.close()
    parts = [tmp_path / "logs" / name for name in ("daemon.log.2", "daemon.log.1", "daemon.log")]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == sorted(path.name for path in parts)
    assert b"".join(path.read_bytes() for path in parts) == b"".join(lines[-30:])
    assert all(path.stat().st_size <= 100 for path in parts)


def test_logs_are_for_their_owner_alone(tmp_path):
    log = RotatingLog(tmp_path / "logs" / "daemon.log", most_bytes=5)
    log.write(b"first")
    log.write(b"second")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "logs").iterdir()} == {0o600}
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


def test_a_log_is_continued_by_the_next_start(tmp_path):
    for part in (b"one\n", b"two\n"):
        log = RotatingLog(tmp_path / "daemon.log")
        log.write(part)
        log.close()
    assert (tmp_path / "daemon.log").read_bytes() == b"one\ntwo\n"


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "daemon.log").mkdir()
    log = RotatingLog(tmp_path / "daemon.log")
    log.write(b"lost")
    (tmp_path / "daemon.log").rmdir()
    log.write(b"kept")
    assert (tmp_path / "daemon.log").read_bytes() == b"kept"
