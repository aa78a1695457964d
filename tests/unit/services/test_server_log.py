"""The log of a running server: bounded, one generation kept, nothing lost that is written afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinestream_platform.services import postmaster


def test_a_long_log_is_set_aside_while_the_server_goes_on_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "LOG_LIMIT", 100)
    log, old = tmp_path / "server.log", tmp_path / "server.log.1"
    with log.open("ab", buffering=0) as server:
        server.write(b"a" * 100)
        assert not postmaster.shorten_log(log)
        server.write(b"b")

        assert postmaster.shorten_log(log)

        server.write(b"after")
        assert log.read_bytes() == b"after"
        assert old.read_bytes() == b"a" * 100 + b"b"
        assert old.stat().st_mode & 0o777 == 0o600
        server.write(b"c" * 100)
        assert postmaster.shorten_log(log)
        assert old.read_bytes() == b"after" + b"c" * 100
