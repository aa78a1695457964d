"""What a sample file says about its raw table: types, empty fields, key candidates.

Files are read by the reader that will load them (``csv_reader``), and a type fits a column if that reader takes each
of its values. So the draft loads the sample as it is. What does not belong here: names, and the code that is written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from glob import escape
from itertools import combinations
from pathlib import Path

import polars as pl

from cinestream_platform.commands.new_source.names import (
    LONGEST_IN_POSTGRES,
    NewSourceError,
    column_names,
    singular,
    stem_of,
    table_name,
    words,
)
from cinestream_platform.declarations.column import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Column,
    DataType,
    Kind,
    MaxLength,
    numeric,
)
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import FileRefusedError, Packing
from cinestream_platform.declarations.raw_table import RawSnapshot, RawTable
from cinestream_platform.reading.csv_reader import read_csv, read_header
from cinestream_platform.reading.records import judged, split_records, with_nulls
from cinestream_platform.reading.unpacking import open_source
from cinestream_platform.regular_files import irregular
from cinestream_platform.warehouse.profile import OWN, ColumnProfile, TableProfile

MOST_RECORDS = 100_000
"""So much of a file is a sample; the rest is not read."""
NULL_WORDS = ("NULL", "null", "None", "NA", "N/A", "n/a", "NaN", "nan", "-", r"\N")
"""Spellings of NULL that tools write, where the other values of a column are not text."""
WHOLE = r"^-?(?:0|[1-9][0-9]*)$"
"""Whole numbers; one with a leading zero or a + is a code or a telephone number, and stays a text."""
DECIMAL = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
FLOAT = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
MOST_DIGITS = 12
"""Decimals with more after the point are measurements, not money."""
KEY_KINDS = (Kind.INTEGER, Kind.BIGINT, Kind.TEXT, Kind.DATE)
ID_ENDS = ("id", "key", "code", "no", "number", "isbn", "sku", "uuid")
MOST_KEY_COLUMNS = 12
"""So many columns are looked at for a key of two."""
KEY_TEXT = MaxLength(500)
"""A key is indexed, and an entry of a btree holds 2,704 bytes; a character has up to four."""
PERSONAL = (
    *("email", "e_mail", "mail", "phone", "telephone", "mobile", "fax", "address", "street", "birthday", "birth_date"),
    *("date_of_birth", "first_name", "last_name", "full_name", "surname", "given_name", "iban", "passport", "ssn"),
    *("ip", "ip_address", "user_name", "username"),
)
"""Columns that are hidden from analysts until somebody has looked."""


@dataclass(frozen=True, eq=False)
class Draft:
    """One sample file, as its raw table is declared. ``notes`` are for whoever reads the draft."""

    file_name: str
    feed: Feed
    profile: TableProfile
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> RawTable:
        """The raw table."""
        return self.feed.table

    @property
    def sample_name(self) -> str:
        """The name of a generated file."""
        return f"{stem_of(self.file_name)}.csv"

    @property
    def noun(self) -> str:
        """What a row is about."""
        return singular(self.table.name)


def read_folder(source: str, folder: Path) -> list[Draft]:
    """A draft of each sample file of a folder, in the order of their names.

    Raises:
        NewSourceError: There is no file, or one of which no raw table can be made.
    """
    paths = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda path: path.name.lower())
    if not paths:
        raise NewSourceError(f"{folder} is empty. It must hold a CSV file per table, each with a header.")
    drafts: dict[str, Draft] = {}
    for path in paths:
        if (problem := irregular(path.lstat().st_mode)) or path.suffix.lower() != ".csv":
            problem = problem or "a source begins with files whose names end in .csv, one per table"
            raise NewSourceError(f"{path.name} is not a CSV file: {problem}. Take it out of {folder}.")
        name = table_name(path.name)
        if name in drafts:
            raise NewSourceError(f"{drafts[name].file_name} and {path.name} both name the table {name}. Keep one.")
        try:
            drafts[name] = _draft(source, name, path)
        except FileRefusedError as error:
            raise NewSourceError(f"{path.name}: {error}") from error
    return list(drafts.values())


def _draft(source: str, name: str, path: Path) -> Draft:
    headers = _headers(path)
    names = column_names(path.name, headers)
    described = [
        Column(column, TEXT, _description(column), nullable=True, source_name=header)
        for column, header in zip(names, headers, strict=True)
    ]
    records, broken = _records(path, _feed(source, name, path.name, described))
    if records.is_empty():
        raise NewSourceError(f"{path.name} has a header and no record, so that no type can be told. Add some rows.")
    null_words, columns = _typed(source, records, described)
    records = records.rename({old.name: new.name for old, new in zip(described, columns, strict=True)})
    feed = _feed(source, name, path.name, columns, null_words=null_words)
    rows = split_records(with_nulls(records, feed), feed.table, file_id=0, not_after=FAR).rows
    now = datetime.now(UTC)
    columns = [replace(c, may_be_future=c.type == TIMESTAMP and bool((rows[c.name] > now).any())) for c in columns]
    keyed = _with_key(source, name, path.name, columns, rows, null_words)
    return Draft(path.name, keyed, _profile(keyed.table, rows), tuple(_notes(keyed, broken, records.height)))


FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""A sample may hold what is still to come; ``may_be_future`` is declared of such columns."""


