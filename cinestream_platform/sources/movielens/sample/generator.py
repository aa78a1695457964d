"""Files in the exact formats of GroupLens' MovieLens releases, of any size, with known dirt in them.

What belongs here: writing movies, ratings, tags, links, genome-tags and genome-scores as upstream writes them (UTF-8
without BOM, comma, header, CRLF, quotes only where needed), the odd but legal records of the real files, and bad
records whose number is known. How such files are read and loaded is the business of ``sources/movielens``; nothing
here is imported by it, so that a test compares two independent readings of the format.

Every byte follows from the seed and the size, on any machine: only ``random.Random.random`` and wrapping 64-bit
integer arithmetic are used, neither of which changes between versions. Titles are invented.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from math import isqrt
from pathlib import Path
from random import Random
from typing import TypeVar

import polars as pl
from polars import col

from cinestream_platform.declarations.sample import SampleCounts, sample_by_scale
from cinestream_platform.samples.mixing import mixed
from cinestream_platform.samples.planting import (
    SampleSizeError,
    check_scale,
    filled,
    pick,
    spread,
    whole_file,
    write_table,
)
from cinestream_platform.samples.words import ADJECTIVES, NOUNS
from cinestream_platform.sources.movielens.sample.content import (
    FIRST_RATING,
    FIRST_TAG,
    FOREIGN,
    GENRES_BY_USE,
    HEADERS,
    LAST_RATING,
    LINK_DIRT,
    MOVIE_DIRT,
    NO_GENRES,
    ODD_TITLES,
    RATING_COUNTS,
    RATING_DIRT,
    SCORE_DIRT,
    TAG_DIRT,
    TAG_WORDS,
)

_CHUNK_ROWS = 1_000_000  # about 100 MB while a chunk is made
_NumberT = TypeVar("_NumberT", int, pl.Expr)
_Record = tuple[str, ...]


@dataclass(frozen=True)
class Sample(SampleCounts):
    """What was written, and what a correct load must find in it.

    Attributes:
        files: Dataset ("ratings", "genome-scores", …) -> file.
        duplicates: "ratings" -> {"equal": n, "conflicting": m}: legal records that repeat the user and film of the
            record before them, equal in all fields or with another rating a day later. A load does not reject them;
            the fact table keeps one record of each pair.
        unknown_films: Films that good ratings mention and movies.csv lacks (legal: inferred members). 0 from
            ``generate_ratings``, beside which there is no movies.csv.
    """

    files: dict[str, Path]
    duplicates: dict[str, dict[str, int]]
    unknown_films: int


def generate(folder: Path, *, scale: float = 1.0, seed: int = 1, dirt: bool = True) -> Sample:
    """Write all six files of a release into a folder (made when it does not exist; files of the same name replaced).

    Scale 1.0 is 100,000 ratings by 600 users on 2,000 films, 3,500 tag rows and a genome of 50 tags on 60 films.
    Ratings, users and tag rows grow with the scale, films and both sides of the genome with its square root. Below
    1.0 only ratings and users shrink: in smaller files the dirt would come near 1 %, over which a load is refused.

    Three rated films are missing from movies.csv, with and without dirt. ``dirt=False`` leaves out the bad records and
    the duplicates; the odd but legal records of the real files are always there.

    Raises:
        SampleSizeError: The scale is out of bounds.
    """
    check_scale(scale, "the planted dirt would come near 1 % of the ratings")
    rows = round(100_000 * scale)
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.csv" for name in HEADERS}
    sample = generate_ratings(files["ratings"], rows=rows, seed=seed, dirt=dirt)
    good = rows - len(_planted_ratings(rows, dirt))
    unknown = _some_rated_films(good, seed)
    films = [film for film in _film_ids(_film_count(good)) if film not in unknown]
    tables = _tables(films, _user_count(good), scale, seed)
    for name, (records, kinds) in tables.items():
        sample.files[name] = files[name]
        sample.planted[name] = dict.fromkeys(kinds, 1) if dirt else {}
        good_records = list(records)
        sample.rows[name] = write_table(
            files[name], HEADERS[name], good_records, kinds if dirt else {}, rows=len(good_records)
        )
    return replace(sample, unknown_films=len(unknown))


def generate_ratings(path: Path, *, rows: int, seed: int = 1, dirt: bool = False) -> Sample:
    """Write only a ratings file: any number of rows, in memory for one million of them.

    Users and films grow with the rows: 166 ratings per user, 2,000 films at 100,000 ratings and then with the square
    root (31,000 at 25 million).

    Args:
        path: The file; its folder must exist. It appears under its name when it is whole.
        rows: Physical records, bad ones and duplicates counted.
        seed: Another seed gives another file.
        dirt: Plant bad records and duplicates.

    Raises:
        SampleSizeError: Fewer than 1 row, or fewer than 5,000 with dirt.
    """
    if rows < (least := 5_000 if dirt else 1):
        raise SampleSizeError(f"{rows} ratings are too few: at least {least:,} {'with' if dirt else 'without'} dirt")
    kinds = _planted_ratings(rows, dirt)
    good = rows - len(kinds)
    places = spread(kinds, good)
    with whole_file(path, HEADERS["ratings"]) as out:
        first = 0
        for chunk in _rating_chunks(good, seed):
            here = {at - first: kind for at, kind in places.items() if first <= at < first + chunk.height}
            _write_ratings(out, chunk, here)
            first += chunk.height
    count = Counter(kinds)
    return Sample(
        files={"ratings": path},
        rows={"ratings": rows},
        planted={"ratings": {kind: count[kind] for kind in RATING_DIRT if count[kind]}},
        duplicates={"ratings": {kind: count[kind] for kind in ("equal", "conflicting")}},
        unknown_films=0,
    )


# ---- ratings ---------------------------------------------------------------------------------------------------------


def _planted_ratings(rows: int, dirt: bool) -> list[str]:
    """The kinds to plant, in the order of the file: each once, and once more per 100,000 rows up to 21."""
    times = 1 + min(rows // 100_000, 20) if dirt else 0
    return [*RATING_DIRT, *["equal"] * 3, *["conflicting"] * 5] * times


def _user_count(rows: int) -> int:
    return max(1, rows // 166)


def _film_count(rows: int) -> int:
    return max(2_000, isqrt(40 * rows))


def _film_id(index: _NumberT, films: int) -> _NumberT:
    """Ids grow ever sparser, as upstream, where 9,742 films have ids up to 193,609."""
    return index + 1 + index * index * 20 // films


def _film_ids(rated: int) -> list[int]:
    """The ids of all films: those that can be rated, then 18 that nobody has rated, as in ml-latest-small."""
    return [_film_id(index, rated) for index in range(rated + 18)]


def _some_rated_films(rows: int, seed: int) -> frozenset[int]:
    """Three films that the first user has rated."""
    rated: list[int] = next(_rating_chunks(rows, seed)).filter(col("userId") == 1)["movieId"].to_list()
    return frozenset(rated[1:12:4])


def _users(rows: int, seed: int) -> pl.DataFrame:
    """One row per user: id, number of ratings (at least 20, sum = rows) and second of the first rating."""
    users = _user_count(rows)
    least = min(20, rows // users)
    span = LAST_RATING - FIRST_RATING
    early, other = ((col("g") % 2**32) * span) // 2**32, ((col("g") // 2**32) * span) // 2**32
    return (
        pl.select(userId=pl.int_range(1, users + 1, dtype=pl.UInt64))
        .with_columns(h=mixed(col("userId"), 2 * seed), g=mixed(col("userId"), 2 * seed + 1))
        # Every share of activity occurs once, in a scattered order (the factor is a prime above any number of users),
        # so that the sum of the weights, and with it the most active user's ratings, cannot stray: about 750. The
        # fourth power gives the median user 65 and the mean user 166 ratings; upstream has 70 and 165.
        .with_columns(share=(col("userId") * 2_654_435_761 + seed % 2**16) % users * 2**12 // users)
        .with_columns(weight=_square(_square(col("share"))) // 2**28 + 1)
        .with_columns(n=least + (rows - least * users) * col("weight") // col("weight").sum())
        .with_columns(n=col("n") + (col("userId") <= rows - col("n").sum()).cast(pl.UInt64))
        # Half of the users come evenly over the years, half ever more often; the first comes in the first second.
        .with_columns(start=pl.when(col("h") % 2 == 0).then(early).otherwise(pl.max_horizontal(early, other)))
        .with_columns(start=pl.when(col("userId") == 1).then(0).otherwise(col("start")) + FIRST_RATING)
        .select("userId", "n", "start", chunk=col("n").cum_sum() // _CHUNK_ROWS)
    )


def _rating_chunks(rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """Good ratings in the order and with the columns of the file, about a million at a time."""
    for users in _users(rows, seed).partition_by("chunk", maintain_order=True):
        yield _ratings(users, _film_count(rows), seed)


def _square(number: pl.Expr) -> pl.Expr:
    return number * number


def _edge(j: pl.Expr, films: int) -> pl.Expr:
    """Where a user's j-th stratum of films begins (0 for j = 0, the number of films for j = n)."""
    rest = films - col("least") * col("n")
    return j * col("least") + rest * _square(_square(j)) // _square(_square(col("n")))


