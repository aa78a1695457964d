"""S3: how a server is reached, when a request counts as lost, and moving bytes in parts.

What belongs here: keys, limits and clients (obstore, boto3, polars), reading, writing and deleting objects. What does
not: listings and folders (``store``).

No limit counts for a whole object. A request is lost when no byte has come for ``silence_seconds``; it is then asked
again, a read from the byte where it broke off. An object is read in ranges, each of the listed version (If-Match).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydantic import SecretStr

from cinestream_platform import progress

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Obstore

    from cinestream_platform.settings import Settings

RANGE_BYTES = 16 * 1024 * 1024
"""An object is read in ranges of so many bytes, each a request of its own."""
STREAM_BYTES = 1024 * 1024
UPLOAD_PART_BYTES, UPLOADS_AT_ONCE = 5 * 1024 * 1024, 2
"""The silence of an upload is counted from the beginning of a part, as no byte comes back before its end: two parts of
5 MB in 60 s are 170 kB/s, the slowest line that can be written to."""
RANGE_SECONDS = 1_800
"""A range may take so long while bytes come: against servers that trickle."""


@dataclass(frozen=True)
class StoreLimits:
    """When a request counts as lost, and how often it is asked again."""

    connect_seconds: float = 10.0
    silence_seconds: float = 60.0
    retries: int = 3

    @classmethod
    def from_settings(cls, settings: Settings) -> StoreLimits:
        """The limits that ``CINESTREAM_STORE_*`` give."""
        return cls(settings.store_connect_seconds, settings.store_silence_seconds, settings.store_retries)

    @property
    def patience_seconds(self) -> float:
        """No request is asked again once so long has passed since it was asked first."""
        return self.silence_seconds * (self.retries + 1)

    def obstore_options(self) -> dict[str, Any]:
        """The limits for obstore's ``client_options`` and ``retry_config``."""
        return {
            "client_options": {
                "connect_timeout": timedelta(seconds=self.connect_seconds),
                "read_timeout": timedelta(seconds=self.silence_seconds),
                "timeout": timedelta(seconds=RANGE_SECONDS),
            },
            "retry_config": {
                "max_retries": self.retries,
                "retry_timeout": timedelta(seconds=self.patience_seconds),
            },
        }

    def polars_options(self) -> dict[str, Any]:
        """The limits among polars' storage options; polars asks everything twice, each time with these retries."""
        return {
            "connect_timeout": f"{self.connect_seconds * 1000:.0f}ms",
            "read_timeout": f"{self.silence_seconds * 1000:.0f}ms",
            "timeout": f"{RANGE_SECONDS}s",
            "max_retries": self.retries // 2,
            "retry_timeout_ms": int(self.patience_seconds * 1000),
        }

    def boto3_options(self) -> dict[str, Any]:
        """The limits for botocore's ``Config``."""
        return {
            "connect_timeout": self.connect_seconds,
            "read_timeout": self.silence_seconds,
            "retries": {"mode": "standard", "total_max_attempts": self.retries + 1},
        }


@dataclass(frozen=True)
class S3Access:
    """How an S3 server is reached; without keys boto3's own credential chain is asked."""

    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    profile: str | None = None
    proxy_url: str | None = None
    limits: StoreLimits = field(default_factory=StoreLimits)

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Access:
        """The access that ``CINESTREAM_S3_*`` describes."""
        return cls(
            settings.s3_endpoint_url,
            settings.s3_region,
            settings.s3_access_key_id,
            settings.s3_secret_access_key,
            proxy_url=settings.s3_proxy_url,
            limits=StoreLimits.from_settings(settings),
        )

    def boto3_session(self) -> Any:
        """A boto3 session with these keys, or with boto3's own credential chain; with keys no file is read."""
        import boto3
        from botocore.config import Config
        from botocore.session import Session

        secrets = (self.access_key_id, self.secret_access_key, self.session_token)
        key_id, secret, token = (value.get_secret_value() if value else None for value in secrets)
        # A profile that does not exist, or a file that is not a configuration, would stop also those who need neither.
        nobody = {"profile": (None, None, None, None)}
        no_files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
        core = Session(nobody | no_files if key_id else None)
        # Also of the clients that get credentials. An empty one counts as none, and the shell's are not looked at.
        core.set_default_client_config(Config(proxies=dict.fromkeys(("http", "https"), self.proxy_url or "")))
        core.register_component("data_loader", _data_loader())
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
        return boto3.Session(
            botocore_session=core,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            region_name=self.region,
            profile_name=self.profile,
        )

    def boto3_client(self) -> Any:
        """boto3's client for S3, with the limits; ``~/.aws/config`` may hold credentials, but says not where S3 is."""
        from botocore.config import Config

        config = Config(
            **self.limits.boto3_options(),
            ignore_configured_endpoint_urls=True,
            use_dualstack_endpoint=False,
            use_fips_endpoint=False,
            s3={"addressing_style": "path" if self.endpoint_url else "auto", "use_accelerate_endpoint": False},
        )
        return self.boto3_session().client("s3", endpoint_url=self.endpoint_url, config=config)

    def credentials(self) -> dict[str, str]:
        """Key id, secret and token, resolved now; empty where neither settings nor boto3 know any."""
        resolved = self.boto3_session().get_credentials()
        if resolved is None:
            return {}
        frozen = resolved.get_frozen_credentials()
        values = {
            "aws_access_key_id": frozen.access_key,
            "aws_secret_access_key": frozen.secret_key,
            "aws_session_token": frozen.token,
        }
        return {name: value for name, value in values.items() if value}

    def storage_options(self) -> dict[str, Any]:
        """The same access in the words of the Rust object_store, for polars."""
        options = {"aws_region": self.region, **self.credentials(), **self.limits.polars_options()}
        if self.proxy_url:
            options["proxy_url"] = self.proxy_url
        if self.endpoint_url:
            options |= {
                "aws_endpoint_url": self.endpoint_url,
                "aws_allow_http": str(self.endpoint_url.startswith("http://")).lower(),
                "aws_virtual_hosted_style_request": "false",
            }
        return options

    def open(self, bucket: str, prefix: str) -> Obstore:
        """Obstore's client for a part of a bucket, with the limits; nothing connects before it is used."""
        from obstore.auth.boto3 import Boto3CredentialProvider
        from obstore.store import S3Store

        options = self.limits.obstore_options()
        if self.proxy_url:
            options["client_options"]["proxy_url"] = self.proxy_url
        if self.endpoint_url:
            options |= {"endpoint": self.endpoint_url, "virtual_hosted_style_request": False}
            options["client_options"]["allow_http"] = self.endpoint_url.startswith("http://")
        return S3Store(
            bucket,
            prefix=prefix or None,
            region=self.region,
            credential_provider=Boto3CredentialProvider(self.boto3_session()),
            **options,
        )


