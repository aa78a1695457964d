"""What a page is: the SQL of its tiles, a function from their rows to what is shown, and a template.

The files of a page lie in one folder: ``page.py``, ``page.html``, one ``.sql`` for each tile. A tile of another page is
named and not copied (``shared_tiles``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cinestream_platform.dashboards.warehouse import Rows
from cinestream_platform.errors import CineStreamError

FOLDER = Path(__file__).parent
MOST_TEXT = 1_500
"""Characters of one part of an address; keys of files have at most 1,024 bytes."""
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

Parameters = Mapping[str, str]
View = Callable[[Rows, Parameters], Mapping[str, Any]]


class NoSuchPageError(CineStreamError):
    """There is no page for this address; the message says what is missing."""


@dataclass(frozen=True)
class Page:
    """One kind of page.

    Args:
        folder: Of its files, below ``dashboards``.
        path: Its address, with parts in braces.
        view: Makes what the template shows from the tiles' rows; raises ``NoSuchPageError``.
        filters: Names of GET parameters, empty where they are not given; tiles have them as parameters.
        keeps_seconds: How long it is shown at most without being made again, when nothing has changed: what depends on
            the time (late, the last day) moves by itself.
        shows_disks: Whether the view is given the file systems too, as rows of ``disks``.
        data_path: Where the same is given as JSON.
        shared_tiles: Tiles of other pages that this one shows too, such as ``table/files``.
    """

    folder: str
    path: str
    view: View
    filters: tuple[str, ...] = ()
    keeps_seconds: float = 30.0
    shows_disks: bool = False
    data_path: str | None = None
    shared_tiles: tuple[str, ...] = ()

    @cached_property
    def queries(self) -> dict[str, str]:
        """The SQL of each tile, by name."""
        shared = [FOLDER / f"{tile}.sql" for tile in self.shared_tiles]
        found = [*sorted((FOLDER / self.folder).glob("*.sql")), *shared]
        return {path.stem: path.read_text(encoding="utf-8") for path in found}

    def parameters(self, parts: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, str]:
        """What the address says: its parts, and the filters.

        Raises:
            NoSuchPageError: Something in it can be the name of nothing.
        """
        found = {name: str(value) for name, value in parts.items()}
        found |= {name: query.get(name, "").strip() for name in self.filters}
        for value in found.values():
            if len(value) > MOST_TEXT or UNPRINTABLE.search(value):
                raise NoSuchPageError("Nothing has a name like that.")
        return found