def _ratings(users: pl.DataFrame, films: int, seed: int) -> pl.DataFrame:
    """The ratings of some users.

    A user's j-th rating takes one film of the j-th of n neighbouring strata, so that films are distinct and in order
    without a sort. The strata are 2 films wide at the beginning and grow with the third power: the first films are
    rated by about half of the users who are active enough to reach them, the last by few.
    """
    table = pl.Series([rating for rating, count in RATING_COUNTS.items() for _ in range(count)])
    left = LAST_RATING - col("start") + 1

    quarter = col("h") // 2**46
    return (
        users.with_columns(
            least=pl.when(2 * col("n") <= films).then(2).otherwise(1).cast(pl.UInt64),
            j=pl.int_ranges(0, col("n"), dtype=pl.UInt64),
        )
        .explode("j")
        .with_columns(
            h=mixed(col("userId") * 2**20 + col("j"), 2 * seed),
            low=_edge(col("j"), films),
            high=_edge(col("j") + 1, films),
        )
        .with_columns(film=col("low") + (col("h") % 2**24) % (col("high") - col("low")))
        .select(
            "userId",
            movieId=_film_id(col("film"), films),
            rating=pl.lit(table).gather((col("h") // 2**24) % len(table)),
            # Three of four ratings fall in the two hours of the first visit, the others within two years.
            timestamp=col("start")
            + pl.when(col("h") // 2**44 % 4 == 0)
            .then(quarter * pl.min_horizontal(left, 2 * 365 * 86_400) // 2**18)
            .otherwise(quarter % pl.min_horizontal(left, 7_200)),
        )
    )


def _write_ratings(out: FileIO, chunk: pl.DataFrame, places: Mapping[int, str]) -> None:
    begin = 0
    for at in [*places, chunk.height - 1]:
        chunk[begin : at + 1].write_csv(out, include_header=False, line_terminator="\r\n")
        if at in places and begin <= at:
            out.write(_planted_rating(places[at], chunk.row(at)))
        begin = at + 1


def _planted_rating(kind: str, record: tuple[int, int, str, int]) -> bytes:
    """The record of this kind that follows a good one."""
    user, film, rating, timestamp = record
    if kind == "conflicting":
        # 5.5 - rating is a rating again, and never the same one.
        return f"{user},{film},{5.5 - float(rating)},{timestamp + 86_400}\r\n".encode()
    template = b"{userId},{movieId},{rating},{timestamp}" if kind == "equal" else RATING_DIRT[kind]
    values = {"userId": str(user), "movieId": str(film), "rating": rating, "timestamp": str(timestamp)}
    return filled(template, values)


# ---- the small tables ------------------------------------------------------------------------------------------------


def _tables(
    films: Sequence[int], users: int, scale: float, seed: int
) -> dict[str, tuple[Iterable[_Record], Mapping[str, bytes]]]:
    """Dataset -> its good records and the dirt to plant among them."""
    growth = max(scale, 1.0)
    genome_tags, genome_films = round(50 * growth**0.5), round(60 * growth**0.5)
    return {
        "movies": (_movies(films, _rng(seed, 1)), MOVIE_DIRT),
        "tags": (_tags(films, users, round(3_500 * growth), _rng(seed, 2)), TAG_DIRT),
        "links": (_links(films), LINK_DIRT),
        "genome-tags": (_genome_tags(genome_tags), {}),
        "genome-scores": (_genome_scores(films[:genome_films], genome_tags, _rng(seed, 3)), SCORE_DIRT),
    }


def _rng(seed: int, stream: int) -> Random:
    return Random(seed * 4 + stream)  # noqa: S311 -- sample data must repeat


def _movies(films: Sequence[int], rng: Random) -> Iterator[_Record]:
    odd = {17 + 61 * number: title for number, title in enumerate(ODD_TITLES)}
    seen = set(ODD_TITLES)
    for number, film in enumerate(films):
        title = odd.get(number) or _new_title(rng, seen)
        genres = sorted({pick(rng, GENRES_BY_USE) for _ in range(1 + int(rng.random() * 4))})
        yield str(film), title, NO_GENRES if number % 250 == 5 else "|".join(genres)


def _new_title(rng: Random, seen: set[str]) -> str:
    while True:
        adjective, noun, other = pick(rng, ADJECTIVES), pick(rng, NOUNS), pick(rng, NOUNS)
        forms = (
            f"{adjective} {noun}",
            f"{adjective} {noun}, The",
            f"{noun} and {other}",
            f"{noun} of the {adjective} {other}, A",
            f"{adjective} {noun}: The {other} Years",
            f"{noun} {2 + int(rng.random() * 4)}",
            f"{adjective} {noun} ({pick(rng, FOREIGN)})" if rng.random() < 0.2 else f"{adjective} {other}",
        )
        year = 2018 - int(98 * rng.random() ** 2)
        title = f"{pick(rng, forms)} ({year})"
        if title not in seen:
            seen.add(title)
            return title


def _links(films: Sequence[int]) -> Iterator[_Record]:
    """Ids that differ from film to film (the factors share no divisor with the moduli), but for one shared tmdbId."""
    for number, film in enumerate(films):
        imdb = 114_709 + number * 7_919
        tmdb = (number - (number == 101)) * 104_729 % 999_983 + 1
        long = number % 500 == 77
        yield (
            str(film),
            f"{10**7 + imdb % 10**6 if long else imdb % 10**7:07d}",
            "" if number % 333 == 40 else str(tmdb),
        )


def _tags(films: Sequence[int], users: int, rows: int, rng: Random) -> Iterator[_Record]:
    """Tags by a tenth of the users, and by three more who have rated nothing, most on films that they did not rate."""
    regular = min(users, max(20, users // 10))
    taggers = [1 + number * users // regular for number in range(regular)] + [users + 1, users + 2, users + 3]
    for number, user in enumerate(taggers):
        start = FIRST_TAG + int(rng.random() * (LAST_RATING - FIRST_TAG - 30 * 86_400))
        wanted = rows * (number + 1) // len(taggers) - rows * number // len(taggers)
        tagged: set[tuple[int, str]] = set()
        while len(tagged) < wanted:
            tagged.add((films[int(rng.random() ** 2 * len(films))], pick(rng, TAG_WORDS)))
        for film, tag in sorted(tagged):
            yield str(user), str(film), tag, str(start + int(rng.random() * 30 * 86_400))


def _genome_tags(count: int) -> Iterator[_Record]:
    """Distinct pairs of words, up to 1,640 of them; upstream has 1,128."""
    size = len(ADJECTIVES)
    for number in range(count):
        noun = NOUNS[(number // size + number % size) % len(NOUNS)]
        yield str(number + 1), f"{ADJECTIVES[number % size]} {noun}".lower()


def _genome_scores(films: Sequence[int], tags: int, rng: Random) -> Iterator[_Record]:
    for film in films:
        for tag in range(1, tags + 1):
            # Steps of 0.00025 less a rounding error, as upstream: up to 18 digits, 0.028749999999999998.
            relevance = 1 - (4_000 - int(3_999 * rng.random() ** 3)) * 0.00025
            yield str(film), str(tag), repr(max(relevance, 0.00025))


SAMPLE = sample_by_scale(generate)
