"""What dims of every star have in common: columns, each worded once, and the shape of a declaration."""

from cinestream_platform.declarations.table import (
    BOOLEAN,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Between,
    Column,
    Layer,
    Reference,
    Table,
    WriteMode,
)

IS_INFERRED = Column("is_inferred", BOOLEAN, "Known only because facts mention it; completed in place later.")
IS_IN_SOURCE = Column("is_in_source", BOOLEAN, "False once the source no longer delivers it; never deleted.")
MEMBER = (IS_INFERRED, IS_IN_SOURCE)
"""The end of every type-1 dim."""

VALID_FROM = Column("valid_from", TIMESTAMP, "From when on this version held (UTC); 1900-01-01 for the first known.")
VALID_TO = Column("valid_to", TIMESTAMP, "When the next version began (UTC); NULL while this one holds.", nullable=True)
IS_CURRENT = Column("is_current", BOOLEAN, "The version that holds now.")
VERSION = (VALID_FROM, VALID_TO, IS_CURRENT, IS_INFERRED, IS_IN_SOURCE)
"""The end of every type-2 dim."""

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


def surrogate_key(name: str, of: str) -> Column:
    """The key of a dim."""
    return Column(name, INTEGER, f"Surrogate key of the {of}, given once and kept for ever.")


def type_1(
    source: str,
    schema: str,
    name: str,
    description: str,
    grain: str,
    *columns: Column,
    references: tuple[Reference, ...] = (),
) -> Table:
    """A dim that holds what is so now: its first column is the surrogate key, its second the natural key."""
    return Table(
        source=source,
        schema=schema,
        name=name,
        layer=Layer.DIMENSION,
        mode=WriteMode.UPSERT,
        description=description,
        grain=grain,
        columns=(*columns, *MEMBER),
        primary_key=(columns[0].name,),
        natural_key=(columns[1].name,),
        surrogate_key=columns[0].name,
        references=references,
    )


def type_2(
    source: str,
    schema: str,
    name: str,
    description: str,
    grain: str,
    *columns: Column,
    versions_of: tuple[str, ...],
) -> Table:
    """A dim of which a row is a version of what its second column identifies; the first is the surrogate key.

    ``versions_of`` are the raw tables that versions are folded from.
    """
    return Table(
        source=source,
        schema=schema,
        name=name,
        layer=Layer.DIMENSION,
        mode=WriteMode.HISTORY,
        description=description,
        grain=grain,
        columns=(*columns, *VERSION),
        primary_key=(columns[0].name,),
        natural_key=(columns[1].name, "valid_from"),
        surrogate_key=columns[0].name,
        versions_of=versions_of,
    )
