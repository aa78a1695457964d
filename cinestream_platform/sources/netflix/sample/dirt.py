"""Where bad records, repeats and odd but legal lines go in a Netflix sample, and how they get there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from io import BufferedWriter, BytesIO
from itertools import cycle
from random import Random

import polars as pl

from cinestream_platform.samples.planting import CRLF, LF, STRANGE_ID, filled, spread
from cinestream_platform.sources.netflix.sample.content import (
    CLOSING_DIRT,
    HEADER_KINDS,
    LAST_DAY,
    LEGAL_ODDITIES,
    OPENING_DIRT,
    RATING_DIRT,
    REPEATS,
)

MOST_DIRT = 0.005
"""Of more the dirt could come near 1 % of one of the files, over which a load is refused."""
LEAST_RATINGS = 20_000
"""Of fewer one record of each kind would."""
_CRLF_LINES, _REPEATED_AFTER = 1_000, 25
_LAST = str(LAST_DAY)
_TEMPLATES = RATING_DIRT | LEGAL_ODDITIES | dict.fromkeys(REPEATS, b"{customer},{rating},{date}")


def planned(ratings: int, dirty: float, seed: int) -> dict[int, str]:
    """Index of a good rating -> what is planted after it: all but the first line and the last."""
    if not dirty:
        return {}
    left = round(ratings * dirty) - len(OPENING_DIRT | CLOSING_DIRT)
    kinds = [*LEGAL_ODDITIES]
    for repeat, least in REPEATS.items():
        kinds += [repeat] * max(least, round(ratings * dirty / 4))
    kinds += RATING_DIRT
    left -= sum(map(records, RATING_DIRT))
    for kind in cycle(RATING_DIRT):
        if left <= 0:
            break
        if records(kind) <= left:
            kinds.append(kind)
            left -= records(kind)
    rng = Random(seed * 4)  # noqa: S311 -- sample data must repeat
    return spread(sorted(kinds, key=lambda _: rng.random()), ratings)


def records(kind: str) -> int:
    """How many records a load must reject of one that is planted."""
    return 2 if kind in HEADER_KINDS else int(kind in RATING_DIRT)


def planted(plan: Mapping[int, str]) -> dict[str, int]:
    """Kind -> number of records that a load must reject."""
    count = Counter(plan.values())
    inner = {kind: count[kind] * records(kind) for kind in RATING_DIRT}
    return dict.fromkeys(OPENING_DIRT, 1) | inner | dict.fromkeys(CLOSING_DIRT, 1) if plan else {}


def repeats(plan: Mapping[int, str]) -> dict[str, int]:
    """How many legal repeats of each kind."""
    count = Counter(plan.values())
    return {kind: count[kind] for kind in REPEATS}


def write_ratings(out: BufferedWriter, chunk: pl.DataFrame, plan: Mapping[int, str], crlf_lines: int = 0) -> int:
    """Write good ratings of whole films, and between them what is planned.

    Args:
        out: The file.
        chunk: One row per rating: film, n (the film's ratings), i (from 0 in each film), head (the film's header in
            its first row, customer) and tail (rating, date).
        plan: Index in the chunk -> what is planted there.
        crlf_lines: How many lines end in CRLF, unless something is planted before.

    Returns:
        How many lines of the file's next chunk do.
    """
    buffer = BytesIO()
    chunk.select("head", "tail").write_csv(buffer, include_header=False, quote_style="never", line_terminator=LF)
    text, begin = buffer.getbuffer(), 0
    if not plan and not crlf_lines:
        out.write(text)
        return 0
    ends = (chunk["head"].str.len_bytes().cast(pl.Int64) + chunk["tail"].str.len_bytes() + len(",\n")).cum_sum()
    starts = [0, *ends]

    def write_lines(stop: int) -> None:
        middle = min(begin + crlf_lines, stop)
        out.write(bytes(text[starts[begin] : starts[middle]]).replace(LF.encode(), CRLF.encode()))
        out.write(text[starts[middle] : starts[stop]])

    for after, kind, line in sorted(_insertions(chunk, plan)):
        write_lines(after + 1)
        out.write(line)
        begin, crlf_lines = after + 1, _CRLF_LINES if kind == "crlf" else 0
    write_lines(chunk.height)
    return max(crlf_lines - chunk.height + begin, 0)


def _insertions(chunk: pl.DataFrame, plan: Mapping[int, str]) -> Iterator[tuple[int, str, bytes]]:
    """The index of the good rating before it, its kind, and the bytes of what is planted."""
    for place, kind in plan.items():
        i, n = chunk["i"][place], chunk["n"][place]
        if kind in REPEATS:
            film = range(place - i, place - i + n)
            origin = next(at for at in [*range(place, film.stop), *film] if not chunk["tail"][at].endswith(_LAST))
            after, values = min(origin + _REPEATED_AFTER, film[-1]), _values(chunk, origin)
            if kind == "conflicting":
                values |= {"rating": "5" if values["rating"] == "3" else str(6 - int(values["rating"]))}
                values |= {"date": str(min(date.fromisoformat(values["date"]) + timedelta(days=30), LAST_DAY))}
        else:
            # The film goes on below a repeated header, so that it must not come after the film's last rating.
            after, values = place - (i == n - 1 and kind in (*HEADER_KINDS, "crlf")), _values(chunk, place)
        yield after, kind, filled(_TEMPLATES[kind], values, LF)


def _values(chunk: pl.DataFrame, at: int) -> dict[str, str]:
    """What templates are filled with: the fields of a good rating, and a customer of its own."""
    film, _, _, head, tail = chunk.row(at)
    customer, (rating, day) = head.rpartition(LF)[2], tail.split(",")
    strange = str(STRANGE_ID + int(customer))
    return {"film": str(film), "customer": customer, "rating": rating, "date": day, "x": strange}
