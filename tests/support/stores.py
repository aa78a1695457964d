"""S3 stores as tests open them: with limits of a second, so that a fault shows soon."""

from __future__ import annotations

from pydantic import SecretStr

from cinestream_platform.lake.s3 import S3Access, StoreLimits
from cinestream_platform.lake.store import ObjectStore
from tests.conftest import REGION, S3Server
from tests.support.proxy import Proxy


def impatient(proxy: Proxy, server: S3Server, prefix: str, *, retries: int) -> ObjectStore:
    """A new bucket of ``server`` behind a proxy: a second without a byte is silence."""
    limits = StoreLimits(connect_seconds=2, silence_seconds=1, retries=retries)
    secret = SecretStr(server.secret_key)
    access = S3Access(proxy.endpoint, REGION, SecretStr(server.access_key), secret, limits=limits)
    return ObjectStore(f"s3://{server.create_bucket()}/{prefix}", access)
