"""The declaration of a table: columns, types, rules, keys and partitions, said once.

From a declaration come the Postgres DDL (``ddl``), the polars schema (``frames``), the pandera validation
(``validation``), the asset checks and metadata in Dagster, the grants (``access``) and the comments in Postgres.
What does not belong here: anything that connects, and any library but the standard one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """The types a column can have, by their Postgres names."""

    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    DOUBLE = "double precision"
    NUMERIC = "numeric"
    TEXT = "text"
    TEXT_ARRAY = "text[]"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamptz"


@dataclass(frozen=True)
class DataType:
    """A column type; ``precision`` and ``scale`` are for ``numeric`` only."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}({self.precision},{self.scale})" if self.kind is Kind.NUMERIC else str(self.kind)


SMALLINT, INTEGER, BIGINT = DataType(Kind.SMALLINT), DataType(Kind.INTEGER), DataType(Kind.BIGINT)
DOUBLE, TEXT, BOOLEAN = DataType(Kind.DOUBLE), DataType(Kind.TEXT), DataType(Kind.BOOLEAN)
DATE, TIMESTAMP, TEXT_ARRAY = DataType(Kind.DATE), DataType(Kind.TIMESTAMP), DataType(Kind.TEXT_ARRAY)


def numeric(precision: int, scale: int) -> DataType:
    """``numeric(precision, scale)``: exact decimals, for money and for ratings in fixed steps."""
    return DataType(Kind.NUMERIC, precision, scale)


Number = int | float | Decimal | date | datetime


@dataclass(frozen=True)
class Between:
    """The value lies in ``[low, high]``; an open end is ``None``."""

    low: Number | None = None
    high: Number | None = None

    @property
    def name(self) -> str:
        """Suffix of the rule's name."""
        return "range"

    def __str__(self) -> str:
        if self.high is None:
            return f"at least {self.low}"
        return f"at most {self.high}" if self.low is None else f"from {self.low} to {self.high}"


@dataclass(frozen=True)
class MultipleOf:
    """The value is a whole multiple of ``step``."""

    step: Decimal

    @property
    def name(self) -> str:
        """Suffix of the rule's name."""
        return "step"

    def __str__(self) -> str:
        return f"a multiple of {self.step}"


@dataclass(frozen=True)
class OneOf:
    """The value is one of ``values``."""

    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """Suffix of the rule's name."""
        return "values"

    def __str__(self) -> str:
        return f"one of {', '.join(self.values)}"


@dataclass(frozen=True)
class MaxLength:
    """The text has at most ``characters``."""

    characters: int

    @property
    def name(self) -> str:
        """Suffix of the rule's name."""
        return "length"

    def __str__(self) -> str:
        return f"at most {self.characters:,} characters"


@dataclass(frozen=True)
class NotBlank:
    """The text has a character that is no blank."""

    @property
    def name(self) -> str:
        """Suffix of the rule's name."""
        return "blank"

    def __str__(self) -> str:
        return "not blank"


Rule = Between | MultipleOf | OneOf | MaxLength | NotBlank


@dataclass(frozen=True)
class Column:
    """One column.

    ``source_name`` is its name in the source (raw tables). A timestamp is written there as whole seconds since
    1970-01-01 UTC (``is_epoch_seconds``), or as a naive time in ``time_zone``. ``is_personal`` hides the column from
    ``data_analyst``. A timestamp in a landed file lies before the file's arrival unless it ``may_be_future``.
    ``is_publish_time``: the publish fills it with its own time; no transform gives it, and no content hash counts it.
    """

    name: str
    type: DataType
    description: str
    nullable: bool = False
    rules: tuple[Rule, ...] = ()
    is_personal: bool = False
    source_name: str | None = None
    is_epoch_seconds: bool = False
    time_zone: str | None = None
    may_be_future: bool = False
    is_publish_time: bool = False


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


@dataclass(frozen=True, eq=False)
class Reference:
    """A foreign key from ``column`` to the key of ``table``.

    ``on`` maps the target's natural-key columns to columns of the frame that a transform returns: publishing looks
    the surrogate key up and adds an inferred member where the dimension has none. Empty ``on`` = the frame already
    holds the key (``date_key``).
    """

    column: str
    table: Table
    on: Mapping[str, str] = field(default_factory=dict)

    @property
    def target_column(self) -> str:
        """The key column that is referenced."""
        return self.table.surrogate_key or self.table.primary_key[0]


@dataclass(frozen=True)
class Index:
    """An index beside the primary key, with the query that needs it as its reason.

    ``pages_per_range``, of a BRIN index, is how many 8 kB pages one entry stands for.
    """

    columns: tuple[str, ...]
    reason: str
    method: str = "btree"
    pages_per_range: int | None = None


SMALL_FILES = "small_files"
"""Key of the partition of a raw table that is split by file for all files that have none of their own."""
WHOLE = "whole"
"""Partition key of a table that is published as one piece."""


