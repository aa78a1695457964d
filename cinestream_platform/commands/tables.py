"""How tables look in a terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cinestream_platform.warehouse.profile_text import printable


def narrow_table(title: str, columns: list[str]) -> Table:
    """An empty table of a name and numbers: names may be folded, numbers never, so that 80 columns are enough."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(columns[0], overflow="fold")
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def say(console: Console, text: str, style: str | None = None) -> None:
    """One line, never broken, whatever a key or a file's content holds: names are found by grep and copied whole."""
    console.print(printable(text), style=style, soft_wrap=True, markup=False, highlight=False)
