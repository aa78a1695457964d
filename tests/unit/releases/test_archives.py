"""Unpacking of archives that cannot be trusted."""

import stat
import zipfile
from pathlib import Path

import pytest

from cinestream_platform.releases.archives import CorruptArchiveError, UnsafeArchiveError, unpack_zip

MIB = 1024 * 1024


def zip_of(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix
    info.external_attr = mode << 16
    return info


def unpack(archive: Path, destination: Path, max_bytes: int = 10 * MIB, max_ratio: float = 50) -> list[Path]:
    return unpack_zip(archive, destination, max_bytes=max_bytes, max_ratio=max_ratio)


def test_members_are_unpacked_below_the_destination_in_the_archives_order(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("ml/", b""), ("ml/ratings.csv", b"1,2\r\n"), ("ml/movies.csv", b"\xc3\xa9"))
    out = tmp_path / "new" / "out"
    assert unpack(archive, out) == [out / "ml" / "ratings.csv", out / "ml" / "movies.csv"]
    assert (out / "ml" / "ratings.csv").read_bytes() == b"1,2\r\n"
    assert sorted(path.name for path in out.iterdir()) == ["ml"]


def test_an_older_file_is_replaced_and_a_strangers_file_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "ml").mkdir(parents=True)
    (out / "ml" / "ratings.csv").write_text("old")
    (out / "ml" / "notes.txt").write_text("mine")
    unpack(zip_of(tmp_path / "a.zip", ("ml/ratings.csv", b"new")), out)
    assert (out / "ml" / "ratings.csv").read_text() == "new"
    assert (out / "ml" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    ["../evil.csv", "ml/../../evil.csv", "/evil.csv", "..\\evil.csv", "C:evil.csv", "../evil/", "ml/.."],
)
def test_a_path_that_leaves_the_destination_is_refused_by_name(tmp_path: Path, name: str) -> None:
    archive = zip_of(tmp_path / "a.zip", ("ml/good.csv", b"x"), (name, b"x"))
    with pytest.raises(UnsafeArchiveError) as caught:
        unpack(archive, tmp_path / "out")
    assert repr(name) in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert not list(tmp_path.glob("evil*"))


def test_a_name_that_hides_its_end_behind_a_nul_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("good.csvX.exe", b"x"))
    archive.write_bytes(archive.read_bytes().replace(b"good.csvX.exe", b"good.csv\0.exe"))
    with pytest.raises(UnsafeArchiveError, match=r"good\.csv"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFCHR | 0o644])
def test_links_and_devices_are_refused_by_name(tmp_path: Path, mode: int) -> None:
    archive = zip_of(tmp_path / "a.zip", (special("ml/link.csv", mode), b"/etc/passwd"))
    with pytest.raises(UnsafeArchiveError, match=r"'ml/link\.csv' is neither a regular file nor a folder"):
        unpack(archive, tmp_path / "out")


def test_a_link_that_already_stands_in_the_destination_is_not_followed(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "ml").symlink_to(outside)
    with pytest.raises(UnsafeArchiveError, match=r"'ml/ratings\.csv' would be written through a link"):
        unpack(zip_of(tmp_path / "a.zip", ("ml/ratings.csv", b"x")), out)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("second", ["ml/a.csv", "ml//a.csv", "ml/a.csv/b.csv"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_occurs_twice_is_refused(tmp_path: Path, second: str) -> None:
    with pytest.raises(UnsafeArchiveError, match=r"'ml/a\.csv' occurs twice"):
        unpack(zip_of(tmp_path / "a.zip", ("ml/a.csv", b"x"), (second, b"y")), tmp_path / "out")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("a.csv", b"x"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UnsafeArchiveError, match=r"'a\.csv' is encrypted"):
        unpack(archive, tmp_path / "out")


def test_a_bomb_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("small.csv", b"x"), ("bomb.csv", bytes(2 * MIB)))
    with pytest.raises(UnsafeArchiveError, match=r"'bomb\.csv' unpacks .* over 50 times"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert len(unpack(archive, tmp_path / "out", max_ratio=2000)) == 2


def test_the_member_that_goes_over_the_total_size_is_named(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("a.csv", bytes(600)), ("b.csv", bytes(401)))
    with pytest.raises(UnsafeArchiveError, match=r"'b\.csv' takes the unpacked size over 1,000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=1000)
    assert len(unpack(archive, tmp_path / "out", max_bytes=1001)) == 2


def test_a_size_that_lies_lets_no_more_bytes_through(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("bomb.csv", bytes(2 * MIB)))
    archive.write_bytes(archive.read_bytes().replace((2 * MIB).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(CorruptArchiveError):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("keep", [0, 10, -30, -1])
def test_a_cut_archive_leaves_nothing(tmp_path: Path, keep: int) -> None:
    archive = zip_of(tmp_path / "a.zip", ("a.csv", b"abc" * 100), ("b.csv", b"def" * 100))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(CorruptArchiveError, match=r"a\.zip: the archive cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wrong_checksum_of_the_last_member_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("a.csv", b"first")
        opened.writestr("b.csv", b"second")
    archive.write_bytes(archive.read_bytes().replace(b"second", b"sekond"))
    with pytest.raises(CorruptArchiveError, match=r"b\.csv"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
