"""Columns that tables of every star have in common, each worded once."""

from cinestream_platform.declarations.column import INTEGER, TEXT, Between, Column

DATE_KEY = Column("date_key", INTEGER, "The day (UTC) as YYYYMMDD.")


POSITIVE = (Between(1, None),)
NOT_NEGATIVE = (Between(0, None),)


def natural_id(name: str, description: str) -> Column:
    """A number that the source gave."""
    return Column(name, INTEGER, description, rules=POSITIVE)


def attribute(name: str, description: str, *, personal: bool = False) -> Column:
    """A text that may be unknown, as it is of inferred members."""
    return Column(name, TEXT, description, nullable=True, is_personal=personal)


def foreign_key(name: str, description: str, *, nullable: bool = False) -> Column:
    """The key of a row of a dim."""
    return Column(name, INTEGER, description, nullable)
