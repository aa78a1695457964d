"""How a profile reads: cells of tables, sentences about relations, and the whole as Markdown.

The command line and the asset say the same words. What does not belong here: counting (``profile``), and how cells
look in a terminal (``commands.explore``).
"""

import re
from collections.abc import Sequence

from cinestream_platform.messages import counted, printable
from cinestream_platform.warehouse.profile import OWN, ColumnProfile, RelationProfile, SourceProfile, TableProfile

SHOWN_CHARACTERS = 28
"""A longer value is cut: two of them and their column's numbers fit a terminal of 80 columns."""
DELIVERY = "_file_id"
TABLE_HEADINGS = ("table", "rows", "key candidates")
COLUMN_HEADINGS = ("column", "NULL", "share", "empty", "distinct", "from … to")


def share(part: int, whole: int) -> str:
    """``99.8 %``; only all is 100 %, and only nothing 0 %. Empty where there is nothing to have a share of."""
    if not whole:
        return ""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    percent = min(max(100 * part / whole, 0.1), 99.9)
    return f"{percent:.1f} %"


def nothing_loaded(source: str) -> str:
    """What to say instead of a profile without rows."""
    return f"No raw table of {source} has a row yet; `cinestream status` shows what landed, waits or is parked."


def table_cells(profile: TableProfile) -> tuple[str, str, str]:
    """Cells below ``TABLE_HEADINGS``."""
    return profile.table.name, f"{profile.rows:,}", _keys(profile)


def _keys(profile: TableProfile) -> str:
    """Key candidates, and what is wrong with the declared key if it is none."""
    declared, candidates = profile.table.natural_key, profile.key_candidates
    words = [_key(key) for key in candidates]
    if profile.counted and declared not in candidates:
        repeated = profile.counted - profile.natural_keys
        wrong = counted(repeated, "row repeats one", "rows repeat one") if repeated else "a part of it is NULL"
        words.append(f"not {_key(declared)}: {wrong}")
    return ", ".join(words)


def _key(columns: Sequence[str]) -> str:
    """A key in words: the platform's own column of a delivery has no name that people know."""
    named = " + ".join(name for name in columns if not name.startswith(OWN))
    return f"{named} (in each delivery)" if DELIVERY in columns else named


def sample_note(profile: TableProfile) -> str:
    """What distinct counts of a large table are; empty where they are exact."""
    if not profile.is_sampled:
        return ""
    return (
        f"Distinct values and key candidates of {profile.table.name} are those of a sample of {profile.counted:,} "
        f"of its {profile.rows:,} rows; all other numbers are exact."
    )


def column_cells(profile: ColumnProfile, table: TableProfile) -> tuple[str, ...]:
    """Cells below ``COLUMN_HEADINGS``."""
    return (
        profile.column.name,
        f"{profile.nulls:,}",
        share(profile.nulls, table.rows),
        "" if profile.empty is None else f"{profile.empty:,}",
        f"{'≥ ' if table.is_sampled else ''}{profile.distinct:,}",
        "personal, not shown" if profile.column.is_personal else _range(profile),
    )


def _range(profile: ColumnProfile) -> str:
    if profile.least is None or profile.greatest is None:
        return ""
    least, greatest = _cut(profile.least), _cut(profile.greatest)
    return least if least == greatest else f"{least} … {greatest}"


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"


def relation_sentences(profile: RelationProfile) -> tuple[str, str]:
    """What a relation is like seen from its child and from its parent."""
    child, parent = profile.relation.child.name, profile.relation.parent.name
    orphans = f"; {counted(profile.orphans, 'orphan') if profile.orphans else 'no orphans'}"
    if profile.orphan_keys:
        orphans += f" (such as {'; '.join(map(_cut, profile.orphan_keys))})"
    nulls = f", {profile.nulls:,} NULL" if profile.nulls else ""
    most = f"; at most {profile.most_children:,}" if profile.most_children else ""
    if profile.most_children > 1 and profile.busiest is not None:
        most += f" ({' + '.join(profile.relation.parent_columns)} {_cut(profile.busiest)})"
    lacking = f"{counted(profile.childless, 'has', 'have')} none"
    return (
        f"{child}: {_of(profile.matched, profile.rows)} have their parent{orphans}{nulls}",
        f"{parent}: {_of(profile.parents_with_children, profile.parents)} have rows in {child}, {lacking}{most}",
    )


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}{f' ({share(part, whole)})' if whole else ''}"


def markdown(profile: SourceProfile) -> str:
    """The whole report as Markdown."""
    if profile.is_empty:
        return nothing_loaded(profile.source)
    parts = ["## Tables", _table(TABLE_HEADINGS, [table_cells(table) for table in profile.tables])]
    if profile.relations:
        parts += ["## Relations", "\n".join(map(_relation_item, profile.relations))]
    for table in profile.tables:
        if table.rows:
            cells = [column_cells(column, table) for column in table.columns]
            parts += [f"## {_escaped(table.table.name)}", _escaped(sample_note(table)), _table(COLUMN_HEADINGS, cells)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _relation_item(profile: RelationProfile) -> str:
    sentences = (f"  - {_escaped(sentence)}" for sentence in relation_sentences(profile))
    return "\n".join([f"- **{_escaped(str(profile.relation))}**", *sentences])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" if 0 < place < len(headings) - 1 else "---" for place in range(1, len(headings)))]
    lines = [headings, rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """The text as Markdown shows it unchanged, whatever it holds: values come from files."""
    return re.sub(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)
