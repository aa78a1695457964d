"""The declaration of a feed: which landed files belong to which raw table, and how they are read."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

from cinestream_platform.declarations.file_form import Shape, form_of_name
from cinestream_platform.declarations.partitioning import PartitionUnit
from cinestream_platform.declarations.raw_table import RawHistory, RawTable

TOLERATED_REJECTS = 1
"""So many bad records refuse no file, whatever their share is: of a small file one is more than any percentage."""


@dataclass(frozen=True)
class LineFormat:
    """Text without header and quotes: a record a line, its fields in the order of the table's columns, with commas.

    ``section`` names a column that is not in the lines: a line ``value:`` gives it to all lines below.
    With ``last_takes_rest`` commas in the last field belong to it.
    """

    encoding: str = "utf-8"
    section: str | None = None
    last_takes_rest: bool = False


@dataclass(frozen=True)
class Feed:
    """Files below ``<landing>/<source>/<dataset>/`` that fill one raw table.

    ``file_names`` are the publisher's names, by which ``cinestream land`` knows a file's dataset; the other forms of a
    file (``file_form``) have its name with another ending.
    ``reject_threshold`` is the share of rejected records above which nothing of a file is published; one bad record
    among good ones is published without, however small the file.
    ``event_time`` names the timestamp or date by which rows are kept in partitions of ``unit`` (UTC).
    ``null_words`` are spellings of NULL in nullable columns, beside the empty field.
    ``increment_by`` names the column by which new rows of a database's table are known (``database_reader``), and
    ``increment_margin`` how far before the last known value reading begins (an interval, or a number of keys): a
    transaction may commit after one that began later.
    ``description`` says how its deliveries add up to the table.
    ``lines`` describes files that are not CSV. ``grouped_by`` names an integer column that records of one event share
    and of which a file has some values only: repeated events are then looked for among files with common values.
    """

    dataset: str
    table: RawTable
    file_names: tuple[str, ...]
    reject_threshold: float = 0.01
    event_time: str | None = None
    unit: PartitionUnit = PartitionUnit.YEAR
    null_words: tuple[str, ...] = ()
    increment_by: str | None = None
    increment_margin: str = "0"
    lines: LineFormat | None = None
    grouped_by: str | None = None
    description: str = ""

    @property
    def source(self) -> str:
        """The source system."""
        return self.table.source

    @property
    def holds_over_time(self) -> bool:
        """Whether a delivery says what holds from its time on, and not what happened when."""
        return isinstance(self.table, RawHistory) and self.event_time is None

    def refuses(self, rejected: int, read: int) -> bool:
        """Whether nothing is published of a delivery of which so many of so many records are rejected."""
        return rejected > read * self.reject_threshold and (rejected > TOLERATED_REJECTS or rejected == read)

    @property
    def prefix(self) -> str:
        """Where its files land."""
        return f"{self.source}/{self.dataset}/"

    def takes(self, file_name: str) -> bool:
        """Whether the publisher would give a file of this feed that name, in any form that is read."""
        form = form_of_name(file_name.lower())
        if form.shape is Shape.TEXT:
            return any(fnmatch(form.stem, pattern) for pattern in self.file_names)
        return any(fnmatch(form.stem, PurePosixPath(pattern).stem) for pattern in self.file_names)
