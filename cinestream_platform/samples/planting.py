"""Writing sample files as upstream writes them, with bad records planted at known places."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from cinestream_platform.samples.movielens_content import LETTERS, STRANGE_FILM


@contextmanager
def whole_file(path: Path, header: str) -> Iterator[FileIO]:
    """A file that gets its name when it is whole: the folder may be a landing zone that somebody watches."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb", buffering=0) as out:  # polars writes past Python's buffer
            out.write(f"{header}\r\n".encode())
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


def filled(template: bytes, values: Mapping[str, str]) -> bytes:
    """A line of dirt with the values of a good record in its places."""
    for letter, value in values.items():
        template = template.replace(b"{%s}" % letter.encode(), value.encode())
    return template + b"\r\n"


def write_table(path: Path, header: str, records: Iterable[Sequence[str]], dirt: Mapping[str, bytes]) -> int:
    """Write a small table; returns its physical records."""
    good = list(records)
    lines = [(",".join(map(field, record)) + "\r\n").encode() for record in good]
    for at, kind in reversed(spread(list(dirt), len(good)).items()):
        fields = dict(zip(header.split(","), good[at], strict=True))
        values = {letter: fields[column] for column, letter in LETTERS.items() if column in fields}
        lines.insert(at + 1, filled(dirt[kind], {**values, "x": str(STRANGE_FILM + at)}))
    with whole_file(path, header) as out:
        out.write(b"".join(lines))
    return len(lines)
