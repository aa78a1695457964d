"""Made-up values as the fields of a CSV file hold them, drawn so that every Python makes the same of a seed.

What does not belong here: which columns a file has, and their order (``sources/<name>/sample``).
"""

from datetime import date, datetime, timedelta
from random import Random

from cinestream_platform.samples.planting import pick
from cinestream_platform.samples.words import ADJECTIVES, NOUNS

EMPTY_SHARE = 0.1


def whole(rng: Random, low: int, high: int) -> str:
    """A whole number from ``low`` to ``high``."""
    return str(low + int(rng.random() * (high - low + 1)))


def decimal(rng: Random, low: float, high: float, places: int) -> str:
    """A decimal from ``low`` to ``high`` with so many digits after the point."""
    return f"{low + rng.random() * (high - low):.{places}f}"


def title(rng: Random) -> str:
    """Two words."""
    return f"{pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}"


def day(rng: Random, first: str, last: str) -> str:
    """A date, between two ISO dates."""
    begin = date.fromisoformat(first)
    return day_after(first, int(rng.random() * ((date.fromisoformat(last) - begin).days + 1)))


def day_after(first: str, days: int) -> str:
    """The date so many days after an ISO date."""
    return (date.fromisoformat(first) + timedelta(days=days)).isoformat()


def moment(rng: Random, first: str, last: str) -> str:
    """A date and time to the second, between two of them."""
    begin = datetime.fromisoformat(first)
    seconds = (datetime.fromisoformat(last) - begin).total_seconds()
    return (begin + timedelta(seconds=int(rng.random() * (seconds + 1)))).isoformat(sep=" ")


def maybe(rng: Random, value: str) -> str:
    """The value, or at times an empty field."""
    return "" if rng.random() < EMPTY_SHARE else value
