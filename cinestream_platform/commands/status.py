"""``cinestream status``: the ledger for people."""

from typing import Any

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from cinestream_platform.commands.tables import narrow_table
from cinestream_platform.commands.waiting import waiting_entries
from cinestream_platform.orchestration.warehouse import prepared_target
from cinestream_platform.services.disk import shortage
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import connect
from cinestream_platform.warehouse.held_work import BUILD_REASON
from cinestream_platform.warehouse.profile_text import printable
from cinestream_platform.warehouse.table import WHOLE

WAITING_SHOWN = 50


def _table(title: str, columns: list[str], rows: list[tuple[Any, ...]]) -> Table:
    table = narrow_table(title, columns)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "strftime"):
        return f"{value:%m-%d %H:%M}"
    return f"{value:,}" if not isinstance(value, str) else value


def print_status(*, every_file: bool) -> None:
    """Print feeds, files that need a person, and the last publications."""
    console = Console()
    console.print(f"landing zone: {get_settings().landing}")
    if reason := shortage(get_settings()):
        _print_line(console, reason)
    with connect(prepared_target()) as conn:
        columns = ["feed", "loaded", "waits", "parked", "dup.", "past", "rows", "rejected", "last (UTC)"]
        feeds = conn.execute(
            """
            SELECT source || '/' || dataset, loaded, waiting, parked, duplicate, past, rows_loaded, rows_rejected,
                last_loaded_at
            FROM ops.v_feed ORDER BY 1
            """
        ).fetchall()
        console.print(_table("Feeds", columns, feeds))
        _print_files(console, conn, every_file=every_file)
        _print_held(console, conn)
        _print_waiting(console, conn, every_file=every_file)
        published = conn.execute(
            """
            SELECT schema_name || '.' || table_name, count(*), sum(rows), max(published_at) FROM ops.publication
            WHERE is_latest GROUP BY 1 ORDER BY 1
            """
        ).fetchall()
        console.print(_table("Published", ["table", "partitions", "rows", "last (UTC)"], published))


def _print_files(console: Console, conn: Connection[Any], *, every_file: bool) -> None:
    files = conn.execute(
        """
        SELECT key, status, rows_loaded, rows_rejected, attempts,
            coalesce(reason, CASE status WHEN 'pending' THEN 'waits for its turn to be loaded' END)
        FROM ops.landed_file
        WHERE %s OR status = 'parked' OR (status = 'pending' AND (attempts > 0 OR cancelled_at IS NOT NULL))
        ORDER BY key, file_id
        """,
        (every_file,),
    ).fetchall()
    if files:
        title = "Files" if every_file else "Files that need a look (cinestream reload KEY, or land them corrected)"
        console.print(title, style="bold")
    for key, status, loaded, rejected, attempts, reason in files:
        # As lines and never cut: the key is what other commands ask for.
        _print_line(console, f"  {key}")
        numbers = f", {loaded:,} rows, {rejected:,} rejected" if status == "loaded" else ""
        tried = f" after {attempts:,} attempts" if status != "loaded" and attempts else ""
        _print_line(console, f"      {status}{tried}{numbers}{f': {reason}' if reason else ''}")


def _print_held(console: Console, conn: Connection[Any]) -> None:
    """Builds and extractions that were cancelled by hand."""
    found = conn.execute(
        "SELECT work, count(*), min(partition_key), max(partition_key), max(held_at) FROM ops.held_work"
        " GROUP BY work ORDER BY work"
    ).fetchall()
    if found:
        console.print(f"Work that was {BUILD_REASON}", style="bold")
    for work, count, first, last, held_at in found:
        partitions = f" {first}" if count == 1 else f" {first} to {last} ({count:,} partitions)"
        _print_line(console, f"  {work}{partitions if last != WHOLE else ''}, {_cell(held_at)} UTC")


def _print_waiting(console: Console, conn: Connection[Any], *, every_file: bool) -> None:
    entries = list(waiting_entries(conn))
    if entries:
        console.print("Waiting in the landing zone, not in the ledger yet", style="bold")
    shown = entries if every_file else entries[:WAITING_SHOWN]
    for key, reason in shown:
        _print_line(console, f"  {key}")
        _print_line(console, f"      waits: {reason}")
    if len(shown) < len(entries):
        _print_line(console, f"  … and {len(entries) - len(shown):,} more (--files shows all)")


def _print_line(console: Console, text: str) -> None:
    """One line, whatever a key or a file's content holds."""
    console.print(printable(text), soft_wrap=True, markup=False, highlight=False)
