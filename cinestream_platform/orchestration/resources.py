"""Dagster resources: the warehouse and the two object stores. Nothing connects before a run needs it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from dagster import ConfigurableResource, EnvVar, InitResourceContext, ResourceDependency
from dagster_aws.s3 import S3Resource
from pydantic import SecretStr

from cinestream_platform.lake.store import ObjectStore, S3Access
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget, connect


def _secret(name: str) -> str | None:
    """A reference to an environment variable: the value itself is never part of a definition or of run config."""
    return EnvVar(name) if os.environ.get(name) else None


def s3_resource() -> S3Resource:
    """dagster-aws' S3Resource as ``CINESTREAM_S3_*`` say; unset keys leave boto3's own credential chain."""
    settings = get_settings()
    return S3Resource(
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=_secret("CINESTREAM_S3_ACCESS_KEY_ID"),
        aws_secret_access_key=_secret("CINESTREAM_S3_SECRET_ACCESS_KEY"),
    )


class Warehouse(ConfigurableResource):  # type: ignore[type-arg]
    """The Postgres warehouse. For as long as a run has it, the run holds its own advisory lock (``run_lock``)."""

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Self]:
        """Hold the run's lock: the one sign of life that ends with the process, however it ends."""
        if context.run is None:
            yield self
            return
        with connect(self.target()) as conn:
            # Shared: Dagster may make a resource once more for the IO managers that are given it.
            conn.execute("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", (run_lock(context.run.run_id),))
            yield self

    def target(self) -> PostgresTarget:
        """Where it is; started and prepared at the first call."""
        return prepared_target()


def run_lock(run_id: str) -> str:
    """Name of the advisory lock that a living run holds."""
    return f"cinestream.run.{run_id}"


class Stores(ConfigurableResource):  # type: ignore[type-arg]
    """The landing zone and the lake."""

    s3: ResourceDependency[S3Resource]

    def _access(self) -> S3Access:
        keys = (self.s3.aws_access_key_id, self.s3.aws_secret_access_key, self.s3.aws_session_token)
        key_id, secret, token = (SecretStr(value) if value else None for value in keys)
        region = self.s3.region_name or get_settings().s3_region
        return S3Access(self.s3.endpoint_url, region, key_id, secret, token, self.s3.profile_name)

    def landing(self) -> ObjectStore:
        """Where files land."""
        return ObjectStore(get_settings().landing, self._access())

    def lake(self) -> ObjectStore:
        """Where raw rows are kept as Parquet."""
        return ObjectStore(get_settings().lake, self._access())
