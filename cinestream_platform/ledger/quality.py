"""How deliveries of a feed compare with those before them: a share of bad records is judged by what is usual.

A source that always has some bad records is healthy; one that suddenly has many is not. What belongs here: the counts
that the ledger keeps for each delivery, and the rule that says what is unusual. What does not: how it is shown
(``orchestration.raw_checks``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

WINDOW = 20
"""So many earlier deliveries tell what is usual."""
FEWEST = 3
"""Fewer earlier deliveries tell nothing: one of them may itself be the exception."""
TIMES = 2
"""A share is unusual above so many times the median of the window."""
FLOOR = 0.001
"""A share up to this one is never unusual, whatever came before: one bad record of a thousand."""


@dataclass(frozen=True)
class Delivered:
    """One loaded delivery, with the number of its records that are rejected or otherwise worth a look.

    ``rejected_samples`` are some of the rejected ones, as ``reject_words.reject_samples`` tells of them.
    """

    file_id: int
    key: str
    records: int
    rejected_by_rule: Mapping[str, int]
    rejected_samples: Sequence[Mapping[str, object]]
    warnings: Mapping[str, int]
    repeated: int
    conflicting: int
    ends_without_line_end: bool

    def rejected(self, rules: Collection[str]) -> int:
        """How many of its records these rules rejected."""
        return sum(self.rejected_by_rule.get(rule, 0) for rule in rules)

    def share(self, count: int) -> float:
        """A number of its records as a part of all of them."""
        return count / self.records if self.records else 0.0


@dataclass(frozen=True)
class Verdict:
    """Of the judged deliveries the one that stands out most; ``usual`` is unknown where too few came before it."""

    share: float
    usual: float | None
    earlier: int
    is_unusual: bool
    at: int
    """Its place among all deliveries that were given."""


def judge(shares: Sequence[float], newest: int, *, fewest: int = FEWEST) -> Verdict:
    """Compare each of the newest deliveries with those that came before it.

    Args:
        shares: Bad records as a part of all records, one number per delivery, oldest first.
        newest: So many of them, from the end, are judged; at least one.
        fewest: With fewer earlier deliveries nothing is usual, and nothing unusual. Where that is 0, none is usual for
            the first delivery.
    """
    judged = range(len(shares) - newest, len(shares))
    stands_out = max(judged, key=lambda at: (shares[at], at))
    # Only these can be unusual, and most deliveries have no bad record at all.
    candidates = {stands_out, *(at for at in judged if shares[at] > FLOOR)}
    verdicts = [_verdict(shares, at, fewest) for at in candidates]
    return max(verdicts, key=lambda verdict: (verdict.is_unusual, verdict.share, verdict.at))


def _verdict(shares: Sequence[float], at: int, fewest: int) -> Verdict:
    before = shares[max(at - WINDOW, 0) : at]
    usual = None if len(before) < fewest else median(before) if before else 0.0
    is_unusual = usual is not None and shares[at] > max(TIMES * usual, FLOOR)
    return Verdict(shares[at], usual, len(before), is_unusual, at)


def last_deliveries(conn: Connection[Any], source: str, dataset: str, newest: int) -> list[Delivered]:
    """The newest loaded deliveries of a feed and the ``WINDOW`` before them, oldest first.

    An index gives them in order: however many there were before costs nothing. Versions that were replaced since count
    as history, retracted ones do not.
    """
    with conn.cursor(row_factory=class_row(Delivered)) as cursor:
        found = cursor.execute(
            """
            SELECT file_id, key, rows_read AS records, rejected_by_rule, rejected_samples, warnings,
                coalesce(rows_repeated, 0) AS repeated, coalesce(rows_conflicting, 0) AS conflicting,
                coalesce(ends_without_line_end, false) AS ends_without_line_end
            FROM ops.landed_file
            WHERE source = %s AND dataset = %s AND loaded_at IS NOT NULL AND status IN ('loaded', 'superseded')
            ORDER BY loaded_at DESC, file_id DESC LIMIT %s
            """,
            (source, dataset, newest + WINDOW),
        ).fetchall()
    return found[::-1]


def rejected_rows_kept(conn: Connection[Any], file_ids: Sequence[int]) -> dict[int, int]:
    """How many rejected records are kept of each of these files, by an index."""
    rows = conn.execute(
        "SELECT f.file_id, (SELECT count(*) FROM ops.rejected_row r WHERE r.file_id = f.file_id)"
        " FROM unnest(%s::bigint[]) AS f (file_id)",
        (list(file_ids),),
    )
    return dict(rows.fetchall())


def keys_of_files(conn: Connection[Any], file_ids: Collection[int]) -> dict[int, str]:
    """The keys of landed files, for people."""
    rows = conn.execute("SELECT file_id, key FROM ops.landed_file WHERE file_id = ANY (%s)", (sorted(file_ids),))
    return dict(rows.fetchall())
