"""One store API over ``s3://`` and ``file://``, for the landing zone and for the lake (obstore).

What belongs here: opening a store, listing, fetching a listed version, putting and deleting.
What does not: how a folder (``folder``) or a bucket (``s3``) does it, what files mean (``feeds``), and which of them
were loaded (``warehouse.ledger``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from cinestream_platform import progress
from cinestream_platform.declarations.landing_keys import is_in_transit
from cinestream_platform.errors import CineStreamError
from cinestream_platform.lake.folder import IN_TRANSIT, Folder
from cinestream_platform.lake.s3 import S3Access, delete_objects, ensure_bucket, put_object, read_object
from cinestream_platform.lake.s3_conditions import put_if
from cinestream_platform.lake.stored import (
    KeyChangedError,
    LocalCopy,
    NoConditionsError,
    ObjectChangedError,
    ObjectGoneError,
    StoredObject,
    storable,
)
from cinestream_platform.regular_files import open_below
from cinestream_platform.services.process import make_private
from cinestream_platform.store_urls import store_url_problem

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Obstore

    from cinestream_platform.settings import Settings

__all__ = [
    "KeyChangedError",
    "LocalCopy",
    "NoConditionsError",
    "ObjectChangedError",
    "ObjectGoneError",
    "ObjectStore",
    "StoredObject",
    "open_lake",
    "open_landing",
]


class StoreUrlError(CineStreamError):
    """No store can have this address."""


class ObjectStore:
    """A folder or a bucket prefix. Keys are relative to ``url`` and use ``/``."""

    def __init__(self, url: str, s3: S3Access | None = None) -> None:
        self.url = url.rstrip("/")
        self._s3 = s3 or S3Access()
        self._parts = urlsplit(self.url)
        if problem := store_url_problem(url):
            raise StoreUrlError(f"{url.partition('?')[0]}: {problem}")
        if self.is_folder:
            make_private(self.folder)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder of the local machine."""
        return self._parts.scheme == "file"

    @property
    def folder(self) -> Path:
        """The folder of a ``file://`` store."""
        return Path(unquote(self._parts.path))

    @property
    def _prefix(self) -> str:
        return unquote(self._parts.path).strip("/")

    @cached_property
    def _store(self) -> Obstore:
        """The bucket, as obstore opens it."""
        return self._s3.open(self._parts.netloc, self._prefix)

    def ensure(self) -> bool:
        """Make the folder or the bucket where it is missing; whether it was made now."""
        # Opening the store has made a folder.
        return not self.is_folder and ensure_bucket(self._s3, self._parts.netloc)

    def look(self, prefix: str = "", *, settle_seconds: float = 0.0) -> Iterator[StoredObject]:
        """Every entry whose key begins with ``prefix``, also those that wait or can never be read, with the reason.

        In a folder a file must have rested ``settle_seconds``, since a copy in progress already shows; an object in
        S3 shows only when it is whole.
        """
        if self.is_folder:
            return Folder(self.folder).look(prefix, settle_seconds=settle_seconds)
        return self._look_into_bucket(prefix)

    def list(self, prefix: str = "", *, settle_seconds: float = 0.0) -> Iterator[StoredObject]:
        """What ``look`` finds and is not waiting for anything."""
        return (found for found in self.look(prefix, settle_seconds=settle_seconds) if found.waits is None)

    def _look_into_bucket(self, prefix: str) -> Iterator[StoredObject]:
        """List with boto3: a single key such as ``a//b`` makes obstore's whole listing fail."""
        client = self._s3.boto3_client()
        root = f"{self._prefix}/" if self._prefix else ""
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._parts.netloc, Prefix=root + prefix)
        for page in pages:
            progress.note(f"a page of the listing of {self.url}")
            for meta in page.get("Contents", ()):
                key = storable(meta["Key"].removeprefix(root))
                # Without content, a key with a slash at its end is what consoles make to show an empty folder.
                if meta["Size"] or not key.endswith("/"):
                    waits = IN_TRANSIT if is_in_transit(key) else None
                    yield StoredObject(key, meta.get("ETag", ""), meta["Size"], meta["LastModified"], waits=waits)

    def fetch(self, version: StoredObject, target: Path) -> LocalCopy:
        """Copy exactly the listed version to ``target``.

        Raises:
            ObjectChangedError: The object was overwritten since (If-Match), also while it was being read.
            ObjectGoneError: The object is gone.
            NotRegularError: In a folder, there is no regular file under that name.
        """
        if self.is_folder:
            return Folder(self.folder).fetch(version, target)
        import obstore
        from obstore.exceptions import NotFoundError, PreconditionError

        digest = hashlib.sha256()
        size = 0
        try:
            with target.open("wb") as sink:
                for chunk in read_object(self._store, version.key, version.etag, version.size):
                    digest.update(chunk)
                    size += sink.write(chunk)
            now = obstore.head(self._store, version.key)
        except PreconditionError as error:
            raise ObjectChangedError(f"{version.key} changed after it was listed") from error
        except (NotFoundError, FileNotFoundError) as error:
            raise ObjectGoneError(f"{version.key} is gone") from error
        if (now["e_tag"] or "") != version.etag or size != version.size:
            raise ObjectChangedError(f"{version.key} changed while it was read")
        return LocalCopy(target, size, digest.hexdigest())

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file under ``key``; readers see the old object or the whole new one.

        Raises:
            NotRegularError: ``path`` is a link, a FIFO or the like.
        """
        with open_below(path.parent, path.name) as source:
            if self.is_folder:
                Folder(self.folder).put(key, source)
                return
            put_object(self._store, key, source, self._s3.limits)

    def put_file_if(self, key: str, path: Path, there: StoredObject | None) -> None:
        """As ``put_file``, if ``there`` still lies under the key; with ``None``, if nothing does.

        Raises:
            KeyChangedError: Something else lies there. Nothing was put.
            NoConditionsError: This server cannot say so.
            NotRegularError: As ``put_file``.
        """
        with open_below(path.parent, path.name) as source:
            if self.is_folder:
                Folder(self.folder).put(key, source, over=there.etag if there else None)
            else:
                full = f"{self._prefix}/{key}" if self._prefix else key
                put_if(self._s3.boto3_client(), self._parts.netloc, full, source, there.etag if there else None)

    def put_folder(self, prefix: str, folder: Path) -> None:
        """Store every file below ``folder`` under ``prefix``, keeping relative paths."""
        for path in sorted(folder.rglob("*")):
            if not path.is_dir():
                self.put_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already are not an error."""
        if self.is_folder:
            Folder(self.folder).delete(keys)
        elif keys:
            delete_objects(self._store, keys, self._s3.limits)

    def location(self, key: str) -> str:
        """The address of ``key`` for polars, a path or a URL; of a path only the key's own ``*`` is a wildcard.

        Raises:
            NotRegularError: In a folder, what lies there is a link, or reached by one.
        """
        if not self.is_folder:
            return f"{self.url}/{key}"
        Folder(self.folder).require_regular(key)
        return f"{escape(str(self.folder))}/{key}"

    def storage_options(self) -> dict[str, Any] | None:
        """What polars needs to open ``location``; ``None`` for a folder."""
        return None if self.is_folder else self._s3.storage_options()


def open_landing(settings: Settings) -> ObjectStore:
    """The landing zone of these settings."""
    return ObjectStore(settings.landing, S3Access.from_settings(settings))


def open_lake(settings: Settings) -> ObjectStore:
    """The lake of these settings."""
    return ObjectStore(settings.lake, S3Access.from_settings(settings))
