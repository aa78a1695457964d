"""What reading a file gave, and what it has in common with others: what its ledger row will say once it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileResult:
    """What reading a file gave.

    ``partition_rows`` counts loaded rows per fact partition, ``groups`` are its groups, and ``warnings`` count what was
    accepted though it is not written as declared. ``rejected_by_rule`` counts the rejected records, and
    ``rejected_samples`` tells of some of them what everybody may know (``reject_words``).
    """

    sha256: str
    rows_loaded: int
    rows_rejected: int
    ends_without_line_end: bool
    lake_path: str
    partition_rows: Mapping[str, int] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()
    warnings: Mapping[str, int] = field(default_factory=dict)
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    rejected_samples: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True)
class Overlap:
    """Records of a file that other loaded files, or the file itself, hold too.

    ``partitions`` maps each file concerned (this one included) to the fact partitions that its common events touch;
    ``groups`` are the groups that these events are of.
    """

    repeated: int = 0
    conflicting: int = 0
    partitions: Mapping[int, frozenset[str]] = field(default_factory=dict)
    groups: frozenset[int] = frozenset()
