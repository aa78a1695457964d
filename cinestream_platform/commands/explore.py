"""``cinestream explore``: the relationship report of a source in the terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cinestream_platform.catalog import TABLES, raw_tables_of, relations_of
from cinestream_platform.commands.tables import narrow_table
from cinestream_platform.errors import CineStreamError
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.warehouse import profile_text
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.profile import SourceProfile, TableProfile, profile_source
from cinestream_platform.warehouse.table import Layer


class UnknownSourceError(CineStreamError):
    """No raw table is declared for a source of that name."""


def print_report(source: str) -> None:
    """Profile a source's raw tables and print what they hold and how they relate.

    Raises:
        UnknownSourceError: There is no such source.
    """
    tables = raw_tables_of(source)
    if not tables:
        known = ", ".join(dict.fromkeys(table.source for table in TABLES if table.layer is Layer.RAW))
        raise UnknownSourceError(f"there is no source {source}; sources are {known}")
    with connect(prepared_target()) as conn:
        profile = profile_source(conn, source, tables, relations_of(source))
    show(Console(), profile)


def show(console: Console, profile: SourceProfile) -> None:
    """The report within 80 columns: texts are folded, numbers never."""
    if profile.is_empty:
        console.print(profile_text.nothing_loaded(profile.source), markup=False, highlight=False)
        return
    _print_cells(
        console,
        f"Raw tables of {profile.source}",
        profile_text.TABLE_HEADINGS,
        [profile_text.table_cells(table) for table in profile.tables],
    )
    for table in profile.tables:
        if table.rows:
            _print_columns(console, table)
    console.print("Relations", style="bold")
    for found in profile.relations:
        console.print(Padding(Text(str(found.relation)), (0, 0, 0, 2), expand=False))
        for sentence in profile_text.relation_sentences(found):
            console.print(Padding(Text(sentence), (0, 0, 0, 4), expand=False))


def _print_columns(console: Console, table: TableProfile) -> None:
    title = f"{table.table.name}: {table.rows:,} rows"
    cells = [profile_text.column_cells(column, table) for column in table.columns]
    _print_cells(console, title, profile_text.COLUMN_HEADINGS, cells)
    if note := profile_text.sample_note(table):
        console.print(Text(f"{note}\n"))


def _print_cells(console: Console, title: str, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table whose last column is text and folded; ``Text``, since what stands in it is no markup."""
    table = narrow_table(title, list(headings[:-1]))
    table.add_column(headings[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    console.print()
