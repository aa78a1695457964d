"""Invented titles with every trap of the Netflix Prize's list: commas, quotes, repeats, years that are missing."""

from collections.abc import Callable, Hashable
from random import Random
from typing import TypeVar

from cinestream_platform.samples.planting import pick
from cinestream_platform.samples.words import ADJECTIVES, NOUNS
from cinestream_platform.sources.netflix.sample.content import (
    ACCENT,
    ACCENTED,
    FIRST_YEAR,
    FULL_FILMS,
    LAST_YEAR,
    PLACES,
    SPECIAL_TITLES,
)

NO_YEAR = "NULL"
_ThingT = TypeVar("_ThingT", bound=Hashable)


def titles(seed: int) -> list[tuple[str, str]]:
    """Year and title of the films 1 to 17,770."""
    rng = Random(seed * 4 + 1)  # noqa: S311 -- sample data must repeat
    special = _special_films(rng)
    plain: list[tuple[str, str]] = []  # what a later film may repeat
    names, pairs, twins = {ACCENTED}, set[tuple[str, str]](), set[tuple[str, str]]()
    found = []
    for film in range(1, FULL_FILMS + 1):
        kind = special.get(film, "plain") if plain else "plain"
        if kind == "same_year":
            pair = _new(lambda: pick(rng, plain), twins)
        elif kind == "repeated":
            pair = _new(lambda: (_year(rng), pick(rng, plain)[1]), pairs)
        elif film == ACCENT:
            pair = _year(rng), ACCENTED
        else:
            title = _new({"quotes": lambda: _quoted(rng)}.get(kind, lambda: _title(rng)), names)
            for _ in range(_COMMAS.get(kind, 0)):
                title += f", {pick(rng, PLACES)}"
            pair = {"no_year": NO_YEAR, "oldest": str(FIRST_YEAR)}.get(kind) or _year(rng), title
            pairs.add(pair)
        if kind == "plain":
            plain.append(pair)
        found.append(pair)
    return found


_COMMAS = {"one_comma": 1, "two_commas": 2, "three_commas": 3}


def _special_films(rng: Random) -> dict[int, str]:
    """Film -> what is special in it, scattered over all films but the first, which is plain, and the accented one."""
    kinds = [kind for kind, count in SPECIAL_TITLES.items() for _ in range(count)]
    films = sorted((film for film in range(2, FULL_FILMS + 1) if film != ACCENT), key=lambda _: rng.random())
    return dict(zip(films, kinds, strict=False))


def _new(draw: Callable[[], _ThingT], taken: set[_ThingT]) -> _ThingT:
    """Draw until it is something new, and take it."""
    while (thing := draw()) in taken:
        pass
    taken.add(thing)
    return thing


def _year(rng: Random) -> str:
    """Half of all years are 1993 or later, few are before 1930; the last has fewer films than the years before it."""
    share = rng.random()
    return str(LAST_YEAR - int((LAST_YEAR - FIRST_YEAR - 7) * share * share * share + 6 * rng.random()))


def _title(rng: Random) -> str:
    adjective, noun, other, place = pick(rng, ADJECTIVES), pick(rng, NOUNS), pick(rng, NOUNS), pick(rng, PLACES)
    return pick(
        rng,
        (
            f"The {adjective} {noun}",
            f"{noun} of {place}",
            f"{adjective} {noun}: The {other}",
            f"{noun} and {other}",
            f"{place}: Season {1 + int(9 * rng.random())}",
            f"The {noun}'s {adjective} {other}",
            f"{adjective} {noun} in {place}",
            f"{noun} {2 + int(4 * rng.random())}: {adjective} {other}",
        ),
    )


def _quoted(rng: Random) -> str:
    return f'{pick(rng, PLACES)}: The "{pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}" Version'
