"""What is extracted instead of landed: the system where a source's tables live, and the port by which it is read.

What belongs here: what every connector promises, so that loading, sensors and commands know none by its kind. What does
not: connectors themselves (``reading``; PostgreSQL is the first), where a system is (settings of its source's own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.release import Supply
from cinestream_platform.declarations.sample import SampleCounts, SampleSize
from cinestream_platform.errors import CineStreamError
from cinestream_platform.settings import Settings

if TYPE_CHECKING:
    import polars as pl


class SourceDatabaseError(CineStreamError):
    """An operational system cannot be used or made; the message says what to do."""


class SourceDriftError(CineStreamError):
    """Tables or columns are not what is declared, or may not be read whole; nothing of the system is extracted."""


@dataclass(frozen=True)
class Moment:
    """What is known of a system's tables as they were at one moment.

    Attributes:
        origin: Which system it is. Another text where the system or a table of it was made anew: increments on older
            rows mean nothing then.
        taken_at: When, by the system's clock.
        columns: Table to column to the system's own name of its type.
        fingerprint: Changes when rows come, go, or are updated.
        rows: Table to its number of rows.
    """

    origin: str
    taken_at: datetime
    columns: Mapping[str, Mapping[str, str]]
    fingerprint: str
    rows: Mapping[str, int] = field(default_factory=dict)

    def unknown_columns(self, feeds: Sequence[Feed]) -> list[str]:
        """``table.column`` of what the system has beyond the declarations."""
        return [
            f"{feed.table.name}.{name}"
            for feed in feeds
            for name in self.columns[feed.table.name]
            if name not in {column.name for column in feed.table.columns}
        ]


@dataclass(frozen=True)
class Increment:
    """What to read of a table: rows from ``since`` on (of the increment's column), and these ranges of keys."""

    since: Any
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class TableCopy:
    """A table's rows in a local file, in the connector's own format."""

    path: Path
    sha256: str
    size: int


class TypedRows(Protocol):
    """Some rows of a copy: those of the declared types, and those that break a rule."""

    @property
    def rows(self) -> pl.DataFrame:
        """Typed rows, with the columns of the raw table."""
        ...

    @property
    def rejected(self) -> pl.DataFrame:
        """Rejected records: line, rule, raw text."""
        ...

    @property
    def warnings(self) -> Mapping[str, int]:
        """What was accepted in another form than declared: words to number."""
        ...


class Reader(Protocol):
    """A moment that is held open: all tables are read as they were then, also by several threads."""

    @property
    def moment(self) -> Moment:
        """What is known of it."""
        ...

    def count_keys(self, feed: Feed, *, from_bucket: int | None = None) -> dict[int, int]:
        """How many rows a table has in each range of keys (``increments``), in all or from one on."""
        ...

    def copy(self, feed: Feed, path: Path, *, increment: Increment | None = None) -> TableCopy:
        """Write a table's rows to a file, in the order of the natural key; without an ``increment`` all of them."""
        ...


class Connector(Protocol):
    """Reads the tables of one operational system."""

    @property
    def address(self) -> str:
        """Which system it is, for people; no secret is in it."""
        ...

    @property
    def passing_faults(self) -> tuple[type[Exception], ...]:
        """What is raised when the system went away or was restarted: worth another attempt."""
        ...

    def fingerprint(self, feeds: Sequence[Feed]) -> str:
        """A short text that changes when rows come, go, or are updated: what a sensor asks for often.

        Raises:
            SourceDriftError: The tables are not what is declared, or may not be read whole; the message names them all.
        """
        ...

    def read(self, feeds: Sequence[Feed]) -> AbstractContextManager[Reader]:
        """Hold one moment of the system open.

        Raises:
            SourceDriftError: As ``fingerprint``.
        """
        ...

    def typed(self, copied: Path, feed: Feed, *, file_id: int, not_after: datetime) -> Iterator[TypedRows]:
        """The rows of a copy, in the order of the file; it may be read when the moment is closed."""
        ...


class OwnSystem(Protocol):
    """How the platform makes an operational system where the settings name none: for the demo, and for a trial."""

    def named_host(self, settings: Settings) -> str | None:
        """The host that the settings name: what is there is not ours to write."""
        ...

    def restore(self, settings: Settings, path: Path, *, replace: bool = False) -> bool:
        """Make it from what its publisher offers; False if it was there and is left alone."""
        ...

    def generate(self, settings: Settings, size: SampleSize, *, replace: bool = False) -> SampleCounts | None:
        """Make it with generated rows; None if it was there and is left alone."""
        ...

    def supply(self, settings: Settings, scale: float) -> Supply:
        """What the demo feeds its source with: a generated system, or the one that the settings name."""
        ...

    def describe(self, settings: Settings) -> str:
        """What is there now, as its reader sees it."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class OperationalSystem:
    """A system that tables of a source are extracted from, together, as they were at one moment.

    A source may have several, each with feeds of its own.

    Attributes:
        name: Names its step, its sensor and its schedule, and what the ledger knows of its extractions.
        feeds: Which of its tables fill which raw tables.
        connect: Gives the connector, by the settings.
        own: Gives how the platform makes such a system, if it can. A function, for that imports much.
    """

    name: str
    feeds: tuple[Feed, ...]
    connect: Callable[[Settings], Connector]
    own: Callable[[], OwnSystem] | None = None

    @property
    def step(self) -> str:
        """Name of the step that extracts it."""
        return f"{self.name}_extraction"
