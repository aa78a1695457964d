"""How values look on a page: numbers with separators and units, times, names that others gave."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from markupsafe import Markup

from cinestream_platform.messages import DOUBTFUL, counted, minute

NONE = "–"
MOST_NAME = 120
TURNING = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]")
"""Characters that turn the direction of what follows, or are none."""
BYTES_A_STEP = 1_000


def number(value: float | None) -> str:
    """1,234, or 0.25 where it is not whole."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def size(value: int | None) -> str:
    """Bytes with a unit."""
    if value is None:
        return NONE
    found = float(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if found < BYTES_A_STEP:
            return f"{found:,.0f} {unit}" if unit == "bytes" or found >= 100 else f"{found:,.1f} {unit}"
        found /= BYTES_A_STEP
    return f"{found:,.1f} TB"


def percent(value: float | None) -> str:
    """A share; small ones with the digits that tell them from nothing."""
    if value is None:
        return NONE
    points = value * 100
    if 0 < points < 0.01:
        return "under 0.01 %"
    return f"{number(points)} %"


def moment(value: datetime | None) -> Markup | str:
    """A time of day in UTC; scripts add how long ago that is."""
    if value is None:
        return NONE
    return Markup('<time datetime="{}">{}</time>').format(f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", minute(value))


def day(value: date | None) -> str:
    """A date."""
    return NONE if value is None else f"{value.day} {value:%b %Y}"


def span(value: timedelta | None) -> str:
    """A length of time in its largest unit: 30 minutes, 7 days."""
    if value is None:
        return NONE
    seconds = round(value.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return counted(round(seconds / length), unit)
    return counted(seconds, "second")


def name(value: str | None, most: int = MOST_NAME) -> Markup | str:
    """A name or sentence that may hold anything: bounded, and unable to turn the text around it."""
    if value is None:
        return NONE
    clean = TURNING.sub(DOUBTFUL, value)
    if len(clean) <= most:
        return Markup("<bdi>{}</bdi>").format(clean)
    return Markup('<bdi title="{}">{}…</bdi>').format(clean[:1_000], clean[: most - 1])


def listed(texts: list[str]) -> str:
    """a, b and c."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
