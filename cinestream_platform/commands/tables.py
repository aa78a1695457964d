"""How tables and lines look in a terminal and in a pipe: no name is ever broken, so that grep finds it.

A line that is wider than the terminal is the terminal's to wrap: it can still be copied whole.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

from cinestream_platform.messages import printable

RULE = 79
"""Characters of the line below a table's headings, at most."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """One line, whatever a key or a file's content holds."""
    console.print(printable(text), style=style, soft_wrap=True, markup=False, highlight=False)


def print_table(
    console: Console,
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: int = 0,
    styles: Sequence[str | None] = (),
) -> None:
    """A table of a name and numbers.

    Args:
        console: Where it is printed.
        title: A line above it.
        headings: One a column.
        rows: The cells; the first of each is a name.
        texts: How many of the last columns are texts, which begin at the left.
        styles: Of each row, if any.
    """
    cells = [[printable(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    left = {0, *range(len(headings) - texts, len(headings))}
    say(console, title, "bold")
    for index, row in enumerate(cells):
        padded = (
            _padded(cell, width, column in left) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        style = "bold" if index == 0 else styles[index - 1] if index <= len(styles) else None
        say(console, " ".join(padded).rstrip(), style)
        if index == 0:
            say(console, "─" * min(sum(widths) + len(widths) - 1, RULE))


def _padded(cell: str, width: int, is_left: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return f"{cell}{blanks}" if is_left else f"{blanks}{cell}"
