"""Opening a delivered file, packed or not, as a stream of which a bounded part is in memory, within limits.

A few bytes can unpack to any number: what unpacks to more than the limits is refused while it streams, and never lies
on a disk as a whole (Parquet, which is read from its end, does: ``unpacked_copy``). What does not belong here: what the
bytes mean (the readers), which form a file has (``file_form``), archives with several files (``archives``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from cinestream_platform.declarations.file_form import (
    EMPTY,
    GZIP_MAGIC,
    PACKINGS,
    ZSTD_MAGIC,
    FileRefusedError,
    Packing,
)
from cinestream_platform.lake.stored import CHUNK_BYTES
from cinestream_platform.services.disk import Room

MAX_RATIO = 200
"""Most bytes that a packed byte may become. Records pack 3:1 to 20:1, the same record again and again 1,000:1."""
EXEMPT_BYTES = 64 * 1024 * 1024
"""So much may come of any file: a small one may pass the ratio by chance."""
MAX_BYTES = 64 * 1024**3

ZSTD_SKIPPABLE = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
"""Frames without content, with which parallel packers begin."""
MAGIC = {Packing.GZIP: (GZIP_MAGIC,), Packing.ZSTD: (ZSTD_MAGIC, *ZSTD_SKIPPABLE)}


class Source(Protocol):
    """What readers need of a file."""

    @property
    def bytes_left(self) -> int:
        """A number of bytes that those to come cannot exceed."""
        ...

    def read(self, size: int, /) -> bytes:
        """The next bytes; fewer than asked for at the end only."""
        ...

    def readline(self, limit: int, /) -> bytes:
        """The rest of the line with its end, or as much of it as the limit allows."""
        ...


def most_unpacked(size: int) -> int:
    """How many bytes may come of a file of that size."""
    return min(max(size * MAX_RATIO, EXEMPT_BYTES), MAX_BYTES)


@contextmanager
def open_source(path: Path, packing: Packing) -> Iterator[Source]:
    """A file as its readers want it.

    Raises:
        FileRefusedError: The content is not packed as the name says; or, while it is read: it is damaged, or unpacks
            to too much.
    """
    with path.open("rb") as file:
        if packing is Packing.NONE:
            yield PlainSource(file)
            return
        begin = file.read(len(ZSTD_MAGIC))
        if not begin.startswith(MAGIC[packing]):
            if not begin:
                raise FileRefusedError(EMPTY)
            ending = next(ending for ending, kind in PACKINGS.items() if kind is packing)
            raise FileRefusedError(
                f"the name ends in {ending}, but the file is not a {packing.value} archive. Land it under its right "
                "name."
            )
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        with pa.PythonFile(file, mode="r") as packed, pa.CompressedInputStream(packed, packing.value) as stream:
            yield UnpackingSource(stream, packing, size)


class PlainSource:
    """A file that is not packed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)

    @property
    def bytes_left(self) -> int:
        """Bytes that were not read yet."""
        return self._size - self._file.tell()

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def readline(self, limit: int, /) -> bytes:
        """The rest of the line."""
        return self._file.readline(limit)


class UnpackingSource:
    """What a packed file unpacks to, with its limits."""

    def __init__(self, stream: pa.CompressedInputStream, packing: Packing, packed_bytes: int) -> None:
        self._stream, self._packing, self._packed_bytes = stream, packing, packed_bytes
        self._most = most_unpacked(packed_bytes)
        self._read, self._ahead, self._is_end = 0, b"", False

    @property
    def bytes_left(self) -> int:
        """Most bytes that may still come."""
        return len(self._ahead) + (0 if self._is_end else self._most - self._read)

    def read(self, size: int, /) -> bytes:
        """The next bytes.

        Raises:
            FileRefusedError: There are too many, or the archive is damaged.
        """
        before, self._ahead = self._ahead[:size], self._ahead[size:]
        return before + self._unpack(size - len(before))

    def readline(self, limit: int, /) -> bytes:
        """The rest of the line; as ``read``."""
        data = self.read(limit)
        end = data.find(b"\n") + 1 or len(data)
        self._ahead = data[end:] + self._ahead
        return data[:end]

    def _unpack(self, size: int) -> bytes:
        if self._is_end or not size:
            return b""
        try:
            data: bytes = self._stream.read(size)
        except (OSError, pa.ArrowException) as error:
            cut = "cut off" if "runcated" in str(error) else "damaged"
            raise FileRefusedError(f"the {self._packing.value} archive is {cut}. Land it again.") from error
        self._read += len(data)
        self._is_end = len(data) < size
        if self._read > self._most:
            raise FileRefusedError(
                f"this {self._packing.value} archive of {self._packed_bytes:,} bytes unpacks to more than "
                f"{self._most:,}: over {MAX_RATIO} times its size, or more than a file may have. If that is right, "
                "land it unpacked."
            )
        return data


@contextmanager
def unpacked_copy(path: Path, packing: Packing, room: Room | None = None) -> Iterator[Path]:
    """The file itself, or where it is packed a copy beside it that is not, for as long as it is needed.

    Raises:
        FileRefusedError: As ``open_source``.
        DiskFullError: There is no room.
    """
    if packing is Packing.NONE:
        yield path
        return
    copy = path.with_name(f"{path.name}.unpacked")
    try:
        with open_source(path, packing) as source, copy.open("wb") as sink:
            while data := source.read(CHUNK_BYTES):
                if room:
                    room.keep()
                sink.write(data)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
