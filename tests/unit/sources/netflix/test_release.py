"""What is taken of a Netflix Prize archive, and the joining of its films' files (all data here is made up)."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from errno import ENOSPC
from pathlib import Path

import pytest

from cinestream_platform.releases.archives import Limits
from cinestream_platform.sources.netflix import release as module
from cinestream_platform.sources.netflix.release import JOIN_FROM_FILES, ReleaseError, ReleaseFiles, release_files

FILMS = 120


def film(number: int, ratings: int = 2) -> bytes:
    rows = "".join(f"{number * 10 + row},{row % 5 + 1},2005-01-{row % 28 + 1:02}\n" for row in range(ratings))
    return f"{number}:\n{rows}".encode()


KAGGLE = {
    "README": b"read me",
    "combined_data_1.txt": film(1) + film(2),
    "combined_data_2.txt": film(3),
    "movie_titles.csv": b"1,2001,Made up\n",
    "probe.txt": b"1:\n10\n",
    "qualifying.txt": b"1:\n10,2005-01-01\n",
}
TRAINING_SET = {f"training_set/mv_{number:07}.txt": film(number) for number in range(1, FILMS + 1)}


def zip_of(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tar_of(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def folder_of(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def original(path: Path, training_set: Mapping[str, bytes] = TRAINING_SET) -> Path:
    """The layout of nf_prize_dataset.tar.gz."""
    members = {
        "download/README": b"read me",
        "download/movie_titles.txt": b"1,2001,Made up\n",
        "download/probe.txt": b"1:\n10\n",
        "download/qualifying.txt": b"1:\n10,2005-01-01\n",
        "download/rmse.pl": b"print",
        "download/training_set.tar": tar_of(training_set),
    }
    path.write_bytes(gzip.compress(tar_of(members)))
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def names(found: ReleaseFiles) -> list[tuple[str, str]]:
    return [(dataset, path.name) for dataset, path in found.files]


def content(found: ReleaseFiles, name: str) -> bytes:
    [path] = [path for _, path in found.files if path.name == name]
    return path.read_bytes()


def state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["zip", "tar", "tgz", "folder"])
def test_kaggles_layout_is_taken_as_it_is_and_the_rest_is_named(tmp_path: Path, scratch: Path, form: str) -> None:
    archive = tmp_path / f"a.{form}"
    if form == "zip":
        zip_of(archive, KAGGLE)
    elif form == "folder":
        folder_of(archive, KAGGLE)
    else:
        archive.write_bytes(tar_of(KAGGLE) if form == "tar" else gzip.compress(tar_of(KAGGLE)))
    found = release_files(archive, scratch)
    assert names(found) == [
        ("ratings", "combined_data_1.txt"),
        ("ratings", "combined_data_2.txt"),
        ("movie-titles", "movie_titles.csv"),
    ]
    assert content(found, "combined_data_1.txt") == KAGGLE["combined_data_1.txt"]
    assert found.left_out == ["README", "probe.txt", "qualifying.txt"]
    assert (found.films, found.joined) == (0, [])


def test_the_original_layouts_films_are_joined_in_their_order(tmp_path: Path, scratch: Path) -> None:
    shuffled = dict(sorted(TRAINING_SET.items(), key=lambda item: item[0][::-1]))
    found = release_files(original(tmp_path / "nf_prize_dataset.tar.gz", shuffled), scratch)
    assert names(found) == [("movie-titles", "movie_titles.txt"), ("ratings", "mv_0000001-0000120.txt")]
    assert content(found, "mv_0000001-0000120.txt") == b"".join(TRAINING_SET.values())
    assert found.left_out == [f"download/{name}" for name in ("README", "probe.txt", "qualifying.txt", "rmse.pl")]
    assert (found.films, [path.name for path in found.joined]) == (FILMS, ["mv_0000001-0000120.txt"])
    assert not list(scratch.rglob("mv_0000001.txt")), "a film's file takes room no longer once it is joined"


def test_a_folder_is_joined_like_an_archive_and_stays_as_it_is(tmp_path: Path, scratch: Path) -> None:
    folder = folder_of(tmp_path / "download", TRAINING_SET)
    before = state(folder)
    found = release_files(folder, scratch)
    assert content(found, "mv_0000001-0000120.txt") == b"".join(TRAINING_SET.values())
    assert state(folder) == before


def test_a_folder_with_the_inner_archive_still_packed_is_taken(tmp_path: Path, scratch: Path) -> None:
    members = {"training_set.tar": tar_of({**TRAINING_SET, "training_set/x": b""}), "movie_titles.txt": b"1,2001,X\n"}
    folder = folder_of(tmp_path / "download", members)
    found = release_files(folder, scratch)
    assert names(found) == [("movie-titles", "movie_titles.txt"), ("ratings", "mv_0000001-0000120.txt")]
    assert found.left_out == ["training_set.tar/training_set/x"]
    assert (folder / "training_set.tar").exists()


def test_a_strangers_archive_in_a_folder_is_left_out_unopened(tmp_path: Path, scratch: Path) -> None:
    folder = folder_of(tmp_path / "downloads", {**KAGGLE, "holiday.zip": b"PK\x03\x04 no zip", ".hidden/mv_1.txt": b""})
    assert "holiday.zip" in release_files(folder, scratch).left_out
    assert ".hidden/mv_1.txt" not in release_files(folder, scratch).left_out


def test_films_are_joined_only_when_they_are_many(tmp_path: Path, scratch: Path) -> None:
    assert JOIN_FROM_FILES == 101
    few = dict(list(TRAINING_SET.items())[:100])
    found = release_files(folder_of(tmp_path / "few", few), scratch)
    assert len(found.files) == 100
    assert found.joined == []
    one_more = dict(list(TRAINING_SET.items())[:101])
    found = release_files(folder_of(tmp_path / "more", one_more), scratch)
    assert names(found) == [("ratings", "mv_0000001-0000101.txt")]


def test_a_part_without_a_final_line_end_gets_one_before_the_next_begins(tmp_path: Path, scratch: Path) -> None:
    folder = folder_of(
        tmp_path / "f",
        {
            "mv_0000001.txt": b"1:\n10,3,2005-01-01",
            "mv_0000002.txt": b"2:\r\n11,4,2005-01-02\r\n",
            "mv_0000003.txt": b"3:",
        },
    )
    found = release_files(folder, scratch, join_from=2)
    assert content(found, "mv_0000001-0000003.txt") == b"1:\n10,3,2005-01-01\n2:\r\n11,4,2005-01-02\r\n3:\n"


def test_a_joined_file_is_closed_when_it_is_full(tmp_path: Path, scratch: Path) -> None:
    folder = folder_of(tmp_path / "f", {f"mv_{number:07}.txt": film(number, 5) for number in (1, 2, 3, 10, 17)})
    size = len(film(1, 5))
    found = release_files(folder, scratch, join_from=2, joined_bytes=2 * size - 1)
    assert [name for _, name in names(found)] == [
        "mv_0000001-0000002.txt",
        "mv_0000003-0000010.txt",
        "mv_0000017-0000017.txt",
    ]
    assert content(found, "mv_0000003-0000010.txt") == film(3, 5) + film(10, 5)
    again = tmp_path / "again"
    again.mkdir()
    assert names(release_files(folder, again, join_from=2, joined_bytes=2 * size - 1)) == names(found)


@pytest.mark.parametrize("odd", [b"", b"10,3,2005-01-01\n", b"\xef\xbb\xbf2:\n", b"\n2:\n", b"2;\n", b"2: 10,3\n"])
def test_a_part_that_does_not_open_with_its_film_lands_by_itself_lest_its_ratings_go_to_another(
    tmp_path: Path, scratch: Path, odd: bytes
) -> None:
    folder = folder_of(tmp_path / "f", {"mv_1.txt": film(1), "mv_2.txt": odd, "mv_3.txt": film(3)})
    found = release_files(folder, scratch, join_from=2)
    assert names(found) == [("ratings", "mv_2.txt"), ("ratings", "mv_0000001-0000003.txt")]
    assert content(found, "mv_0000001-0000003.txt") == film(1) + film(3)
    assert content(found, "mv_2.txt") == odd


def test_capital_letters_are_the_same_names(tmp_path: Path, scratch: Path) -> None:
    folder = folder_of(tmp_path / "f", {"COMBINED_DATA_1.TXT": film(1), "Movie_Titles.CSV": b"1,2001,X\n"})
    assert [dataset for dataset, _ in release_files(folder, scratch).files] == ["ratings", "movie-titles"]
    folder = folder_of(tmp_path / "g", {"MV_0000002.TXT": film(2), "mv_0000001.txt": film(1)})
    found = release_files(folder, scratch, join_from=2)
    assert content(found, "mv_0000001-0000002.txt") == film(1) + film(2)


@pytest.mark.parametrize(
    "name",
    [
        "combined_data_1 (1).txt",
        "combined_data_.txt",
        "mv_x.txt",
        "._movie_titles.csv",
        "movie_titles_old.csv",
        "mv_١.txt",
    ],
)
def test_names_that_are_only_like_ours_are_left_out(tmp_path: Path, scratch: Path, name: str) -> None:
    found = release_files(zip_of(tmp_path / "a.zip", {"d/combined_data_1.txt": film(1), f"d/{name}": b"x"}), scratch)
    assert found.left_out == [f"d/{name}"]


def test_a_name_that_would_command_a_terminal_is_shown_harmless(tmp_path: Path, scratch: Path) -> None:
    found = release_files(zip_of(tmp_path / "a.zip", {"mv_1.txt": film(1), "\x1b[2J\nx": b""}), scratch)
    assert found.left_out == ["\\x1b[2J\\nx"]


def test_two_files_of_one_name_are_one_when_they_are_equal(tmp_path: Path, scratch: Path) -> None:
    members = {"a/mv_1.txt": film(1), "b/mv_1.txt": film(1)}
    found = release_files(folder_of(tmp_path / "f", members), scratch)
    assert names(found) == [("ratings", "mv_1.txt")]
    assert found.left_out == ["b/mv_1.txt (the same as a/mv_1.txt)"]


def test_two_files_of_one_name_that_differ_are_an_error_for_one_would_replace_the_other(
    tmp_path: Path, scratch: Path
) -> None:
    folder = folder_of(tmp_path / "f", {"a/mv_1.txt": film(1), "b/MV_1.TXT": film(1, 3)})
    with pytest.raises(ReleaseError, match=r"a/mv_1\.txt and b/MV_1\.TXT have one name and different contents"):
        release_files(folder, scratch)


def test_a_file_that_was_joined_before_is_not_replaced_by_another(tmp_path: Path, scratch: Path) -> None:
    members = {"mv_1.txt": film(1), "mv_2.txt": film(2), "mv_0000001-0000002.txt": film(1)}
    folder = folder_of(tmp_path / "f", members)
    with pytest.raises(
        ReleaseError, match=r"mv_0000001-0000002\.txt is what the files of its films would be joined to"
    ):
        release_files(folder, scratch, join_from=2)
    assert state(folder) == members


@pytest.mark.parametrize("members", [{"a.txt": b"x", "b.txt": b"y"}, {}])
def test_a_strangers_archive_is_refused_with_what_it_holds(
    tmp_path: Path, scratch: Path, members: dict[str, bytes]
) -> None:
    holds = "only a.txt, b.txt" if members else "and is empty"
    (tmp_path / "f").mkdir()
    for archive in (zip_of(tmp_path / "a.zip", members), folder_of(tmp_path / "f", members)):
        with pytest.raises(ReleaseError, match=rf"holds no file of the Netflix Prize .*, {holds}\."):
            release_files(archive, scratch)


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.99])
@pytest.mark.parametrize("form", ["zip", "tgz"])
def test_a_cut_download_is_named_with_the_remedy_and_gives_nothing(
    tmp_path: Path, scratch: Path, form: str, keep: float
) -> None:
    archive = tmp_path / f"a.{form}"
    noise = {"combined_data_1.txt": os.urandom(5000).hex().encode(), **KAGGLE}
    zip_of(archive, noise) if form == "zip" else original(archive)
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    with pytest.raises(ReleaseError, match=rf"a\.{form}: the archive cannot be unpacked .*Download it again"):
        release_files(archive, scratch)
    assert state(scratch) == {}


def test_a_path_out_of_the_folder_is_named_with_its_archive(tmp_path: Path, scratch: Path) -> None:
    archive = original(tmp_path / "a.tgz", {"../mv_0000001.txt": film(1)})
    with pytest.raises(ReleaseError, match=r"a\.tgz: in 'download/training_set\.tar': entry '\.\./mv_0000001\.txt'"):
        release_files(archive, scratch)
    assert state(scratch) == {}


def test_a_bomb_is_refused(tmp_path: Path, scratch: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"combined_data_1.txt": bytes(2 * 1024 * 1024)})
    with pytest.raises(ReleaseError, match=r"a\.zip: entry 'combined_data_1\.txt' unpacks .* over 50 times\. Nothing"):
        release_files(archive, scratch)
    with pytest.raises(ReleaseError, match="over 100 bytes"):
        release_files(original(tmp_path / "b.tgz"), scratch, limits=Limits(100, 50))


def test_a_file_that_is_no_archive_is_told_how_to_land(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "combined_data_1.txt").write_bytes(film(1))
    with pytest.raises(ReleaseError, match=r"Land it: `cinestream land netflix .*combined_data_1\.txt`"):
        release_files(tmp_path / "combined_data_1.txt", scratch)
    (tmp_path / "archive.zip").write_bytes(b"<html>Sign in</html>")
    with pytest.raises(ReleaseError, match=r"archive\.zip is not a zip, tar or tar\.gz\. If its download was cut"):
        release_files(tmp_path / "archive.zip", scratch)


def test_a_full_disk_is_told_with_the_remedy(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_join", full)
    with pytest.raises(ReleaseError, match=r"the disk is full.*CINESTREAM_HOME"):
        release_files(original(tmp_path / "a.tgz"), scratch)


def test_progress_counts_what_is_unpacked_and_joined(tmp_path: Path, scratch: Path) -> None:
    written: list[int] = []
    release_files(folder_of(tmp_path / "f", TRAINING_SET), scratch, progress=written.append)
    assert sum(written) == sum(map(len, TRAINING_SET.values()))
