"""A store in a folder: listing, fetching the listed version, and putting whole objects."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from cinestream_platform.declarations.landing_keys import key_problem
from cinestream_platform.lake.store import ObjectChangedError, ObjectGoneError, ObjectStore, StoredObject, StoreUrlError


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "landing zone").as_uri())


def write(store: ObjectStore, key: str, content: bytes = b"content", age: float = 100) -> Path:
    path = store.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def only(store: ObjectStore) -> StoredObject:
    [item] = store.list()
    return item


def test_an_empty_store_lists_nothing_and_its_folder_is_made(store: ObjectStore):
    assert list(store.list()) == []
    assert store.folder.is_dir()
    assert store.folder.name == "landing zone"


def test_a_listing_shows_key_size_and_time_of_every_file_below(store: ObjectStore):
    write(store, "m/r/a.csv", b"12345", age=50)
    write(store, "m/r/2019/b.csv", b"")
    listed = {item.key: item for item in store.list()}
    assert {key: item.size for key, item in listed.items()} == {"m/r/a.csv": 5, "m/r/2019/b.csv": 0}
    assert time.time() - listed["m/r/a.csv"].last_modified.timestamp() == pytest.approx(50, abs=5)
    assert {item.key for item in store.list("m/r/2019/")} == {"m/r/2019/b.csv"}
    assert list(store.list("m/x/")) == []


def test_a_file_that_has_not_rested_yet_is_left_to_a_later_listing(store: ObjectStore):
    write(store, "m/r/old.csv", age=60)
    write(store, "m/r/fresh.csv", age=0)
    assert [item.key for item in store.list(settle_seconds=30)] == ["m/r/old.csv"]
    assert sorted(item.key for item in store.list(settle_seconds=0)) == ["m/r/fresh.csv", "m/r/old.csv"]


def test_names_in_transit_are_left_out(store: ObjectStore):
    write(store, "m/r/.a.csv.x7Gs9")
    write(store, "m/r/.rsync-partial/b.csv")
    write(store, "m/r/c.csv")
    assert [item.key for item in store.list()] == ["m/r/c.csv"]


@pytest.mark.parametrize(
    "name",
    [
        "a b.csv",
        "Été.csv",
        "é.csv",
        "電影.csv",
        "100%.csv",
        "a%20b.csv",
        "a+b.csv",
        "a#1.csv",
        "a?b&c=d.csv",
        "[x]*.csv",
        "back\\slash.csv",
        'it\'s "q".csv',
        "~a:b.csv",
    ],
)
def test_any_name_is_listed_as_it_is_and_can_be_fetched(store: ObjectStore, tmp_path: Path, name: str):
    write(store, f"m/r/{name}", name.encode())
    item = only(store)
    assert item.key == f"m/r/{name}"
    assert store.fetch(item, tmp_path / "copy").path.read_bytes() == name.encode()


@pytest.mark.parametrize("name", [b"line\nfeed.csv", b"tab\t.csv", b"del\x7f.csv", b"latin1-\xe9.csv"])
def test_a_name_outside_the_grammar_is_listed_to_be_parked_and_hides_no_other(store: ObjectStore, name: bytes):
    good = write(store, "m/r/good.csv", b"123")
    (Path(os.fsdecode(os.fsencode(good.parent) + b"/" + name))).write_bytes(b"12")
    write(store, "m/r/.partial")
    listed = {item.key: item for item in store.list()}
    assert len(listed) == 2
    [strange] = set(listed) - {"m/r/good.csv"}
    assert "control character" in (key_problem(strange) or "")
    assert strange.encode("utf-8")  # Postgres can store it
    assert listed[strange].size == 2
    assert listed["m/r/good.csv"] == store_item(store, "m/r/good.csv")
    assert list(store.list(settle_seconds=10)) == [listed["m/r/good.csv"]]


def store_item(store: ObjectStore, key: str) -> StoredObject:
    """The object as obstore itself lists it."""
    import obstore
    from obstore.store import LocalStore

    meta = obstore.head(LocalStore(store.folder), key)
    return StoredObject(key, meta["e_tag"] or "", meta["size"], meta["last_modified"])


def test_a_fetched_copy_has_the_bytes_the_length_and_the_sha256(store: ObjectStore, tmp_path: Path):
    content = os.urandom(100_000) * 200  # 20 MB: several chunks
    write(store, "m/r/a.csv", content)
    copy = store.fetch(only(store), tmp_path / "copy")
    assert copy.path == tmp_path / "copy"
    assert copy.path.read_bytes() == content
    assert copy.size == len(content)
    assert copy.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"CONTENT", b"longer content"])
def test_an_overwritten_object_is_not_fetched_as_the_listed_version(store: ObjectStore, tmp_path: Path, content: bytes):
    write(store, "m/r/a.csv", b"content")
    listed = only(store)
    write(store, "m/r/a.csv", content, age=50)
    with pytest.raises(ObjectChangedError, match=r"^m/r/a\.csv changed"):
        store.fetch(listed, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()  # nothing of the new version was read for the old one
    assert store.fetch(only(store), tmp_path / "copy").path.read_bytes() == content


def test_a_version_is_another_one_when_the_file_was_replaced_by_an_equal_one(store: ObjectStore):
    write(store, "m/r/a.csv", b"content", age=50)
    before = only(store)
    write(store, "m/r/a.csv", b"content", age=40)
    assert only(store).etag != before.etag


def test_a_listed_size_that_is_not_the_objects_is_a_change(store: ObjectStore, tmp_path: Path):
    write(store, "m/r/a.csv", b"content")
    item = only(store)
    with pytest.raises(ObjectChangedError):
        store.fetch(StoredObject(item.key, item.etag, item.size + 1, item.last_modified), tmp_path / "copy")


def test_a_deleted_object_is_gone(store: ObjectStore, tmp_path: Path):
    path = write(store, "m/r/a.csv")
    listed = only(store)
    path.unlink()
    with pytest.raises(ObjectGoneError, match=r"^m/r/a\.csv is gone$"):
        store.fetch(listed, tmp_path / "copy")


def test_a_put_replaces_the_object_at_once_and_leaves_no_trace_of_the_old(store: ObjectStore, tmp_path: Path):
    local = tmp_path / "local"
    local.write_bytes(b"old, and longer")
    store.put_file("m/r/a.csv", local)
    with (store.folder / "m/r/a.csv").open("rb") as reader:
        local.write_bytes(b"new")
        store.put_file("m/r/a.csv", local)
        assert reader.read() == b"old, and longer"  # a reader that had begun keeps the whole old object
    assert (store.folder / "m/r/a.csv").read_bytes() == b"new"
    assert [item.key for item in store.list()] == ["m/r/a.csv"]


def test_a_failed_put_leaves_the_old_object(store: ObjectStore, tmp_path: Path):
    write(store, "m/r/a.csv", b"old")
    with pytest.raises(FileNotFoundError):
        store.put_file("m/r/a.csv", tmp_path / "absent")
    assert (store.folder / "m/r/a.csv").read_bytes() == b"old"


def test_a_folder_is_put_with_its_relative_paths(store: ObjectStore, tmp_path: Path):
    (tmp_path / "rows" / "partition_key=2005").mkdir(parents=True)
    (tmp_path / "rows" / "partition_key=2005" / "part-1.parquet").write_bytes(b"1")
    (tmp_path / "rows" / "top").write_bytes(b"22")
    store.put_folder("raw/m/r/file-1", tmp_path / "rows")
    assert {item.key: item.size for item in store.list()} == {
        "raw/m/r/file-1/partition_key=2005/part-1.parquet": 1,
        "raw/m/r/file-1/top": 2,
    }


def test_deleting_removes_the_named_objects_only(store: ObjectStore):
    write(store, "m/r/a.csv")
    write(store, "m/r/b.csv")
    store.delete(["m/r/a.csv"])
    store.delete([])
    assert [item.key for item in store.list()] == ["m/r/b.csv"]


def test_a_location_is_a_path_that_polars_can_open_as_it_is(store: ObjectStore):
    assert store.location("a/*.parquet") == str(store.folder / "a/*.parquet")
    assert ObjectStore(store.url + "/[x]").location("a") == str(store.folder / "[[]x]" / "a")
    assert store.storage_options() is None


@pytest.mark.parametrize("url", ["/tmp/landing", "http://host/bucket", "landing", ""])
def test_a_store_is_a_bucket_or_a_folder(url: str):
    with pytest.raises(StoreUrlError, match="a store is s3://bucket/prefix or file:///folder"):
        ObjectStore(url)


def test_the_secrets_of_s3_are_not_shown():
    from pydantic import SecretStr

    from cinestream_platform.lake.s3 import S3Access

    access = S3Access("http://localhost:1", "eu-central-1", SecretStr("key-id-hush"), SecretStr("secret-hush"))
    assert "hush" not in repr(access)
    assert access.storage_options() == access.limits.polars_options() | {
        "aws_region": "eu-central-1",
        "aws_access_key_id": "key-id-hush",
        "aws_secret_access_key": "secret-hush",
        "aws_endpoint_url": "http://localhost:1",
        "aws_allow_http": "true",
        "aws_virtual_hosted_style_request": "false",
    }
