"""What the platform relies on in S3, shown on a server that checks signatures and keeps its data: OpenStack Swift.

The store is configured as the platform configures it, through obstore; boto3 plays whoever lands files, and the
listing that must survive any key.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
)
from obstore.store import S3Store

from tests.support.swift import SwiftServer, swift_available

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

REGION = "eu-central-1"
LISTING_LIMIT = 100  # keys a page; AWS's 1000 would need 1,001 objects, which take 16 s to store
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    folder = tmp_path_factory.mktemp("swift")
    if reason := swift_available(folder):
        pytest.skip(reason)
    with SwiftServer(folder, region=REGION, listing_limit=LISTING_LIMIT) as server:
        yield server


@pytest.fixture
def client(swift: SwiftServer) -> S3Client:
    return swift.client()


@pytest.fixture
def bucket(client: S3Client) -> str:
    """A bucket of its own for every test: one server for all of them, and no leftovers."""
    name = f"landing-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(swift: SwiftServer, bucket: str) -> S3Store:
    return store_of(swift, bucket)


def store_of(
    swift: SwiftServer,
    bucket: str,
    *,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = REGION,
) -> S3Store:
    """The bucket through obstore, configured as the platform does it but without retries: the first answer counts."""
    return S3Store(
        bucket,
        config={
            "endpoint": swift.endpoint,
            "region": region,
            "access_key_id": access_key or swift.access_key,
            "secret_access_key": secret_key or swift.secret_key,
            "virtual_hosted_style_request": False,
        },
        client_options={"allow_http": True, "timeout": "60s", "connect_timeout": "5s"},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=60)},
    )


def read(store: S3Store, key: str) -> bytes:
    return bytes(store.get(key).bytes())


def read_if_match(store: S3Store, key: str, e_tag: str) -> bytes:
    return bytes(obstore.get(store, key, options={"if_match": e_tag}).bytes())


def listed_keys(store: S3Store, prefix: str | None = None) -> list[str]:
    return [item["path"] for item in store.list(prefix).collect()]


def put_and_tag(store: S3Store, key: str, content: bytes) -> str:
    e_tag = store.put(key, content, use_multipart=False)["e_tag"]
    assert e_tag is not None
    return e_tag


def noise(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def tag_of_parts(*parts: bytes) -> str:
    """S3's ETag of a multipart upload: the MD5 of the parts' binary MD5s, and their number."""
    binary = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f'"{md5(binary)}-{len(parts)}"'


# Authentication


REFUSED_OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "list": lambda store: store.list().collect(),
    "get": lambda store: store.get("a.csv"),
    "head": lambda store: store.head("a.csv"),
    "put": lambda store: store.put("b.csv", b"forged"),
    "delete": lambda store: store.delete("a.csv"),
}


@pytest.mark.parametrize("operation", REFUSED_OPERATIONS)
@pytest.mark.parametrize("credentials", [{"secret_key": "x" * 32}, {"access_key": "cinestream:nobody"}])
def test_wrong_credentials_are_refused_and_change_nothing(
    swift: SwiftServer, store: S3Store, bucket: str, operation: str, credentials: dict[str, str]
) -> None:
    store.put("a.csv", b"x")
    stranger = store_of(swift, bucket, **credentials)

    with pytest.raises(BaseError, match="403 Forbidden") as refusal:
        REFUSED_OPERATIONS[operation](stranger)

    # obstore maps the 403 of a listing to its GenericError, that of everything else to PermissionDeniedError.
    assert refusal.type is (GenericError if operation == "list" else PermissionDeniedError)
    assert listed_keys(store) == ["a.csv"]
    assert read(store, "a.csv") == b"x"


@pytest.mark.parametrize(
    "credentials", [{"aws_secret_access_key": "x" * 32}, {"aws_access_key_id": "cinestream:nobody"}]
)
def test_boto3_with_wrong_credentials_is_told_that_the_signature_is_wrong(
    swift: SwiftServer, bucket: str, credentials: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as refusal:
        swift.client(**credentials).list_objects_v2(Bucket=bucket)

    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    # AWS says InvalidAccessKeyId of an unknown key; Swift does not give away which keys exist.
    assert refusal.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_signature_for_another_region_is_refused(swift: SwiftServer, bucket: str) -> None:
    with pytest.raises(GenericError, match="AuthorizationHeaderMalformed"):
        store_of(swift, bucket, region="us-west-2").list().collect()


def test_right_credentials_put_list_head_get_and_delete(store: S3Store) -> None:
    store.put("movielens/ratings.csv", b"userId,movieId\n1,31\n")

    head = store.head("movielens/ratings.csv")
    (listed,) = store.list("movielens").collect()
    assert listed == head
    assert (head["path"], head["size"]) == ("movielens/ratings.csv", 20)
    assert read(store, "movielens/ratings.csv") == b"userId,movieId\n1,31\n"
    assert bytes(store.get_range("movielens/ratings.csv", start=7, end=14)) == b"movieId"

    store.delete("movielens/ratings.csv")
    assert listed_keys(store) == []
    with pytest.raises(FileNotFoundError):
        store.head("movielens/ratings.csv")
    store.delete("movielens/ratings.csv")  # of what is not there: no error, as in S3


# Listing and keys


def test_a_listing_of_several_pages_is_complete_and_in_the_order_of_the_keys_bytes(
    store: S3Store, client: S3Client, bucket: str
) -> None:
    keys = [f"many/{number:03}.csv" for number in range(2 * LISTING_LIMIT + 50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), reversed(keys)))

    first_page = client.list_objects_v2(Bucket=bucket, Prefix="many/")
    assert (first_page["KeyCount"], first_page["IsTruncated"]) == (LISTING_LIMIT, True)
    assert listed_keys(store, "many") == keys
    assert [item["path"] for item in store.list("many", offset=keys[-11]).collect()] == keys[-10:]


STRANGE_KEYS = [
    "k/Z.csv",
    "k/a b.csv",
    "k/a+b.csv",
    "k/a%20b.csv",
    "k/100%.csv",
    "k/a&b<c>\"d'.csv",
    "k/a=b,c;d@$!*().csv",
    "k/a#b?c.csv",
    "k/[a]{b}|^`~.csv",
    "k/back\\slash.csv",
    "k/é.csv",  # composed …
    "k/e\u0301.csv",  # … and decomposed: two keys
    "k/日本/映画 1.csv",
    "k/\ufffd.csv",
    "k/\U0001f600.csv",  # after U+FFFD in UTF-8, before it in UTF-16
]


def test_keys_of_any_printable_characters_survive_put_list_and_get(
    store: S3Store, client: S3Client, bucket: str
) -> None:
    for key in STRANGE_KEYS:
        store.put(key, key.encode())

    in_order = sorted(STRANGE_KEYS, key=str.encode)
    assert listed_keys(store, "k") == in_order
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == in_order
    for key in STRANGE_KEYS:
        assert read(store, key) == key.encode()
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


@pytest.mark.parametrize("hostile", ["a/../b.csv", "a/./b.csv", "a//b.csv", "a/tab\there.csv", "a/new\nline.csv"])
def test_one_key_that_obstore_cannot_spell_fails_its_whole_listing_but_not_that_of_boto3(
    store: S3Store, client: S3Client, bucket: str, hostile: str
) -> None:
    """Whoever may put a file may put such a key: a landing zone has to be listed with boto3."""
    store.put("good.csv", b"x")
    client.put_object(Bucket=bucket, Key=hostile, Body=b"x")

    with pytest.raises(InvalidPathError):
        store.list().collect()
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == [hostile, "good.csv"]
    with pytest.raises(ValueError, match="Could not parse path"):
        store.get(hostile)


@pytest.mark.parametrize("key", ["/leading.csv", "trailing/"])
def test_obstore_lists_a_key_with_a_slash_at_an_end_under_a_name_that_does_not_exist(
    store: S3Store, client: S3Client, bucket: str, key: str
) -> None:
    client.put_object(Bucket=bucket, Key=key, Body=b"x")

    assert listed_keys(store) == [key.strip("/")]
    with pytest.raises(FileNotFoundError):
        store.get(key)
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


# ETags


def test_a_get_with_the_current_etag_returns_the_bytes_and_with_a_stale_one_is_refused(store: S3Store) -> None:
    stale = put_and_tag(store, "a.csv", b"old")
    current = put_and_tag(store, "a.csv", b"new")

    assert read_if_match(store, "a.csv", current) == b"new"
    with pytest.raises(PreconditionError):
        read_if_match(store, "a.csv", stale)
    with pytest.raises(NotModifiedError):
        obstore.get(store, "a.csv", options={"if_none_match": current})


def test_an_overwrite_within_the_same_second_changes_the_etag_though_not_the_time(store: S3Store) -> None:
    for _ in range(5):  # two puts take 40 ms; a second may still end between them
        first_tag, first = put_and_tag(store, "a.csv", b"one"), store.list().collect()[0]
        second_tag, second = put_and_tag(store, "a.csv", b"two"), store.list().collect()[0]
        if first["last_modified"] == second["last_modified"]:
            break

    assert first["last_modified"] == second["last_modified"]
    assert first["size"] == second["size"]
    assert (first["e_tag"], second["e_tag"]) == (first_tag, second_tag)
    assert first_tag == f'"{md5(b"one")}"'
    assert second_tag == f'"{md5(b"two")}"'


def test_a_multipart_upload_round_trips_and_its_etag_is_not_the_md5_of_the_content(store: S3Store) -> None:
    content = noise(12 * MEGABYTE)
    part = 5 * MEGABYTE

    e_tag = store.put("big.csv", content, use_multipart=True, chunk_size=part)["e_tag"]

    assert e_tag == tag_of_parts(content[:part], content[part : 2 * part], content[2 * part :])
    assert store.list().collect() == [store.head("big.csv")]
    assert store.head("big.csv")["e_tag"] == e_tag
    assert read_if_match(store, "big.csv", e_tag) == content
    with pytest.raises(PreconditionError):
        read_if_match(store, "big.csv", f'"{md5(content)}"')


def test_the_same_bytes_have_different_etags_when_their_parts_differ(store: S3Store) -> None:
    content = noise(12 * MEGABYTE)

    tags = {
        store.put("big.csv", content, use_multipart=True, chunk_size=megabytes * MEGABYTE)["e_tag"]
        for megabytes in (5, 6)
    }
    tags.add(put_and_tag(store, "big.csv", content))

    assert len(tags) == 3


# kill -9


def test_what_was_put_before_a_kill_9_is_there_and_whole_after_a_restart(swift: SwiftServer, store: S3Store) -> None:
    small, big = noise(MEGABYTE), noise(12 * MEGABYTE)
    put_and_tag(store, "small.csv", small)
    store.put("big.csv", big, use_multipart=True)
    before = store.list().collect()

    swift.kill9()
    with pytest.raises(GenericError):
        store.head("small.csv")
    swift.start()

    assert store.list().collect() == before
    assert read(store, "small.csv") == small
    assert read(store, "big.csv") == big


def start_upload(client: S3Client, bucket: str, key: str, content: bytes, sent: int) -> http.client.HTTPConnection:
    """Send the first `sent` bytes of a PUT that announces all of `content`, and leave it there."""
    url = urlsplit(client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=600))
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[:sent])
    return connection


def test_an_upload_cut_by_a_kill_9_is_not_visible_and_leaves_the_older_version_whole(
    swift: SwiftServer, client: S3Client, store: S3Store, bucket: str
) -> None:
    # Far more is sent than the sockets between client and disk can hold: the server was in the middle of it.
    content, sent = noise(32 * MEGABYTE), 24 * MEGABYTE
    whole = start_upload(client, bucket, "whole.csv", content, len(content))
    assert whole.getresponse().status == 200
    whole.close()
    put_and_tag(store, "old.csv", b"old")

    cut = [start_upload(client, bucket, key, content, sent) for key in ("new.csv", "old.csv")]
    assert listed_keys(store) == ["old.csv", "whole.csv"]
    swift.kill9()
    for connection in cut:
        connection.close()
    swift.start()

    assert listed_keys(store) == ["old.csv", "whole.csv"]
    assert read(store, "old.csv") == b"old"
    assert read(store, "whole.csv") == content
    with pytest.raises(FileNotFoundError):
        store.head("new.csv")


def test_a_multipart_upload_is_visible_only_once_completed_and_can_be_completed_after_a_kill_9(
    swift: SwiftServer, client: S3Client, store: S3Store, bucket: str
) -> None:
    parts = [noise(5 * MEGABYTE), noise(MEGABYTE)]
    upload = client.create_multipart_upload(Bucket=bucket, Key="big.csv")["UploadId"]

    def upload_part(number: int, part: bytes) -> CompletedPartTypeDef:
        answer = client.upload_part(Bucket=bucket, Key="big.csv", UploadId=upload, PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    uploaded = [upload_part(number, part) for number, part in enumerate(parts, start=1)]

    swift.kill9()
    swift.start()

    assert listed_keys(store) == []
    with pytest.raises(FileNotFoundError):
        store.head("big.csv")
    client.complete_multipart_upload(Bucket=bucket, Key="big.csv", UploadId=upload, MultipartUpload={"Parts": uploaded})
    assert listed_keys(store) == ["big.csv"]
    assert read(store, "big.csv") == b"".join(parts)


def test_a_restarted_server_keeps_its_endpoint_and_its_secret(swift: SwiftServer, store: S3Store) -> None:
    endpoint = swift.endpoint
    put_and_tag(store, "a.csv", b"x")

    swift.restart()

    assert swift.endpoint == endpoint
    assert read(store, "a.csv") == b"x"


# Conditional writes: nothing of the platform relies on them. These tests say why.


def test_a_put_that_must_create_is_refused_where_the_key_exists(store: S3Store) -> None:
    store.put("a.csv", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("a.csv", b"second", mode="create")

    assert read(store, "a.csv") == b"first"


def test_of_several_puts_at_once_that_must_create_at_least_one_wins_and_sometimes_more(store: S3Store) -> None:
    """Swift looks first and writes then: of 8 at once, up to 3 were seen to win, so that it is not a lock."""

    def create(content: bytes) -> bool:
        try:
            store.put("a", content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    contents = [str(number).encode() for number in range(8)]
    with ThreadPoolExecutor(len(contents)) as pool:
        created = list(pool.map(create, contents))

    won = [content for content, is_created in zip(contents, created, strict=True) if is_created]
    assert 1 <= len(won) <= len(contents)
    assert read(store, "a") in won


def test_a_put_that_must_replace_a_given_version_is_not_implemented(store: S3Store) -> None:
    e_tag = put_and_tag(store, "a.csv", b"first")

    with pytest.raises(GenericError, match="501 Not Implemented"):
        store.put("a.csv", b"second", mode={"e_tag": e_tag})

    assert read(store, "a.csv") == b"first"
