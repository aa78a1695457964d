"""Settings come from the environment, and their secrets stay there."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from cinestream_platform.catalog import CATALOG
from cinestream_platform.settings import OperationalPostgresSettings, Settings, SettingsError, get_settings, variables


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch):
    import os

    for name in list(os.environ):
        if name.startswith("CINESTREAM_"):
            monkeypatch.delenv(name)


def test_without_any_variable_everything_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.postgres_host is None
    assert settings.home_dir == tmp_path / ".cinestream"
    assert settings.landing == (tmp_path / ".cinestream/landing").as_uri()
    assert settings.lake == (tmp_path / ".cinestream/lake").as_uri()


def test_variables_are_read_by_their_prefix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CINESTREAM_POSTGRES_HOST", "db.example")
    monkeypatch.setenv("CINESTREAM_POSTGRES_PORT", "6543")
    monkeypatch.setenv("CINESTREAM_LANDING_URL", "s3://bucket/landing/")
    monkeypatch.setenv("CINESTREAM_LANDING_SETTLE_SECONDS", "0.5")
    monkeypatch.setenv("POSTGRES_USER", "somebody")
    settings = Settings()
    assert (settings.postgres_host, settings.postgres_port, settings.postgres_user) == (
        "db.example",
        6543,
        "cinestream",
    )
    assert settings.landing == "s3://bucket/landing"
    assert settings.landing_settle_seconds == 0.5


@pytest.mark.parametrize("home", ["~/cine", "relative", "a/../b"])
def test_the_home_is_absolute(home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CINESTREAM_HOME", home)
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.home_dir.is_absolute()
    assert settings.home_dir == tmp_path / home.removeprefix("~/")
    assert settings.landing.startswith("file:///")
    there = settings.home_dir
    monkeypatch.chdir("/")
    assert settings.home_dir == there, "the UI works in the home"


def test_a_home_with_blanks_and_signs_is_a_url_that_leads_back(tmp_path: Path):
    from cinestream_platform.lake.store import ObjectStore

    home = tmp_path / "my home #1 %20 é"
    assert ObjectStore(Settings(home=home).landing).folder == home / "landing"


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("file://data/landing", "file://{here}/data/landing"),
        ("file://./landing", "file://{here}/landing"),
        ("file://~/landing", "file://{home}/landing"),
        ("file://localhost/srv/a", "file:///srv/a"),
        ("file:data/landing", "file://{here}/data/landing"),
        ("data/landing", "file://{here}/data/landing"),
        ("~/landing", "file://{home}/landing"),
        ("/srv/a", "file:///srv/a"),
        ("file:///srv/a#2", "file:///srv/a%232"),
        ("file:///srv/a?b", "file:///srv/a%3Fb"),
        ("file:///srv/what?", "file:///srv/what%3F"),
        ("file:///srv/a%20b#c", "file:///srv/a%20b%23c"),
        ("s3://bucket/a#2", "s3://bucket/prefix"),
        ("s3://bucket/a?versionId=hush", "s3://bucket/prefix"),
        ("s3:///landing", "s3://bucket/prefix"),
        ("file://", "file:///folder"),
        ("file:///", "file:///folder"),
        ("https://host/landing", "file:///folder"),
    ],
)
@pytest.mark.parametrize("setting", ["LANDING_URL", "LAKE_URL"])
def test_a_url_that_leads_elsewhere_than_it_seems_is_refused_with_the_right_spelling(
    setting: str, url: str, spelling: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(f"CINESTREAM_{setting}", url)
    get_settings.cache_clear()
    with pytest.raises(SettingsError) as refusal:
        get_settings()
    expected = spelling.format(here=tmp_path, home=tmp_path / "home")
    assert f"CINESTREAM_{setting}: " in str(refusal.value)
    assert expected in str(refusal.value)
    assert "hush" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(f"CINESTREAM_{setting}")
    if expected.startswith("file:///") and "folder" not in expected:
        assert Settings(landing_url=expected).landing == expected


@pytest.mark.parametrize("url", ["", "file:///srv/a%232", "file:///srv/my landing", "file:/srv/a", "s3://bucket"])
def test_other_urls_of_stores_are_taken_as_they_are(url: str):
    assert Settings(landing_url=url).landing_url == url


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POSTGRES_PORT", "0", "greater than or equal to 1"),
        ("POSTGRES_PORT", "99999", "less than or equal to 65535"),
        ("LANDING_SETTLE_SECONDS", "nan", "less than or equal"),
        ("STORE_SILENCE_SECONDS", "inf", "less than or equal"),
        ("LOAD_BACKOFF_SECONDS", "-1", "greater than or equal to 0"),
        ("RUN_LIMIT_HOURS", "nan", "less than or equal"),
        ("LOAD_ATTEMPTS", "0", "greater than or equal to 1"),
        ("FILES_PER_RUN", "0", "greater than or equal to 1"),
        ("SENSOR_INTERVAL_SECONDS", "-5", "greater than or equal to 1"),
        ("EXTRACTION_INTERVAL_SECONDS", "0", "greater than or equal to 1"),
        ("S3_ENDPOINT_URL", "nonsense", "an endpoint is http://host:port"),
        ("S3_ENDPOINT_URL", "s3://host", "an endpoint is http://host:port"),
        ("ROLE_MEMBERS", "{bad", "its value must be JSON"),
    ],
)
def test_a_value_that_nothing_can_work_with_is_refused_by_the_name_of_its_variable(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(f"CINESTREAM_{name}", value)
    get_settings.cache_clear()
    with pytest.raises(SettingsError) as refusal:
        get_settings()
    assert str(refusal.value).startswith(f"CINESTREAM_{name}: ")
    assert said in str(refusal.value)


def test_a_wrong_value_names_the_variable_and_not_the_value(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CINESTREAM_POSTGRES_PORT", "hush")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match=r"CINESTREAM_POSTGRES_PORT: .*integer") as refusal:
        get_settings()
    assert "hush" not in str(refusal.value)


class ShopSettings(OperationalPostgresSettings):
    """Settings of a source's own, as its package declares them."""

    model_config = SettingsConfigDict(env_prefix="CINESTREAM_SHOP_")

    schema_name: str = Field("public", validation_alias="CINESTREAM_SHOP_SCHEMA")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_wrong_value_of_a_sources_own_is_refused_when_that_source_is_asked_for_and_stops_no_other_one(
    zone: str, monkeypatch: pytest.MonkeyPatch
):
    assert ShopSettings(time_zone="America/Chicago").time_zone == "America/Chicago"
    monkeypatch.setenv("CINESTREAM_SHOP_TIME_ZONE", zone)
    get_settings.cache_clear()
    settings = get_settings()
    with pytest.raises(SettingsError, match=r"CINESTREAM_SHOP_TIME_ZONE: .*no such time zone"):
        settings.own(ShopSettings)


