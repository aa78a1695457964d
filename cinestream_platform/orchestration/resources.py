"""Dagster resources: the warehouse and the two object stores. Nothing connects before a run needs it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from dagster import ConfigurableResource, InitResourceContext, ResourceDefinition, ResourceDependency
from pydantic import SecretStr

from cinestream_platform.declarations.catalog import Catalog
from cinestream_platform.lake.s3 import S3Access, StoreLimits
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.orchestration.noted_runs import noted
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.orchestration.watchdog import watched
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.blockers import readers_give_way
from cinestream_platform.warehouse.connection import PostgresTarget, connect
from cinestream_platform.warehouse.locks import run_session


def given(value: Catalog | Settings | Callable[[InitResourceContext], Settings]) -> ResourceDefinition:
    """A catalogue, or settings, as Dagster hands them to resources; they are no part of its run config or UI.

    A function tells the settings whenever a run or a sensor begins.
    """
    if isinstance(value, Catalog | Settings):
        return ResourceDefinition.hardcoded_resource(value)
    return ResourceDefinition(value)


class Warehouse(ConfigurableResource):  # type: ignore[type-arg]
    """The Postgres warehouse, with the tables of a catalogue, where some settings say (both ``given``).

    For as long as a run has it, a session bears the run's name, and readers that keep the platform waiting give way.
    """

    catalog: ResourceDependency[Catalog]
    settings: ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[Self]:
        """Keep a session of the run's name: the one sign of life that ends with the process, however it ends."""
        if context.run is None:
            yield self
            return
        target = self.target()
        with (
            connect(target, name=run_session(context.run.run_id)) as conn,
            readers_give_way(conn),
            watched(context.run, context.instance, target, self.settings),
            noted(conn, context.run, context.instance),
        ):
            yield self

    def target(self) -> PostgresTarget:
        """Where it is; started and prepared at the first call."""
        return start_and_prepare(self.catalog, self.settings)


class Stores(ConfigurableResource):  # type: ignore[type-arg]
    """The landing zone and the lake."""

    settings: ResourceDependency[Settings]

    def landing(self) -> ObjectStore:
        """Where files land."""
        return _open(self.settings.landing, self.settings)

    def lake(self) -> ObjectStore:
        """Where raw rows are kept as Parquet."""
        return _open(self.settings.lake, self.settings)


def platform_resources(catalog: Catalog, settings: ResourceDefinition) -> dict[str, Any]:
    """The resources that reach the warehouse and the stores of some settings (``given``)."""
    return {"warehouse": Warehouse(catalog=given(catalog), settings=settings), "stores": Stores(settings=settings)}


def _open(url: str, settings: Settings) -> ObjectStore:
    return ObjectStore(url, s3_access(settings) if url.startswith("s3://") else None)


def s3_access(settings: Settings) -> S3Access:
    """Endpoint and credentials by dagster-aws' S3Resource; unset keys leave boto3's own credential chain.

    Made where a store is opened and not as a definition: the keys' values never come near run config or the UI.
    """
    from dagster_aws.s3 import S3Resource  # 0.8 s, which neither the definitions nor a platform on folders need

    keys = (settings.s3_access_key_id, settings.s3_secret_access_key)
    key_id, secret = (value.get_secret_value() if value else None for value in keys)
    s3 = S3Resource(
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )
    resolved = (s3.aws_access_key_id, s3.aws_secret_access_key, s3.aws_session_token)
    access_key, secret_key, token = (SecretStr(value) if value else None for value in resolved)
    region = s3.region_name or settings.s3_region
    return S3Access(
        s3.endpoint_url,
        region,
        access_key,
        secret_key,
        token,
        s3.profile_name,
        proxy_url=settings.s3_proxy_url,
        limits=StoreLimits.from_settings(settings),
    )
