"""Unpacking of archives that somebody else made.

What belongs here: turning an archive into files without trusting its member names or sizes. Where an archive comes
from, and what its files mean, belongs elsewhere.
"""

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

# Deflate cannot do better than 1032:1, and text compresses about 5:1; a tiny member may pass the ratio by chance.
_RATIO_APPLIES_FROM_BYTES = 1024 * 1024
_ENCRYPTED = 0x1


class UnsafeArchiveError(ValueError):
    """The archive holds a member that must not be unpacked; the message names it. Nothing was unpacked."""


class CorruptArchiveError(ValueError):
    """The file is no archive, is cut, or a member's checksum is wrong. Nothing was unpacked."""


def unpack_zip(archive: Path, destination: Path, *, max_bytes: int, max_ratio: float) -> list[Path]:
    """Unpack a zip archive into a folder: every member, or none.

    Members are written to a hidden folder inside ``destination`` and moved to their places when all are there and
    their checksums are right. A file that already stands there is replaced; other files are left alone.

    Args:
        archive: The zip file.
        destination: Folder to unpack into; made when it does not exist.
        max_bytes: Most bytes that all members together may have once unpacked.
        max_ratio: Most unpacked bytes per packed byte of one member (members under 1 MiB are exempt).

    Returns:
        The unpacked files, in the archive's order (folders are not listed).

    Raises:
        UnsafeArchiveError: A member would leave ``destination``, is no regular file, occurs twice, is encrypted, or
            goes over a limit.
        CorruptArchiveError: The archive cannot be read to its end.
    """
    destination.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not _is_folder(info)]
            # Sizes in the directory can be trusted as limits: zipfile never yields more bytes than they say.
            _check_sizes(members, archive.stat().st_size, max_bytes, max_ratio)
            paths = _checked_paths(members, destination)
            return _extract(opened, members, paths, destination)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise CorruptArchiveError(
            f"{archive}: the archive cannot be unpacked ({error}). Nothing was unpacked."
        ) from error


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """A folder entry; its own name is checked as well, because it could leave the destination too."""
    _checked_name(info)
    return info.is_dir()


def _checked_name(info: zipfile.ZipInfo) -> PurePosixPath:
    """The member's path below the destination."""
    name = info.orig_filename  # zipfile cuts `filename` at a NUL, which would hide what follows
    path = PurePosixPath(name)
    # A backslash or a drive letter is harmless here and an escape on Windows, where the same archive may be unpacked.
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in ("\\", ":", "\0")) or not path.parts:
        raise UnsafeArchiveError(f"member {name!r} has a path that does not stay inside the destination folder")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise UnsafeArchiveError(f"member {name!r} is neither a regular file nor a folder (mode {kind:#o})")
    if info.flag_bits & _ENCRYPTED:
        raise UnsafeArchiveError(f"member {name!r} is encrypted")
    return path


def _check_sizes(members: Sequence[zipfile.ZipInfo], archive_bytes: int, max_bytes: int, max_ratio: float) -> None:
    total = 0
    for info in members:
        total += info.file_size
        if total > max_bytes:
            raise UnsafeArchiveError(f"member {info.filename!r} takes the unpacked size over {max_bytes:,} bytes")
        packed = max(1, min(info.compress_size, archive_bytes))
        if info.file_size >= _RATIO_APPLIES_FROM_BYTES and info.file_size > max_ratio * packed:
            raise UnsafeArchiveError(
                f"member {info.filename!r} unpacks {packed:,} bytes to {info.file_size:,}, over {max_ratio:g} times"
            )


def _checked_paths(members: Sequence[zipfile.ZipInfo], destination: Path) -> list[PurePosixPath]:
    paths = [_checked_name(info) for info in members]
    folders = {parent for path in paths for parent in path.parents}
    seen: set[PurePosixPath] = set()
    for path in paths:
        if path in seen or path in folders:
            raise UnsafeArchiveError(f"member {str(path)!r} occurs twice in the archive")
        # A link that already stands in the destination leads out of it as well as one in the archive would.
        if not (destination / path).parent.resolve().is_relative_to(destination.resolve()):
            raise UnsafeArchiveError(f"member {str(path)!r} would be written through a link out of {destination}")
        seen.add(path)
    return paths


def _extract(
    opened: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], paths: Sequence[PurePosixPath], destination: Path
) -> list[Path]:
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=destination) as staging:
        for info, path in zip(members, paths, strict=True):
            staged = Path(staging) / path
            staged.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as source, staged.open("wb") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
            if staged.stat().st_size != info.file_size:
                raise CorruptArchiveError(f"member {info.filename!r} is shorter than the archive says")
        for path in paths:
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(staging) / path).replace(destination / path)
    return [destination / path for path in paths]
