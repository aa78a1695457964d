"""Tar archives that cannot be trusted, and archives inside archives."""

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from collections import namedtuple
from errno import ENOSPC
from pathlib import Path

import pytest

from cinestream_platform.releases import archives
from cinestream_platform.releases.archives import (
    CorruptArchiveError,
    DiskTooSmallError,
    Limits,
    UnsafeArchiveError,
    is_archive,
    unpack,
    unpack_tar,
    unpack_zip,
)

MIB = 1024 * 1024
LIMITS = Limits(10 * MIB, 50, 1000)
Entry = tuple[str | tarfile.TarInfo, bytes]


def tar_bytes(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_bytes(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def folder(name: str) -> tarfile.TarInfo:
    return special(name, tarfile.DIRTYPE)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def untar(archive: Path, out: Path, max_bytes: int = 10 * MIB, max_ratio: float = 50) -> list[Path]:
    return unpack_tar(archive, out, max_bytes=max_bytes, max_ratio=max_ratio, max_entries=1000)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_tar_is_unpacked_below_the_destination_in_its_order(tmp_path: Path, form: int, packed: type[bytes]) -> None:
    long_name = f"d/{'x' * 90}/{'y' * 50}.txt"  # longer than a header's field
    content = tar_bytes(
        (folder("./"), b""), (folder("./d"), b""), ("./d/b.txt", b"b" * 1000), (long_name, b"\xe9"), form=form
    )
    out = tmp_path / "new" / "out"
    assert untar(write(tmp_path / "a", packed(content)), out) == [out / "d/b.txt", out / long_name]
    assert (out / "d/b.txt").read_bytes() == b"b" * 1000
    assert (out / long_name).read_bytes() == b"\xe9"
    assert [path.name for path in out.iterdir()] == ["d"]


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "d/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:evil.txt", "d/..", "/".join("x" * 40)],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_tars_path_that_leaves_the_destination_is_refused_by_name(tmp_path: Path, name: str, is_folder: bool) -> None:
    archive = write(tmp_path / "a.tar", tar_bytes(("good.txt", b"x"), (folder(name) if is_folder else name, b"")))
    with pytest.raises(UnsafeArchiveError) as caught:
        untar(archive, tmp_path / "out")
    assert repr(name) in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert not list(tmp_path.glob("evil*"))


def test_a_nul_in_a_tars_long_name_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("placeholder")
    info.pax_headers = {"path": "good.txt\0.exe"}
    with pytest.raises(UnsafeArchiveError, match=r"good\.txt"):
        untar(write(tmp_path / "a.tar", tar_bytes((info, b"x"))), tmp_path / "out")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"],
)
def test_links_devices_and_unknown_kinds_in_a_tar_are_refused_by_name(tmp_path: Path, kind: bytes) -> None:
    archive = write(tmp_path / "a.tar", tar_bytes(("a.txt", b"x"), (special("d/odd", kind, "/etc/passwd"), b"")))
    with pytest.raises(UnsafeArchiveError, match=r"'d/odd' is neither a regular file nor a folder .*'/etc/passwd'"):
        untar(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_behind_a_link_of_the_same_archive_is_not_written_through_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    content = tar_bytes((special("d", tarfile.SYMTYPE, str(outside)), b""), ("d/evil.txt", b"x"))
    with pytest.raises(UnsafeArchiveError, match="'d' is neither"):
        untar(write(tmp_path / "a.tar", content), tmp_path / "out")
    assert list(outside.iterdir()) == []


def test_a_link_in_the_destination_is_not_followed(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "d").symlink_to(outside)
    with pytest.raises(UnsafeArchiveError, match=r"'d/a\.txt' would be written through a link"):
        untar(write(tmp_path / "a.tar", tar_bytes(("d/a.txt", b"x"))), out)
    assert list(outside.iterdir()) == []


def test_a_sparse_file_is_refused_for_it_unpacks_from_nothing(tmp_path: Path) -> None:
    info = tarfile.TarInfo("holes.txt")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(9 * MIB)}
    with pytest.raises(UnsafeArchiveError, match=r"'holes\.txt' is neither a regular file"):
        untar(write(tmp_path / "a.tar", tar_bytes((info, b""))), tmp_path / "out")


