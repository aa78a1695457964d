"""S3 stores as tests open them: with limits of a second, so that a fault shows soon."""

from __future__ import annotations

from pydantic import SecretStr

from cinestream_platform.lake.s3 import S3Access, StoreLimits
from tests.conftest import REGION, S3Server


def impatient(endpoint: str, server: S3Server, *, retries: int) -> S3Access:
    """Access to ``server`` at another address, that of a proxy: a second without a byte is silence."""
    limits = StoreLimits(connect_seconds=2, silence_seconds=1, retries=retries)
    return S3Access(endpoint, REGION, SecretStr(server.access_key), SecretStr(server.secret_key), limits=limits)
