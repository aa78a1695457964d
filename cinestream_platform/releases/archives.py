"""Unpacking of archives that somebody else made.

What belongs here: turning an archive into files without trusting its entry names or sizes. The rules themselves are
``archive_rules``; where an archive comes from, and what its files mean, belongs elsewhere.
"""

import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from errno import ENOSPC
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError, HeaderError  # type: ignore[attr-defined]
from typing import IO, Protocol

from cinestream_platform.regular_files import open_file
from cinestream_platform.releases.archive_rules import (
    MAX_MEMBERS,
    Budget,
    CorruptArchiveError,
    DiskTooSmallError,
    EntryPaths,
    Limits,
    UnsafeArchiveError,
    inner_path,
)

__all__ = [
    "CorruptArchiveError",
    "DiskTooSmallError",
    "Limits",
    "UnsafeArchiveError",
    "is_archive",
    "unpack",
    "unpack_tar",
    "unpack_zip",
]

MAX_DEPTH = 2
_NESTED_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_ENCRYPTED = 0x1
_CHUNK = 1024 * 1024
_TAR_READS = 128 * 1024
# A name of 4,096 bytes is long; tarfile holds a header in memory, whatever length the archive claims for it.
_MAX_TAR_HEADER = 1024 * 1024
_MAX_GLOBAL_HEADERS = 100
_UNREADABLE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, UnicodeDecodeError, struct.error),
)


class _Layer(Protocol):
    """Writes every entry of an archive below a folder; their paths, in the archive's order."""

    def __call__(
        self, archive: Path, folder: Path, budget: Budget, *, is_nested: bool = False
    ) -> list[PurePosixPath]: ...


def unpack_zip(
    archive: Path, destination: Path, *, max_bytes: int, max_ratio: float, max_entries: int = MAX_MEMBERS
) -> list[Path]:
    """Unpack a zip archive into a folder: every entry, or none.

    Entries are written to a hidden folder inside ``destination`` and moved to their places when all are there and
    their checksums are right. A file that already stands there is replaced; other files are left alone.

    Args:
        archive: The zip file.
        destination: Folder to unpack into; made when it does not exist.
        max_bytes: Most bytes that all entries together may have once unpacked.
        max_ratio: Most unpacked bytes per packed byte of one entry (entries under 1 MiB are exempt).
        max_entries: Most entries.

    Returns:
        The unpacked files, in the archive's order (folders are not listed).

    Raises:
        UnsafeArchiveError: An entry would leave ``destination``, is not a regular file, occurs twice, is encrypted, or
            goes over a limit.
        CorruptArchiveError: The archive cannot be read to its end.
        DiskTooSmallError: The entries would not fit.
    """
    return _unpack_with(_zip_layer, archive, destination, Limits(max_bytes, max_ratio, max_entries))


def unpack_tar(
    archive: Path, destination: Path, *, max_bytes: int, max_ratio: float, max_entries: int = MAX_MEMBERS
) -> list[Path]:
    """Unpack a tar archive, gzipped or not, as ``unpack_zip`` does.

    ``max_ratio`` holds for the whole of a gzipped archive, as far as it was read (1 MiB is exempt). Links and sparse
    files are refused like devices. An archive without an end mark is taken for cut.
    """
    return _unpack_with(_tar_layer, archive, destination, Limits(max_bytes, max_ratio, max_entries))


