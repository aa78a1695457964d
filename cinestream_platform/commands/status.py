"""``cinestream status``: the verdict, and the ledger for people, from the views of schema ``platform``."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from rich.console import Console

from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.tables import print_table, say
from cinestream_platform.commands.verdict import described, gather
from cinestream_platform.commands.waiting import waiting_entries
from cinestream_platform.commands.working import working
from cinestream_platform.declarations.partitioning import WHOLE
from cinestream_platform.ledger.held_work import BUILD_REASON
from cinestream_platform.messages import counted
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings
from cinestream_platform.warehouse.connection import connect

WAITING_SHOWN = 50


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "strftime"):
        return f"{value:%m-%d %H:%M}"
    return f"{value:,}" if not isinstance(value, str) else value


def print_status(settings: Settings, *, every_file: bool, quick: bool = False) -> None:
    """Print the verdict, feeds, files that need a person, and the last publications."""
    console = Console()
    target = start_and_prepare(CATALOG, settings)
    with connect(target) as conn:
        with working(Console(stderr=True), "comparing every table with its inputs"):
            health = gather(settings, target, conn, with_stale=not quick)
        for what, how in described(health):
            say(console, f"{what:<13} {how}", "bold" if what == "verdict" else None)
        say(console, f"landing zone: {settings.landing}")
        say(console, "")
        _print_feeds(console, conn)
        _print_files(console, conn, every_file=every_file)
        _print_held(console, conn)
        _print_waiting(console, settings, conn, every_file=every_file)
        published = conn.execute(
            """
            SELECT schema_name || '.' || table_name, partitions, rows, last_published_at FROM platform.published_table
            ORDER BY 1
            """
        ).fetchall()
        _print_rows(console, "Published", ("table", "partitions", "rows", "last (UTC)"), published)


def _print_feeds(console: Console, conn: Connection[Any]) -> None:
    headings = ("feed", "loaded", "waits", "parked", "dup.", "past", "rows", "rejected", "last (UTC)")
    feeds = conn.execute(
        """
        SELECT source || '/' || dataset, loaded, waiting, parked, duplicate, past, rows_loaded, rows_rejected,
            last_loaded_at
        FROM platform.feed ORDER BY 1
        """
    ).fetchall()
    _print_rows(console, "Feeds", headings, feeds)


def _print_rows(console: Console, title: str, headings: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    print_table(console, title, headings, [[_cell(value) for value in row] for row in rows])
    say(console, "")


def _print_files(console: Console, conn: Connection[Any], *, every_file: bool) -> None:
    files = conn.execute(
        """
        SELECT key, status, rows_loaded, rows_rejected, attempts, reason
        FROM platform.file
        WHERE %s OR status = 'parked' OR is_failing OR (status = 'pending' AND is_held)
        ORDER BY key, file_id
        """,
        (every_file,),
    ).fetchall()
    if files:
        title = "Files" if every_file else "Files that need a look (cinestream reload KEY, or land them corrected)"
        say(console, title, "bold")
    for key, status, loaded, rejected, attempts, reason in files:
        # As lines and never cut: the key is what other commands ask for.
        say(console, f"  {key}")
        numbers = f", {counted(loaded, 'row')}, {rejected:,} rejected" if status == "loaded" else ""
        tried = f" after {counted(attempts, 'attempt')}" if status != "loaded" and attempts else ""
        say(console, f"      {status}{tried}{numbers}{f': {reason}' if reason else ''}")
    if files:
        say(console, "")


def _print_held(console: Console, conn: Connection[Any]) -> None:
    """Builds and extractions that were cancelled by hand."""
    found = conn.execute(
        "SELECT work, partitions, first_partition, last_partition, last_held_at FROM platform.held_work ORDER BY work"
    ).fetchall()
    if found:
        say(console, f"Work that was {BUILD_REASON}", "bold")
    for work, count, first, last, held_at in found:
        partitions = f" {first}" if count == 1 else f" {first} to {last} ({count:,} partitions)"
        say(console, f"  {work}{partitions if last != WHOLE else ''}, {_cell(held_at)} UTC")
    if found:
        say(console, "")


def _print_waiting(console: Console, settings: Settings, conn: Connection[Any], *, every_file: bool) -> None:
    entries = list(waiting_entries(settings, conn))
    if entries:
        say(console, "Waiting in the landing zone, not in the ledger yet", "bold")
    shown = entries if every_file else entries[:WAITING_SHOWN]
    for key, reason in shown:
        say(console, f"  {key}")
        say(console, f"      waits: {reason}")
    if len(shown) < len(entries):
        say(console, f"  … and {len(entries) - len(shown):,} more (--files shows all)")
    if entries:
        say(console, "")
