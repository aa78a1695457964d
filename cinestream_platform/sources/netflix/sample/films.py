"""Which films are rated, how often, from when on and how well: the part of a Netflix sample that is made film by film.

Sizes are integers and roots of integers; shares are fractions that are only added, multiplied and divided, which
rounds the same everywhere.
"""

from datetime import date
from itertools import accumulate
from math import isqrt
from random import Random

import polars as pl

from cinestream_platform.sources.netflix.sample.content import (
    FIRST_DAY,
    FULL_CUSTOMERS,
    FULL_FILMS,
    FULL_RATINGS,
    LAST_CUSTOMER,
    LAST_DAY,
    LAST_START,
    RATING_WEIGHTS,
    TILT_STEPS,
    TILTS,
    YEAR_SLOTS,
)
from cinestream_platform.sources.netflix.sample.titles import NO_YEAR

DAYS = (LAST_DAY - FIRST_DAY).days + 1
SCATTER = 2_654_435_761
"""A prime above any number of films, customers or ratings of a film: multiples of it scatter all of them."""


def film_count(ratings: int) -> int:
    """17,770 at full size, 364 at 100,000 ratings."""
    return min(FULL_FILMS, _grown(FULL_FILMS, ratings, 9))


def customer_count(ratings: int) -> int:
    """480,189 at full size, 4,145 at 100,000 ratings; never more than ratings."""
    return min(FULL_CUSTOMERS, ratings, _grown(FULL_CUSTOMERS, ratings, 11))


def _grown(full: int, ratings: int, power: int) -> int:
    """``full * (ratings / FULL_RATINGS) ** (power / 16)``, rounded up: sizes that films times customers outgrow."""
    root: int = full**16 * ratings**power // FULL_RATINGS**power - 1
    for _ in range(4):
        root = isqrt(max(root, 0))
    return root + 1


def customer_ids(ratings: int, seed: int) -> list[int]:
    """The ids of the customers, the most active first: scattered up to 2,649,429, with gaps."""
    customers = customer_count(ratings)
    ids = _with_gaps(customers, LAST_CUSTOMER, seed)
    return [ids[(rank * SCATTER + seed) % customers] for rank in range(customers)]


def _with_gaps(count: int, last: int, seed: int) -> list[int]:
    """So many ids from 1 to ``last`` (which is one of them), ascending, one somewhere in each of equal stretches."""
    rng = Random(seed * 4 + 2)  # noqa: S311 -- sample data must repeat
    width = last // count
    ids = [number * last // count + 1 + int(rng.random() * width) for number in range(count)]
    return [*ids[:-1], last]


def films(ratings: int, years: list[str], seed: int) -> pl.DataFrame:
    """One row per rated film, ascending: id, number of ratings n, first slot of its days, place of its tilt's ratings.

    Args:
        ratings: The sum of all n.
        years: Year of each film from 1 on; no film is rated before its year.
        seed: Another seed gives other films.
    """
    count = film_count(ratings)
    ids = _with_gaps(count, FULL_FILMS, seed)
    places = [(number * SCATTER + seed) % count for number in range(count)]  # by popularity, the last the greatest
    popularity = _popularity(ratings, count)
    starts, rng = _first_slots(), Random(seed * 4 + 3)  # noqa: S311 -- sample data must repeat
    rows = []
    for film, place in zip(ids, places, strict=True):
        share = rng.random()
        late = int(900 * share * share * share) if place + 1 < count else 0  # the most popular is there from the start
        year = years[film - 1]
        released = 0 if year == NO_YEAR or place + 1 == count else (date(int(year), 1, 1) - FIRST_DAY).days
        day = min(max(released, 0) + late, (LAST_START - FIRST_DAY).days)
        rows.append((film, popularity[place], starts[day], _tilt(place, count) * TILT_STEPS))
    return pl.DataFrame(rows, schema=dict.fromkeys(("film", "n", "slot", "tilt"), pl.UInt64), orient="row")


def _popularity(ratings: int, count: int) -> list[int]:
    """Ratings of the films, least popular first; at least 3 where there are enough, at most one per customer.

    The most popular film has ratings by 48 % of all customers, the median film a tenth of the mean, as upstream.
    """
    customers, least = customer_count(ratings), min(3, ratings // count)
    peak = 48 * customers * count // (100 * ratings)  # the most popular film's share, in means
    steep = min(max(2 * peak - 8, 2), 72)
    left, found = ratings, []
    weights = [_weight((2 * place + 1) / (2 * count), steep) for place in range(count)]
    sums = list(accumulate(weights))
    for place in reversed(range(count)):
        wanted = int(left * (weights[place] / sums[place]))
        lowest, highest = max(least, left - customers * place), min(customers, left - least * place)
        found.append(min(max(wanted, lowest), highest))
        left -= found[-1]
    return found[::-1]


def _weight(place: float, steep: int) -> float:
    return 0.1 * place + 3 * _power(place, 6) + 0.5 * (steep + 1) * _power(place, steep)


def _power(base: float, exponent: int) -> float:
    """By multiplication alone: ``**`` may round otherwise on another machine."""
    product = 1.0
    for _ in range(exponent):
        product *= base
    return product


def _tilt(place: int, count: int) -> int:
    """How well a film is rated, 0 to 63: popular films better, others less alike; neighbours in popularity differ."""
    share, noise = (2 * place + 1) / (2 * count), (place * 40_503 % 65_536 - 32_768) / 32_768
    return min(max(int(21.5 + 12 * share + 8 * noise + 24 * noise * noise * noise * (1 - share * share)), 0), TILTS - 1)


def rating_table() -> list[int]:
    """Tilt by tilt 1,024 ratings less 1, in the shares that a film so tilted gets."""
    table: list[int] = []
    for tilt in range(TILTS):
        tilted = [w * (12 + tilt) ** less * (75 - tilt) ** (4 - less) for less, w in enumerate(RATING_WEIGHTS)]
        ends = [TILT_STEPS * end // sum(tilted) for end in accumulate(tilted)]
        table += [sum(step >= end for end in ends) for step in range(TILT_STEPS)]
    return table


def day_table() -> list[int]:
    """Slot -> day after the first one, ascending: the later a year, the more slots each of its days has."""
    table: list[int] = []
    for year, slots in YEAR_SLOTS.items():
        first = (max(date(year, 1, 1), FIRST_DAY) - FIRST_DAY).days
        days = (date(year, 12, 31) - FIRST_DAY).days + 1 - first
        table += [first + slot * days // slots for slot in range(slots)]
    return table


def _first_slots() -> list[int]:
    """Day -> the first slot of a day that is not before it."""
    table, found, slot = day_table(), [], 0
    for day in range(DAYS):
        while table[slot] < day:
            slot += 1
        found.append(slot)
    return found