def test_settings_of_a_sources_own_are_read_by_their_prefix_and_once(
    monkeypatch: pytest.MonkeyPatch, secret: SecretStr
):
    monkeypatch.setenv("CINESTREAM_SHOP_PASSWORD", secret.get_secret_value())
    monkeypatch.setenv("CINESTREAM_SHOP_SCHEMA", "sales")
    settings = Settings()
    own = settings.own(ShopSettings)
    assert (own.schema_name, own.password) == ("sales", secret)
    monkeypatch.setenv("CINESTREAM_SHOP_SCHEMA", "other")
    assert settings.own(ShopSettings) is own
    assert Settings().own(ShopSettings).schema_name == "other"
    for text in (repr(own), repr(settings), settings.model_dump_json(), own.model_dump_json()):
        assert secret.get_secret_value() not in text


def test_settings_of_a_sources_own_are_replaced_in_a_copy_alone():
    settings = Settings()
    changed = settings.with_own(ShopSettings(schema_name="sales"))
    assert changed.own(ShopSettings).schema_name == "sales"
    assert settings.own(ShopSettings).schema_name == "public"
    assert changed.model_copy(update={"files_per_run": 1}).own(ShopSettings).schema_name == "sales"
    assert variables(ShopSettings)["schema_name"] == "CINESTREAM_SHOP_SCHEMA"


SECRETS = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def test_no_secret_shows_in_any_text_of_the_settings(monkeypatch: pytest.MonkeyPatch, secret: SecretStr):
    hush = secret.get_secret_value()
    for name in SECRETS:
        monkeypatch.setenv(f"CINESTREAM_{name}", hush)
    settings = Settings()
    for name in SECRETS:
        assert getattr(settings, name.lower()).get_secret_value() == hush
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert hush not in text


@pytest.mark.parametrize("kind", [Settings, *(source.settings for source in CATALOG.sources if source.settings)])
def test_every_setting_that_sounds_secret_is_one(kind: type[BaseSettings]):
    for name, field in kind.model_fields.items():
        if any(word in name for word in ("password", "secret", "access_key", "token")):
            assert "SecretStr" in str(field.annotation), name
        assert field.description, name


def test_settings_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch):
    get_settings.cache_clear()
    try:
        first = get_settings()
        monkeypatch.setenv("CINESTREAM_POSTGRES_PORT", "1")
        assert get_settings() is first
    finally:
        get_settings.cache_clear()


def test_the_password_of_postgres_shows_in_no_text_of_the_target(secret: SecretStr):
    from cinestream_platform.warehouse.connection import PostgresTarget

    target = PostgresTarget.started(Settings(postgres_host="db.example", postgres_password=secret))
    assert secret.get_secret_value() not in repr(target)
    assert target.password.get_secret_value() == secret.get_secret_value()
