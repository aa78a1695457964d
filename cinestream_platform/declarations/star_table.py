"""The kinds of tables of a star: dimensions of type 1 and 2, bridges and facts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from cinestream_platform.declarations.column import BOOLEAN, INTEGER, TIMESTAMP, Column
from cinestream_platform.declarations.partitioning import Partitioning, PartitionUnit
from cinestream_platform.declarations.raw_table import RawHistory
from cinestream_platform.declarations.table import Dimension, Index, Layer, Reference, Table, WriteMode

IS_INFERRED = "Known only because facts mention it; completed in place later."
IS_IN_SOURCE = Column("is_in_source", BOOLEAN, "False once the source no longer delivers it; never deleted.")
VERSION = (
    Column("valid_from", TIMESTAMP, "From when on this version held (UTC); 1900-01-01 for the first known."),
    Column("valid_to", TIMESTAMP, "When the next version began (UTC); NULL while this one holds.", nullable=True),
    Column("is_current", BOOLEAN, "The version that holds now."),
)


def _key_of(dimension: str, of: str) -> Column:
    name = f"{dimension.removeprefix('dim_')}_key"
    return Column(name, INTEGER, f"Surrogate key of the {of}, given once and kept for ever.")


@dataclass(frozen=True, kw_only=True, eq=False)
class FixedDimension(Dimension):
    """A dimension with a ``key`` that needs no lookup, such as the day as a number; all members are known beforehand.

    Members are added and updated in place (``upsert``); none is inferred, none vanishes.
    """

    key: Column

    mode: ClassVar[WriteMode] = WriteMode.UPSERT
    surrogate_key: ClassVar[None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", (self.key, *self.attributes))
        super().__post_init__()

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``key``."""
        return (self.key.name,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Type1Dimension(Dimension):
    """A dimension that holds what is so now: one row per ``member`` (a noun, ``film``).

    A member is identified by ``natural_ids``, and has the surrogate key ``<name>_key``. Changed members are updated in
    place, new ones get the next keys, vanished ones are marked and never deleted (``upsert``). ``inferred_means`` is
    the description of the flag ``is_inferred``.
    """

    member: str
    natural_ids: tuple[Column, ...]
    inferred_means: str = IS_INFERRED
    references: tuple[Reference, ...] = ()

    mode: ClassVar[WriteMode] = WriteMode.UPSERT

    def __post_init__(self) -> None:
        flags = (Column("is_inferred", BOOLEAN, self.inferred_means), IS_IN_SOURCE)
        columns = (_key_of(self.name, self.member), *self.natural_ids, *self.attributes, *flags)
        object.__setattr__(self, "columns", columns)
        super().__post_init__()

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``natural_ids``."""
        return tuple(column.name for column in self.natural_ids)


@dataclass(frozen=True, kw_only=True, eq=False)
class Type2Dimension(Dimension):
    """A dimension that holds what was so when: one row per version of a ``member`` (a noun, ``customer``).

    A version is identified by ``natural_id`` and ``valid_from``, and has the surrogate key ``<name>_key``. Versions are
    folded from all deliveries of the raw tables ``versions_of``. Existing ones keep their keys, new ones get the next
    keys, undone ones are retired (``history``).
    """

    member: str
    natural_id: Column
    versions_of: tuple[RawHistory, ...]

    mode: ClassVar[WriteMode] = WriteMode.HISTORY

    def __post_init__(self) -> None:
        key = _key_of(self.name, f"version of the {self.member}")
        flags = (Column("is_inferred", BOOLEAN, IS_INFERRED), IS_IN_SOURCE)
        object.__setattr__(self, "columns", (key, self.natural_id, *self.attributes, *VERSION, *flags))
        super().__post_init__()

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``natural_id`` and ``valid_from``."""
        return (self.natural_id.name, "valid_from")


@dataclass(frozen=True, kw_only=True, eq=False)
class Bridge(Table):
    """Pairs of members of two dimensions: one row per pair of ``one`` and ``other``, the references of its two keys.

    All rows are replaced where anything changed (``snapshot``). It is indexed from the ``other`` side too.
    """

    schema: str
    columns: tuple[Column, ...]
    one: Reference
    other: Reference

    layer = Layer.BRIDGE
    mode: ClassVar[WriteMode] = WriteMode.SNAPSHOT

    @property
    def natural_key(self) -> tuple[str, ...]:
        """Both keys."""
        return (self.one.column, self.other.column)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Both keys."""
        return self.natural_key

    @property
    def references(self) -> tuple[Reference, ...]:
        """Both sides."""
        return (self.one, self.other)

    @property
    def indexes(self) -> tuple[Index, ...]:
        """From the other side."""
        return (Index((self.other.column,), "from the other side"),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fact(Table):
    """Events or measurements that refer to dimensions: one row per ``row_key``.

    A partition is built beside the table, with all constraints, and swapped in (``partition``). The primary key is
    ``row_key`` with the column that Postgres partitions by.
    """

    schema: str
    columns: tuple[Column, ...]
    row_key: tuple[str, ...]
    references: tuple[Reference, ...] = ()
    indexes: tuple[Index, ...] = ()

    layer = Layer.FACT
    mode: ClassVar[WriteMode] = WriteMode.PARTITION

    @property
    @abstractmethod
    def partition_column(self) -> str:
        """The column that Postgres partitions by."""

    @abstractmethod
    def bounds(self, partition_key: str) -> tuple[int, int] | None:
        """``[from, to)`` of a partition in values of ``partition_column``; ``None`` = everything."""

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``row_key`` and the partition's column."""
        column = self.partition_column
        return self.row_key if column in self.row_key else (*self.row_key, column)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """``row_key`` and the partition's column."""
        return self.natural_key


@dataclass(frozen=True, kw_only=True, eq=False)
class PartitionedFact(Fact):
    """A fact in partitions by the day of its ``date_key``: years, quarters or months.

    ``reads_whole`` names the inputs whose partitions are not this table's: each of its partitions is made from all of
    their rows.
    """

    partitioning: Partitioning
    reads_whole: tuple[str, ...] = ()

    @property
    def partition_column(self) -> str:
        """The day."""
        return "date_key"

    @property
    def unit(self) -> PartitionUnit:
        """Years, quarters or months."""
        return self.partitioning.unit

    def bounds(self, partition_key: str) -> tuple[int, int]:
        """``[from, to)`` of a partition in values of ``date_key``."""
        return self.partitioning.bounds(partition_key)


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeFact(Fact):
    """A fact without a day, swapped as one piece: Postgres has one partition of all values of ``row_key``'s first."""

    @property
    def partition_column(self) -> str:
        """The first of ``row_key``."""
        return self.row_key[0]

    def bounds(self, partition_key: str) -> None:
        """Everything."""
        return


StarTable = Dimension | Bridge | Fact
"""What a transform builds from raw rows."""


def versioned_dimensions(table: Table) -> list[Type2Dimension]:
    """The type-2 dims that a table's references name, in the order of their names."""
    found = {r.table.name: r.table for r in table.references if isinstance(r.table, Type2Dimension)}
    return [found[name] for name in sorted(found)]
