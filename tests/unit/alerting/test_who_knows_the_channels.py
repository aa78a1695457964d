"""Whoever knows the address of a channel may write there: one process is told, and the program that sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from cinestream_platform.commands.ui import pages_program, programs
from cinestream_platform.settings import ALERT_URLS, Settings, is_secret


def test_the_code_server_with_the_sensors_alone_is_told_the_channels() -> None:
    found = [
        *programs(Path("w"), Path("s"), 3000, read_only=False),
        *programs(Path("w"), Path("s"), 3001, read_only=True),
        pages_program(3002),
    ]
    told = {
        one.name
        for one in found
        for url in ALERT_URLS
        if not f"CINESTREAM_{url}".endswith(one.hidden) or f"CINESTREAM_{url}" in one.kept
    }
    assert told == {"code-server"}


def test_every_channel_of_the_settings_is_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for url in ALERT_URLS:
        monkeypatch.setenv(f"CINESTREAM_{url}", f"json://{url}")
        assert is_secret(f"CINESTREAM_{url}")
    settings = Settings(home=tmp_path)
    assert settings.alert_channels == {
        name: SecretStr(f"json://ALERT_{name.upper()}_URL") for name in ("mail", "slack", "teams", "webhook")
    }
    assert "json://" not in repr(settings)
    monkeypatch.setenv("CINESTREAM_ALERT_SLACK_URL", "")
    assert "slack" not in Settings(home=tmp_path).alert_channels
