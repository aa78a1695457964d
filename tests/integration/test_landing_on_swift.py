"""Landing zone and ledger on a real, durable S3 server that checks signatures and can be killed (OpenStack Swift)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from pydantic import SecretStr

from cinestream_platform.lake.s3 import S3Access
from cinestream_platform.lake.store import ObjectChangedError, ObjectGoneError, ObjectStore, StoredObject
from cinestream_platform.settings import get_settings
from tests.support.platform import MOVIES, Y2005, Y2018, Platform, ratings_csv
from tests.support.swift import SwiftServer, swift_available

REGION = "eu-central-1"
A, B, MOVIES_KEY = "movielens/ratings/a.csv", "movielens/ratings/b é+%20.csv", "movielens/movies/movies.csv"


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    folder = tmp_path_factory.mktemp("swift-landing")
    if reason := swift_available(folder):
        pytest.skip(reason)
    with SwiftServer(folder, region=REGION, listing_limit=10) as server:
        yield server


@pytest.fixture
def bucket(swift: SwiftServer) -> str:
    name = f"landing-{uuid.uuid4().hex[:12]}"
    swift.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def on_swift(environment: dict[str, str], swift: SwiftServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose landing zone and lake are in Swift."""
    monkeypatch.setenv("CINESTREAM_LANDING_URL", f"s3://{bucket}/landing")
    monkeypatch.setenv("CINESTREAM_LAKE_URL", f"s3://{bucket}/lake")
    monkeypatch.setenv("CINESTREAM_S3_ENDPOINT_URL", swift.endpoint)
    monkeypatch.setenv("CINESTREAM_S3_REGION", REGION)
    monkeypatch.setenv("CINESTREAM_S3_ACCESS_KEY_ID", swift.access_key)
    monkeypatch.setenv("CINESTREAM_S3_SECRET_ACCESS_KEY", swift.secret_key)
    get_settings.cache_clear()
    return Platform()


def test_files_beside_hostile_keys_are_listed_over_several_pages_and_loaded_once(
    on_swift: Platform, swift: SwiftServer, bucket: str
) -> None:
    contents = {A: ratings_csv([(1, 1, "4.0", Y2005)]), B: ratings_csv([(2, 1, "4.0", Y2018)]), MOVIES_KEY: MOVIES}
    hostile = {
        "movielens/ratings/../../etc/passwd": "empty segment",
        "movielens/ratings//c.csv": "empty segment",
        "movielens/ratings/./c.csv": "empty segment",
        "movielens/ratings/tab\there.csv": "control character",
        "movielens/ratings/new\nline.csv": "control character",
        "/leading.csv": "empty segment",
        "movielens/unknown/日本.csv": "no feed takes files",
    }
    for key, content in {**contents, **dict.fromkeys(hostile, b"x")}.items():
        swift.client().put_object(Bucket=bucket, Key=f"landing/{key}", Body=content)
    swift.client().put_object(Bucket=bucket, Key="landing/movielens/ratings/", Body=b"")  # a console's folder
    swift.client().put_object(Bucket=bucket, Key="landing/movielens/ratings/.b.csv.part", Body=b"half")
    swift.client().put_object(Bucket=bucket, Key="landing-of-others/movielens/ratings/z.csv", Body=b"x")

    assert on_swift.scan() == len(contents) + len(hostile)
    on_swift.load_and_build()
    assert on_swift.scan() == 0

    statuses = dict(on_swift.files())
    assert {key: status for key, status in statuses.items() if status == "loaded"} == dict.fromkeys(contents, "loaded")
    parked = dict(on_swift.query("SELECT key, reason FROM ops.landed_file WHERE status = 'parked'"))
    assert parked.keys() == hostile.keys()
    for key, reason in hostile.items():
        assert reason in parked[key]
    assert on_swift.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 2


def test_a_listed_version_is_fetched_whole_or_not_at_all(swift: SwiftServer, bucket: str, tmp_path: Path) -> None:
    access = S3Access(swift.endpoint, REGION, SecretStr(swift.access_key), SecretStr(swift.secret_key))
    store = ObjectStore(f"s3://{bucket}/landing", access)
    client = swift.client()
    client.put_object(Bucket=bucket, Key="landing/a.csv", Body=b"first")
    [version] = store.list()
    assert isinstance(version, StoredObject)
    assert store.fetch(version, tmp_path / "a").path.read_bytes() == b"first"

    client.put_object(Bucket=bucket, Key="landing/a.csv", Body=b"other")
    with pytest.raises(ObjectChangedError):
        store.fetch(version, tmp_path / "a")
    client.delete_object(Bucket=bucket, Key="landing/a.csv")
    with pytest.raises(ObjectGoneError):
        store.fetch(version, tmp_path / "a")


def test_files_survive_a_killed_server_between_scan_and_load_and_are_loaded_once(
    on_swift: Platform, swift: SwiftServer
) -> None:
    on_swift.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))
    on_swift.land(MOVIES_KEY, MOVIES)
    assert on_swift.scan() == 2

    swift.kill9()
    swift.start()
    assert on_swift.scan() == 0
    on_swift.load_and_build()
    swift.restart()
    on_swift.load_and_build()

    assert sorted(on_swift.files()) == [(MOVIES_KEY, "loaded"), (A, "loaded")]
    assert on_swift.scalar("SELECT count(*) FROM raw_movielens.ratings") == 1
    assert on_swift.scalar("SELECT count(*) FROM movielens_dw.fact_ratings") == 1


def test_a_file_whose_server_is_killed_while_it_is_read_is_loaded_once_and_whole(
    on_swift: Platform, swift: SwiftServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 400_000
    on_swift.land(A, ratings_csv((user, 1, "4.0", Y2005) for user in range(1, rows + 1)))
    get = obstore.get

    class Killed:
        """The stream of an object whose server dies after the first chunk and comes back."""

        def __init__(self, result: Any) -> None:
            self._result = result

        def stream(self, min_chunk_size: int) -> Iterator[Any]:
            chunks = iter(self._result.stream(min_chunk_size=65_536))
            yield next(chunks)
            swift.kill9()
            swift.start()
            yield from chunks

    with monkeypatch.context() as patch:
        patch.setattr(obstore, "get", lambda *args, **more: Killed(get(*args, **more)))
        on_swift.load()
    # Whether the stream was resumed or the attempt failed: after the next load the file is there, once and whole.
    on_swift.load()

    assert on_swift.status(A) == ["loaded"]
    found = "SELECT count(*), count(DISTINCT user_id), min(user_id), max(user_id) FROM raw_movielens.ratings"
    assert on_swift.query(found) == [(rows, rows, 1, rows)]


def test_with_a_wrong_secret_nothing_is_listed_and_nothing_is_marked(
    on_swift: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_swift.land(A, ratings_csv([(1, 1, "4.0", Y2005)]))
    monkeypatch.setenv("CINESTREAM_S3_SECRET_ACCESS_KEY", "wrong")
    get_settings.cache_clear()

    with pytest.raises(Exception, match=r"SignatureDoesNotMatch|AccessDenied|Forbidden"):
        Platform().scan()
    assert on_swift.files() == []