def _headers(path: Path) -> list[str]:
    if not path.stat().st_size:
        raise NewSourceError(f"{path.name} is empty. A sample file has a header and some records.")
    with open_source(path, Packing.NONE) as opened:
        headers = read_header(opened)
    if len(headers) > 1:
        return headers
    try:
        sign = csv.Sniffer().sniff(headers[0], ";\t|").delimiter
    except csv.Error:
        raise NewSourceError(
            f"{path.name} has a single column. A table needs two or more, separated by commas."
        ) from None
    raise NewSourceError(f"{path.name} is separated by {sign!r}. Save it with commas: files of a source have them.")


def _description(name: str) -> str:
    return f"{words(name).capitalize()}, as delivered."


def _feed(
    source: str,
    name: str,
    file_name: str,
    columns: Sequence[Column],
    key: tuple[str, ...] = ("_line",),
    null_words: tuple[str, ...] = (),
) -> Feed:
    """The feed of a raw table that the newest file replaces."""
    stem = escape(stem_of(file_name))
    table = RawSnapshot(
        source=source,
        name=name,
        description=f"{words(name).capitalize()}, as delivered.",
        grain="one row per record of the newest file",
        delivered=tuple(columns),
        row_key=key,
    )
    names = (f"{stem}.csv", f"{stem}[-_][12][0-9][0-9][0-9]*.csv")
    return Feed(name, table, names, null_words=null_words, description="The newest file replaces all rows.")


def _records(path: Path, feed: Feed) -> tuple[pl.DataFrame, int]:
    """Records of a file as texts with their ``line``, and how many could not be split into fields."""
    frames, broken, read = [], 0, 0
    for batch in read_csv(path, feed, file_id=0, not_after=FAR):
        frames.append(batch.rows)
        broken += batch.rejected.height
        read += batch.rows.height
        if read >= MOST_RECORDS:
            break
    rows = pl.concat(frames).head(MOST_RECORDS) if frames else pl.DataFrame(schema=["_line"])
    return rows.rename({"_line": "line"}), broken


# ---- types -----------------------------------------------------------------------------------------------------------


def _typed(source: str, records: pl.DataFrame, columns: Sequence[Column]) -> tuple[tuple[str, ...], list[Column]]:
    """The columns with the narrowest type that takes all values; and the words that stand for NULL in them."""
    used: set[str] = set()
    found = []
    for column in columns:
        texts = records.select("line", column.name)
        data_type = _type_of(source, texts, column)
        if data_type == TEXT:
            spelled = texts.filter(pl.col(column.name).is_in(NULL_WORDS))[column.name].unique().to_list()
            without = texts.with_columns(
                pl.when(~pl.col(column.name).is_in(spelled)).then(column.name).alias(column.name)
            )
            if spelled and (better := _type_of(source, without, column)) != TEXT:
                used, texts, data_type = {*used, *spelled}, without, better
        found.append(_declared(column, data_type, texts[column.name]))
    return tuple(word for word in NULL_WORDS if word in used), _without_clashes(found)


def _declared(column: Column, data_type: DataType, texts: pl.Series) -> Column:
    return replace(
        column,
        type=data_type,
        nullable=texts.null_count() > 0,
        time_zone="UTC" if data_type == TIMESTAMP else None,
        is_personal=column.name in PERSONAL or column.name.endswith(tuple(f"_{word}" for word in PERSONAL)),
    )


def _type_of(source: str, texts: pl.DataFrame, column: Column) -> DataType:
    """The narrowest type of which the platform's reader takes every value; text if none."""
    values = texts.drop_nulls()
    if values.is_empty():
        return TEXT
    return next((kind for kind in _candidates(values[column.name]) if _fits(source, values, column, kind)), TEXT)


def _candidates(values: pl.Series) -> Iterator[DataType]:
    yield BOOLEAN
    if values.str.contains(WHOLE).all():
        yield from (INTEGER, BIGINT)
    elif values.str.contains(DECIMAL).all():
        whole, scale = (_longest(values.str.extract(part)) for part in (r"^-?([0-9]+)", r"\.([0-9]+)$"))
        yield numeric(max(10, whole + scale + 2), scale) if scale <= MOST_DIGITS else DOUBLE
    elif values.str.contains(FLOAT).all():
        yield DOUBLE
    yield from (DATE, TIMESTAMP)


def _longest(parts: pl.Series) -> int:
    return max(parts.drop_nulls().str.len_chars().to_list(), default=0)


