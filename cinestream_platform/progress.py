"""The sign of life of this process: what moved last, and when.

What belongs here: a note for each byte block, batch of rows or event, and how long ago the last one was. What does not:
what is done about silence (``orchestration.watchdog``). Notes are cheap: no lock, no clock but the monotonic one.
"""

import time

_last: tuple[float, str] = (time.monotonic(), "the process began")


def note(what: str) -> None:
    """Something moved: bytes came or went, rows were read or written, a step ended."""
    global _last
    _last = (time.monotonic(), what)


def last_note() -> tuple[float, str]:
    """Seconds since the last note, and what it said."""
    at, what = _last
    return time.monotonic() - at, what
