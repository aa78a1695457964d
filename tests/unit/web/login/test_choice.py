"""Which settings make which login, and which are refused before anything is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cinestream_platform.settings import Settings
from cinestream_platform.web.login.choice import make_login
from cinestream_platform.web.login.people import People, PeopleError
from cinestream_platform.web.login.person import LoginError

OIDC = {"web_login": "oidc", "web_oidc_issuer": "https://id.example", "web_oidc_client_id": "films"}


def settings_with(home: Path, **values: Any) -> Settings:
    return Settings(home=home, **values)


def test_on_this_machine_alone_nothing_has_to_be_said(tmp_path: Path):
    for hosts in ("", "127.0.0.1:8080, localhost:8080", "[::1]:3000"):
        assert make_login(settings_with(tmp_path, ui_hosts=hosts), "127.0.0.1") is None
    assert not (tmp_path / "web").exists(), "without login nothing is made"


@pytest.mark.parametrize(
    ("hosts", "address"),
    [
        ("dagster.example.com", "127.0.0.1"),
        ("127.0.0.1:8080,view.example.com", "127.0.0.1"),
        ("", "0.0.0.0"),
        ("", "::"),
    ],
)
def test_others_are_served_only_after_somebody_has_said_who_may_come_in(tmp_path: Path, hosts: str, address: str):
    with pytest.raises(LoginError, match="CINESTREAM_WEB_LOGIN"):
        make_login(settings_with(tmp_path, ui_hosts=hosts), address)
    assert make_login(settings_with(tmp_path, ui_hosts=hosts, web_login="none"), address) is None
    assert make_login(settings_with(tmp_path, ui_hosts=hosts, web_login="password"), address) is not None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, "VIEWERS"),
        ({"web_oidc_viewers": " , "}, "VIEWERS"),
        ({"web_oidc_viewers": "*", "web_oidc_issuer": ""}, "ISSUER"),
        ({"web_oidc_viewers": "*", "web_oidc_client_id": ""}, "CLIENT_ID"),
        ({"web_oidc_viewers": "*", "web_oidc_issuer": "http://id.example"}, "https"),
        ({"web_oidc_viewers": "*", "web_oidc_issuer": "http://127.0.0.1.evil.example"}, "https"),
    ],
)
def test_a_provider_that_cannot_be_used_is_refused_by_the_name_of_the_setting(
    tmp_path: Path, changed: dict[str, str], named: str
):
    with pytest.raises(LoginError, match=named):
        make_login(settings_with(tmp_path, **(OIDC | changed)), "127.0.0.1")
    assert make_login(settings_with(tmp_path, **OIDC, web_oidc_operators="admins"), "127.0.0.1")


def test_what_is_wrong_with_the_file_of_people_is_said_at_the_start(tmp_path: Path):
    settings = settings_with(tmp_path, web_login="password")
    assert make_login(settings, "127.0.0.1"), "nobody may log in yet"
    People(tmp_path / "web" / "people").put("anna", "viewer", "a long enough password")
    assert make_login(settings, "127.0.0.1")
    (tmp_path / "web" / "people").chmod(0o644)
    with pytest.raises(PeopleError, match="chmod 600"):
        make_login(settings, "127.0.0.1")


def test_a_missing_package_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cinestream_platform.web.login.choice.find_spec", lambda name: None if name == "argon2" else 1)
    with pytest.raises(LoginError, match=r"argon2: pip install 'cinestream-platform\[login\]'"):
        make_login(settings_with(tmp_path, web_login="password"), "127.0.0.1")


def test_empty_variables_of_a_compose_file_are_unset(monkeypatch: pytest.MonkeyPatch):
    for name in ("LOGIN", "PEOPLE_FILE", "METRICS_TOKEN", "OIDC_ISSUER", "OIDC_CLIENT_SECRET"):
        monkeypatch.setenv(f"CINESTREAM_WEB_{name}", "")
    found = Settings()
    assert (found.web_login, found.web_people_file, found.web_metrics_token) == (None, None, None)
    assert (found.web_oidc_issuer, found.web_oidc_client_secret) == (None, None)
