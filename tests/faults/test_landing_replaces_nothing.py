"""Landing a file never puts it in the place of another one unless somebody says so."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.commands import fetch, files
from cinestream_platform.commands.demo import _land, settled_landings
from cinestream_platform.commands.demo_sources import DemoError
from cinestream_platform.commands.files import land_named, land_path, plan_landing
from cinestream_platform.commands.replacing import Found, KeyTakenError, Landing
from cinestream_platform.lake.store import ObjectStore
from cinestream_platform.settings import get_settings
from tests.support.platform import MOVIES, Y2005, Platform, ratings_csv

KEY = "movielens/ratings/ratings.csv"
OLD = ratings_csv([(1, 1, 3.0, Y2005), (1, 2, 3.0, Y2005)])
NEW = ratings_csv([(2, 1, 4.0, Y2005)])
SIZES = f"{KEY} would hold 1 row ({len(NEW)} bytes) in place of 2 rows ({len(OLD)} bytes)"


@pytest.fixture
def ratings(platform: Platform, tmp_path: Path) -> Path:
    """A file of other content than the one under its key."""
    path = tmp_path / "ratings.csv"
    path.write_bytes(OLD)
    assert list(land_named(get_settings(), "movielens", path)) == [f"landed {KEY}"]
    path.write_bytes(NEW)
    return path


def content(platform: Platform, key: str = KEY) -> bytes:
    return (platform.landing.folder / key).read_bytes()


def keys(platform: Platform) -> set[str]:
    return {found.key for found in platform.landing.list()}


def test_a_key_with_other_content_is_not_replaced_and_rows_and_bytes_of_both_are_told(
    platform: Platform, ratings: Path
) -> None:
    with pytest.raises(KeyTakenError, match=r"--replace.*--as NAME") as refused:
        list(land_named(get_settings(), "movielens", ratings))
    assert SIZES in str(refused.value)
    assert content(platform) == OLD
    with pytest.raises(KeyTakenError):
        list(land_path(get_settings(), "movielens", ratings))


def test_the_command_line_says_so_in_one_line_and_takes_both_ways_out(platform: Platform, ratings: Path) -> None:
    refused = CliRunner().invoke(cli, ["land", "movielens", str(ratings)])
    assert isinstance(refused.exception, KeyTakenError)
    beside = CliRunner().invoke(cli, ["land", "movielens", str(ratings), "--as", "ratings-2.csv"])
    assert beside.output == "landed movielens/ratings/ratings-2.csv\n"
    assert (content(platform), content(platform, "movielens/ratings/ratings-2.csv")) == (OLD, NEW)
    replaced = CliRunner().invoke(cli, ["land", "movielens", str(ratings), "--replace"])
    assert replaced.output == f"landed {KEY}: 1 row ({len(NEW)} bytes) in place of 2 rows ({len(OLD)} bytes)\n"
    assert content(platform) == NEW


def test_the_same_content_may_land_again(platform: Platform, ratings: Path) -> None:
    ratings.write_bytes(OLD)
    assert list(land_named(get_settings(), "movielens", ratings)) == [f"landed {KEY}"]


def test_other_content_of_the_same_size_is_other_content(platform: Platform, ratings: Path) -> None:
    ratings.write_bytes(OLD.replace(b"3.0", b"4.5"))
    with pytest.raises(KeyTakenError):
        list(land_named(get_settings(), "movielens", ratings))


def test_records_of_other_forms_are_counted_too(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(OLD))
    list(land_named(get_settings(), "movielens", path))
    path.write_bytes(gzip.compress(NEW))
    with pytest.raises(KeyTakenError, match=r"1 row .* in place of 2 rows"):
        list(land_named(get_settings(), "movielens", path))


def test_of_a_folder_nothing_lands_if_one_of_its_files_would_replace_another(platform: Platform, ratings: Path) -> None:
    (ratings.parent / "movies.csv").write_bytes(b"movieId,title,genres\n")
    with pytest.raises(KeyTakenError):
        list(land_named(get_settings(), "movielens", ratings.parent))
    assert keys(platform) == {KEY}
    assert list(land_named(get_settings(), "movielens", ratings.parent, name="march")) == [
        "passed over lake/, landing/: no file of movielens, or a folder in the folder",
        "landed movielens/movies/march/movies.csv",
        "landed movielens/ratings/march/ratings.csv",
    ]
    assert content(platform) == OLD
    assert content(platform, "movielens/ratings/march/ratings.csv") == NEW
    assert len(list(land_named(get_settings(), "movielens", ratings.parent, replace=True))) == 3
    assert content(platform) == NEW


def test_what_a_source_does_not_take_of_a_folder_is_named(platform: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "delivery"
    (folder / "older").mkdir(parents=True)
    for name in ("movies.csv", "README.txt", "older/movies.csv"):
        (folder / name).write_bytes(b"movieId,title,genres\n")
    assert list(land_named(get_settings(), "movielens", folder)) == [
        "passed over README.txt, older/: no file of movielens, or a folder in the folder",
        "landed movielens/movies/movies.csv",
    ]


def test_a_fetched_release_replaces_no_other_one(
    platform: Platform, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "fetch_archive", lambda *_, **__: ratings.parent)
    monkeypatch.setattr(fetch, "warning_about", lambda *_: None)
    with pytest.raises(KeyTakenError):
        list(fetch.fetch(get_settings(), "movielens", release="ml-25m"))
    assert content(platform) == OLD
    assert list(fetch.fetch(get_settings(), "movielens", release="ml-25m", as_name="ml-25m")) == [
        "landed movielens/ratings/ml-25m/ratings.csv"
    ]
    assert list(fetch.fetch(get_settings(), "movielens", release="ml-25m", replace=True))
    assert content(platform) == NEW


def test_of_an_archive_of_netflix_nothing_lands_if_one_file_would_replace_another(
    platform: Platform, tmp_path: Path
) -> None:
    def archive(titles: str) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
            packed.writestr("combined_data_1.txt", "1:\n10,3,2005-01-01\n")
            packed.writestr("movie_titles.csv", titles)
        return tmp_path / "a.zip"

    list(fetch.fetch(get_settings(), "netflix", archive("1,2003,One\n")))
    (platform.landing.folder / "netflix/ratings/combined_data_1.txt").unlink()
    with pytest.raises(KeyTakenError, match=r"1 row \(12 bytes\) in place of 1 row \(11 bytes\)"):
        list(fetch.fetch(get_settings(), "netflix", archive("1,2003,Two!\n")))
    assert keys(platform) == {"netflix/movie-titles/movie_titles.csv"}


def test_what_lies_there_is_different_if_it_cannot_be_read(
    platform: Platform, ratings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "permission denied")

    monkeypatch.setattr(files.open_landing(get_settings()).__class__, "fetch", closed)
    with pytest.raises(KeyTakenError, match=rf"1 row \({len(NEW)} bytes\) in place of {len(OLD)} bytes"):
        list(land_named(get_settings(), "movielens", ratings))


@pytest.mark.parametrize(
    ("size", "replace"),
    [(100, False), (100, True), (6_000_000, False)],  # moto knows no If-Match where parts become an object
    ids=["new", "replaced", "new, in parts"],
)
def test_what_others_put_under_the_key_between_comparison_and_landing_is_not_replaced(
    any_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, replace: bool
) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(OLD)
    if replace:
        list(land_named(get_settings(), "movielens", path))
    theirs = tmp_path / "theirs.csv"
    theirs.write_bytes(NEW)
    path.write_bytes(OLD + b" " * size)
    compare = files.compare

    def compare_then_lose(store: ObjectStore, landings: Sequence[Landing]) -> Found:
        found = compare(store, landings)
        any_platform.landing.put_file(KEY, theirs)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(files, "compare", compare_then_lose)
        with pytest.raises(KeyTakenError, match=r"was not landed: somebody else .* Repeat the command"):
            list(land_named(get_settings(), "movielens", path, replace=replace))
    assert stored(any_platform) == {KEY: NEW}
    assert len(list(land_named(get_settings(), "movielens", path, replace=True))) == 1
    assert stored(any_platform) == {KEY: path.read_bytes()}
    assert list(land_named(get_settings(), "movielens", path)) == [f"landed {KEY}"]


def stored(platform: Platform) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        copies = ((found.key, platform.landing.fetch(found, Path(folder, "copy"))) for found in platform.landing.look())
        return {key: copy.path.read_bytes() for key, copy in copies}


def test_the_demo_replaces_its_own_files_only(platform: Platform, ratings: Path) -> None:
    marker = get_settings().home_dir / "demo.json"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text('{"data": {}, "keys": []}')
    with pytest.raises(DemoError, match="--fresh"):
        _land(get_settings(), plan_landing("movielens", ratings))
    assert content(platform) == OLD
    marker.write_text(f'{{"data": {{}}, "keys": ["{KEY}"]}}')
    assert _land(get_settings(), plan_landing("movielens", ratings)) == 1
    assert content(platform) == NEW


def test_the_demo_lands_again_what_differs_is_not_loaded_or_was_followed_by_other_files(
    platform: Platform, tmp_path: Path
) -> None:
    def settled() -> set[str]:
        return settled_landings(get_settings(), platform.target, plan_landing("movielens", tmp_path))

    movies = "movielens/movies/movies.csv"
    (tmp_path / "ratings.csv").write_bytes(OLD)
    (tmp_path / "movies.csv").write_bytes(MOVIES)
    list(land_named(get_settings(), "movielens", tmp_path))
    assert settled() == set()
    platform.load()
    assert settled() == {KEY, movies}
    platform.land("movielens/movies/later.csv", MOVIES.replace(b"Toy", b"Tin"))
    platform.load()
    assert settled() == {KEY}, "the reference tables of the demo become the newest again"
    list(land_named(get_settings(), "movielens", tmp_path / "movies.csv"))
    (platform.landing.folder / movies).touch()
    platform.load()
    assert settled() == {KEY, movies}
    (tmp_path / "ratings.csv").write_bytes(NEW)
    (platform.landing.folder / movies).unlink()
    assert settled() == set()
