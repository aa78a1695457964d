"""The form of a delivered file, which its name says: CSV or other text, JSON lines, Parquet; each also packed.

Pure. That the content is what the name says is seen to by who opens it (``unpacking`` and the readers).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath


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
