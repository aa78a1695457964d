"""The landing zone is a boundary: only regular files in it are read, and no link leads out of it."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinestream_platform import regular_files
from cinestream_platform.catalog import SOURCES
from cinestream_platform.commands.demo_data import choose
from cinestream_platform.commands.demo_sources import DemoError
from cinestream_platform.commands.files import NotLandableError, land_named, land_path
from cinestream_platform.lake import folder
from cinestream_platform.lake.store import ObjectStore, StoredObject
from cinestream_platform.regular_files import NotRegularError
from cinestream_platform.releases.archives import Limits, unpack
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.netflix.release import release_files
from tests.support.platform import Y2005, Platform, ratings_csv

ROWS = ratings_csv([(1, 1, 3.0, Y2005)])
SECRET = "userId,movieId,rating,timestamp\nhush-password\n"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """What lies outside the landing zone, readable for the platform alone."""
    path = tmp_path / "outside" / "password.csv"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


def make(platform: Platform, key: str) -> Path:
    path = platform.landing.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def link_to_a_file(at: Path, secret: Path) -> None:
    at.symlink_to(secret)


def link_to_a_folder(at: Path, secret: Path) -> None:
    at.symlink_to(secret.parent, target_is_directory=True)


def link_to_nothing(at: Path, secret: Path) -> None:
    at.symlink_to(secret.with_name("absent"))


def link_to_itself(at: Path, secret: Path) -> None:
    at.symlink_to(at.name)


def link_into_the_zone(at: Path, secret: Path) -> None:
    (at.parent / "good.csv").write_bytes(ROWS)
    at.symlink_to("good.csv")


def fifo(at: Path, secret: Path) -> None:
    os.mkfifo(at)


def socket_file(at: Path, secret: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        where = os.open(at.parent, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{where}/{at.name}")  # a socket's path may have 107 bytes
        finally:
            os.close(where)


def device(at: Path, secret: Path) -> None:
    try:
        os.mknod(at, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root may make devices")


@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (link_to_a_file, "a symbolic link"),
        (link_to_a_folder, "a symbolic link"),
        (link_to_nothing, "a symbolic link"),
        (link_to_itself, "a symbolic link"),
        (link_into_the_zone, "a symbolic link"),
        (fifo, "a FIFO"),
        (socket_file, "a socket"),
        (device, "a character device"),
    ],
)
def test_what_is_no_regular_file_is_parked_with_its_reason_and_never_read(
    platform: Platform, secret_file: Path, make_it: object, words: str
) -> None:
    assert callable(make_it)
    make_it(make(platform, "movielens/ratings/strange.csv"), secret_file)
    platform.land("movielens/ratings/other.csv", ratings_csv([(2, 1, 3.0, Y2005)]))
    platform.load()
    row = platform.ledger_row("movielens/ratings/strange.csv")
    assert row["status"] == "parked"
    assert words in row["reason"]
    assert platform.status("movielens/ratings/other.csv") == ["loaded"]
    assert "hush" not in str(platform.query("SELECT to_jsonb(f) FROM ops.landed_file f"))
    assert not any(key.startswith("movielens/ratings/strange.csv/") for key, _ in platform.files())


def test_a_link_that_is_replaced_by_the_file_itself_is_loaded(platform: Platform, secret_file: Path) -> None:
    path = make(platform, "movielens/ratings/a.csv")
    path.symlink_to(secret_file)
    platform.load()
    assert platform.status("movielens/ratings/a.csv") == ["parked"]
    platform.reload("movielens/ratings/a.csv")
    platform.load()  # a reload does not get round it
    assert platform.status("movielens/ratings/a.csv") == ["parked"]
    path.unlink()
    path.write_bytes(ROWS)
    platform.load()
    assert platform.status("movielens/ratings/a.csv") == ["superseded", "loaded"]


def test_a_source_folder_that_is_a_link_is_parked_and_the_zone_itself_may_be_one(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cinestream_platform.settings import get_settings

    real, elsewhere = tmp_path / "real", tmp_path / "elsewhere"
    (elsewhere / "ratings").mkdir(parents=True)
    (elsewhere / "ratings" / "r.csv").write_bytes(ROWS)
    real.mkdir()
    (real / "movielens").symlink_to(elsewhere)
    (tmp_path / "zone").symlink_to(real)
    monkeypatch.setenv("CINESTREAM_LANDING_URL", (tmp_path / "zone").as_uri())
    get_settings.cache_clear()
    platform = Platform()
    platform.land("chinook/genre/Genre.csv", b"GenreId,Name\n1,Rock\n")
    platform.load()
    assert platform.files() == [("movielens", "parked"), ("chinook/genre/Genre.csv", "loaded")]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    found = ObjectStore((tmp_path / "zone").as_uri())
    (found.folder / "m" / "r").mkdir(parents=True)
    return found


def only(store: ObjectStore) -> StoredObject:
    [found] = store.look()
    return found


@pytest.fixture(params=["file", "folder above it", "fifo"])
def swapped(request: pytest.FixtureRequest, store: ObjectStore, tmp_path: Path) -> StoredObject:
    """A version that was listed, and whose name now leads to something else of the same identity."""
    path, outside = store.folder / "m" / "r" / "a.csv", tmp_path / "outside"
    path.write_bytes(ROWS)
    listed = only(store)
    outside.mkdir()
    path.rename(outside / "a.csv")  # the very file, so that neither inode, size nor date tell
    if request.param == "file":
        path.symlink_to(outside / "a.csv")
    elif request.param == "fifo":
        os.mkfifo(path)
    else:
        path.parent.rmdir()
        path.parent.symlink_to(outside)
    return listed


def test_a_link_that_takes_the_place_of_a_listed_file_or_folder_is_not_followed(
    store: ObjectStore, swapped: StoredObject, tmp_path: Path
) -> None:
    with pytest.raises(NotRegularError):
        store.fetch(swapped, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_link_that_takes_a_files_place_between_look_and_opening_is_not_followed(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, outside = store.folder / "m" / "r" / "a.csv", tmp_path / "a.csv"
    path.write_bytes(ROWS)
    listed, seen = only(store), regular_files.irregular

    def swap_after_the_look(mode: int) -> str | None:
        verdict = seen(mode)
        if not outside.exists():
            path.rename(outside)
            path.symlink_to(outside)
        return verdict

    monkeypatch.setattr(regular_files, "irregular", swap_after_the_look)
    with pytest.raises(NotRegularError):
        store.fetch(listed, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_nothing_is_written_or_deleted_through_a_link(store: ObjectStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.csv").write_text("kept")
    (tmp_path / "local").write_text("new")
    (store.folder / "m" / "link").symlink_to(outside)
    (store.folder / "m" / "r" / "a.csv").symlink_to(outside / "kept.csv")
    with pytest.raises(NotRegularError):
        store.put_file("m/link/new.csv", tmp_path / "local")
    store.delete(["m/link/kept.csv"])
    store.put_file("m/r/a.csv", tmp_path / "local")  # takes the link's place
    assert (outside / "kept.csv").read_text() == "kept"
    assert [path.name for path in outside.iterdir()] == ["kept.csv"]
    assert not (store.folder / "m" / "r" / "a.csv").is_symlink()
    with pytest.raises(NotRegularError):
        store.put_file("m/r/b.csv", store.folder / "m" / "link")


@pytest.fixture
def unprotected_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A kernel on which anybody may link any file."""
    (tmp_path / "protected_hardlinks").write_text("0\n")
    monkeypatch.setattr(regular_files, "_PROTECTED_HARD_LINKS", str(tmp_path / "protected_hardlinks"))
    regular_files.hard_links_are_protected.cache_clear()
    yield
    regular_files.hard_links_are_protected.cache_clear()


