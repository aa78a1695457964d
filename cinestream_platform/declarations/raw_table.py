"""The kinds of raw tables, by what a delivery of theirs is: some events, the state of now, or the state of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cinestream_platform.declarations.column import BIGINT, Column
from cinestream_platform.declarations.table import Index, Layer, Table, WriteMode

FILE_ID = "_file_id"
ORIGIN = (
    Column(FILE_ID, BIGINT, "The landed file (ops.landed_file) that the row was read from."),
    Column("_line", BIGINT, "Line of that file on which the record begins; the header is line 1."),
)
"""The end of every raw table: where a row came from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable(Table):
    """What a source delivered, in schema ``raw_<source>``: the ``delivered`` columns, then where each row came from.

    ``row_key`` names the columns that identify a record; of records with equal ones the one that came last counts.
    """

    delivered: tuple[Column, ...]
    row_key: tuple[str, ...]

    layer = Layer.RAW

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", f"raw_{self.source}")
        object.__setattr__(self, "columns", (*self.delivered, *ORIGIN))
        super().__post_init__()
        if not self.row_key:
            raise ValueError(f"{self.qualified_name}: row_key names no column")

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``row_key``."""
        return self.row_key

    @property
    def latest_by(self) -> str | None:
        """The column by which the latest of several records of one event is known; else it is the order of landing."""
        return None

    @property
    def by_file(self) -> bool:
        """Whether a large file is a partition of its own (``raw_files``)."""
        return False

    @property
    def indexes(self) -> tuple[Index, ...]:
        """By file, where a file has no partition of its own."""
        return () if self.by_file else (Index((FILE_ID,), "a superseded file's rows are deleted by it", method="brin"),)


@dataclass(frozen=True, kw_only=True, eq=False)
class RawEvents(RawTable):
    """Events, each in one of many files: a file's rows replace those of its older version (``file``).

    Of records with equal ``row_key`` the one with the greatest ``latest_by`` counts, then the one whose file landed
    later. With ``by_file`` a large file is a partition of its own.
    """

    latest_by: str | None = None
    by_file: bool = False

    mode: ClassVar[WriteMode] = WriteMode.FILE


@dataclass(frozen=True, kw_only=True, eq=False)
class RawSnapshot(RawTable):
    """Reference data that each delivery has whole: the newest one replaces all rows (``snapshot``)."""

    mode: ClassVar[WriteMode] = WriteMode.SNAPSHOT


@dataclass(frozen=True, kw_only=True, eq=False)
class RawHistory(RawTable):
    """Reference data of which every whole delivery stays, from which type-2 dims are folded (``history``).

    ``row_key`` identifies a record within its delivery.
    """

    mode: ClassVar[WriteMode] = WriteMode.HISTORY

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``row_key`` and the delivery: a record repeats another only within its own file."""
        return (*self.row_key, FILE_ID)


@dataclass(frozen=True)
class RawTables:
    """Declares raw tables of one source in few words, where what differs is name, description, columns and kind.

    The key is the first column if none is
    named.
    """

    source: str
    snapshot_grain: str
    history_grain: str
    events_grain: str

    def snapshot(self, name: str, description: str, *columns: Column, key: tuple[str, ...] = ()) -> RawSnapshot:
        """Reference data that each delivery has whole."""
        return RawSnapshot(grain=self.snapshot_grain, **self._given(name, description, columns, key))

    def history(self, name: str, description: str, *columns: Column) -> RawHistory:
        """Reference data of which every delivery stays."""
        return RawHistory(grain=self.history_grain, **self._given(name, description, columns, ()))

    def events(self, name: str, description: str, *columns: Column) -> RawEvents:
        """Events, each in one of many files."""
        return RawEvents(grain=self.events_grain, **self._given(name, description, columns, ()))

    def _given(self, name: str, description: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> dict[str, Any]:
        row_key = key or (columns[0].name,)
        return {
            "source": self.source,
            "name": name,
            "description": description,
            "delivered": columns,
            "row_key": row_key,
        }