@pytest.mark.parametrize("second", ["d/a.txt", "d//a.txt", "d/a.txt/b.txt"])
def test_a_tars_member_that_occurs_twice_is_refused(tmp_path: Path, second: str) -> None:
    archive = write(tmp_path / "a.tar", tar_bytes(("d/a.txt", b"x"), (second, b"y")))
    with pytest.raises(UnsafeArchiveError, match=r"'d/a\.txt' occurs twice"):
        untar(archive, tmp_path / "out")


def test_a_bomb_in_gzip_is_stopped_while_it_streams(tmp_path: Path) -> None:
    bomb = write(tmp_path / "a.tgz", gzip.compress(tar_bytes(("a.txt", b"x"), ("bomb.txt", bytes(9 * MIB)))))
    with pytest.raises(UnsafeArchiveError, match=r"'bomb\.txt' in a gzipped archive that unpacks .* over 50 times"):
        untar(bomb, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert len(untar(bomb, tmp_path / "out", max_ratio=2000)) == 2


def test_padding_after_the_end_is_no_way_around_the_ratio(tmp_path: Path) -> None:
    bomb = write(tmp_path / "a.tgz", gzip.compress(tar_bytes(("a.txt", b"x")) + bytes(9 * MIB)))
    with pytest.raises(UnsafeArchiveError, match="over 50 times"):
        untar(bomb, tmp_path / "out")


def test_the_member_that_takes_a_tar_over_the_total_size_is_named_before_it_is_written(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.tar", tar_bytes(("a.txt", bytes(600)), ("b.txt", bytes(401))))
    with pytest.raises(UnsafeArchiveError, match=r"'b\.txt' takes the unpacked size over 1,000 bytes"):
        untar(archive, tmp_path / "out", max_bytes=1000)
    assert list((tmp_path / "out").iterdir()) == []
    assert len(untar(archive, tmp_path / "out", max_bytes=1001)) == 2


def test_a_header_that_claims_megabytes_is_not_held_in_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"comment": os.urandom(2 * MIB).hex()}
    with pytest.raises(UnsafeArchiveError, match="a header after the archive is longer than 1,048,576 bytes"):
        untar(write(tmp_path / "a.tar", tar_bytes((info, b"x"))), tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    names = [f"{number}.txt" for number in range(4)]
    tar = write(tmp_path / "a.tar", tar_bytes(*((name, b"") for name in names)))
    zipped = write(tmp_path / "a.zip", zip_bytes(*((name, b"") for name in names)))
    for unpack_it, archive in ((unpack_tar, tar), (unpack_zip, zipped)):
        with pytest.raises(UnsafeArchiveError, match=r"'3\.txt' is one more than the 3 allowed"):
            unpack_it(archive, tmp_path / "out", max_bytes=MIB, max_ratio=50, max_entries=3)
        assert len(unpack_it(archive, tmp_path / "out", max_bytes=MIB, max_ratio=50, max_entries=4)) == 4


def test_members_of_a_zip_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    content = zip_bytes(("a.txt", os.urandom(5000)))
    entry = content[content.index(b"PK\x01\x02") : content.index(b"PK\x05\x06")]
    end = bytearray(content[content.index(b"PK\x05\x06") :])
    end[8:10] = end[10:12] = (2).to_bytes(2, "little")
    end[12:16] = (2 * len(entry)).to_bytes(4, "little")
    twice = content[: content.index(b"PK\x01\x02")] + entry + entry.replace(b"a.txt", b"b.txt") + bytes(end)
    with pytest.raises(UnsafeArchiveError, match=r"'b\.txt' shares its bytes"):
        unpack(write(tmp_path / "a.zip", twice), tmp_path / "out", LIMITS)


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.75, 0.95])
def test_a_cut_tar_leaves_nothing(tmp_path: Path, packed: type[bytes], share: float) -> None:
    content = tar_bytes(*((f"{number}.txt", os.urandom(3000)) for number in range(20)))
    end_mark = content.rstrip(b"\0")
    content = packed(content[: len(end_mark) + 2000])
    archive = write(tmp_path / "a.tar", content[: int(len(content) * share)])
    with pytest.raises(CorruptArchiveError, match=r"a\.tar: the archive cannot be unpacked \(.*Nothing was unpacked"):
        untar(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_cut_between_two_members_is_known_by_its_missing_end(tmp_path: Path) -> None:
    content = tar_bytes(("a.txt", b"x" * 512), ("b.txt", b"y" * 512), form=tarfile.USTAR_FORMAT)
    with pytest.raises(CorruptArchiveError, match="no entry and no end mark at byte 1,024"):
        untar(write(tmp_path / "a.tar", content[:1024]), tmp_path / "out")


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    content = bytearray(tar_bytes(("a.txt", b"x" * 512), ("b.txt", b"y" * 512), form=tarfile.USTAR_FORMAT))
    content[1024] ^= 1
    with pytest.raises(CorruptArchiveError, match="no entry and no end mark at byte 1,024: bad checksum"):
        untar(write(tmp_path / "a.tar", content), tmp_path / "out")


def test_a_wrong_checksum_at_the_end_of_gzip_leaves_nothing(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(tar_bytes(("a.txt", b"x"))))
    content[-8] ^= 1
    with pytest.raises(CorruptArchiveError, match="CRC"):
        untar(write(tmp_path / "a.tgz", content), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_form_is_known_by_content_and_not_by_name(tmp_path: Path) -> None:
    entries = [("a.txt", b"x")]
    for number, content in enumerate((zip_bytes(*entries), tar_bytes(*entries), gzip.compress(tar_bytes(*entries)))):
        archive = write(tmp_path / f"{number}.dat", content)
        assert is_archive(archive)
        assert [path.name for path in unpack(archive, tmp_path / f"out{number}", LIMITS)] == ["a.txt"]


@pytest.mark.parametrize("content", [b"", b"1:\n1488844,3,2005-09-06\n", bytes(2048), b"BZh91AY&SY"])
def test_what_is_no_archive_is_called_so(tmp_path: Path, content: bytes) -> None:
    archive = write(tmp_path / "a.zip", content)
    assert not is_archive(archive)
    with pytest.raises(CorruptArchiveError, match=r"a\.zip: .* \(it is not a zip, tar or tar\.gz\)"):
        unpack(archive, tmp_path / "out", LIMITS)


def test_an_archive_in_an_archive_becomes_a_folder_of_its_name(tmp_path: Path) -> None:
    inner = tar_bytes(("training_set/mv_1.txt", b"1:\n"), ("training_set/mv_2.txt", b"2:\n"))
    outer = gzip.compress(tar_bytes(("d/first.txt", b"1"), ("d/set.tar", inner), ("d/last.txt", b"2")))
    out = tmp_path / "out"
    written: list[int] = []
    found = unpack(write(tmp_path / "a.tgz", outer), out, LIMITS, progress=written.append)
    names = ["d/first.txt", "d/set.tar/training_set/mv_1.txt", "d/set.tar/training_set/mv_2.txt", "d/last.txt"]
    assert found == [out / name for name in names]
    assert found[1].read_bytes() == b"1:\n"
    assert sum(written) == len(inner) + 2 + 6
    assert sorted(path for path in out.rglob("*") if path.is_file()) == sorted(found)


def test_archives_lie_in_one_another_to_a_depth(tmp_path: Path) -> None:
    third = zip_bytes(("a.txt", b"x"))
    second = tar_bytes(("3.zip", third))
    first = zip_bytes(("2.tar", second))
    archive = write(tmp_path / "a.zip", first)
    assert unpack(archive, tmp_path / "out", LIMITS) == [tmp_path / "out/2.tar/3.zip/a.txt"]
    deeper = write(tmp_path / "b.zip", zip_bytes(("1.zip", first)))
    with pytest.raises(UnsafeArchiveError, match=r"in '1\.zip': in '2\.tar': entry '3\.zip' is an archive nested too"):
        unpack(deeper, tmp_path / "out2", LIMITS)
    assert list((tmp_path / "out2").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt"])
def test_a_path_that_leaves_the_destination_is_refused_in_an_inner_archive_too(tmp_path: Path, name: str) -> None:
    archive = write(tmp_path / "a.zip", zip_bytes(("good.txt", b""), ("d/in.tar", tar_bytes((name, b"x")))))
    with pytest.raises(UnsafeArchiveError, match=rf"in 'd/in\.tar': entry '{name}' has a path"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("inner", [b"no archive", b"", tar_bytes(("a.txt", os.urandom(3000)))[:2000]])
def test_an_inner_archive_that_is_broken_is_named(tmp_path: Path, inner: bytes) -> None:
    archive = write(tmp_path / "a.zip", zip_bytes(("d/in.tar", inner)))
    with pytest.raises(CorruptArchiveError, match=r"a\.zip: .*in 'd/in\.tar': .*Nothing was unpacked"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_nested_bomb_is_refused_though_each_archive_alone_would_pass(tmp_path: Path) -> None:
    content = os.urandom(1000) + bytes(30_000)  # about 29:1, and what it is packed to repeats in the inner archive
    inner = zip_bytes(*((f"{number}.txt", content) for number in range(40)))
    outer = zip_bytes(("in.zip", inner))
    limits = Limits(100 * MIB, 40)
    assert len(unpack(write(tmp_path / "inner.zip", inner), tmp_path / "alone", limits)) == 40
    assert len(unpack_zip(write(tmp_path / "a.zip", outer), tmp_path / "outer", max_bytes=MIB, max_ratio=40)) == 1
    archive = write(tmp_path / "a.zip", outer)
    with pytest.raises(UnsafeArchiveError, match=r"in 'in\.zip': entry .* over 40 times"):
        unpack(archive, tmp_path / "out", limits)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_total_size_and_number_hold_for_all_archives_together(tmp_path: Path) -> None:
    inner = zip_bytes(("a.txt", os.urandom(600)))
    archive = write(tmp_path / "a.zip", zip_bytes(("1.zip", inner), ("2.zip", inner)))
    with pytest.raises(UnsafeArchiveError, match=r"in '2\.zip': entry 'a\.txt' takes the unpacked size over"):
        unpack(archive, tmp_path / "out", Limits(2 * len(inner) + 1000, 50))
    with pytest.raises(UnsafeArchiveError, match=r"in '2\.zip': entry 'a\.txt' is one more than the 3 allowed"):
        unpack(archive, tmp_path / "out", Limits(MIB, 50, 3))
    assert len(unpack(archive, tmp_path / "out", Limits(MIB, 50, 4))) == 2


@pytest.mark.parametrize("content", [zip_bytes(("a.txt", b"x" * 1000)), tar_bytes(("a.txt", b"x" * 1000))])
def test_a_disk_that_is_too_small_is_known_beforehand(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 1, 999))
    archive = write(tmp_path / "a", content)
    with pytest.raises(DiskTooSmallError, match=r"out: the disk is too small .* and 999 are free"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "_copy", full)
    archive = write(tmp_path / "a.tgz", gzip.compress(tar_bytes(("a.txt", b"x"))))
    with pytest.raises(DiskTooSmallError, match=r"out: the disk is too small"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert list((tmp_path / "out").iterdir()) == []
