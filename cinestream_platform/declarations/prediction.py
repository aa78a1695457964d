"""The kind of tables that models fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cinestream_platform.declarations.column import Column
from cinestream_platform.declarations.table import Layer, Table, WriteMode

MODEL_VERSION = "model_version"


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction(Table):
    """What models predict, in schema ``ml``: one row per ``row_key`` and ``model_version``, which is a column.

    The platform makes the table and never writes it (``external``); role ``ml_engineer`` does.
    """

    columns: tuple[Column, ...]
    row_key: tuple[str, ...]

    layer = Layer.PREDICTION
    mode: ClassVar[WriteMode] = WriteMode.EXTERNAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", "ml")
        super().__post_init__()

    @property
    def natural_key(self) -> tuple[str, ...]:
        """``row_key`` and the model's version."""
        return (*self.row_key, MODEL_VERSION)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """``row_key`` and the model's version."""
        return self.natural_key
