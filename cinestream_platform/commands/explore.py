"""``cinestream explore``: the relationship report of a source in the terminal."""

from rich.console import Console

from cinestream_platform.catalog import CATALOG, TABLES, raw_tables_of, relations_of
from cinestream_platform.commands.tables import print_table, say
from cinestream_platform.declarations.raw_table import RawTable
from cinestream_platform.errors import CineStreamError
from cinestream_platform.messages import counted
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse import profile_text
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.profile import SourceProfile, TableProfile, profile_source


class UnknownSourceError(CineStreamError):
    """No raw table is declared for a source of that name."""


def print_report(settings: Settings, source: str) -> None:
    """Profile a source's raw tables and print what they hold and how they relate.

    Raises:
        UnknownSourceError: There is no such source.
    """
    tables = raw_tables_of(source)
    if not tables:
        known = ", ".join(dict.fromkeys(table.source for table in TABLES if isinstance(table, RawTable)))
        raise UnknownSourceError(f"there is no source {source}; sources are {known}")
    with connect(start_and_prepare(CATALOG, settings)) as conn:
        profile = profile_source(conn, source, tables, relations_of(source))
    show(Console(), profile)


def show(console: Console, profile: SourceProfile) -> None:
    """The report, of which no name is broken."""
    if profile.is_empty:
        say(console, profile_text.nothing_loaded(profile.source))
        return
    cells = [profile_text.table_cells(table) for table in profile.tables]
    print_table(console, f"Raw tables of {profile.source}", profile_text.TABLE_HEADINGS, cells, texts=1)
    say(console, "")
    for table in profile.tables:
        if table.rows:
            _print_columns(console, table)
    say(console, "Relations", "bold")
    for found in profile.relations:
        say(console, f"  {found.relation}")
        for sentence in profile_text.relation_sentences(found):
            say(console, f"    {sentence}")


def _print_columns(console: Console, table: TableProfile) -> None:
    title = f"{table.table.name}: {counted(table.rows, 'row')}"
    cells = [profile_text.column_cells(column, table) for column in table.columns]
    print_table(console, title, profile_text.COLUMN_HEADINGS, cells, texts=1)
    if note := profile_text.sample_note(table):
        say(console, note)
    say(console, "")
