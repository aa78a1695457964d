"""The example dimension of a new source, and what its mart counts.

What belongs here: which sample file a dimension is made from, its columns, and made-up values for tests. What does not:
the code that is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cinestream_platform.commands.new_source.code import quoted
from cinestream_platform.commands.new_source.inference import KEY_KINDS, Draft, is_id, key_rules
from cinestream_platform.commands.new_source.names import LONGEST_TABLE, NewSourceError, singular, words
from cinestream_platform.declarations.column import BOOLEAN, TEXT, Column, Kind
from cinestream_platform.warehouse.profile import ColumnProfile

MOST_CATEGORIES = 50
TESTED = {
    Kind.SMALLINT: ("1", "2"),
    Kind.INTEGER: ("1", "2"),
    Kind.BIGINT: ("1", "2"),
    Kind.DOUBLE: ("1.5", "2.5"),
    Kind.TEXT: ('"one"', '"two"'),
    Kind.BOOLEAN: ("True", "False"),
    Kind.DATE: ("date(2024, 1, 1)", "date(2024, 1, 2)"),
    Kind.TIMESTAMP: ("datetime(2024, 1, 1, tzinfo=UTC)", "datetime(2024, 1, 2, tzinfo=UTC)"),
}
"""Two values of each kind, as Python writes them."""


@dataclass(frozen=True)
class Renamed:
    """A column of the dimension, and the raw column that it is made from."""

    column: Column
    raw: Column


@dataclass(frozen=True)
class Dimension:
    """The example dimension: ``key`` identifies a row, ``attributes`` describe it.

    ``is_distinct``: no column is a key of the raw table, so a row is a different value of one.
    """

    draft: Draft
    noun: str
    key: Renamed
    attributes: tuple[Renamed, ...]
    is_distinct: bool

    @property
    def name(self) -> str:
        """The table's name."""
        return f"dim_{self.noun}"

    @property
    def grain(self) -> str:
        """What a row is."""
        return f"one row per {words(self.noun)}"

    @property
    def columns(self) -> tuple[Renamed, ...]:
        """Key, then attributes."""
        return (self.key, *self.attributes)

    @property
    def category(self) -> Column | None:
        """The text by which the example mart counts: the one with the fewest values that repeat."""
        by_name = {part.raw.name: part.column for part in self.attributes}
        found = [(p.distinct, by_name[p.column.name]) for p in self.draft.profile.columns if p.column.name in by_name]
        rows = self.draft.profile.rows
        texts = [
            (distinct, column)
            for distinct, column in found
            if column.type == TEXT and not column.is_personal and 1 <= distinct <= min(MOST_CATEGORIES, rows - 1)
        ]
        return min(texts, key=lambda pair: pair[0])[1] if texts else None


def example_dimension(drafts: Sequence[Draft]) -> Dimension:
    """The dimension that the new source begins with: of the table that looks most like one.

    Raises:
        NewSourceError: No file has a column that is never empty.
    """
    if keyed := [draft for draft in drafts if _single_key(draft)]:
        draft = max(keyed, key=_texts)
        return _dimension(draft, draft.noun, draft.table.natural_key[0])
    filled = [(draft, p.column) for draft in drafts for p in draft.profile.columns if not p.nulls]
    open_to_all = [(draft, column) for draft, column in filled if not column.is_personal and column.type != BOOLEAN]
    for draft, column in sorted(open_to_all, key=lambda found: found[1].type.kind not in KEY_KINDS):
        return _dimension(draft, _noun_of_values(column.name), column.name, is_distinct=True)
    raise NewSourceError(
        "every column of every file has an empty field: nothing identifies a row, so that no dimension can be made. "
        "Take a file into the sample that has an id."
    )


def _single_key(draft: Draft) -> bool:
    return len(draft.table.natural_key) == 1 and draft.table.natural_key != ("_line",)


def _texts(draft: Draft) -> int:
    """Columns that describe: what is counted and dated belongs into a fact."""
    columns = [profile.column for profile in draft.profile.columns]
    return sum(column.type == TEXT and not is_id(column.name) for column in columns)


def _noun_of_values(name: str) -> str:
    noun = name.rpartition("_")[0] if is_id(name) and "_" in name else name
    return singular(noun)[:LONGEST_TABLE].rstrip("_")