def _fits(source: str, values: pl.DataFrame, column: Column, data_type: DataType) -> bool:
    """Whether every value is one of that type, as it is written."""
    wanted = replace(column, type=data_type, time_zone="UTC" if data_type == TIMESTAMP else None)
    table = RawSnapshot(
        source=source, name="probe", description="", grain="", delivered=(wanted,), row_key=(wanted.name,)
    )
    found = judged(values, [wanted], table, not_after=FAR)
    return not found["is_bad"].any() and f"tolerated_{column.name}" not in found.columns


def _without_clashes(columns: Sequence[Column]) -> list[Column]:
    """The columns under names that say what they are: ``_at`` is a time, ``_key`` a number of the warehouse's."""
    taken = {column.name for column in columns}
    renamed = []
    for column in columns:
        name = column.name
        if name.endswith("_at") and column.type != TIMESTAMP:
            name = f"{name.removesuffix('_at')}_{'date' if column.type == DATE else 'text'}"
        if name.endswith("_key") and column.type not in (INTEGER, BIGINT):
            name = f"{name.removesuffix('_key')}_code"
        if name != column.name and name in taken:
            raise NewSourceError(f"columns {column.name} and {name} cannot both be told apart by type: rename one.")
        renamed.append(replace(column, name=name, description=_description(name)))
    return renamed


# ---- keys ------------------------------------------------------------------------------------------------------------


def _with_key(
    source: str, name: str, file_name: str, columns: list[Column], rows: pl.DataFrame, null_words: tuple[str, ...]
) -> Feed:
    """The feed with its key: columns that are never empty and never repeated together, else the line."""
    profile = _profile(_feed(source, name, file_name, columns).table, rows)
    key = _best_key(profile, rows, singular(name)) or ("_line",)
    keyed = [replace(c, rules=key_rules(name, c)) if c.name in key else c for c in columns]
    return _feed(source, name, file_name, keyed, key, null_words)


def _best_key(profile: TableProfile, rows: pl.DataFrame, noun: str) -> tuple[str, ...] | None:
    """Of all candidates the one that looks most like a key.

    In a small sample much is unique by accident. So a column that is named like an id counts first, then two columns
    with an id among them, then the first column of the file, then any two.
    """
    usable = [c.column.name for c in profile.columns if c.column.type.kind in KEY_KINDS and not c.nulls]
    singles = [key[0] for key in profile.key_candidates if len(key) == 1 and key[0] in usable]
    own = ("id", f"{noun}_id", f"{noun}_key", f"{noun}_code")
    pairs = [
        pair
        for pair in combinations(usable[:MOST_KEY_COLUMNS], 2)
        if not set(pair) & set(singles) and rows.select(pair).n_unique() == rows.height
    ]
    ranked = (
        [(name,) for name in singles if name in own],
        [(name,) for name in singles if is_id(name)],
        sorted((pair for pair in pairs if any(map(is_id, pair))), key=lambda pair: -sum(map(is_id, pair))),
        [(name,) for name in singles if name == profile.columns[0].column.name],
        pairs,
        [(name,) for name in singles],
    )
    return next((keys[0] for keys in ranked if keys), None)


def key_rules(table: str, column: Column) -> tuple[MaxLength, ...]:
    """The rule of a text in a key, unless the name of its constraint would be too long for Postgres."""
    is_nameable = len(f"{table}_{column.name}_{KEY_TEXT.name}") <= LONGEST_IN_POSTGRES
    return (KEY_TEXT,) if column.type == TEXT and is_nameable else ()


def is_id(name: str) -> bool:
    """Whether a column is named like one that identifies something."""
    return name.rpartition("_")[2] in ID_ENDS


def _profile(table: RawTable, rows: pl.DataFrame) -> TableProfile:
    """The profile that ``cinestream explore`` makes of a loaded table, of a sample that is in memory."""
    columns = tuple(
        ColumnProfile(
            column,
            nulls=rows[column.name].null_count(),
            empty=None,
            distinct=rows[column.name].drop_nulls().n_unique(),
            least=_text(rows[column.name].min()) if column.type != TEXT and not column.is_personal else None,
            greatest=_text(rows[column.name].max()) if column.type != TEXT and not column.is_personal else None,
        )
        for column in table.columns
        if not column.name.startswith(OWN)
    )
    return TableProfile(table, rows.height, rows.height, columns, rows.select(table.natural_key).n_unique())


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if value is None else str(value)


def _notes(feed: Feed, broken: int, read: int) -> Iterator[str]:
    """What somebody should look at."""
    if read >= MOST_RECORDS:
        yield f"only the first {MOST_RECORDS:,} records were looked at"
    if broken:
        yield f"{broken:,} records cannot be split into as many fields as the header, and would be rejected"
    if feed.null_words:
        yield f"{', '.join(feed.null_words)} is read as NULL in columns that may be empty"
    if feed.table.natural_key == ("_line",):
        yield "no column, and no two, tell its rows apart: every line is a row"
    if hidden := [column.name for column in feed.table.columns if column.is_personal]:
        yield f"hidden from analysts as personal: {', '.join(hidden)}"
