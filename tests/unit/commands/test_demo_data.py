"""What the demo takes of a folder of published files: of every source what, what not, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from cinestream_platform.catalog import SOURCES
from cinestream_platform.commands.demo_data import choose, described
from cinestream_platform.commands.demo_sources import DemoError
from cinestream_platform.commands.next_steps import next_steps
from cinestream_platform.declarations.release import Choice
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings

MOVIES = b"movieId,title,genres\r\n1,Toy Story (1995),Comedy\r\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1:\n1,3,2005-01-01\n" if "combined" in name else MOVIES)
    return folder


def by_source(choices: list[Choice]) -> dict[str, Choice]:
    return {choice.source: choice for choice in choices}


def lines(settings: Settings, data: Path, release: str | None = None, sources: tuple[str, ...] = SOURCES) -> list[str]:
    return list(described(data, choose(settings, data, release, sources)))


def test_a_source_that_is_not_asked_for_is_not_looked_at(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path / "data", "chinook/shop.sqlite", "movielens/notes.txt", "netflix/README")
    [chosen] = choose(settings, data, None, ["chinook"])
    assert chosen.taken == ("shop.sqlite",)


def test_a_source_whose_files_cannot_be_taken_stops_no_other_one(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path / "data", "chinook/shop.sqlite", "movielens/notes.txt", "netflix/README")
    found = by_source(choose(settings, data, None, SOURCES))
    assert [source for source, choice in found.items() if choice.supply] == ["chinook"]
    told = "\n".join(lines(settings, data))
    assert "netflix     nothing is taken" in told
    assert "holds no file of the Netflix Prize" in told
    assert "neither movielens/ nor a folder in it holds files of MovieLens" in told
    assert "there is no folder dvdrental" in told


def test_a_release_without_ratings_is_one(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path / "data", "movielens/ml-20m/movies.csv", "movielens/ml-20m/genome-scores.csv")
    chosen = by_source(choose(settings, data, "ml-20m", SOURCES))["movielens"]
    assert chosen.taken == ("ml-20m/genome-scores.csv", "ml-20m/movies.csv")
    assert by_source(choose(settings, data, None, SOURCES))["movielens"] == chosen, "it is the only one"


def test_the_named_release_is_taken_or_refused_and_never_another_one(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path / "data", *(f"movielens/{name}/movies.csv" for name in ("ml-25m", "ml-latest-small")))
    assert by_source(choose(settings, data, None, SOURCES))["movielens"].taken == ("ml-latest-small/movies.csv",)
    chosen = by_source(choose(settings, data, "ml-25m", SOURCES))["movielens"]
    assert chosen.taken == ("ml-25m/movies.csv",)
    assert ("ml-latest-small/", "another release; RELEASE=ml-latest-small takes it") in chosen.passed
    with pytest.raises(DemoError, match=r"ml-1m holds no file of MovieLens; releases there: ml-25m, ml-latest-small"):
        choose(settings, data, "ml-1m", SOURCES)
    made(data, "movielens/movies.csv")
    with pytest.raises(DemoError, match=r"ml-1m holds no file of MovieLens"):
        choose(settings, data, "ml-1m", SOURCES)


def test_of_several_releases_one_must_be_chosen(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path / "data", "movielens/ml-20m/movies.csv", "movielens/ml-25m/movies.csv")
    with pytest.raises(DemoError, match=r"several releases: ml-20m, ml-25m\. Choose one with RELEASE="):
        choose(settings, data, None, SOURCES)


@pytest.mark.parametrize("name", ["shop.db", "shop.sqlite3", "Chinook_Sqlite.sqlite", "data.json", "artist.csv"])
def test_every_form_of_chinook_is_taken(settings: Settings, tmp_path: Path, name: str) -> None:
    assert by_source(choose(settings, made(tmp_path, f"chinook/{name}"), None, SOURCES))["chinook"].taken == (name,)


def test_whatever_is_passed_over_is_named_with_the_reason(settings: Settings, tmp_path: Path) -> None:
    names = ("a.sqlite", "b.db", "c.json", "artist.csv", "csv/album.csv", "LICENSE.md", "Chinook.sql")
    data = made(tmp_path / "data", *(f"chinook/{name}" for name in names), "spotify/x.csv", "notes.txt")
    made(data, "movielens/movies.csv", "movielens/README.txt")
    (data / "chinook" / "artist.link.csv").symlink_to("artist.csv")
    told = lines(settings, data)
    assert "  chinook     a.sqlite" in told
    assert "  movielens   movies.csv" in told
    for words in (
        "passed over artist.csv, b.db, c.json: a second copy of the shop: a.sqlite holds all tables",
        "passed over csv/: a folder, and files of chinook are looked for in chinook/ itself",
        "passed over LICENSE.md: chinook has no dataset whose files are named so",
        "passed over Chinook.sql: an SQL script is a program, and is not run",
        "passed over artist.link.csv: it is a symbolic link",
        "passed over README.txt: movielens has no dataset whose files are named so",
        "passed over notes.txt, spotify: it is not a folder of a source",
    ):
        assert any(words in line for line in told), words


def test_of_many_names_some_are_listed_and_the_others_counted(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path, "chinook/shop.db", *(f"chinook/note{number:03}.txt" for number in range(500)))
    [line] = [line for line in lines(settings, data) if "note000" in line]
    assert "and 488 more: " in line


def test_names_cannot_write_to_the_terminal(settings: Settings, tmp_path: Path) -> None:
    data = made(tmp_path, "chinook/shop.db", "chinook/\x1b[2Jx.txt")
    assert all(line.isprintable() for line in lines(settings, data))


def test_a_folder_with_nothing_says_what_was_missing_where(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"has nothing for any source \(movielens: there is no folder movielens; chin"):
        choose(settings, tmp_path, None, SOURCES)
    data = made(tmp_path, "chinook/notes.txt")
    with pytest.raises(DemoError, match=r"has nothing for chinook \(chinook: notes\.txt: chinook has no dataset"):
        choose(settings, data, None, ["chinook"])
    with pytest.raises(DemoError, match=r"Do you mean DATA=" + str(tmp_path)):
        choose(settings, data / "chinook", None, SOURCES)


def test_the_database_that_the_settings_name_is_read_instead_of_an_archive(tmp_path: Path) -> None:
    data = made(tmp_path / "data", "dvdrental/dvdrental.tar")
    settings = Settings(home=tmp_path / "home").with_own(DvdrentalSettings(host="db.example"))
    told = "\n".join(lines(settings, data))
    assert "passed over dvdrental.tar: the database at db.example is read instead" in told


def test_advice_is_about_what_was_loaded_and_can_be_copied_whatever_the_home_is_called(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "my home; $(x)")
    steps = dict(next_steps(settings, ["chinook"], ["chinook/release/shop's.db"], is_sample=False))
    told = "\n".join(steps.values())
    assert "movielens" not in told
    assert "explore chinook" in steps["raw data"]
    assert "land chinook my-release.db --dataset release" in steps["drop a file"]
    assert steps["undo a file"].endswith("""retract 'chinook/release/shop'"'"'s.db'""")
    assert f"CINESTREAM_HOME='{settings.home}' " in steps["SQL"]
    assert "real files" not in steps


def test_advice_prefers_files_of_events_and_knows_databases() -> None:
    keys = ["movielens/movies/movies.csv", "movielens/ratings/ratings.csv"]
    steps = dict(next_steps(Settings(), ["movielens"], keys, is_sample=True))
    assert steps["undo a file"] == ".venv/bin/cinestream retract movielens/ratings/ratings.csv"
    assert "real files" in steps
    steps = dict(next_steps(Settings(), ["dvdrental"], [], is_sample=False))
    assert "in the database of dvdrental" in steps["change a row"]
