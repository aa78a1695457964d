"""``cinestream fetch`` of what cannot be downloaded: what it says, what it lands, and what it leaves behind. No network, no database."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.commands import fetch as module
from cinestream_platform.commands.replacing import Landing
from cinestream_platform.declarations.release import ReleaseError
from cinestream_platform.settings import Settings, get_settings

Landed = list[tuple[str, str, str | None, bytes]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "home"
    monkeypatch.setenv("CINESTREAM_HOME", str(path))
    get_settings.cache_clear()
    yield path
    get_settings.cache_clear()


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> Landed:
    """What the landing zone was given: source, name, dataset, content."""
    given: Landed = []

    def land_planned(_: Settings, landings: list[Landing], *, replace: bool) -> Iterator[str]:
        for landing in landings:
            source, dataset, *_ = landing.key.split("/")
            given.append((source, landing.path.name, dataset, landing.path.read_bytes()))
            yield f"landed {landing.key}"

    monkeypatch.setattr(module, "land_planned", land_planned)
    return given


def zip_of(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "1:\n10,3,2005-01-01\n")
    return path


def test_without_an_archive_it_says_where_the_data_set_is_and_under_which_licence(home: Path) -> None:
    answer = CliRunner().invoke(cli, ["fetch", "netflix"])
    assert answer.exit_code == 0
    for text in (
        "https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",
        "https://archive.org/details/nf_prize_dataset.tar",
        "needs an account",
        "research only",
        "No redistribution and no commercial use",
        "do not join",
        "cinestream fetch netflix <archive>",
    ):
        assert text in answer.output
    assert not home.exists()


def test_an_archives_files_land_and_the_others_are_named(tmp_path: Path, home: Path, landed: Landed) -> None:
    archive = zip_of(tmp_path / "archive.zip", "probe.txt", "movie_titles.csv", "combined_data_1.txt")
    answer = CliRunner().invoke(cli, ["fetch", "netflix", str(archive)])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.splitlines() == [
        "left out probe.txt",
        "landed netflix/ratings/combined_data_1.txt",
        "landed netflix/movie-titles/movie_titles.csv",
    ]
    assert landed[0] == ("netflix", "combined_data_1.txt", "ratings", b"1:\n10,3,2005-01-01\n")
    assert list((home / "downloads").iterdir()) == [], "nothing stays in the scratch space"
    assert archive.exists()


def test_many_films_land_as_one_file(tmp_path: Path, home: Path, landed: Landed) -> None:
    archive = zip_of(tmp_path / "a.zip", *(f"training_set/mv_{number:07}.txt" for number in range(1, 102)))
    lines = list(module.fetch(get_settings(), "netflix", archive))
    assert lines == [
        "joined 101 files of films to 1",
        "landed netflix/ratings/mv_0000001-0000101.txt",
        f"warning: {archive} holds no movie-titles",
    ]
    assert len(landed[0][3]) == 101 * 19


def test_under_another_name_the_files_land_in_a_folder_of_that_name(tmp_path: Path, home: Path, landed: Landed) -> None:
    archive = zip_of(tmp_path / "a.zip", "combined_data_1.txt", "movie_titles.csv")
    assert list(module.fetch(get_settings(), "netflix", archive, as_name="kaggle")) == [
        "landed netflix/ratings/kaggle/combined_data_1.txt",
        "landed netflix/movie-titles/kaggle/movie_titles.csv",
    ]


def test_of_very_many_names_left_out_the_first_are_shown(tmp_path: Path, home: Path, landed: Landed) -> None:
    archive = zip_of(tmp_path / "a.zip", "mv_1.txt", *(f"x{number:02}" for number in range(30)))
    lines = list(module.fetch(get_settings(), "netflix", archive))
    assert lines[19:21] == ["left out x19", "left out 10 more"]


def test_a_bad_archive_lands_nothing_and_leaves_nothing(tmp_path: Path, home: Path, landed: Landed) -> None:
    archive = zip_of(tmp_path / "a.zip", "combined_data_1.txt", "combined_data_2.txt")
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(ReleaseError, match="Nothing was landed"):
        list(module.fetch(get_settings(), "netflix", archive))
    assert landed == []
    assert list((home / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["movielens", "."], "movielens is downloaded and takes no ARCHIVE"),
        (["dvdrental", "."], "dvdrental is downloaded and takes no ARCHIVE"),
        (["netflix", "--base-url", "http://127.0.0.1:9"], "netflix is not downloaded"),
        (["netflix", "no-such-file"], "'no-such-file' does not exist"),
    ],
)
def test_arguments_that_do_not_go_together_are_an_error_of_usage(
    home: Path, arguments: list[str], message: str
) -> None:
    answer = CliRunner().invoke(cli, ["fetch", *arguments])
    assert answer.exit_code == 2
    assert message in answer.output