def test_a_file_with_several_names_waits_where_the_kernel_lets_anybody_link_any_file(
    store: ObjectStore, secret_file: Path, tmp_path: Path, unprotected_kernel: None
) -> None:
    path = store.folder / "m" / "r" / "a.csv"
    os.link(secret_file, path)
    waits = only(store)
    assert "2 names (hard links)" in (waits.waits or "")
    assert list(store.list()) == []
    with pytest.raises(NotRegularError, match="hard links"):
        store.fetch(waits, tmp_path / "copy")
    secret_file.unlink()  # as programs do that link a whole file to its final name
    assert only(store).waits is None
    assert store.fetch(only(store), tmp_path / "copy").path.read_text() == SECRET


def test_ledgers_of_before_know_the_versions_of_files(store: ObjectStore) -> None:
    """Listings were obstore's once: another ETag or date would have everything loaded again."""
    import obstore
    from obstore.store import LocalStore

    for number, nanoseconds in enumerate((1_700_000_000_123_456_789, 0, -5_500_000_000, 999)):
        path = store.folder / "m" / "r" / f"{number}.csv"
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(nanoseconds, nanoseconds))
    old = {meta["path"]: meta for page in obstore.list(LocalStore(store.folder)) for meta in page}
    new = {found.key: found for found in store.list(settle_seconds=2)}
    assert set(new) == set(old)
    for key, meta in old.items():
        assert (new[key].etag, new[key].size, new[key].last_modified) == (
            meta["e_tag"],
            meta["size"],
            meta["last_modified"],
        )
    assert folder.Folder(store.folder).path == store.folder


