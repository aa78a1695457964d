"""Passwords of logins: given by the environment, or made once and kept for the owner alone."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from cinestream_platform.services.logins import ROLE_NAMES, kept_secret, login_secrets
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.access import ROLES


@pytest.fixture(autouse=True)
def no_passwords(monkeypatch: pytest.MonkeyPatch):
    for role in ROLE_NAMES:
        monkeypatch.delenv(f"CINESTREAM_LOGIN_{role.upper()}_PASSWORD", raising=False)


def revealed(settings: Settings) -> dict[str, str]:
    return {role: password.get_secret_value() for role, password in login_secrets(settings).items()}


def test_the_roles_are_those_that_get_grants():
    assert set(ROLE_NAMES) == set(ROLES)


def test_with_the_embedded_postgres_every_login_gets_a_password_of_its_own_that_stays(tmp_path: Path):
    settings = Settings(home=tmp_path, postgres_host=None)
    first = revealed(settings)
    assert list(first) == list(ROLE_NAMES)
    assert len(set(first.values())) == 5
    assert all(len(password) >= 32 for password in first.values())
    assert revealed(settings) == first
    assert revealed(Settings(home=tmp_path / "other", postgres_host=None)) != first


def test_kept_passwords_are_readable_by_their_owner_alone(tmp_path: Path):
    login_secrets(Settings(home=tmp_path, postgres_host=None))
    folder = tmp_path / "logins"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == sorted(ROLE_NAMES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_processes_that_start_together_agree(tmp_path: Path):
    settings = Settings(home=tmp_path, postgres_host=None)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: revealed(settings), range(24)))
    assert found == [found[0]] * 24
    assert all(found[0].values())


def test_a_given_password_is_used_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CINESTREAM_LOGIN_DATA_ANALYST_PASSWORD", "given-hush")
    found = login_secrets(Settings(home=tmp_path, postgres_host=None))
    assert found["data_analyst"].get_secret_value() == "given-hush"
    assert "given-hush" not in repr(found)
    assert not (tmp_path / "logins" / "data_analyst").exists()


def test_with_an_external_postgres_only_given_logins_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(home=tmp_path, postgres_host="db.example")
    assert login_secrets(settings) == {}
    monkeypatch.setenv("CINESTREAM_LOGIN_DASHBOARD_READER_PASSWORD", "given-hush")
    monkeypatch.setenv("CINESTREAM_LOGIN_ADMIN_PASSWORD", "")
    assert revealed(settings) == {"dashboard_reader": "given-hush"}
    assert not (tmp_path / "logins").exists()


def test_the_reader_of_an_operational_database_has_a_password_by_the_same_rule(tmp_path: Path):
    embedded = Settings(home=tmp_path, postgres_host=None)
    kept = kept_secret(embedded, "shop_reader", None)
    assert kept is not None
    assert len(kept.get_secret_value()) >= 32
    assert kept_secret(embedded, "shop_reader", None) == kept
    assert stat.S_IMODE((tmp_path / "logins" / "shop_reader").stat().st_mode) == 0o600
    given = SecretStr("given-hush")
    assert kept_secret(embedded, "shop_reader", given) == given
    for nothing in (None, SecretStr("")):  # compose hands on an empty variable
        assert kept_secret(embedded.model_copy(update={"postgres_host": "db.example"}), "shop_reader", nothing) is None
