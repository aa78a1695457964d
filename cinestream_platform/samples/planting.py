"""What all generators share: writing files as upstream does, with bad records at known places and known by number.

What belongs to one source, its columns, texts and kinds of dirt, is in that source's own modules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path
from random import Random
from typing import TypeVar

from cinestream_platform.errors import CineStreamError

CRLF, LF = "\r\n", "\n"
STRANGE_ID = 900_000_000
"""Ids from here on are mentioned by no good record: rejecting them must not change anything elsewhere."""
_ItemT = TypeVar("_ItemT")


class SampleSizeError(CineStreamError):
    """No sample can be of the size that was asked for."""


SMALLEST, LARGEST = 0.05, 1_000.0
"""Scales of a sample of files. A hundred million ratings are a thousand."""


def check_scale(scale: float, below: str) -> None:
    """See to it that files of a scale can be made; ``below`` says what would come of a smaller one.

    Raises:
        SampleSizeError: It is too small, too large or no number.
    """
    if not scale >= SMALLEST:  # nor is what is no number
        raise SampleSizeError(f"scale {scale} is too small: below {SMALLEST} {below}")
    if scale > LARGEST:
        raise SampleSizeError(f"scale {scale:g} is too large: at most {LARGEST:,.0f}")


def pick(rng: Random, items: Sequence[_ItemT]) -> _ItemT:
    """One of the items. ``choice`` may draw differently in another Python; ``random`` is promised not to."""
    return items[int(rng.random() * len(items))]


@contextmanager
def whole_file(path: Path, header: str | None = None, line_end: str = CRLF) -> Iterator[FileIO]:
    """A file that gets its name when it is whole: the folder may be a landing zone that somebody watches."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb", buffering=0) as out:  # polars writes past Python's buffer
            if header is not None:
                out.write(f"{header}{line_end}".encode())
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def field(text: str) -> str:
    """RFC 4180: quotes only where they are needed."""
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text


def spread(kinds: Sequence[str], rows: int) -> dict[int, str]:
    """Index of a good record -> kind of the record planted after it, evenly over the file."""
    return {rows * (number + 1) // (len(kinds) + 1): kind for number, kind in enumerate(kinds)}


def filled(template: bytes, values: Mapping[str, str], line_end: str = CRLF) -> bytes:
    """A line of dirt with the values of a good record in its places."""
    for name, value in values.items():
        template = template.replace(b"{%s}" % name.encode(), field(value).encode())
    return template + line_end.encode()


def write_table(
    path: Path,
    header: str,
    records: Iterable[Sequence[str]],
    dirt: Mapping[str, bytes],
    *,
    rows: int,
    line_end: str = CRLF,
) -> int:
    """Write a table record by record; returns its physical records.

    Args:
        path: The file; it appears under its name when it is whole.
        header: Column names, joined by commas.
        records: Good records.
        dirt: Kind -> template of one bad record. ``{column}`` is that field of the good record before it, ``{x}`` an
            id that no good record mentions.
        rows: How many good records there are, over which the dirt is spread.
        line_end: CRLF or LF.
    """
    columns = header.split(",")
    places = spread(list(dirt), rows)

    def lines() -> Iterator[bytes]:
        for at, record in enumerate(records):
            yield (",".join(map(field, record)) + line_end).encode()
            if at in places:
                values = dict(zip(columns, record, strict=True))
                yield filled(dirt[places[at]], {**values, "x": str(STRANGE_ID + at)}, line_end)

    with whole_file(path, header, line_end) as out:
        buffer = BufferedWriter(out, 2**20)
        buffer.writelines(lines())
        buffer.detach()
    return rows + len(places)