def _dimension(draft: Draft, noun: str, key: str, *, is_distinct: bool = False) -> Dimension:
    taken = {f"{noun}_key", "is_inferred", "is_in_source"}
    made = {}
    for profile in draft.profile.columns:
        column = profile.column
        name = _free(_star_name(column, noun), taken)
        taken.add(name)
        is_key = column.name == key
        made[column.name] = Renamed(
            replace(
                column,
                name=name,
                description=f"{words(name).capitalize()}.",
                nullable=not is_key,
                rules=key_rules(f"dim_{noun}", replace(column, name=name)) if is_key else (),
                source_name=None,
                time_zone=None,
                may_be_future=False,
            ),
            column,
        )
    attributes = tuple(part for name, part in made.items() if name != key and not is_distinct)
    return Dimension(draft, noun, made[key], attributes, is_distinct)


def _star_name(column: Column, noun: str) -> str:
    """The name by the grammar of stars: ``is_`` for booleans, ``<noun>_id`` for the source's own id."""
    if column.type == BOOLEAN and not column.name.startswith("is_"):
        return f"is_{column.name}"
    if column.type != BOOLEAN and column.name.startswith("is_"):
        return column.name.removeprefix("is_")
    return f"{noun}_id" if column.name == "id" else column.name


def _free(name: str, taken: set[str]) -> str:
    """A name that no other column has; ``_key`` is the warehouse's own."""
    name = f"{name.removesuffix('_key')}_number" if name in taken and name.endswith("_key") else name
    while name in taken:
        name = f"{name}_delivered"
    return name


def tested(column: Column, which: int) -> str:
    """A made-up value of a column, as Python writes it."""
    if column.type.kind is Kind.NUMERIC:
        return f'Decimal("{which + 1}.{"5".ljust(column.type.scale or 0, "0")}")'
    return TESTED[column.type.kind][which]


# ---- sample files ----------------------------------------------------------------------------------------------------


def made_up(draft: Draft, drafts: Sequence[Draft]) -> list[str]:
    """Expressions of the fields of a made-up record: ``number`` counts records from 1, ``rng`` draws."""
    key = draft.table.natural_key
    places = dict(zip(key, ("number",) if len(key) == 1 else ("number // 10 + 1", "number % 10 + 1"), strict=False))
    return [_field(profile, places.get(profile.column.name), draft, drafts) for profile in draft.profile.columns]


def _field(profile: ColumnProfile, place: str | None, draft: Draft, drafts: Sequence[Draft]) -> str:
    column = profile.column
    parent = parent_of(column, draft, drafts)
    if place is None and parent:
        place = "whole(rng, 1, rows)"
    if place:
        return _identified(profile, place, (parent or draft).noun)
    made = _drawn(profile, draft.profile.rows)
    return f"maybe(rng, {made})" if column.nullable else made


def parent_of(column: Column, draft: Draft, drafts: Sequence[Draft]) -> Draft | None:
    """The other table whose key has this column's name and type, if one has."""
    if column.name == "id" or draft.table.natural_key == (column.name,):
        return None
    keyed = (other for other in drafts if other is not draft and other.table.natural_key == (column.name,))
    return next((other for other in keyed if other.table.column(column.name).type == column.type), None)


def _identified(profile: ColumnProfile, place: str, noun: str) -> str:
    """The value of a key's column: a different one for each number."""
    if profile.column.type.kind is Kind.TEXT:
        return f'f"{noun}-{{{place}}}"'
    if profile.column.type.kind is Kind.DATE:
        return f"day_after({quoted(profile.least or '2024-01-01')}, {place})"
    return place if place.startswith("whole(") else f"str({place})"


def _drawn(profile: ColumnProfile, rows: int) -> str:
    """A random value between the least and the greatest of the sample; texts are invented."""
    kind, low, high = profile.column.type.kind, profile.least, profile.greatest
    if kind is Kind.BOOLEAN:
        return 'pick(rng, ("true", "false"))'
    if kind is Kind.TEXT:
        few = profile.distinct <= MOST_CATEGORIES and profile.distinct < rows
        return f"pick(rng, ADJECTIVES[:{min(profile.distinct, 8)}])" if few and profile.distinct else "title(rng)"
    if low is None or high is None:  # personal: nothing of the sample is shown
        low, high = ("2000-01-01", "2020-01-01") if kind in (Kind.DATE, Kind.TIMESTAMP) else ("0", "100")
    if kind is Kind.DATE:
        return f"day(rng, {quoted(low)}, {quoted(high)})"
    if kind is Kind.TIMESTAMP:
        return f"moment(rng, {quoted(low)}, {quoted(high)})"
    if kind in (Kind.INTEGER, Kind.BIGINT):
        return f"whole(rng, {low}, {high})"
    return f"decimal(rng, {low}, {high}, {profile.column.type.scale or 3})"