class PartitionUnit(StrEnum):
    """The grain of partitions. Keys: ``2005``; ``2005-04`` for the quarter that begins then, and for the month."""

    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"
    WHOLE = "whole"

    @property
    def months(self) -> int:
        """Length of a partition in months."""
        return {"year": 12, "quarter": 3, "month": 1}[self]

    def key_of(self, year: int, month: int) -> str:
        """The key of the partition that a month lies in."""
        if self is PartitionUnit.YEAR:
            return f"{year:04d}"
        return f"{year:04d}-{month - (month - 1) % self.months:02d}"

    def first_days(self, partition_key: str) -> tuple[date, date]:
        """The first day of a partition, and the first day after it."""
        year, _, month = partition_key.partition("-")
        begin = int(year) * 12 + int(month or 1) - 1
        end = begin + self.months
        return date(begin // 12, begin % 12 + 1, 1), date(end // 12, end % 12 + 1, 1)

    def containing(self, partition_key: str) -> str:
        """The key of this unit's partition that a partition of the same or a finer unit lies in."""
        if WHOLE in (self, partition_key):
            return WHOLE
        year, _, month = partition_key.partition("-")
        return self.key_of(int(year), int(month or 1))


@dataclass(frozen=True)
class Partitioning:
    """Range partitions on an integer column: ``date_key`` by time, or the whole table as one swappable partition.

    ``first`` and ``last`` are the keys between which all partitions of a source lie that is closed; without, they begin
    in 1995 and go on with the calendar.
    """

    column: str
    unit: PartitionUnit
    first: str = "1995"
    last: str | None = None

    def bounds(self, partition_key: str) -> tuple[int, int] | None:
        """``[from, to)`` of a partition in values of the column; ``None`` = everything."""
        if self.unit is PartitionUnit.WHOLE:
            return None
        begin, end = (day.year * 10_000 + day.month * 100 + 1 for day in self.unit.first_days(partition_key))
        return begin, end


@dataclass(frozen=True, eq=False)
class Table:
    """One table of the warehouse, declared once.

    ``natural_key`` identifies a row in the source's terms (upsert; for raw event tables: which records are the same
    event, of which the one with the greatest ``latest_by`` wins). ``reads_whole`` names the inputs whose partitions are
    not this table's: each of its partitions is made from all of their rows. ``versions_of`` names the raw tables that a
    type-2 dim is folded from. ``by_file``: of a raw table a large file is a partition of its own (``raw_files``).
    """

    source: str
    schema: str
    name: str
    layer: Layer
    mode: WriteMode
    description: str
    grain: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    natural_key: tuple[str, ...] = ()
    surrogate_key: str | None = None
    latest_by: str | None = None
    references: tuple[Reference, ...] = ()
    indexes: tuple[Index, ...] = ()
    partitioning: Partitioning | None = None
    reads_whole: tuple[str, ...] = ()
    versions_of: tuple[str, ...] = ()
    by_file: bool = False

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        used = (*self.primary_key, *self.natural_key, *(r.column for r in self.references))
        unknown = [name for name in used if name not in names]
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"{self.qualified_name}: unknown or repeated columns: {unknown or names}")

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
        """Where the partitions of this table are built before they are swapped in."""
        return f"{self.schema}_staging"

    def column(self, name: str) -> Column:
        """The declared column of that name."""
        return next(column for column in self.columns if column.name == name)

    def partition_name(self, partition_key: str) -> str:
        """Name of the child table of a partition, e.g. ``fact_ratings_2005``, ``fact_payment_2007_04``."""
        return f"{self.name}_{partition_key.replace('-', '_')}"

    @property
    def unit(self) -> PartitionUnit:
        """The grain of its partitions."""
        return self.partitioning.unit if self.partitioning else PartitionUnit.WHOLE

    @property
    def versioned_dimensions(self) -> list[Table]:
        """The type-2 dims that its references name, in the order of their names."""
        found = {r.table.name: r.table for r in self.references if r.table.mode is WriteMode.HISTORY}
        return [found[name] for name in sorted(found)]

    @property
    def is_partitioned(self) -> bool:
        """Whether Dagster sees partitions (a whole-table swap is an unpartitioned asset)."""
        return self.unit is not PartitionUnit.WHOLE


def raw_table(
    source: str,
    name: str,
    *,
    mode: WriteMode,
    description: str,
    grain: str,
    columns: tuple[Column, ...],
    by_file: bool = False,
    **keys: object,
) -> Table:
    """A raw table: the source's columns, then where each row came from (``_file_id``, ``_line``)."""
    index = Index(("_file_id",), "a superseded file's rows are deleted by it", method="brin")
    origin = (
        Column("_file_id", BIGINT, "The landed file (ops.landed_file) that the row was read from."),
        Column("_line", BIGINT, "Line of that file on which the record begins; the header is line 1."),
    )
    return Table(
        source=source,
        schema=f"raw_{source}",
        name=name,
        layer=Layer.RAW,
        mode=mode,
        description=description,
        grain=grain,
        columns=(*columns, *origin),
        indexes=() if by_file else (index,),
        by_file=by_file,
        **keys,  # type: ignore[arg-type]
    )
