"""The limits of a request to S3 in the words of each client, and that together they are shorter than a run's silence."""

from datetime import timedelta

import pytest

from cinestream_platform.lake.s3 import S3Access, StoreLimits
from cinestream_platform.settings import Settings

LIMITS = StoreLimits(connect_seconds=2, silence_seconds=30, retries=4)


def test_every_client_is_given_the_same_silence():
    assert LIMITS.obstore_options()["client_options"]["read_timeout"] == timedelta(seconds=30)
    assert LIMITS.polars_options()["read_timeout"] == "30000ms"
    config = S3Access(limits=LIMITS).boto3_client().meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (2, 30, 5)


def test_the_settings_reach_the_clients(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CINESTREAM_STORE_SILENCE_SECONDS", "7.5")
    monkeypatch.setenv("CINESTREAM_STORE_RETRIES", "0")
    access = S3Access.from_settings(Settings())
    assert access.limits == StoreLimits(10, 7.5, 0)
    assert access.storage_options()["max_retries"] == 0


def test_a_request_is_given_up_before_its_run_is_taken_for_hanging():
    settings = Settings()
    limits = StoreLimits.from_settings(settings)
    attempts_of_polars = 2 * (limits.polars_options()["max_retries"] + 1)
    assert attempts_of_polars * limits.silence_seconds < settings.run_silence_seconds
    # What broke off is begun anew while a quarter of the patience is left, and may then take all of it.
    assert 1.75 * limits.patience_seconds < settings.run_silence_seconds


def test_no_limit_is_shorter_than_a_range_needs_on_a_slow_line():
    assert StoreLimits().obstore_options()["client_options"]["timeout"] >= timedelta(minutes=30)
