"""What is made up for a source: of which size a sample is to be, and what is in it.

Generators are in ``sources/<name>/sample``; what they share is in ``samples``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Progress = Callable[[int], None]
"""Told how many more records or bytes are done."""


@dataclass(frozen=True, kw_only=True)
class SampleSize:
    """How large a sample is to be, and how dirty.

    Attributes:
        scale: 1.0 is the sample's usual size.
        seed: Another seed gives other records.
        dirt: Whether bad records are planted.
        ratings: Good records, instead of those of the scale; a sample with ``options`` takes it.
        dirty: Bad records per good one; a sample with ``options`` takes it.
    """

    scale: float = 1.0
    seed: int = 1
    dirt: bool = True
    ratings: int | None = None
    dirty: float | None = None


@dataclass(frozen=True)
class SampleCounts:
    """What every generator says about what it made.

    Attributes:
        rows: Dataset -> physical records in its files, headers not counted, bad records counted.
        planted: Dataset -> kind of dirt -> number of records that a correct load must reject.
    """

    rows: dict[str, int]
    planted: dict[str, dict[str, int]]

    @property
    def all_planted(self) -> int:
        """All records that a correct load must reject."""
        return sum(sum(kinds.values()) for kinds in self.planted.values())


class Generate(Protocol):
    """Writes the files of a sample into a folder."""

    def __call__(self, folder: Path, size: SampleSize, progress: Progress | None = None) -> SampleCounts:
        """Write them; files of the same name are replaced."""
        ...


def _unknown(size: SampleSize) -> None:
    """Not long enough to show how far it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """How files of a source are made up.

    Attributes:
        generate: Writes them.
        least_demo_scale: The demo makes none smaller: in too small files the planted dirt would be too large a share.
        has_options: Whether it takes ``ratings`` and ``dirty``.
        records: How many records a sample of a size has, where making them takes long.
    """

    generate: Generate
    least_demo_scale: float = 0.0
    has_options: bool = False
    records: Callable[[SampleSize], int | None] = field(default=_unknown)


class GenerateByScale(Protocol):
    """Writes the files of a sample whose size is its scale, and that takes no time to speak of."""

    def __call__(self, folder: Path, *, scale: float = 1.0, seed: int = 1, dirt: bool = True) -> SampleCounts:
        """Write them; files of the same name are replaced."""
        ...


def sample_by_scale(generate: GenerateByScale) -> Sample:
    """The sample that such a generator makes."""

    def made(folder: Path, size: SampleSize, progress: Progress | None = None) -> SampleCounts:
        return generate(folder, scale=size.scale, seed=size.seed, dirt=size.dirt)

    return Sample(generate=made)