def _data_loader() -> Any:
    """What botocore knows of services and regions, read once in a process: it is half of what a client costs."""
    loader = _read_once(os.environ.get("AWS_DATA_PATH"))
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each session adds boto3's own
    return loader


@cache
def _read_once(path: str | None) -> Any:
    from botocore.loaders import create_loader

    return create_loader(path)


def _moment(value: Any) -> datetime:
    """A timestamp in an answer of S3. botocore's own parser takes longer than all the rest of a listing."""
    from botocore.utils import parse_timestamp

    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):  # seconds since 1970, or as in HTTP's headers
        return cast(datetime, parse_timestamp(value))


def ensure_bucket(access: S3Access, bucket: str) -> bool:
    """Make the bucket where it is missing; whether it was made now."""
    from botocore.exceptions import ClientError

    client = access.boto3_client()
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("404", "NoSuchBucket"):
            raise
    else:
        return False
    # S3 refuses its own default region as a constraint.
    default = access.region == "us-east-1"
    where = {} if default else {"CreateBucketConfiguration": {"LocationConstraint": access.region}}
    client.create_bucket(Bucket=bucket, **where)
    return True


def read_object(store: Obstore, key: str, etag: str, size: int) -> Iterator[Any]:
    """The bytes of exactly this version, range by range; what breaks off is asked again from there.

    Raises:
        obstore.exceptions.PreconditionError: The object is another version now.
        obstore.exceptions.NotFoundError: The object is gone.
    """
    import obstore

    for begin in range(0, max(size, 1), RANGE_BYTES):
        options: dict[str, Any] = {"if_match": etag}
        if size > RANGE_BYTES:
            options["range"] = (begin, min(begin + RANGE_BYTES, size))
        for chunk in obstore.get(store, key, options=options).stream(STREAM_BYTES):  # type: ignore[arg-type]
            progress.note(f"bytes of {key}")
            yield chunk


def put_object(store: Obstore, key: str, source: BinaryIO, limits: StoreLimits) -> None:
    """Store an opened file, a long one in parts; readers see the old object or the whole new one."""
    import obstore

    size = os.fstat(source.fileno()).st_size

    def put() -> None:
        source.seek(0)
        if size <= UPLOAD_PART_BYTES:
            obstore.put(store, key, source)
        else:
            parts = _parts(source, key)
            obstore.put(store, key, parts, chunk_size=UPLOAD_PART_BYTES, max_concurrency=UPLOADS_AT_ONCE)

    _patiently(put, limits)
    progress.note(f"{key} is stored")


def _parts(source: BinaryIO, key: str) -> Iterator[bytes]:
    """The file in parts; each is asked for when one of those before it has been stored."""
    while part := source.read(UPLOAD_PART_BYTES):
        progress.note(f"upload of {key}")
        yield part


def delete_objects(store: Obstore, keys: Sequence[str], limits: StoreLimits) -> None:
    """Delete objects; those that are gone already are not an error."""
    import obstore

    _patiently(lambda: obstore.delete(store, list(keys)), limits)
    progress.note(f"{len(keys):,} objects are deleted")


def _patiently(do: Callable[[], object], limits: StoreLimits) -> None:
    """Do again what broke off: clients do not repeat a POST, by which S3 begins and ends uploads and deletes in bulk.

    What is done here may be done twice.
    """
    from obstore.exceptions import GenericError

    began = time.monotonic()
    for attempt in range(limits.retries + 1):
        try:
            do()
            return
        except (GenericError, FileNotFoundError):  # the latter: an upload that had ended, and was then to be aborted
            if attempt == limits.retries or time.monotonic() - began > limits.patience_seconds * 0.75:
                raise
