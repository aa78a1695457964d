"""The days that a key of the landing zone names, and what looks like one but is none.

Read are ``2024-05-01`` and ``20240501`` from 1900 on, also before a time. What else looks like a date may be meant in
two ways (01-05-2024) or is wrong (2024-13-45): where the day decides what held when, it must not be passed over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

DAY = re.compile(
    r"(?<![0-9])((?:19|2[0-9])[0-9]{2})(-?)([0-9]{2})\2([0-9]{2})"
    r"(?:(?![0-9])|(?=[0-9]{4}(?:[0-9]{2})?(?![0-9])))"  # or a time follows at once: 20240501123000
)
"""From 1900 on, before which no version begins."""
MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z$")
"""How keys of extractions end. Their moment is the time at which they landed."""
NAMED = "\x00"
"""Stands in place of a day that is read."""
TIME = re.compile(rf"{NAMED}[T_ .-]?[0-9]{{2}}(?:[-_:.h]?[0-9]{{2}}){{0,2}}(?:\.[0-9]+)?Z?(?![-_:.]?[0-9])")
DASHES = re.compile("[\u2010-\u2015\u2212]")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
LOOKALIKE = re.compile(
    "|".join(
        (
            r"(?<![0-9])[0-9]{4}[-_./ ][0-9]{1,2}[-_./ ][0-9]{1,2}",  # 2024-13-45, 2024_5_1, 2024/05/01
            r"(?<![0-9])[0-9]{1,2}[-_./ ][0-9]{1,2}[-_./ ](?:19|20)[0-9]{2}(?![0-9])",  # 01-05-2024
            r"(?<![0-9])[0-9]{2}([_.])[0-9]{2}\1[0-9]{2}(?![0-9])",  # 24_05_01
            r"(?<![0-9])(?:[0-9]{1,2}-[0-9]{1,2}-[0-9]{2}|[0-9]{2}-[0-9]{1,2}-[0-9])(?![0-9])",  # 24-05-01, 24-5-1
            r"(?<![0-9])[1-4][0-9](?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])",  # 240501
            r"(?<![0-9])(?:0[1-9]|1[0-2])[-_./ ]?(?:19|20)[0-9]{2}(?![0-9])",  # 05-2024, 052024
            r"(?<![0-9])(?:19|20)[0-9]{2}[-_. ]?(?:q[1-4]|w[0-9]{2}|kw[0-9]{2})(?![0-9])",  # 2024Q1, 2024-W18
            r"(?<![0-9a-z])(?:q[1-4]|k?w[0-9]{1,2})[-_. ]?(?:19|20)[0-9]{2}(?![0-9])",  # Q1_2024
            r"(?<![0-9])(?:19|20)[0-9]{2}-[0-3][0-9]{2}(?![0-9])",  # 2024-122: day of the year
            r"(?<![0-9])(?:19|20)[0-9]{2}[-_./ ][0-9]{2}(?![0-9])",  # 2024-05: of a month, which day?
            r"(?<![0-9])(?:19|20)[0-9]{6}(?:[0-9]{6})?(?![0-9])",  # 20241345
            r"(?<![0-9])(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|[12][0-9]|3[01])(?:19|20)[0-9]{2}(?![0-9])",  # 01052024
            rf"(?<![0-9])[0-9]{{1,2}}[-_. ]?{_MONTH}[-_. ,]*(?:[0-9]{{2}}){{1,2}}(?![0-9])",  # 1-May-2024
            rf"(?<![a-z]){_MONTH}[-_. ]?(?:[0-9]{{1,2}}[-_., ]+)?(?:19|20)[0-9]{{2}}(?![0-9])",  # may-1-2024, may_2024
            rf"(?<![0-9])(?:19|20)[0-9]{{2}}[-_. ]?{_MONTH}(?![a-z])",  # 2024may01
            r"year=[0-9]{4}(?:/month=[0-9]{1,2}(?:/day=[0-9]{1,2})?)?",
        )
    )
)


def named_days(key: str) -> Iterator[date]:
    """The days that a key names, the last first."""
    if MOMENT.search(key):
        return
    for found in reversed(list(DAY.finditer(UUID.sub("", key)))):
        if day := _day(found):
            yield day


def misread_day(key: str) -> str | None:
    """Why a key cannot be taken for one with or without a day; ``None`` if it can.

    A text for people that goes on after the key, without a full stop.
    """
    if MOMENT.search(key):
        return None
    read = DAY.sub(lambda found: NAMED if _day(found) else found[0], UUID.sub("", key))
    rest = DASHES.sub("-", unicodedata.normalize("NFKC", TIME.sub(NAMED, read))).lower()
    if found := LOOKALIKE.search(rest):
        return (
            f"{found[0]!r} in the name looks like a date and is none that is read, and from its date on the file "
            "would hold. Write the day as 2024-05-01 or 20240501 (from 1900 on); without any date the file holds from "
            "when it lands"
        )
    return None


def _day(found: re.Match[str]) -> date | None:
    year, _, month, day = found.groups()
    with suppress(ValueError):
        return date(int(year), int(month), int(day))
    return None
