"""The declaration of a relation between two raw tables, as the source means it; nothing enforces it.

Raw tables hold what was delivered, orphans too, so that a relation is measured (``profile``) and never a constraint.
Foreign keys of the star are declared with their table (``table.Reference``).
"""

from dataclasses import dataclass

from cinestream_platform.declarations.raw_table import RawTable


@dataclass(frozen=True)
class Relation:
    """Rows of ``child`` name a row of ``parent``; without ``parent_columns`` the columns have the same names there."""

    child: RawTable
    child_columns: tuple[str, ...]
    parent: RawTable
    parent_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parent_columns", self.parent_columns or self.child_columns)
        for table, columns in ((self.child, self.child_columns), (self.parent, self.parent_columns)):
            unknown = set(columns) - {column.name for column in table.columns}
            if unknown or len(columns) != len(self.child_columns):
                raise ValueError(f"{self}: unknown columns or not as many on both sides: {sorted(unknown) or columns}")

    @property
    def is_personal(self) -> bool:
        """Whether the values of its keys are personal data."""
        sides = ((self.child, self.child_columns), (self.parent, self.parent_columns))
        return any(table.column(name).is_personal for table, columns in sides for name in columns)

    def __str__(self) -> str:
        return f"{_side(self.child, self.child_columns)} → {_side(self.parent, self.parent_columns)}"


def _side(table: RawTable, columns: tuple[str, ...]) -> str:
    return f"{table.name}.{columns[0]}" if len(columns) == 1 else f"{table.name} ({', '.join(columns)})"
