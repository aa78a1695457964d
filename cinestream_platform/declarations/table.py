"""The declaration of a table: its kind, columns, keys, references and partitions, said once.

The kind decides the write mode, the keys and which other options there are: what cannot be meant cannot be written.
From a declaration come the Postgres DDL (``ddl``), the polars schema (``frames``), the pandera validation
(``validation``), the asset checks and metadata in Dagster, the grants (``access``) and the comments in Postgres.
Readers ask a table for its kind (``isinstance``) or for what every table has (``Table``).
What does not belong here: columns and rules (``column``), anything that connects, and any library but the standard one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from cinestream_platform.declarations.column import Column
from cinestream_platform.declarations.partitioning import PartitionUnit


class Layer(StrEnum):
    """What a table is for; decides who may read it."""

    RAW = "raw"
    DIMENSION = "dim"
    BRIDGE = "bridge"
    FACT = "fact"
    PREDICTION = "prediction"


class WriteMode(StrEnum):
    """How a table is published; see docs/architecture.md."""

    FILE = "file"
    SNAPSHOT = "snapshot"
    UPSERT = "upsert"
    HISTORY = "history"
    PARTITION = "partition"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Index:
    """An index beside the primary key, with the query that needs it as its reason.

    ``pages_per_range``, of a BRIN index, is how many 8 kB pages one entry stands for.
    """

    columns: tuple[str, ...]
    reason: str
    method: str = "btree"
    pages_per_range: int | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A foreign key from ``column`` to the key of a dimension.

    ``on`` maps the target's natural-key columns to columns of the frame that a transform returns: publishing looks
    the surrogate key up and adds an inferred member where the dimension has none. Empty ``on`` = the frame already
    holds the key (``date_key``).
    """

    column: str
    table: Dimension
    on: Mapping[str, str] = field(default_factory=dict)

    @property
    def target_column(self) -> str:
        """The key column that is referenced."""
        return self.table.primary_key[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table(ABC):
    """What every table of the warehouse has, whatever its kind. The kinds are below.

    A kind gives ``mode`` and ``natural_key``, and for what it has no field the properties here hold.
    """

    source: str
    schema: str = field(init=False)
    name: str
    description: str
    grain: str
    columns: tuple[Column, ...] = field(init=False)

    layer: ClassVar[Layer]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        used = (*self.primary_key, *self.natural_key, *(r.column for r in self.references))
        unknown = [name for name in used if name not in names]
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"{self.qualified_name}: unknown or repeated columns: {unknown or names}")

    @property
    @abstractmethod
    def mode(self) -> WriteMode:
        """How it is published."""

    @property
    @abstractmethod
    def natural_key(self) -> tuple[str, ...]:
        """The columns that identify a row as a file or a build brings it."""

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key in Postgres; empty where there is none."""
        return ()

    @property
    def surrogate_key(self) -> str | None:
        """The column that Postgres numbers; ``None`` where there is none."""
        return None

    @property
    def references(self) -> tuple[Reference, ...]:
        """Its foreign keys."""
        return ()

    @property
    def indexes(self) -> tuple[Index, ...]:
        """Its indexes beside the primary key."""
        return ()

    @property
    def unit(self) -> PartitionUnit:
        """The grain of its partitions."""
        return PartitionUnit.WHOLE

    @property
    def is_partitioned(self) -> bool:
        """Whether Dagster sees partitions (a whole-table swap is an unpartitioned asset)."""
        return self.unit is not PartitionUnit.WHOLE

    @property
    def reads_whole(self) -> tuple[str, ...]:
        """The inputs of which each of its partitions needs all rows."""
        return ()

    @property
    def qualified_name(self) -> str:
        """``schema.table``, for people."""
        return f"{self.schema}.{self.name}"

    @property
    def built_columns(self) -> tuple[Column, ...]:
        """What a build brings: all columns but a generated key and the time of the publish."""
        return tuple(c for c in self.columns if c.name != self.surrogate_key and not c.is_publish_time)

    @property
    def staging_schema(self) -> str:
        """Where its next rows are before they are published."""
        return f"{self.schema}_staging"

    @property
    def open_schema(self) -> str:
        """Where analysts find a view of it without its personal columns, if it has any (``warehouse.open_views``)."""
        return f"{self.schema}_open"

    @property
    def open_columns(self) -> tuple[Column, ...]:
        """All columns but the personal ones."""
        return tuple(column for column in self.columns if not column.is_personal)

    @property
    def has_open_view(self) -> bool:
        """Whether it holds personal columns and analysts read the others."""
        return self.layer not in (Layer.RAW, Layer.PREDICTION) and len(self.open_columns) < len(self.columns)

    @property
    def readable_schema(self) -> str:
        """Where analysts read it, if they may."""
        return self.open_schema if self.has_open_view else self.schema

    def column(self, name: str) -> Column:
        """The declared column of that name."""
        return next(column for column in self.columns if column.name == name)

    def partition_name(self, partition_key: str) -> str:
        """Name of the child table of a partition, e.g. ``fact_ratings_2005``, ``fact_payment_2007_04``."""
        return f"{self.name}_{partition_key.replace('-', '_')}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Dimension(Table):
    """What facts refer to. Its first column is its key; ``attributes`` are the columns that say what a member is."""

    schema: str
    attributes: tuple[Column, ...] = ()

    layer = Layer.DIMENSION

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Its first column."""
        return (self.columns[0].name,)

    @property
    def surrogate_key(self) -> str | None:
        """Its first column: the next number for a new member."""
        return self.columns[0].name
