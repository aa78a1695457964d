"""The form of a delivered file, which its name says: CSV or other text, JSON lines, Parquet; each also packed.

What belongs here: endings, the first bytes by which forms are known, and the refusal of a file that has another form.
What does not: opening a file (``unpacking``) and reading it (the readers).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from cinestream_platform.errors import CineStreamError


class Shape(Enum):
    """How a file holds its records."""

    TEXT = "text"
    JSON_LINES = "JSON lines"
    PARQUET = "Parquet"


class Packing(Enum):
    """How a file is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


SHAPES = {".jsonl": Shape.JSON_LINES, ".ndjson": Shape.JSON_LINES, ".parquet": Shape.PARQUET}
"""Any other ending is that of a feed's own text: CSV, or what its ``lines`` say."""
PACKINGS = {".gz": Packing.GZIP, ".zst": Packing.ZSTD}

GZIP_MAGIC, ZSTD_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
SQLITE_MAGIC = b"SQLite format 3\0"
ENDINGS = {GZIP_MAGIC: ".gz", ZSTD_MAGIC: ".zst", PARQUET_MAGIC: ".parquet"}
"""The ending by which a file that begins so is known."""
FOREIGN_FORMS = {
    GZIP_MAGIC: "a gzip archive",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    SQLITE_MAGIC: "a SQLite database",
    b"\x04\x22\x4d\x18": "an lz4 archive",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow (Feather) file",
    b"%PDF-": "a PDF",
    ZSTD_MAGIC: "a zstd archive",
    PARQUET_MAGIC: "a Parquet file",
    b"\xff\xfe\0\0": "UTF-32 text",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""What is landed by mistake, by its first bytes."""
EMPTY = "the file is empty: it has no bytes. Land it again."
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257


class FileRefusedError(CineStreamError):
    """The file as a whole cannot be read; the message names the culprit and the remedy.

    Names from the file may hold what Postgres cannot store (NUL, half of a surrogate pair): it is shown as escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True)
class FileForm:
    """What a name says. ``stem`` is the name without the endings that say it."""

    shape: Shape
    packing: Packing
    stem: str

    @property
    def is_plain_text(self) -> bool:
        """Whether the file takes about as many bytes as the text in it."""
        return self.shape is not Shape.PARQUET and self.packing is Packing.NONE


def form_of_name(name: str) -> FileForm:
    """The form of a file with this name, or of the object under this key; case does not matter."""
    path = PurePosixPath(name)
    packing = PACKINGS.get(path.suffix.lower(), Packing.NONE)
    path = path if packing is Packing.NONE else path.with_suffix("")
    shape = SHAPES.get(path.suffix.lower(), Shape.TEXT)
    return FileForm(shape, packing, path.name if shape is Shape.TEXT else path.stem)


def refuse_foreign_form(begin: bytes, wanted: str) -> None:
    """Refuse what is landed by mistake.

    Args:
        begin: The first bytes of the file, without a byte order mark.
        wanted: What the feed takes.

    Raises:
        FileRefusedError: It begins like an archive or like text in another encoding.
    """
    for magic, form in FOREIGN_FORMS.items():
        if begin.startswith(magic):
            named = f"it under a name that ends in {ENDINGS[magic]}" if magic in ENDINGS else f"the {wanted} itself"
            raise FileRefusedError(f"this is {form}, not a {wanted}. Land {named}.")
    if begin.startswith(TAR_MAGIC, TAR_MAGIC_AT):
        raise FileRefusedError(f"this is a tar archive, not a {wanted}. Land the {wanted} itself.")
