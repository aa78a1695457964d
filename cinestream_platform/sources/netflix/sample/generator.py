"""Files of the Netflix Prize in the layout that Kaggle offers, of any size, with known dirt in them.

What belongs here: writing ``combined_data_1.txt`` to ``_4.txt`` (a line ``film:``, below it lines
``customer,rating,date``; LF, no header, no quotes) and ``movie_titles.csv`` (ISO-8859-1, no quotes around the commas in
titles), the odd but legal lines, and bad records whose number is known. How such files are read and loaded is the
business of ``sources/netflix``; nothing here is imported by it, so that a test compares two independent readings of the
format.

Every byte follows from the seed and the size, on any machine and in any version of polars: random numbers are those of
``random.Random.random`` and of wrapping 64-bit integers, and of the fractions in between nothing is asked but adding,
multiplying and dividing two numbers, whose rounding IEEE 754 prescribes. Titles are invented.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedWriter
from pathlib import Path

import polars as pl
from polars import col

from cinestream_platform.declarations import sample
from cinestream_platform.declarations.sample import Progress, SampleCounts, SampleSize
from cinestream_platform.samples.mixing import mixed
from cinestream_platform.samples.planting import LARGEST, LF, SampleSizeError, filled, spread, whole_file
from cinestream_platform.sources.netflix.sample.content import (
    CLOSING_DIRT,
    FILE_ENDS,
    FIRST_DAY,
    FULL_CUSTOMERS,
    FULL_FILMS,
    OPENING_DIRT,
    SLOTS,
    TILT_STEPS,
    TITLE_DIRT,
)
from cinestream_platform.sources.netflix.sample.dirt import (
    LEAST_RATINGS,
    MOST_DIRT,
    planned,
    planted,
    repeats,
    write_ratings,
)
from cinestream_platform.sources.netflix.sample.films import (
    DAYS,
    SCATTER,
    customer_count,
    customer_ids,
    day_table,
    films,
    rating_table,
)
from cinestream_platform.sources.netflix.sample.titles import titles

_CHUNK_ROWS = 1_000_000  # about 200 MB while a chunk is made


@dataclass(frozen=True)
class Sample(SampleCounts):
    """What was written, and what a correct load must find in it.

    Records of "ratings" are the lines below headers, good or bad, and the bad headers; a good header, repeated or not,
    is none, nor is an empty line.

    Attributes:
        files: "ratings" -> combined_data_1.txt to _4.txt, "movie-titles" -> movie_titles.csv.
        duplicates: {"equal": n, "conflicting": m}: legal ratings that repeat film and customer of a rating some lines
            before them, equal in all fields or with another rating on a later day. A load does not reject them; the
            fact table keeps one record of each pair.
    """

    files: dict[str, list[Path]]
    duplicates: dict[str, int]


def generate(
    folder: Path,
    *,
    ratings: int = 100_000,
    seed: int = 1,
    dirty: float = 0.0001,
    progress: Callable[[int], None] | None = None,
) -> Sample:
    """Write all five files into a folder (made when it does not exist; files of the same name replaced).

    At 100,480,507 ratings there are 17,770 films and 480,189 customers, as upstream, and all of them occur; smaller
    samples have films and customers as ``netflix_films`` shrinks them, ids scattered over the same range, and still
    the titles of all 17,770 films. Memory is needed for about a million ratings, whatever their number.

    Args:
        folder: Where the files go; each appears under its name when it is whole.
        ratings: Distinct good pairs of film and customer. Bad records and repeats come on top.
        seed: Another seed gives other files.
        dirty: Bad records per good rating, but at least one of each kind; at 0 there are neither bad records nor
            repeats nor odd lines.
        progress: Is told now and then how many good ratings have been written.

    Raises:
        SampleSizeError: Ratings fewer than 1 (20,000 with dirt) or more than films times customers, or dirt not from
            0 to 0.005.
    """
    _check(ratings, dirty)
    folder.mkdir(parents=True, exist_ok=True)
    listed = titles(seed)
    plan = planned(ratings, dirty, seed)
    names = folder / "movie_titles.csv"
    _write_titles(names, listed, dirt=bool(plan))
    paths = [folder / f"combined_data_{number}.txt" for number in range(1, len(FILE_ENDS) + 1)]
    table = films(ratings, [year for year, _ in listed], seed)
    columns, written = _Columns(ratings, seed, table), 0
    for path, first, last in zip(paths, (0, *FILE_ENDS), FILE_ENDS, strict=False):
        with whole_file(path) as unbuffered:
            out, crlf_lines = BufferedWriter(unbuffered, 2**20), 0
            if plan and path == paths[0]:
                out.write(b"\xef\xbb\xbf" + b"".join(OPENING_DIRT.values()))
            for chunk in columns.chunks(first + 1, last):
                crlf_lines = write_ratings(out, chunk, _part(plan, written, chunk.height), crlf_lines)
                written += chunk.height
                if progress:
                    progress(written)
            if plan and path == paths[-1]:
                out.write(b"".join(CLOSING_DIRT.values()))
            out.detach()
    bad, repeated = planted(plan), repeats(plan)
    return Sample(
        rows={
            "ratings": ratings + sum(bad.values()) + sum(repeated.values()),
            "movie-titles": len(listed) + (len(TITLE_DIRT) if plan else 0),
        },
        planted={"ratings": bad, "movie-titles": dict.fromkeys(TITLE_DIRT, 1) if plan else {}},
        files={"ratings": paths, "movie-titles": [names]},
        duplicates=repeated,
    )


def _check(ratings: int, dirty: float) -> None:
    if not 0 <= dirty <= MOST_DIRT:
        raise SampleSizeError(f"dirty {dirty} is not from 0 to {MOST_DIRT}: near 1 % of bad records a file is refused")
    if ratings < (least := LEAST_RATINGS if dirty else 1):
        raise SampleSizeError(
            f"{ratings} ratings are too few: at least {least:,} {'with' if dirty else 'without'} dirt"
        )
    if ratings > FULL_FILMS * FULL_CUSTOMERS:
        raise SampleSizeError(
            f"{ratings:,} ratings are too many: {FULL_CUSTOMERS:,} customers can rate {FULL_FILMS:,} films only once"
        )


def _part(plan: Mapping[int, str], first: int, rows: int) -> dict[int, str]:
    """What is planned in so many rows, by index in these rows."""
    return {place - first: kind for place, kind in plan.items() if first <= place < first + rows}


class _Columns:
    """Makes the good ratings of a sample, whole films at a time."""

    def __init__(self, ratings: int, seed: int, table: pl.DataFrame) -> None:
        """Take the rated films, and make what all ratings are looked up in."""
        customers = customer_count(ratings)
        sure = col("n").cum_sum() * customers // ratings
        self._seed = seed
        self._first = table["film"][table["n"].arg_max() or 0]
        # Every customer occurs, because each is given to one film: a stretch of the customers that is as long as the
        # film's share of the ratings. The film's other ratings are drawn from all the others.
        self._films = table.with_columns(
            begin=sure.shift(1, fill_value=0), sure=sure - sure.shift(1, fill_value=0), chunk=col("n").cum_sum()
        ).with_columns(
            drawn=pl.max_horizontal(col("n") - col("sure"), 1).cast(pl.Float64),
            spare=(customers - col("n")).cast(pl.Float64),
            chunk=col("chunk") // _CHUNK_ROWS,
        )
        self._customers = pl.Series(customer_ids(ratings, seed)).cast(pl.String)
        self._days, self._ratings = pl.Series(day_table(), dtype=pl.UInt32), pl.Series(rating_table(), dtype=pl.UInt32)
        dates = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
        self._tails = pl.Series([f"{rating},{day}" for rating in range(1, 6) for day in dates])

    def chunks(self, first: int, last: int) -> Iterator[pl.DataFrame]:
        """The ratings of films ``first`` to ``last``, about a million at a time: film, n, i, head and tail."""
        within = self._films.filter(col("film").is_between(first, last))
        for chunk in within.partition_by("chunk", maintain_order=True):
            yield self._ratings_of(chunk)

    def _ratings_of(self, chunk: pl.DataFrame) -> pl.DataFrame:
        """The ratings of some films.

        Customers are ranked by activity. A film's j-th rating takes one customer of the j-th of n neighbouring strata,
        so that they are distinct without a look at each other. Each stratum is a customer wide and has its part of
        those that are left over: the first strata almost nothing, so that the most active customers rate almost every
        film, the last ones most.
        """
        h, sure, slot = col("h"), col("sure"), col("slot")
        end = (col("film") == self._first) & (col("i") < 2)  # both end days occur
        drawn = (
            chunk.with_columns(i=pl.int_ranges(0, "n", dtype=pl.UInt64))
            .explode("i")
            .with_columns(place=(col("i") * SCATTER + col("film")) % col("n"))
            .with_columns(
                h=mixed(col("film") * 2**20 + col("place"), self._seed),
                j=pl.max_horizontal(col("place"), sure) - sure,
            )
        )
        return (
            drawn.with_columns(low=_edges(drawn, drawn["j"]), high=_edges(drawn, drawn["j"] + 1))
            .with_columns(rank=col("low") + h // 2**40 % (col("high") - col("low")))
            .with_columns(
                rank=pl.when(col("place") < sure)
                .then(col("begin") + col("place"))
                .otherwise(col("rank") + pl.when(col("rank") < col("begin")).then(0).otherwise(sure)),
                day=pl.when(end).then(col("i") * (SLOTS - 1)).otherwise(slot + h % 2**16 * (SLOTS - slot) // SLOTS),
                step=col("tilt") + h // 2**16 % TILT_STEPS,
            )
            .with_columns(
                head=pl.lit(self._customers).gather(col("rank")),
                tail=pl.lit(self._ratings).gather(col("step")) * DAYS + pl.lit(self._days).gather(col("day")),
            )
            .select(
                "film",
                "n",
                "i",
                head=pl.when(col("i") == 0).then(pl.format("{}:\n{}", "film", "head")).otherwise("head"),
                tail=pl.lit(self._tails).gather(col("tail")),
            )
        )


def _edges(films: pl.DataFrame, j: pl.Series) -> pl.Series:
    """Where a film's j-th stratum of customers begins: 0 for j = 0, the number of customers for j = n.

    One part of a fifth power and one of a 64th give the mean customer 209 ratings, the median customer 97 and the most
    active one 17,600. As series, because an expression would take each power again wherever it stands.
    """
    share = j / films["drawn"]
    second = share * share
    fourth = second * second
    eighth = fourth * fourth
    sixteenth = eighth * eighth
    half = sixteenth * sixteenth
    return j + (films["spare"] * (0.75 * (fourth * share) + 0.25 * (half * half))).cast(pl.UInt64)


def _write_titles(path: Path, listed: list[tuple[str, str]], *, dirt: bool) -> None:
    places = spread(list(TITLE_DIRT), len(listed)) if dirt else {}
    with whole_file(path) as unbuffered:
        out = BufferedWriter(unbuffered, 2**20)
        for at, (year, title) in enumerate(listed):
            out.write(f"{at + 1},{year},{title}{LF}".encode("latin-1"))
            if at in places:
                out.write(filled(TITLE_DIRT[places[at]], {"id": str(at + 1), "year": year, "title": title}, LF))
        out.detach()


USUAL_RATINGS = 100_000
USUAL_DIRT = 0.0001
"""Bad records per good one."""


def _ratings(size: SampleSize) -> int:
    if size.ratings is not None:
        return size.ratings
    if not 0 <= size.scale <= LARGEST:
        raise SampleSizeError(f"scale {size.scale:g} is no number from 0 to {LARGEST:,.0f}")
    return round(USUAL_RATINGS * size.scale)


def _generate(folder: Path, size: SampleSize, progress: Progress | None = None) -> Sample:
    share = USUAL_DIRT if size.dirty is None else size.dirty
    return generate(
        folder, ratings=_ratings(size), seed=size.seed, dirty=share if size.dirt else 0.0, progress=progress
    )


SAMPLE = sample.Sample(generate=_generate, least_demo_scale=0.2, has_options=True, records=_ratings)