def test_nothing_is_read_from_the_lake_through_a_link(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.parquet").write_bytes(b"1")
    (store.folder / "m" / "r" / "a.parquet").write_bytes(b"1")
    for key in ("m/r/*.parquet", "m/r/a.parquet", "m/absent/*.parquet"):
        assert store.location(key) == f"{store.folder}/{key}"
    (store.folder / "m" / "r" / "b.parquet").symlink_to(tmp_path / "outside" / "a.parquet")
    (store.folder / "m" / "link").symlink_to(tmp_path / "outside")
    for key in ("m/r/*.parquet", "m/r/b.parquet", "m/link/*.parquet", "m/link/a.parquet"):
        with pytest.raises(NotRegularError):
            store.location(key)


# Folders that a person names


def test_of_a_folder_that_is_landed_links_are_left_out_and_named(
    platform: Platform, secret_file: Path, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "ratings.csv").write_bytes(ROWS)
    (release / "movies.csv").symlink_to(secret_file)
    os.mkfifo(release / "tags.csv")
    (tmp_path / "link").symlink_to(release)  # who names a link means what it leads to
    lines = list(land_named(get_settings(), "movielens", tmp_path / "link", dataset=None, name=None))
    assert [line.split(":")[0] for line in lines] == [
        "left out movies.csv",
        "left out tags.csv",
        "landed movielens/ratings/ratings.csv",
    ]
    assert [found.key for found in platform.landing.list()] == ["movielens/ratings/ratings.csv"]


def test_a_link_that_a_person_names_is_landed_under_its_own_name_and_a_fifo_is_refused(
    platform: Platform, tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_bytes(ROWS)
    (tmp_path / "ratings.csv").symlink_to("r.csv")
    os.mkfifo(tmp_path / "fifo.csv")
    assert list(land_named(get_settings(), "movielens", tmp_path / "ratings.csv", dataset=None, name=None)) == [
        "landed movielens/ratings/ratings.csv"
    ]
    with pytest.raises(NotRegularError, match="FIFO"):
        list(land_named(get_settings(), "movielens", tmp_path / "fifo.csv", dataset="ratings", name=None))
    with pytest.raises(NotRegularError, match="symbolic link"):
        list(land_path(get_settings(), "movielens", tmp_path / "ratings.csv"))


def test_a_folder_with_links_alone_is_refused_and_the_message_names_them(
    platform: Platform, secret_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "ratings.csv").symlink_to(secret_file)
    with pytest.raises(NotLandableError, match=r"Left out is ratings\.csv: it is a symbolic link"):
        list(land_path(get_settings(), "movielens", tmp_path / "release"))


def test_the_demo_follows_no_link_in_its_data(platform: Platform, secret_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, target in (
        ("chinook/Chinook.sqlite", secret_file),
        ("dvdrental/dvdrental.tar", secret_file),
        ("movielens/ml/ratings.csv", secret_file),
        ("netflix/combined_data_1.txt", secret_file),
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).symlink_to(target)
        with pytest.raises(DemoError, match="has nothing for any source"):
            choose(platform.settings, data, None, SOURCES)
        (data / name).unlink()
    (data / "movielens" / "ml" / "ratings.csv").write_bytes(ROWS)
    (data / "movielens" / "ml" / "tags.csv").symlink_to(secret_file)
    [chosen] = [one for one in choose(platform.settings, data, None, SOURCES) if one.supply]
    assert chosen.supply is not None
    assert chosen.supply.files == (data / "movielens" / "ml" / "ratings.csv",)
    (data / "movielens").rename(tmp_path / "elsewhere")
    (data / "movielens").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DemoError, match="movielens is a link, and links in DATA are never followed"):
        choose(platform.settings, data, None, SOURCES)


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_an_archive_that_is_a_link_or_a_fifo_is_not_unpacked(tmp_path: Path, form: str) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "real"), form, tmp_path, "."))
    (tmp_path / f"link.{form}").symlink_to(packed)
    os.mkfifo(tmp_path / f"fifo.{form}")
    for name in (f"link.{form}", f"fifo.{form}"):
        with pytest.raises(NotRegularError):
            unpack(tmp_path / name, tmp_path / "out", Limits(10**9, 50.0))
        assert list((tmp_path / "out").iterdir()) == []


def test_links_in_an_unpacked_netflix_folder_are_left_out(tmp_path: Path, secret_file: Path) -> None:
    folder, scratch = tmp_path / "netflix", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    (folder / "combined_data_1.txt").write_text("1:\n2,3,2005-01-01\n")
    (folder / "combined_data_2.txt").symlink_to(secret_file)
    (folder / "training_set").symlink_to(secret_file.parent)
    found = release_files(folder, scratch)
    assert found.files == [("ratings", folder / "combined_data_1.txt")]
    assert [line.split(" ")[0] for line in found.left_out] == ["combined_data_2.txt", "training_set"]
