"""A download may take as long as it needs while bytes come; what breaks off is asked again from there."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import replace
from pathlib import Path

import obstore
import pytest

from cinestream_platform.lake import s3
from cinestream_platform.lake.store import ObjectChangedError, ObjectStore, StoredObject
from cinestream_platform.releases.download import Download
from tests.conftest import S3Server
from tests.support.proxy import Kind, Proxy
from tests.support.stores import impatient

CONTENT = random.Random(7).randbytes(3_000_000)
RANGE = 1_000_000


@pytest.fixture
def store(proxy: Proxy, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket behind the proxy; no byte for a second is silence, and a range has 1 MB."""
    monkeypatch.setattr(s3, "RANGE_BYTES", RANGE)
    monkeypatch.setattr(s3, "STREAM_BYTES", 50_000)
    return impatient(proxy, s3_server, "landing", retries=2)


@pytest.fixture
def landed(store: ObjectStore) -> StoredObject:
    obstore.put(store._store, "netflix/ratings/a.txt", CONTENT)
    [version] = store.list()
    return version


def ranges(proxy: Proxy) -> list[str]:
    """The ranges that were asked for, in order."""
    return [request.rpartition(" ")[2] for request in proxy.requests if re.match(r"GET .*a\.txt \d", request)]


def test_an_object_that_takes_longer_than_any_timeout_is_fetched(
    store: ObjectStore, landed: StoredObject, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.requests.clear()
    with proxy.fault("throttle", "a.txt", bytes_per_second=1_000_000):  # a range takes as long as silence may last
        copy = store.fetch(landed, tmp_path / "copy")

    assert copy.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert ranges(proxy) == ["0-999999", "1000000-1999999", "2000000-2999999"]


@pytest.mark.parametrize("kind", ["stall in body", "reset", "truncate"])
def test_what_breaks_off_in_every_range_is_asked_again_from_there(
    store: ObjectStore, landed: StoredObject, proxy: Proxy, tmp_path: Path, kind: Kind
) -> None:
    proxy.requests.clear()
    with proxy.fault(kind, r"a\.txt \d000000-", after_bytes=400_000):
        copy = store.fetch(landed, tmp_path / "copy")

    assert copy.sha256 == hashlib.sha256(CONTENT).hexdigest()
    begins = [int(asked.partition("-")[0]) for asked in ranges(proxy)]
    assert len(begins) > 3
    assert begins == sorted(set(begins)), "no byte that had come was asked for again"


def test_an_object_that_is_overwritten_between_two_ranges_is_not_fetched_as_a_mixture(
    store: ObjectStore, landed: StoredObject, tmp_path: Path
) -> None:
    chunks = s3.read_object(store._store, landed.key, landed.etag, landed.size)
    next(chunks)
    obstore.put(store._store, landed.key, CONTENT[::-1])

    with pytest.raises(obstore.exceptions.PreconditionError):
        list(chunks)
    with pytest.raises(ObjectChangedError):
        store.fetch(landed, tmp_path / "copy")


def test_a_slow_upload_in_parts_is_stored_whole(
    store: ObjectStore, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "UPLOAD_PART_BYTES", 5 * 1024 * 1024)  # S3's least
    path = tmp_path / "rows.parquet"
    path.write_bytes(CONTENT * 4)
    with proxy.fault("throttle", "^PUT", bytes_per_second=10_000_000):
        store.put_file("raw/rows.parquet", path)

    assert bytes(obstore.get(store._store, "raw/rows.parquet").bytes()) == CONTENT * 4
    assert len([request for request in proxy.requests if "partNumber" in request]) == 3


@pytest.mark.parametrize("kind", ["reset", "truncate", "stall in body"])
def test_an_upload_that_breaks_off_in_its_first_or_last_request_is_repeated(
    store: ObjectStore, proxy: Proxy, tmp_path: Path, kind: Kind
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(CONTENT * 2)
    for request in (r"^POST .*uploads=", r"^POST .*uploadId="):
        with proxy.fault(kind, request, times=1, after_bytes=20):
            store.put_file("raw/rows.parquet", path)

        assert bytes(obstore.get(store._store, "raw/rows.parquet").bytes()) == CONTENT * 2


@pytest.mark.parametrize("kind", ["stall in body", "reset", "truncate"])
def test_a_fetched_release_goes_on_where_its_connection_broke(
    store: ObjectStore, landed: StoredObject, proxy: Proxy, tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinestream_platform.releases.download.SILENCE_SECONDS", 1)
    monkeypatch.setattr("cinestream_platform.releases.download.CHUNK_BYTES", 50_000)
    # Boto3's signed address stands for a publisher's: an HTTP server with ranges and ETags.
    url = (
        replace(store._s3, endpoint_url=proxy.endpoint)
        .boto3_client()
        .generate_presigned_url(
            "get_object", Params={"Bucket": store.url.split("/")[2], "Key": f"landing/{landed.key}"}
        )
    )
    proxy.requests.clear()
    target = tmp_path / "archive.zip"
    with proxy.fault(kind, after_bytes=700_000, times=3):
        Download(progress=False)(url, str(target), None)

    assert target.read_bytes() == CONTENT
    begins = [int(request.rpartition(" ")[2].rstrip("-")) for request in proxy.requests[1:]]
    assert begins == sorted(set(begins)), "each request asks for what is missing"
    assert begins[0] > 0


def test_a_download_that_brings_nothing_ends(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cinestream_platform.releases.download.SILENCE_SECONDS", 1)
    with proxy.fault("stall"), pytest.raises(OSError, match="timed out"):
        Download(progress=False)(f"{proxy.endpoint}/a/b", str(tmp_path / "archive.zip"), None)
    assert len(proxy.requests) == 3