def unpack(
    archive: Path,
    destination: Path,
    limits: Limits,
    *,
    max_depth: int = MAX_DEPTH,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Unpack a zip, a tar or a gzipped tar, whatever its name, and the archives in it; as ``unpack_zip`` does.

    An archive in the archive (known by its name: ``.zip``, ``.tar``, ``.tar.gz``, ``.tgz``) becomes a folder of that
    name. The limits hold for all of them together.

    Args:
        archive: The archive.
        destination: Folder to unpack into; made when it does not exist.
        limits: What it may unpack to.
        max_depth: How often an archive may lie in another one.
        progress: Called with a number of bytes whenever they were written.

    Raises:
        UnsafeArchiveError: As ``unpack_zip``; or archives are nested too deep.
        CorruptArchiveError: As ``unpack_zip``, also of an archive in the archive.
        DiskTooSmallError: As ``unpack_zip``. Of a gzipped tar, the size is not known beforehand.
    """

    def layer(archive: Path, folder: Path, budget: Budget, *, is_nested: bool = False) -> list[PurePosixPath]:
        return _nested_layers(archive, folder, budget, max_depth, is_nested=is_nested)

    return _unpack_with(layer, archive, destination, limits, progress)


def is_archive(path: Path) -> bool:
    """Whether the content of a file begins as that of an archive that can be unpacked."""
    return _layer_for(path) is not None


def _unpack_with(
    layer: _Layer,
    archive: Path,
    destination: Path,
    limits: Limits,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    destination.mkdir(parents=True, exist_ok=True)
    budget = Budget(limits, archive.stat().st_size, progress)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=destination) as staging:
        try:
            paths = _read(layer, archive, Path(staging), budget)
        except CorruptArchiveError as error:
            raise CorruptArchiveError(
                f"{archive}: the archive cannot be unpacked ({error}). Nothing was unpacked."
            ) from error
        except OSError as error:
            if error.errno != ENOSPC:
                raise
            raise DiskTooSmallError(_no_room(destination)) from error
        for path in paths:
            # A link that already stands in the destination leads out of it as well as one in the archive would.
            if not (destination / path).parent.resolve().is_relative_to(destination.resolve()):
                raise UnsafeArchiveError(f"entry {str(path)!r} would be written through a link out of {destination}")
        for path in paths:
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(staging) / path).replace(destination / path)
    return [destination / path for path in paths]


def _read(
    layer: _Layer, archive: Path, folder: Path, budget: Budget, *, is_nested: bool = False
) -> list[PurePosixPath]:
    """Run a layer; what the standard library raises of a bad archive becomes our error."""
    try:
        return layer(archive, folder, budget, is_nested=is_nested)
    except _UNREADABLE as error:
        raise CorruptArchiveError(str(error) or type(error).__name__) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise CorruptArchiveError(str(error)) from error  # gzip and bz2 say so of bad content


def _layer_for(path: Path) -> _Layer | None:
    """The way to read a file, by its first bytes; None if it is not an archive."""
    with open_file(path) as opened:
        start = opened.read(tarfile.BLOCKSIZE)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_layer
    if start.startswith(b"\x1f\x8b"):
        return _tar_layer
    try:
        tarfile.TarInfo.frombuf(start, tarfile.ENCODING, "surrogateescape")  # verifies the header's checksum
    except tarfile.HeaderError:
        return None
    return _tar_layer


def _nested_layers(
    archive: Path, folder: Path, budget: Budget, depth_left: int, *, is_nested: bool
) -> list[PurePosixPath]:
    layer = _layer_for(archive)
    if layer is None:
        raise CorruptArchiveError("it is not a zip, tar or tar.gz")
    paths: list[PurePosixPath] = []
    for path in _read(layer, archive, folder, budget, is_nested=is_nested):
        if not path.name.lower().endswith(_NESTED_SUFFIXES):
            paths.append(path)
            continue
        if depth_left == 0:
            raise UnsafeArchiveError(f"entry {str(path)!r} is an archive nested too deep; unpack it by hand")
        try:
            paths += [path / below for below in _unpack_in_place(folder / path, budget, depth_left - 1)]
        except (UnsafeArchiveError, CorruptArchiveError) as error:
            raise type(error)(f"in {str(path)!r}: {error}") from error
    return paths


def _unpack_in_place(archive: Path, budget: Budget, depth_left: int) -> list[PurePosixPath]:
    """Put a folder with an archive's entries in the archive's place."""
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=archive.parent) as aside:
        packed = archive.replace(Path(aside) / "archive")
        archive.mkdir()
        return _nested_layers(packed, archive, budget, depth_left, is_nested=True)


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskTooSmallError(f"{_no_room(folder.parent)} It takes {needed:,} bytes more, and {free:,} are free.")


def _no_room(folder: Path) -> str:
    return f"{folder}: the disk is too small to unpack the archive there. Make room; nothing was unpacked."


def _copy(source: IO[bytes], target: Path, budget: Budget) -> int:
    """Write an entry; its number of bytes."""
    copied = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as opened:
        while chunk := source.read(_CHUNK):
            opened.write(chunk)
            copied += len(chunk)
            budget.written(len(chunk))
    return copied


def _zip_layer(archive: Path, folder: Path, budget: Budget, *, is_nested: bool = False) -> list[PurePosixPath]:
    with open_file(archive) as packed, zipfile.ZipFile(packed) as opened:
        for info in opened.infolist():
            _check_zip_entry(info, budget)
        entries = [info for info in opened.infolist() if not info.is_dir()]
        # Sizes in the directory can be trusted as limits: zipfile never yields more bytes than they say.
        _check_zip_sizes(entries, archive.stat().st_size, budget, is_nested=is_nested)
        found = EntryPaths()
        for info in entries:
            found.add(info.orig_filename)
        _require_space(folder, sum(info.file_size for info in entries))
        for info, path in zip(entries, found.paths, strict=True):
            with opened.open(info) as source:
                copied = _copy(source, folder / path, budget)
            if copied != info.file_size:
                raise CorruptArchiveError(f"entry {info.filename!r} is shorter than the archive says")
    return found.paths


def _check_zip_entry(info: zipfile.ZipInfo, budget: Budget) -> None:
    name = info.orig_filename  # zipfile cuts `filename` at a NUL, which would hide what follows
    budget.count(name)
    inner_path(name, is_folder=info.is_dir())
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise UnsafeArchiveError(f"entry {name!r} is neither a regular file nor a folder (mode {kind:#o})")
    if info.flag_bits & _ENCRYPTED:
        raise UnsafeArchiveError(f"entry {name!r} is encrypted")


def _check_zip_sizes(
    entries: Sequence[zipfile.ZipInfo], archive_bytes: int, budget: Budget, *, is_nested: bool
) -> None:
    packed_bytes = 0
    for info in entries:
        budget.take(info.filename, info.file_size, is_nested=is_nested)
        packed = min(info.compress_size, archive_bytes)
        budget.check_ratio(f"entry {info.filename!r}", packed, info.file_size)
        packed_bytes += packed
        if packed_bytes > archive_bytes:
            raise UnsafeArchiveError(f"entry {info.filename!r} shares its bytes with other entries")


class _TarHeader(tarfile.TarInfo):
    """tarfile takes a broken header for the archive's end, and so loses what follows; here only the end mark is one."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_TarHeader":
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            if isinstance(error, EOFHeaderError):
                raise
            raise CorruptArchiveError(f"no entry and no end mark at byte {tarfile.offset:,}: {error}") from error


class _TarStream:
    """The bytes of a tar archive, which never gives more of them than is due."""

    def __init__(self, unpacked: IO[bytes], packed: IO[bytes], budget: Budget) -> None:
        self._unpacked = unpacked
        self._packed = packed
        self._budget = budget
        self._position = 0
        self._due = 0
        self.now = "the archive"

    def expect(self, size: int) -> None:
        """A header, or an entry's bytes and a header, come next."""
        self._due = self._position + size + _MAX_TAR_HEADER

    def read(self, size: int) -> bytes:
        """The next bytes, as tarfile asks for them."""
        chunk = self._unpacked.read(size)
        self._position += len(chunk)
        if self._unpacked is not self._packed:
            self._budget.check_ratio(f"{self.now} in a gzipped archive that", self._packed.tell(), self._position)
        if self._position > self._due:
            raise UnsafeArchiveError(f"a header after {self.now} is longer than {_MAX_TAR_HEADER:,} bytes")
        return chunk

    def drain(self) -> None:
        """Read to the end, where gzip's checksum is; padding only."""
        while True:
            self.expect(_TAR_READS)
            if not self.read(_TAR_READS):
                return


def _tar_layer(archive: Path, folder: Path, budget: Budget, *, is_nested: bool = False) -> list[PurePosixPath]:
    _require_space(folder, archive.stat().st_size)  # packed, it is the least
    found = EntryPaths()
    with open_file(archive) as packed:
        is_gzip = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        unpacked: IO[bytes] = gzip.GzipFile(fileobj=packed) if is_gzip else packed  # type: ignore[assignment]
        stream = _TarStream(unpacked, packed, budget)
        stream.expect(0)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarHeader, bufsize=_TAR_READS) as opened:  # type: ignore[call-overload]
            while (info := opened.next()) is not None:
                stream.now = f"entry {info.name!r}"
                _check_tar_entry(info, budget)
                if info.isreg():
                    path = found.add(info.name)
                    budget.take(info.name, info.size, is_nested=is_nested)
                    stream.expect(info.size)
                    _copy(opened.extractfile(info), folder / path, budget)
                opened.members.clear()  # else every header stays in memory
                if len(opened.pax_headers) > _MAX_GLOBAL_HEADERS:
                    raise UnsafeArchiveError(f"before entry {info.name!r} stand too many headers for all entries")
                stream.expect(0)
        stream.drain()
    return found.paths


def _check_tar_entry(info: tarfile.TarInfo, budget: Budget) -> None:
    budget.count(info.name)
    inner_path(info.name, is_folder=info.isdir())
    if not (info.isreg() or info.isdir()) or info.issparse():
        raise UnsafeArchiveError(
            f"entry {info.name!r} is neither a regular file nor a folder (tar type {info.type!r}"
            f"{', to ' + repr(info.linkname) if info.linkname else ''})"
        )
    if info.size < 0:
        raise CorruptArchiveError(f"entry {info.name!r} has {info.size:,} bytes")
