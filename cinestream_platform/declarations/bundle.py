"""Files that hold several tables (SQLite, JSON): each table in them is loaded as if it were a file of its own.

In the ledger a table inside a file has the key ``<source>/<dataset>/<file>#<table's dataset>``: with its own counts,
rejected records, state and reload. The object that is fetched is the part before the ``#``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cinestream_platform.declarations.feed import Feed

TABLE_MARK = "#"
FORMS = (".sqlite", ".sqlite3", ".db", ".json")
"""Endings of files that hold several tables."""


@dataclass(frozen=True)
class Bundle:
    """Files below ``<landing>/<source>/<dataset>/`` of which each holds the tables of all ``feeds``."""

    dataset: str
    feeds: tuple[Feed, ...]

    @property
    def source(self) -> str:
        """The source system."""
        return self.feeds[0].source

    @property
    def prefix(self) -> str:
        """Where its files land."""
        return f"{self.source}/{self.dataset}/"

    def takes(self, file_name: str) -> bool:
        """Whether a file of that name holds several tables."""
        return file_name.lower().endswith(FORMS)

    def table_keys(self, key: str) -> Iterator[tuple[str, Feed]]:
        """The key of every table inside a landed file, with its feed."""
        for feed in self.feeds:
            yield f"{key}{TABLE_MARK}{feed.dataset}", feed


def object_key(key: str) -> str:
    """The key of the object that holds what the ledger calls ``key``."""
    whole, _, table = key.rpartition(TABLE_MARK)
    return whole if whole.lower().endswith(FORMS) and "/" not in table else key


def is_bundle_table(key: str) -> bool:
    """Whether the key is that of a table inside a file."""
    return object_key(key) != key
