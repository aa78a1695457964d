"""What an increment of a growing table reads: what its watermark says is new, and ranges of keys that have grown.

A watermark alone loses rows: one row with a key of 2,000,000,000, or dated as of years ago, hides or escapes all that
come after. So rows are also counted by ranges of ``2 ** BUCKET_BITS`` keys, and ranges that have more than at the last
extraction are read again. What belongs here: comparing counts, and conditions in SQL. What does not: where the counts
are kept (``warehouse.extractions``), reading rows (connectors).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg.sql import SQL, Composed, Literal

from cinestream_platform.declarations.connector import Increment

BUCKET_BITS = 10
NEWEST_ROWS = 1_000
MAX_RANGES = 50
"""More ranges are read as one from the first to the last: rows that are loaded are left out again later."""


def condition(increment: Increment, comparable: Composed, margin: str | None, key: Composed) -> Composed:
    """The rows of an increment in SQL; ``margin`` is an interval before ``since``."""
    begin = SQL("{}").format(Literal(increment.since))
    if margin is not None:
        begin = SQL("{} - {}::interval").format(begin, Literal(margin))
    ranges = [
        SQL(" OR {} BETWEEN {} AND {}").format(key, Literal(low), Literal(high)) for low, high in increment.ranges
    ]
    return SQL("WHERE {} >= {}{}").format(comparable, begin, SQL("").join(ranges))


def newest_from(known: Mapping[int, int]) -> int:
    """The range from which on every increment counts: that of the ``NEWEST_ROWS`` greatest keys."""
    rows = 0
    for bucket in sorted(known, reverse=True):
        rows += known[bucket]
        if rows >= NEWEST_ROWS:
            return bucket
    return min(known)


def grown(found: Mapping[int, int], known: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """The ranges of keys, first and last, that have more rows than were known; neighbours are joined."""
    ranges = list(_joined(sorted(bucket for bucket, rows in found.items() if rows > known.get(bucket, 0))))
    if len(ranges) > MAX_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    return tuple((first << BUCKET_BITS, ((last + 1) << BUCKET_BITS) - 1) for first, last in ranges)


def _joined(buckets: list[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for bucket in buckets:
        if last is not None and bucket == last + 1:
            last = bucket
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = bucket
    if first is not None and last is not None:
        yield first, last
