"""The declaration of a column: its type, its rules, and what readers of files must know of it.

What does not belong here: tables (``table``), and any library but the standard one.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """The text has a character that is not a blank."""

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
    1970-01-01 UTC (``is_epoch_seconds``), or as a naive time in ``time_zone``. ``is_personal`` closes the column to
    all but engineers. A timestamp in a landed file lies before the file's arrival unless it ``may_be_future``.
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
